package attack

import (
	"fmt"
	"io"
	"strings"
	"testing"
)

// Clients of another age: HTTP/1.0 without chunks and keep-alive, and Expect in every spelling (RFC 9110 10.1.1: the value is
// compared without case).
func TestOldClients(t *testing.T) {
	s := NewScene(t, nil)
	body := strings.Repeat("old ", 50_000)
	w := s.Dial()
	io.WriteString(w, strings.Replace(s.Head("PUT", "/"+s.Bucket+"/k", "UNSIGNED-PAYLOAD", nil), "HTTP/1.1", "HTTP/1.0", 1)+
		fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body))
	if status, text := w.Answer(); status != 200 {
		t.Fatalf("HTTP/1.0 PUT: %d %s", status, text)
	}
	if _, closed := w.Closed(); !closed {
		t.Error("the connection of HTTP/1.0 stays open")
	}
	w.Close()
	w = s.Dial()
	io.WriteString(w, strings.Replace(s.Head("GET", "/"+s.Bucket+"/k", "UNSIGNED-PAYLOAD", nil), "HTTP/1.1", "HTTP/1.0", 1)+"\r\n")
	raw, err := io.ReadAll(w)
	head, got, _ := strings.Cut(string(raw), "\r\n\r\n")
	if err != nil || got != body || strings.Contains(strings.ToLower(head), "chunked") {
		t.Errorf("HTTP/1.0 GET: %v, %d bytes after %s", err, len(got), head)
	}
	w.Close()
	for _, expect := range []string{"Expect: 100-continue", "expect: 100-Continue", "EXPECT: 100-CONTINUE", "Expect:100-continue"} {
		w := s.Dial()
		io.WriteString(w, s.Head("PUT", "/"+s.Bucket+"/e", "UNSIGNED-PAYLOAD", nil)+"Content-Length: 5\r\n"+expect+"\r\n\r\n")
		if status, text := w.Answer(); status != 100 {
			t.Errorf("%s: %d %s", expect, status, text)
		}
		io.WriteString(w, "hello")
		if status, text := w.Answer(); status != 200 {
			t.Errorf("%s: %d %s after the body", expect, status, text)
		}
		w.Close()
	}
	// Nobody has to understand another expectation; a body that comes with it is taken (RFC 9110 10.1.1).
	w = s.Dial()
	io.WriteString(w, s.Head("PUT", "/"+s.Bucket+"/e", "UNSIGNED-PAYLOAD", nil)+"Content-Length: 5\r\nExpect: other\r\n\r\nhello")
	if status, text := w.Answer(); status != 200 {
		t.Errorf("another expectation: %d %s", status, text)
	}
	w.Close()
	// An old client that announces and does not wait gets its answer too.
	w = s.Dial()
	io.WriteString(w, s.Head("PUT", "/"+s.Bucket+"/e", "UNSIGNED-PAYLOAD", nil)+"Content-Length: 5\r\nExpect: 100-continue\r\n\r\nhello")
	status, text := w.Answer()
	if status == 100 {
		status, text = w.Answer()
	}
	if status != 200 {
		t.Errorf("without waiting: %d %s", status, text)
	}
	w.Close()
}
