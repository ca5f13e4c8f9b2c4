package main

import (
	"io"
	"net"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

// serveRelay is the bare relay that s3veil is compared with: the same engine with the same buffers, bodies moved 1 MiB per
// system call, nothing looked at.
func serveRelay(l net.Listener, upstream string) error {
	client := &fasthttp.HostClient{Addr: upstream, MaxConns: 512, ReadBufferSize: 16 << 10, WriteBufferSize: 16 << 10,
		StreamResponseBody: true, DisablePathNormalizing: true, DisableHeaderNamesNormalizing: true,
		NoDefaultUserAgentHeader: true, ReadTimeout: time.Minute, WriteTimeout: time.Minute}
	server := fasthttp.Server{StreamRequestBody: true, MaxRequestBodySize: 1 << 40, ReadBufferSize: 16 << 10, WriteBufferSize: 16 << 10,
		DisablePreParseMultipartForm: true, NoDefaultServerHeader: true, Handler: func(ctx *fasthttp.RequestCtx) { relay(ctx, client) }}
	return server.Serve(l)
}

func relay(ctx *fasthttp.RequestCtx, client *fasthttp.HostClient) {
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	ctx.Request.Header.CopyTo(&req.Header)
	req.SetRequestURIBytes(ctx.RequestURI())
	if body := ctx.RequestBodyStream(); body != nil {
		req.SetBodyStream(&mover{src: body, n: int64(ctx.Request.Header.ContentLength())}, ctx.Request.Header.ContentLength())
	}
	if err := client.Do(req, resp); err != nil {
		fasthttp.ReleaseResponse(resp)
		ctx.Error(err.Error(), 502)
		ctx.SetConnectionClose()
		return
	}
	resp.Header.CopyTo(&ctx.Response.Header)
	if body := resp.BodyStream(); body != nil {
		ctx.Response.SetBodyStream(&mover{src: body, n: int64(resp.Header.ContentLength()), done: func() { fasthttp.ReleaseResponse(resp) }},
			resp.Header.ContentLength())
		return
	}
	ctx.Response.SetBody(resp.Body())
	fasthttp.ReleaseResponse(resp)
}

var movePool = sync.Pool{New: func() any { b := make([]byte, 1<<20); return &b }}

// mover copies n bytes of src in large reads and writes.
type mover struct {
	src  io.Reader
	n    int64
	done func()
}

func (m *mover) Read(p []byte) (int, error) { return m.src.Read(p) }

// SupportsBodyWriteTo makes fasthttp call WriteTo.
func (m *mover) SupportsBodyWriteTo() bool { return true }

func (m *mover) WriteTo(w io.Writer) (int64, error) {
	buf := movePool.Get().(*[]byte)
	defer movePool.Put(buf)
	var sum int64
	for sum < m.n {
		k, err := io.ReadFull(m.src, (*buf)[:min(m.n-sum, int64(len(*buf)))])
		if k > 0 {
			if _, werr := w.Write((*buf)[:k]); werr != nil {
				return sum, werr
			}
			sum += int64(k)
		}
		if err != nil {
			return sum, err
		}
	}
	return sum, nil
}

func (m *mover) Close() error {
	if m.done != nil {
		m.done()
		m.done = nil
	}
	return nil
}
