package proxy

import (
	"fmt"

	"s3veil/proxy/s3err"
	"s3veil/sigv4"
)

// overrides are the response-* parameters and the headers they replace. They are applied here and not by the store, since
// the metadata MAC covers what was written.
var overrides = map[string]string{
	"response-content-type": "content-type", "response-content-language": "content-language", "response-expires": "expires",
	"response-cache-control": "cache-control", "response-content-disposition": "content-disposition",
	"response-content-encoding": "content-encoding",
}

var errAnonymousOverride = s3err.Request("Request specific response headers cannot be used for anonymous GET requests.")

// overrides reports whether the request wants headers of its own in the answer.
func (x *exchange) overrides() bool {
	for _, p := range x.req.Query {
		if _, ok := overrides[p.Name]; ok {
			return true
		}
	}
	return false
}

func (x *exchange) applyOverrides() error {
	for _, p := range x.req.Query {
		name, ok := overrides[p.Name]
		if !ok {
			continue
		}
		if x.auth.Kind == sigv4.Anonymous {
			return errAnonymousOverride
		}
		for i := 0; i < len(p.Value); i++ {
			if p.Value[i] < ' ' || p.Value[i] == 0x7f {
				return s3err.InvalidArgument.With(fmt.Errorf("%s: control character", p.Name))
			}
		}
		x.set(name, p.Value)
	}
	return nil
}
