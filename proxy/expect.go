package proxy

import (
	"strings"

	"github.com/valyala/fasthttp"

	"s3veil/proxy/etag"
	"s3veil/proxy/s3err"
	"s3veil/proxy/upstream"
)

// headerReceived gives "Expect" its canonical spelling, because the engine compares it by letter. Clients of HTTP/1.0 get no
// interim answer (RFC 9110 10.1.1).
func headerReceived(h *fasthttp.RequestHeader) fasthttp.RequestConfig {
	switch v := h.Peek("Expect"); {
	case len(v) == 0:
	case !h.IsHTTP11():
		h.Del("Expect")
	case strings.EqualFold(string(v), "100-continue"):
		h.Set("Expect", "100-continue")
	}
	return fasthttp.RequestConfig{}
}

// exchangeKey is the user value under which handleExpect leaves the exchange it has admitted.
const exchangeKey = "exchange"

// admitted is an exchange between "100 Continue" and its handler. Where the handler is never called, because the client has
// died meanwhile, the engine closes its user values, and that ends the exchange.
type admitted struct{ x *exchange }

// take returns the exchange, which its taker has to finish.
func (a *admitted) take() *exchange {
	x := a.x
	a.x = nil
	return x
}

// Close ends an exchange that nobody has taken.
func (a *admitted) Close() error {
	if x := a.take(); x != nil {
		x.code = s3err.IncompleteBody.Code
		x.end(s3err.IncompleteBody.Status)
	}
	return nil
}

// handleExpect authenticates, authorises and looks at the conditions before the client is told to send its body, which may not be
// too large either.
func (s *Server) handleExpect(ctx *fasthttp.RequestCtx) int {
	x := s.newExchange(ctx)
	err := x.guard(func() error {
		if err := x.admit(); err != nil {
			return err
		}
		if err := x.announcedTooLarge(); err != nil {
			return err
		}
		return x.preconditions()
	})
	if err != nil {
		x.fail(err)
		s.closeInDrain(ctx)
		x.finish()
		return ctx.Response.StatusCode()
	}
	ctx.SetUserValue(exchangeKey, &admitted{x})
	return fasthttp.StatusContinue
}

// preconditions refuses a PUT whose conditions do not hold as the object stands, so that its body need not come. They go to the
// store with the body all the same, which decides; a look that fails decides nothing.
func (x *exchange) preconditions() error {
	match, noneMatch := x.head.Joined("if-match"), x.head.Joined("if-none-match")
	if x.req.Op != "PutObject" || match == "" && noneMatch == "" {
		return nil
	}
	resp, err := x.call(&upstream.Request{Op: "HeadObject", Method: "HEAD", Key: x.req.Key, Header: x.forwarded(isReadHeader), Idempotent: true})
	if err != nil {
		x.s.log.Debug("conditions are left to the store", "request_id", x.id, "cause", err.Error())
		return nil
	}
	defer resp.Body.Close()
	tag := resp.Get("etag")
	switch {
	case resp.Status == 404 && match != "":
		return x.whichMissing(&x.bucket, s3err.NoSuchKey)
	case resp.Status != 200:
		return nil
	case match != "" && !listed(match, etag.ToClient(tag), tag):
		return s3err.Precondition("If-Match")
	case strings.TrimSpace(noneMatch) == "*": // S3 takes no other one
		return s3err.Precondition("If-None-Match")
	}
	return nil
}
