package forward

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"s3veil/proxy/conn"
)

// granted is a Connects whose engine tells what it was handed, and echoes.
type granted struct {
	*Connects
	roots *x509.CertPool
	rules *Forward
	log   bytes.Buffer

	mu       sync.Mutex
	outcomes []string
	inside   []Target
}

func newGranted(t *testing.T) *granted {
	t.Helper()
	ca, roots := testCA(t, time.Hour, "s3.test")
	g := &granted{roots: roots, rules: newTest(t, Options{Hosts: []string{"s3.test"}, CA: ca})}
	g.Connects = &Connects{Serve: g.echo, Count: g.count, Log: slog.New(slog.NewTextHandler(&g.log, nil)), Patience: 10 * time.Second}
	return g
}

func (g *granted) count(outcome string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.outcomes = append(g.outcomes, outcome)
}

func (g *granted) echo(c net.Conn) error {
	target, _ := Inside(c)
	g.mu.Lock()
	g.inside = append(g.inside, target)
	g.mu.Unlock()
	_, err := io.Copy(c, c)
	return err
}

// clientPipe is a pipe of which b is a client's connection.
func clientPipe(t *testing.T) (a, b net.Conn) {
	t.Helper()
	set := conn.New(conn.Options{Max: 1, Stall: time.Minute})
	return pipeBehind(t, func(ln net.Listener) net.Listener { return set.Listener(ln, nil, true) })
}

// run grants a CONNECT on a connection of its own and returns the client's side, behind the answer.
func (g *granted) run(t *testing.T, one *Connect) (client net.Conn, done chan struct{}) {
	t.Helper()
	client, inner := clientPipe(t)
	one.Rules = g.rules
	one.Client, _ = conn.Below(inner)
	done = make(chan struct{})
	go func() {
		defer close(done)
		defer inner.Close()
		g.Run(inner, one)
	}()
	answer := make([]byte, len(established))
	if _, err := io.ReadFull(client, answer); err != nil || string(answer) != established {
		t.Fatalf("%q, %v", answer, err)
	}
	return client, done
}

var s3Test = Target{"s3.test", 443}

func TestInterceptedConnectionsAreServedWithOrWithoutTLS(t *testing.T) {
	for _, secure := range []bool{true, false} {
		g := newGranted(t)
		c, done := g.run(t, &Connect{Target: s3Test})
		over := c
		if secure {
			over = tls.Client(c, &tls.Config{ServerName: "s3.test", RootCAs: g.roots})
		}
		got := make([]byte, 5)
		if _, err := io.WriteString(over, "plain"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(over, got); err != nil || string(got) != "plain" {
			t.Errorf("TLS %v: %q, %v", secure, got, err)
		}
		c.Close()
		<-done
		if !slices.Equal(g.outcomes, []string{"intercepted"}) || !slices.Equal(g.inside, []Target{s3Test}) || g.log.Len() > 0 {
			t.Errorf("TLS %v: %q, inside %v, %s", secure, g.outcomes, g.inside, &g.log)
		}
	}
}

// What the operator has to do is in the log where a client does not trust the authority; one that says nothing is no failure.
func TestConnectTellsWhyAnInterceptionFailed(t *testing.T) {
	for name, is := range map[string]struct {
		client func(net.Conn)
		log    string
	}{
		"no trust": {func(c net.Conn) {
			_ = tls.Client(c, &tls.Config{ServerName: "s3.test", RootCAs: x509.NewCertPool()}).Handshake()
		}, "does not trust"},
		"no TLS":  {func(c net.Conn) { _, _ = io.WriteString(c, "\x16\x03\x01 nonsense") }, "TLS with the client"},
		"nothing": {func(net.Conn) {}, ""},
	} {
		g := newGranted(t)
		c, done := g.run(t, &Connect{Target: s3Test})
		is.client(c)
		c.Close()
		<-done
		if failed := slices.Equal(g.outcomes, []string{"failed"}); failed != (is.log != "") || !strings.Contains(g.log.String(), is.log) {
			t.Errorf("%s: %q, %s", name, g.outcomes, &g.log)
		}
	}
}

func TestEndClosesTunnelsAndLetsNoneBegin(t *testing.T) {
	g := newGranted(t)
	outer, host := pipe(t)
	c, done := g.run(t, &Connect{Target: Target{"other.test", 443}, Host: outer})
	if _, err := io.WriteString(host, "x"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil || g.Tunnels() != 1 {
		t.Errorf("%d tunnels, %v", g.Tunnels(), err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_ = g.End(ended)
	<-done
	if n, err := c.Read(make([]byte, 1)); err == nil || g.Tunnels() != 0 {
		t.Errorf("%d bytes, %v, %d tunnels behind the end", n, err, g.Tunnels())
	}
	outer, late := pipe(t)
	_, done = g.run(t, &Connect{Target: Target{"other.test", 443}, Host: outer})
	<-done
	if n, err := late.Read(make([]byte, 1)); err == nil || g.Tunnels() != 0 {
		t.Errorf("%d bytes, %v, %d tunnels: one begins behind the end", n, err, g.Tunnels())
	}
}
