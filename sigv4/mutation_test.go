package sigv4

import (
	"strings"
	"testing"
)

// Every byte of everything that is signed counts, header by header.
func TestEveryByteOfASignedRequestCounts(t *testing.T) {
	v := verifierAt(exampleTime, exampleCredential())
	good := signedRequest(t, func(r *Request) { r.Header = append(r.Header, fields("x-amz-meta-b: two  words ")...) })
	if _, err := v.Verify(good); err != nil {
		t.Fatal(err)
	}
	try := func(what string, text *string, r *Request) {
		t.Helper()
		old := *text
		for i := range old {
			for _, flip := range []byte{1, 2, 0x20} {
				changed := []byte(old)
				changed[i] ^= flip
				*text = string(changed)
				if got, err := v.Verify(r); err == nil && got.Kind != Anonymous && !sameMeaning(old, *text) {
					t.Errorf("%s: %q instead of %q", what, *text, old)
				}
			}
		}
		*text = old
	}
	r := good.clone()
	try("method", &r.Method, r)
	try("path", &r.Path, r)
	try("query", &r.Query, r)
	try("host", &r.Host, r)
	for i := range r.Header {
		if r.Header[i].Name != "host" { // r.Host is what counts
			try(r.Header[i].Name, &r.Header[i].Value, r)
			try("the name of "+r.Header[i].Name, &r.Header[i].Name, r)
		}
	}
	p := presignedRequest(t, "3600")
	try("presigned query", &p.Query, p)
	try("presigned path", &p.Path, p)
}

// sameMeaning reports whether two texts differ in the case of hex digits after "%", or in white space alone.
func sameMeaning(a, b string) bool {
	return strings.EqualFold(a, b) && strings.Contains(a, "%") || strings.Join(strings.Fields(a), "") == strings.Join(strings.Fields(b), "")
}
