package proxy

import (
	"errors"
	"fmt"
	"net"

	"github.com/valyala/fasthttp"

	"s3veil/proxy/conn"
	"s3veil/proxy/forward"
	"s3veil/proxy/head"
	"s3veil/proxy/s3err"
)

// opConnect is the name of CONNECT in logs; in metrics it counts among the others.
const opConnect = "CONNECT"

// handleConnect answers CONNECT: S3 hosts are intercepted, others tunnelled.
func (s *Server) handleConnect(ctx *fasthttp.RequestCtx) {
	x := s.newExchange(ctx)
	x.req.Op = opConnect
	var host net.Conn
	err := x.guard(func() (err error) {
		host, err = x.connect()
		return err
	})
	if x.via != nil {
		x.via.other = true // no object is concerned yet
	}
	if err != nil {
		s.metrics.Forward(forwardOutcome(err))
		x.fail(err)
		ctx.SetConnectionClose()
		x.finish()
		return
	}
	counted, _ := conn.Below(ctx.Conn())
	one := &forward.Connect{Rules: x.st.forward, Target: x.via.target, Client: counted, Host: host, ID: x.id, Source: x.source.String()}
	ctx.HijackSetNoResponse(true)
	ctx.Hijack(func(c net.Conn) { s.connects.Run(c, one) })
	x.code = "200"
	x.finish()
}

func forwardOutcome(err error) string {
	if s3err.From(err).Status >= 500 {
		return "failed"
	}
	return "refused"
}

// connect judges a CONNECT. host is the connection to another host, nil for an S3 host.
func (x *exchange) connect() (host net.Conn, err error) {
	if x.head, err = head.ParseFields(&x.ctx.Request.Header); err != nil {
		return nil, forwardMalformed(err)
	}
	x.head.Method, x.head.Path = fasthttp.MethodConnect, "/"
	x.beginTrace()
	f := x.st.forward
	switch {
	case x.via == nil:
		return nil, s3err.MethodNotAllowed.Closing()
	case f == nil:
		return nil, forwardRefused("the forward proxy is switched off")
	case !f.Admits(x.source):
		return nil, forwardRefused("clients may not come from " + x.source.String())
	case x.via.connected:
		return nil, forwardMalformed(errors.New("CONNECT inside a CONNECT"))
	case x.head.Has("transfer-encoding") || x.head.Has("content-length") && x.head.Get("content-length") != "0":
		return nil, forwardMalformed(errors.New("CONNECT with a body"))
	case x.head.Count("host") > 1:
		return nil, forwardMalformed(errors.New("more than one Host header"))
	}
	if x.via.target, err = forward.ParseTarget(string(x.ctx.Request.Header.RequestURI()), 0); err != nil {
		return nil, forwardMalformed(err)
	}
	if h := x.head.Get("host"); h != "" && !x.via.target.Is(h, x.via.target.Port) {
		return nil, forwardMalformed(fmt.Errorf("CONNECT to %s, but Host %q", x.via.target, h))
	}
	if err := x.authenticateProxy(f); err != nil {
		return nil, err
	}
	if x.via.place, err = f.Decide(x.via.target); err != nil {
		return nil, forwardError(err)
	}
	if !x.via.place.S3 {
		host, err = x.dialOther()
		return host, forwardError(asRefusal(err))
	}
	if !f.Intercepts() {
		return nil, forwardRefused("TLS to " + x.via.target.Host + " cannot be intercepted without forward.ca_file")
	}
	return nil, nil
}

// asRefusal finds the refusal in an error of a connection, so that it becomes the client's answer.
func asRefusal(err error) error {
	var r *forward.Refusal
	if errors.As(err, &r) {
		return r
	}
	return err
}
