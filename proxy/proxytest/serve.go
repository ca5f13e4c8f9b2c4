package proxytest

import (
	"encoding/xml"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// serve is the way of every request: log, hooks, effect, hooks, answer.
func (s *Store) serve(w http.ResponseWriter, r *http.Request) {
	c := newCall(r)
	s.mu.Lock()
	c.N = len(s.log)
	s.log = append(s.log, c)
	hooks := make([]Hook, 0, len(s.hooks))
	for _, n := range slices.Sorted(maps.Keys(s.hooks)) {
		hooks = append(hooks, s.hooks[n])
	}
	s.mu.Unlock()

	for _, h := range hooks {
		if h.Before == nil {
			continue
		}
		if a := h.Before(c); a != nil {
			if a.Cut == 0 && len(a.Body) > 0 {
				a.Cut = -1
			}
			a.send(w, r)
			return
		}
	}
	raw, err := io.ReadAll(r.Body)
	s.mu.Lock()
	c.Raw, c.Whole = raw, err == nil
	var a *Answer
	if err != nil {
		a = fail(400, "IncompleteBody")
	} else if c.Body, a = decode(c.Header, raw); a == nil {
		a = s.act(c)
	}
	s.mu.Unlock()
	for _, h := range hooks {
		if h.After != nil {
			h.After(c, a)
		}
	}
	a.send(w, r)
}

func newCall(r *http.Request) *Call {
	c := &Call{Method: r.Method, Target: r.RequestURI, Header: r.Header.Clone(), Query: r.URL.Query()}
	path, _, _ := strings.Cut(r.RequestURI, "?")
	if _, rest, absolute := strings.Cut(path, "://"); absolute && path[0] != '/' {
		_, path, _ = strings.Cut(rest, "/")
	}
	b, k, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	c.Bucket, _ = url.PathUnescape(b)
	c.Key, _ = url.PathUnescape(k)
	c.Op = operation(c)
	return c
}

// send writes the answer, or less.
func (a *Answer) send(w http.ResponseWriter, r *http.Request) {
	time.Sleep(a.Delay)
	if a.Drop || a.ToEnd || a.Cut >= 0 && a.Cut < len(a.Body) {
		a.sendRaw(w)
		return
	}
	h := w.Header()
	maps.Copy(h, a.Header)
	if h.Get("Date") == "" {
		h.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	}
	if !a.NoLength && a.Status != http.StatusNoContent && a.Status != http.StatusNotModified && h.Get("Content-Length") == "" {
		h.Set("Content-Length", strconv.Itoa(len(a.Body)))
	}
	w.WriteHeader(a.Status)
	if a.NoLength {
		_ = http.NewResponseController(w).Flush()
	}
	if r.Method != http.MethodHead {
		_, _ = w.Write(a.Body)
	}
}

// sendRaw takes the connection over and closes it.
func (a *Answer) sendRaw(w http.ResponseWriter) {
	nc, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer func() { _ = nc.Close() }()
	tcp, ok := nc.(*net.TCPConn)
	if a.Drop {
		if ok && a.Reset {
			_ = tcp.SetLinger(0)
		}
		return
	}
	body := a.Body
	if a.Cut >= 0 {
		body = body[:min(a.Cut, len(body))]
	}
	var head strings.Builder
	head.WriteString("HTTP/1.1 " + strconv.Itoa(a.Status) + " " + http.StatusText(a.Status) + "\r\n")
	switch {
	case a.ToEnd:
		head.WriteString("Connection: close\r\n")
	case a.NoLength:
		head.WriteString("Transfer-Encoding: chunked\r\n")
		body = []byte(strconv.FormatInt(int64(len(body)), 16) + "\r\n" + string(body) + "\r\n")
	default:
		head.WriteString("Content-Length: " + strconv.Itoa(len(a.Body)) + "\r\n")
	}
	_ = a.Header.WriteSubset(&head, map[string]bool{"Content-Length": true})
	head.WriteString("\r\n")
	_, _ = io.WriteString(nc, head.String())
	_, _ = nc.Write(body)
	if ok && a.Reset {
		// What was sent shall arrive before the reset does.
		time.Sleep(20 * time.Millisecond)
		_ = tcp.SetLinger(0)
	}
}

// ok is an answer without a body.
func ok(header ...string) *Answer {
	a := &Answer{Status: 200, Header: http.Header{}, Cut: -1}
	for i := 0; i+1 < len(header); i += 2 {
		a.Header.Set(header[i], header[i+1])
	}
	return a
}

// Fail is an error answer as S3 writes it.
func Fail(status int, code string) *Answer { return fail(status, code) }

func fail(status int, code string) *Answer {
	a := ok("Content-Type", "application/xml")
	a.Status = status
	a.Body = []byte(xml.Header + "<Error><Code>" + code + "</Code><Message>" + code + "</Message><RequestId>fake</RequestId></Error>")
	return a
}

// document is an answer of 200 with a body.
func document(v any) *Answer {
	a := ok("Content-Type", "application/xml")
	text, err := xml.Marshal(v)
	if err != nil {
		return fail(500, err.Error())
	}
	a.Body = append([]byte(xml.Header), text...)
	return a
}

const namespace = "http://s3.amazonaws.com/doc/2006-03-01/"
