package proxy

import (
	"io"
	"net"
	"testing"
	"time"
)

// A client library opens connections ahead of need; one that is never used must be closed without an answer, which the
// library would take for that of its next request.
func TestUnusedConnectionIsClosedWithoutAnAnswer(t *testing.T) {
	s, err := New(Options{Limits: Limits{HeadTimeout: 50 * time.Millisecond}}, Settings{})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() { _ = s.Serve(ln) }()
	for name, sent := range map[string]string{"nothing": "", "half a head": "GET / HT"} {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, sent); err != nil {
			t.Fatal(err)
		}
		answer, _ := io.ReadAll(c)
		if (len(answer) > 0) != (sent != "") {
			t.Errorf("%s sent: answered %q", name, answer)
		}
		c.Close()
	}
}
