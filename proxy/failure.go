package proxy

import (
	"github.com/valyala/fasthttp"

	"s3veil/proxy/s3err"
)

// fail answers with an error, and logs it. It is the only place where an error becomes an answer: what goes wrong once an answer has
// begun is logged where its body ends.
func (x *exchange) fail(err error) {
	e := s3err.From(err)
	x.code = e.Code
	x.note.class = e.Class
	x.countAuthFailure(e.Code)
	x.logFailure(e)
	r := &x.ctx.Response
	r.ResetBody()
	r.Header.Reset()
	r.Header.DisableNormalizing()
	r.Header.SetNoDefaultContentType(true)
	r.SetStatusCode(e.Status)
	x.setIDs()
	for _, f := range x.refusal {
		x.set(f.Name, f.Value)
	}
	if e.Status == fasthttp.StatusProxyAuthRequired {
		x.set("Proxy-Authenticate", `Basic realm="s3veil"`)
	}
	if x.head.Method != fasthttp.MethodHead {
		r.Header.SetContentType("application/xml")
		r.SetBody(s3err.Body(e, x.resource(), x.id, x.storeID))
	} else {
		r.Header.SetContentLength(0)
	}
	switch {
	case !x.bodyDone():
		x.abandonBody()
	case e.Close:
		x.ctx.SetConnectionClose()
	}
}

func (x *exchange) resource() string {
	if x.req.Bucket == "" {
		return x.head.Path
	}
	return "/" + x.req.Bucket + ifNotEmpty("/", x.req.Key)
}

func ifNotEmpty(prefix, s string) string {
	if s == "" {
		return ""
	}
	return prefix + s
}

func (x *exchange) logFailure(e s3err.Error) {
	attrs := []any{"request_id", x.id, "upstream_request_id", x.storeID, "op", string(x.req.Op), "code", e.Code, "status", e.Status}
	if e.Class != "" {
		attrs = append(attrs, "class", e.Class)
	}
	if x.client != nil {
		attrs = append(attrs, "client", x.client.name)
	}
	if x.note.kid != "" {
		attrs = append(attrs, "key_id", x.note.kid)
	}
	if id := x.traceID(); id != "" {
		attrs = append(attrs, "trace_id", id)
	}
	if e.Cause != nil {
		attrs = append(attrs, "cause", e.Cause.Error())
	}
	switch {
	case e.Class != "" || e.Status >= 500:
		x.s.log.Error("request failed", attrs...)
	default:
		x.s.log.Info("request refused", attrs...)
	}
}
