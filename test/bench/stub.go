package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"github.com/minio/crc64nvme"
	"github.com/valyala/fasthttp"
)

// keepPrefix marks the keys whose bodies the stub keeps; all others are read and discarded.
const keepPrefix = "keep"

// stub is an S3 store that costs as little as possible: no signatures are checked, nothing is on disk.
type stub struct {
	mu      sync.RWMutex
	objects map[string]*stored
	parts   map[string]map[int]int // sizes by upload id
}

type stored struct {
	body   []byte
	header [][2]string // x-amz-meta-* and content headers
}

// serveStub runs the store on a listener until the process ends.
func serveStub(l net.Listener) error {
	s := &stub{objects: map[string]*stored{}, parts: map[string]map[int]int{}}
	server := fasthttp.Server{Handler: s.handle, StreamRequestBody: true, MaxRequestBodySize: 1 << 40, NoDefaultServerHeader: true,
		ReadBufferSize: 16 << 10, WriteBufferSize: 16 << 10, DisablePreParseMultipartForm: true, DisableHeaderNamesNormalizing: false}
	return server.Serve(l)
}

func (s *stub) handle(ctx *fasthttp.RequestCtx) {
	path := string(ctx.URI().PathOriginal())
	bucket, key, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	key, _ = url.PathUnescape(key)
	args := ctx.QueryArgs()
	upload := string(args.Peek("uploadId"))
	switch method := string(ctx.Method()); {
	case upload != "" || args.Has("uploads"):
		s.multipart(ctx, method, bucket, key, upload)
	case key == "" && method == "GET" && bucket == "":
		reply(ctx, 200, "<ListAllMyBucketsResult><Owner><ID>o</ID></Owner><Buckets></Buckets></ListAllMyBucketsResult>")
	case key == "":
		reply(ctx, 200, "")
	case method == "PUT":
		s.put(ctx, path, key)
	case method == "DELETE":
		reply(ctx, 204, "")
	default:
		s.get(ctx, path)
	}
}

func reply(ctx *fasthttp.RequestCtx, status int, xml string) {
	ctx.Response.Reset()
	ctx.SetStatusCode(status)
	if xml != "" {
		ctx.SetContentType("application/xml")
		ctx.SetBodyString(`<?xml version="1.0" encoding="UTF-8"?>` + xml)
	}
}

var discardPool = sync.Pool{New: func() any { b := make([]byte, 1<<20); return &b }}

// discard reads the whole body in large reads.
func discard(r io.Reader) {
	if r == nil {
		return
	}
	buf := discardPool.Get().(*[]byte)
	defer discardPool.Put(buf)
	for {
		if _, err := r.Read(*buf); err != nil {
			return
		}
	}
}

func (s *stub) put(ctx *fasthttp.RequestCtx, path, key string) {
	if !strings.HasPrefix(key, keepPrefix) {
		discard(ctx.RequestBodyStream())
		ctx.Response.Header.Set("ETag", `"0123456789abcdef0123456789abcdef"`)
		return
	}
	body, err := readBody(ctx)
	if err != nil {
		reply(ctx, 400, "<Error><Code>BadDigest</Code><Message>"+err.Error()+"</Message></Error>")
		return
	}
	o := &stored{body: body}
	for k, v := range ctx.Request.Header.All() {
		name := strings.ToLower(string(k))
		if strings.HasPrefix(name, "x-amz-meta-") || name == "content-type" {
			o.header = append(o.header, [2]string{name, string(v)})
		}
	}
	s.mu.Lock()
	s.objects[path] = o
	s.mu.Unlock()
	ctx.Response.Header.Set("ETag", `"0123456789abcdef0123456789abcdef"`)
}

// readBody reads a body and takes aws-chunked framing off; a CRC64NVME trailer is checked.
func readBody(ctx *fasthttp.RequestCtx) ([]byte, error) {
	var raw []byte
	if r := ctx.RequestBodyStream(); r != nil {
		var err error
		if raw, err = io.ReadAll(r); err != nil {
			return nil, err
		}
	}
	if !strings.HasPrefix(string(ctx.Request.Header.Peek("X-Amz-Content-Sha256")), "STREAMING-") {
		return raw, nil
	}
	var body []byte
	for {
		line, rest, ok := bytes.Cut(raw, []byte("\r\n"))
		if !ok {
			return nil, fmt.Errorf("no chunk header")
		}
		size, _, _ := bytes.Cut(line, []byte(";"))
		n, err := strconv.ParseInt(string(size), 16, 64)
		if err != nil || int64(len(rest)) < n {
			return nil, fmt.Errorf("bad chunk")
		}
		if n == 0 {
			return body, checkTrailer(rest, body)
		}
		body, raw = append(body, rest[:n]...), rest[min(n+2, int64(len(rest))):]
	}
}

func checkTrailer(trailer, body []byte) error {
	const name = "x-amz-checksum-crc64nvme:"
	_, value, ok := bytes.Cut(trailer, []byte(name))
	if !ok {
		return nil
	}
	value, _, _ = bytes.Cut(value, []byte("\r\n"))
	var sum [8]byte
	binary.BigEndian.PutUint64(sum[:], crc64nvme.Checksum(body))
	if strings.TrimSpace(string(value)) != base64.StdEncoding.EncodeToString(sum[:]) {
		return fmt.Errorf("trailer does not fit")
	}
	return nil
}

// multipart is enough of multipart uploads for s3veil to find out that trailers are checked here.
func (s *stub) multipart(ctx *fasthttp.RequestCtx, method, bucket, key, upload string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch method {
	case "POST":
		id := fmt.Sprintf("upload%d", len(s.parts))
		s.parts[id] = map[int]int{}
		reply(ctx, 200, "<InitiateMultipartUploadResult><Bucket>"+bucket+"</Bucket><Key>"+key+"</Key><UploadId>"+id+
			"</UploadId></InitiateMultipartUploadResult>")
	case "PUT":
		body, err := readBody(ctx)
		if err != nil {
			reply(ctx, 400, "<Error><Code>BadDigest</Code><Message>"+err.Error()+"</Message></Error>")
			return
		}
		n, _ := ctx.QueryArgs().GetUint("partNumber")
		s.parts[upload][n] = len(body)
		ctx.Response.Header.Set("ETag", `"0123456789abcdef0123456789abcdef"`)
	case "GET":
		var b strings.Builder
		fmt.Fprintf(&b, "<ListPartsResult><Bucket>%s</Bucket><Key>%s</Key><UploadId>%s</UploadId><MaxParts>1000</MaxParts><IsTruncated>false</IsTruncated>",
			bucket, key, upload)
		for n, size := range s.parts[upload] {
			fmt.Fprintf(&b, `<Part><PartNumber>%d</PartNumber><ETag>"0123456789abcdef0123456789abcdef"</ETag><Size>%d</Size></Part>`, n, size)
		}
		b.WriteString("</ListPartsResult>")
		reply(ctx, 200, b.String())
	default:
		delete(s.parts, upload)
		reply(ctx, 204, "")
	}
}

func (s *stub) get(ctx *fasthttp.RequestCtx, path string) {
	s.mu.RLock()
	o := s.objects[path]
	s.mu.RUnlock()
	if o == nil {
		reply(ctx, 404, "<Error><Code>NoSuchKey</Code><Message>no such key</Message></Error>")
		return
	}
	for _, h := range o.header {
		ctx.Response.Header.Set(h[0], h[1])
	}
	ctx.Response.Header.Set("ETag", `"0123456789abcdef0123456789abcdef"`)
	ctx.Response.Header.Set("Last-Modified", "Sat, 01 Aug 2026 00:00:00 GMT")
	ctx.Response.Header.Set("Accept-Ranges", "bytes")
	body := o.body
	if spec := ctx.Request.Header.Peek("Range"); len(spec) > 0 {
		first, last, err := fasthttp.ParseByteRange(spec, len(body))
		if err != nil {
			reply(ctx, 416, "<Error><Code>InvalidRange</Code></Error>")
			return
		}
		ctx.SetStatusCode(206)
		ctx.Response.Header.SetContentRange(first, last, len(body))
		body = body[first : last+1]
	}
	if string(ctx.Method()) == "HEAD" {
		ctx.Response.SkipBody = true
		ctx.Response.Header.SetContentLength(len(body))
		return
	}
	if len(body) <= 64<<10 {
		ctx.SetBody(body)
		return
	}
	ctx.Response.SetBodyStream(&memory{b: body}, len(body))
}

// memory writes itself in one large write per MiB.
type memory struct{ b []byte }

func (m *memory) Read(p []byte) (int, error) {
	if len(m.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p, m.b)
	m.b = m.b[n:]
	return n, nil
}

// SupportsBodyWriteTo makes fasthttp call WriteTo.
func (m *memory) SupportsBodyWriteTo() bool { return true }

func (m *memory) WriteTo(w io.Writer) (int64, error) {
	var sum int64
	for len(m.b) > 0 {
		n, err := w.Write(m.b[:min(len(m.b), 1<<20)])
		sum, m.b = sum+int64(n), m.b[n:]
		if err != nil {
			return sum, err
		}
	}
	return sum, nil
}
