package proxy

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// A client may send its first bytes of TLS before it has the answer to CONNECT, and CONNECT on a connection that has
// carried other requests, or has rested.
func TestForwardConnectInOneBreath(t *testing.T) {
	f := newForwarded(t, nil)
	addr, _ := f.other()
	for name, before := range map[string]func(c *connection){
		"at once":            func(*connection) {},
		"after S3":           func(c *connection) { c.ask("PUT", f.plain("PUT", "s3.test", "/data/first", "plain")) },
		"after another host": func(c *connection) { c.ask("GET", "GET http://"+addr+"/ HTTP/1.1\r\nHost: "+addr+"\r\n\r\n") },
		"after S3 and a pause": func(c *connection) {
			c.ask("PUT", f.plain("PUT", "s3.test", "/data/first", "plain"))
			time.Sleep(20 * time.Millisecond)
		},
	} {
		c := f.connect()
		before(c)
		first := &withHead{Conn: c.Conn, in: c.in, head: "CONNECT s3.test:443 HTTP/1.1\r\nHost: s3.test\r\n\r\n"}
		s := tls.Client(first, &tls.Config{ServerName: "s3.test", RootCAs: f.roots})
		in := &connection{t, s, bufio.NewReader(s)}
		if resp, body := in.ask("PUT", f.signed("PUT", "", "s3.test", "/data/key", "plain", testCredential, "us-east-1")); resp.StatusCode != 200 {
			t.Errorf("%s: %d %s", name, resp.StatusCode, body)
		}
		c.Close()
	}
}

// withHead sends a CONNECT together with the first bytes, and reads its answer before the first ones of the other side.
type withHead struct {
	net.Conn
	in   *bufio.Reader
	head string
	done bool
}

func (c *withHead) Write(p []byte) (int, error) {
	if c.head == "" {
		return c.Conn.Write(p)
	}
	_, err := c.Conn.Write(append([]byte(c.head), p...))
	c.head = ""
	return len(p), err
}

func (c *withHead) Read(p []byte) (int, error) {
	if !c.done {
		c.done = true
		resp, err := http.ReadResponse(c.in, &http.Request{Method: "CONNECT"})
		if err != nil || resp.StatusCode != 200 {
			return 0, fmt.Errorf("CONNECT: %v %v", resp, err)
		}
	}
	return c.in.Read(p)
}

// A host that is asked for a body by Expect gets it once the client has been told to go on.
func TestForwardRelayWithExpect(t *testing.T) {
	f := newForwarded(t, nil)
	addr, _ := f.other()
	c := f.connect()
	if _, err := io.WriteString(c, "PUT http://"+addr+"/ HTTP/1.1\r\nHost: "+addr+"\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := c.in.ReadString('\n'); err != nil || !strings.HasPrefix(line, "HTTP/1.1 100") {
		t.Fatalf("%q, %v", line, err)
	}
	_, _ = c.in.ReadString('\n')
	if resp, body := c.ask("PUT", "hello"); resp.StatusCode != 200 || body != "hello" {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
	refused := f.connect()
	if resp, _ := refused.ask("PUT", "PUT http://other.test:22/ HTTP/1.1\r\nHost: other.test:22\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"); resp.StatusCode != 403 {
		t.Errorf("a refused one: %d", resp.StatusCode)
	}
}

// Many clients at once, through every way there is: each gets its own bytes back.
func TestForwardManyClientsDoNotMix(t *testing.T) {
	f := newForwarded(t, nil)
	addr, _ := f.other()
	var all sync.WaitGroup
	for i := range 12 {
		all.Go(func() {
			body := strings.Repeat(string(rune('a'+i)), 40_000)
			c := f.connect()
			ways := []func(){
				func() {
					key := fmt.Sprintf("/data/plain-%d", i)
					c.ask("PUT", f.plain("PUT", "s3.test", key, body))
					if _, got := c.ask("GET", f.plain("GET", "s3.test", key, "")); got != body {
						t.Errorf("client %d, plain: %d bytes of another", i, len(got))
					}
				},
				func() {
					if resp, got := c.ask("POST", fmt.Sprintf("POST http://%s/ HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n%s", addr, addr, len(body), body)); got != body {
						t.Errorf("client %d, relayed: %d, %d bytes of another", i, resp.StatusCode, len(got))
					} else if resp.Close {
						c = f.connect()
					}
				},
			}
			for n := range 6 {
				ways[(i+n)%2]()
			}
			if resp, _ := c.ask("CONNECT", "CONNECT s3.test:443 HTTP/1.1\r\nHost: s3.test\r\n\r\n"); resp.StatusCode != 200 {
				t.Errorf("client %d: CONNECT %d", i, resp.StatusCode)
				return
			}
			s := tls.Client(c.Conn, &tls.Config{ServerName: "s3.test", RootCAs: f.roots})
			in := &connection{t, s, bufio.NewReader(s)}
			for range 3 {
				key := fmt.Sprintf("/data/tls-%d", i)
				in.ask("PUT", f.signed("PUT", "", "s3.test", key, body, testCredential, "us-east-1"))
				if _, got := in.ask("GET", f.signed("GET", "", "s3.test", key, "", testCredential, "us-east-1")); got != body {
					t.Errorf("client %d, TLS: %d bytes of another", i, len(got))
				}
			}
		})
	}
	all.Wait()
	for _, c := range f.store.Calls("PutObject") {
		if bytes.Contains(c.Body, []byte("aaaaaaaaaaaaaaaa")) {
			t.Error("plaintext reaches the store")
		}
	}
}
