package forward

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

// pipe is two ends of a TCP connection over loopback.
func pipe(t *testing.T) (a, b net.Conn) {
	t.Helper()
	return pipeBehind(t, func(ln net.Listener) net.Listener { return ln })
}

// pipeBehind is a pipe of which b is what a listener of the test's makes of its connection.
func pipeBehind(t *testing.T, of func(net.Listener) net.Listener) (a, b net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if a, err = net.Dial("tcp", ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if b, err = of(ln).Accept(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []net.Conn{a, b} {
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		t.Cleanup(func() { c.Close() })
	}
	return a, b
}

type outcome struct {
	up, down int64
	err      error
}

// tunnelTest starts a tunnel between a client and a host.
func tunnelTest(t *testing.T, f *Forward) (client, host net.Conn, end chan outcome) {
	client, inner := pipe(t)
	outer, host := pipe(t)
	end = make(chan outcome, 1)
	tunnel := f.newTunnel(inner, outer)
	go func() {
		up, down, err := tunnel.run()
		end <- outcome{up, down, err}
	}()
	return client, host, end
}

func TestTunnelCarriesBytesAsTheyAre(t *testing.T) {
	client, host, end := tunnelTest(t, newTest(t, Options{Hosts: []string{AWS}}))
	if _, err := io.WriteString(host, "the server speaks first\n"); err != nil {
		t.Fatal(err)
	}
	greeting := make([]byte, 24)
	if _, err := io.ReadFull(client, greeting); err != nil {
		t.Fatal(err)
	}
	up := bytes.Repeat([]byte{0, 255, 1, '\r', '\n'}, 100_000)
	go func() {
		_, _ = client.Write(up)
		_ = client.(*net.TCPConn).CloseWrite()
	}()
	got, err := io.ReadAll(host) // the end of one direction arrives while the other one goes on
	if err != nil || !bytes.Equal(got, up) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	if _, err := io.WriteString(host, "answer"); err != nil {
		t.Fatal(err)
	}
	host.Close()
	if got, err := io.ReadAll(client); err != nil || string(got) != "answer" {
		t.Errorf("%q, %v", got, err)
	}
	if o := <-end; o.up != int64(len(up)) || o.down != 30 || o.err != nil {
		t.Errorf("%+v", o)
	}
}

// A tunnel in which nothing moves ends; bytes in one direction keep it open for both.
func TestIdleTunnelsEnd(t *testing.T) {
	f := newTest(t, Options{})
	client, inner := pipe(t)
	outer, host := pipe(t)
	tunnel := f.newTunnel(inner, outer)
	tunnel.idle = time.Second
	end := make(chan outcome, 1)
	go func() {
		up, down, err := tunnel.run()
		end <- outcome{up, down, err}
	}()
	for range 15 { // longer than the idle time, in one direction
		if _, err := host.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(client, make([]byte, 1)); err != nil {
			t.Fatalf("a tunnel that is used ends: %v", err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	if o := <-end; o.down != 15 || o.up != 0 {
		t.Errorf("%+v", o)
	}
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the client's side: %v", err)
	}
}

// Whoever asks the proxy for one host and TLS for an S3 host would take objects past it.
func TestTunnelsToS3InDisguiseAreCut(t *testing.T) {
	for name, refused := range map[string]bool{"bucket.s3.eu-west-1.amazonaws.com": true, "x.s3-accesspoint.us-east-1.amazonaws.com": true, "kms.eu-west-1.amazonaws.com": false, "www.example": false} {
		client, host, end := tunnelTest(t, newTest(t, Options{Hosts: []string{AWS}}))
		go func() { _ = tls.Client(client, &tls.Config{ServerName: name}).Handshake() }()
		first := make([]byte, 1)
		_, err := io.ReadFull(host, first)
		if refused {
			if err == nil {
				t.Errorf("%s: bytes reach the host", name)
				client.Close()
				host.Close()
			}
			if o := <-end; !isRefusal(o.err) || !strings.Contains(o.err.Error(), name) {
				t.Errorf("%s: %+v", name, o)
			}
			continue
		}
		if err != nil || first[0] != 22 {
			t.Errorf("%s: %v", name, err)
		}
		host.Close()
		<-end
	}
}

// A plain request for an S3 host inside a tunnel to its address, say, would take objects past the proxy as TLS would.
func TestPlainRequestsForS3InTunnelsAreCut(t *testing.T) {
	const s3 = "bucket.s3.eu-west-1.amazonaws.com"
	for start, refused := range map[string]bool{
		"PUT /key HTTP/1.1\r\nHost: " + s3 + "\r\n\r\n":                             true,
		"PUT /key HTTP/1.1\r\nhOsT:" + strings.ToUpper(s3) + ".:80\r\n\r\n":         true,
		"PUT /key HTTP/1.0\nHost : " + s3 + "\n\n":                                  true,
		"PUT http://" + s3 + "/key HTTP/1.1\r\nHost: www.example\r\n\r\n":           true,
		"PUT /key HTTP/1.1\r\nHost: www.example\r\nHost: " + s3 + "\r\n\r\n":        true,
		"GET / HTTP/1.1\r\nHost: minio.example:9000\r\n\r\n":                        true,
		"\r\n\nGET / HTTP/1.1\r\nHost: " + s3 + "\r\n\r\n":                          true,
		"GET  /  HTTP/1.1\r\nHost: " + s3 + "\r\n\r\n":                              true,
		"GET /a b HTTP/1.1\r\nHost: " + s3 + "\r\n\r\n":                             true,
		"GET / HTTP/1.1\r\nHost:\r\n " + s3 + "\r\n\r\n":                            true,
		"GET / HTTP/1.1\r\nAccept:\r\n " + s3 + "\r\n\r\n":                          false,
		"GET / HTTP/1.1\r\nHost: minio.example\r\n\r\n":                             false, // another port of it
		"GET / HTTP/1.1\r\nHost: www.example\r\nReferer: http://" + s3 + "\r\n\r\n": false,
		"GET / HTTP/1.1\r\nHost: what a host\r\n\r\n":                               false,
		"GET " + s3 + "\r\n":  false,
		"EHLO " + s3 + "\r\n": false,
		"SSH-2.0-x\r\n":       false,
		"\x00\x01":            false,
	} {
		client, host, end := tunnelTest(t, newTest(t, Options{Hosts: []string{AWS, "minio.example:9000"}}))
		go func() {
			for _, b := range []byte(start) {
				_, _ = client.Write([]byte{b})
			}
		}()
		got := make([]byte, len(start))
		_, err := io.ReadFull(host, got)
		if refused {
			if err == nil {
				t.Errorf("%q reaches the host", start)
				client.Close()
				host.Close()
			}
			if o := <-end; !isRefusal(o.err) {
				t.Errorf("%q: %+v", start, o)
			}
			continue
		}
		if err != nil || string(got) != start {
			t.Errorf("%q: %q, %v", start, got, err)
		}
		host.Close()
		client.Close()
		<-end
	}
	for _, start := range []string{"GET / HTTP/1.1\r\nX: ", "GET /", "\n"} {
		filler := strings.Repeat(start[len(start)-1:], maxHello)
		if _, done, err := askedNames([]byte(start+filler), new(plainRequest)); !done || err == nil {
			t.Errorf("%q: a request without an end is waited for, or let through: %v", start, err)
		}
	}
}

// A head in pieces of a byte costs what it costs in one: every line of it is read once.
func TestLinesOfPlainRequestsAreReadOnce(t *testing.T) {
	head := []byte("GET http://one/ HTTP/1.1\r\nHost: two\r\nAccept: *\r\nHost: three\r\n\r\n")
	var p plainRequest
	var names []string
	for n := 1; n <= len(head); n++ {
		more, done, err := askedNames(head[:n], &p)
		if names = append(names, more...); done != (n == len(head)) || err != nil {
			t.Fatalf("%d bytes: %t, %v", n, done, err)
		}
	}
	if !slices.Equal(names, []string{"one", "two", "three"}) {
		t.Errorf("%q", names)
	}
}

func TestNameOfAHelloInPieces(t *testing.T) {
	var hello bytes.Buffer
	c := &recorder{Writer: &hello}
	_ = tls.Client(c, &tls.Config{ServerName: "www.example", NextProtos: []string{"h2", strings.Repeat("x", 200)}}).Handshake()
	all := hello.Bytes()
	for n := range all {
		if name, done, err := helloName(all[:n]); name != "" || done || err != nil {
			t.Fatalf("after %d of %d bytes: %q, %t, %v", n, len(all), name, done, err)
		}
	}
	if name, done, err := helloName(all); name != "www.example" || !done || err != nil {
		t.Errorf("whole: %q, %t, %v", name, done, err)
	}
	for _, text := range []string{"GET / HTTP/1.1\r\n", "SSH-2.0", "\x16garbage that is no TLS at all", "\x80\x2e\x01\x03\x01"} {
		if name, done, err := helloName([]byte(text)); name != "" || !done || err != nil {
			t.Errorf("%q: %q, %t, %v", text, name, done, err)
		}
	}
}

// Whoever hides the name in TLS from this proxy does not get through to a server that would find it.
func TestUnreadableTLSIsCut(t *testing.T) {
	hello := clientHello("s3.eu-west-1.amazonaws.com", 0)
	for what, start := range map[string][]byte{
		"a dot at the end of the name": clientHello("s3.eu-west-1.amazonaws.com.", 0),
		"a space behind the name":      clientHello("s3.eu-west-1.amazonaws.com ", 0),
		"a zero behind the name":       clientHello("s3.eu-west-1.amazonaws.com\x00", 0),
		"padded beyond what is held":   clientHello("s3.eu-west-1.amazonaws.com", 40_000),
		"an alert in front":            append([]byte{21, 3, 1, 0, 2, 1, 0}, hello...),
		"a change of ciphers in front": append([]byte{20, 3, 3, 0, 1, 1}, hello...),
		"empty records in front":       append(bytes.Repeat([]byte{22, 3, 1, 0, 0}, 20), hello...),
		"no hello":                     []byte("\x16\x03\x01\x00\x05hello"),
	} {
		client, host, end := tunnelTest(t, newTest(t, Options{Hosts: []string{AWS}}))
		go func() { _, _ = client.Write(start) }()
		if n, err := io.ReadFull(host, make([]byte, 1)); err == nil {
			t.Errorf("%s: %d bytes reach the host", what, n)
			host.Close()
		}
		if o := <-end; !isRefusal(o.err) {
			t.Errorf("%s: %+v", what, o)
		}
	}
	var records []byte // of one message of 60,000 bytes
	for len(records) <= maxHello {
		records = append(records, 22, 3, 1, 0x40, 0)
		records = append(records, make([]byte, 0x4000)...)
	}
	copy(records[5:], []byte{1, 0, 60_000 >> 8, 60_000 & 0xff})
	if _, done, err := helloName(records[:maxHello-1]); done || err != nil {
		t.Errorf("a long hello is not waited for: %v", err)
	}
	if _, done, err := helloName(records[:maxHello]); !done || err == nil {
		t.Errorf("a hello in many records is waited for without an end: %v", err)
	}
}

// clientHello is a first message of TLS 1.3 in whole records.
func clientHello(name string, padding int) []byte {
	u16 := binary.BigEndian.AppendUint16
	part := func(b []byte) []byte { return append(u16(nil, uint16(len(b))), b...) }
	extensions := slices.Concat([]byte{0, 21}, part(make([]byte, padding)),
		[]byte{0, 0}, part(part(append([]byte{0}, part([]byte(name))...))), []byte("\x00\x0a\x00\x04\x00\x02\x00\x1d\x00\x2b\x00\x03\x02\x03\x04"))
	body := slices.Concat([]byte{3, 3}, make([]byte, 32), []byte{0, 0, 2, 0x13, 1, 1, 0}, part(extensions))
	message := slices.Concat([]byte{1, 0}, part(body))
	var out []byte
	for record := range slices.Chunk(message, 1<<14) {
		out = append(append(out, 22, 3, 1), part(record)...)
	}
	return out
}

// recorder is a connection that keeps what is sent and never answers.
type recorder struct {
	replay
	io.Writer
}

func (r *recorder) Write(p []byte) (int, error) { return r.Writer.Write(p) }
func (r *recorder) Read([]byte) (int, error)    { return 0, errors.New("no answer") }

func FuzzHelloName(f *testing.F) {
	f.Add([]byte("\x16\x03\x01\x00\x05hello"))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, start []byte) {
		name, done, err := helloName(start)
		if !done && (name != "" || err != nil) || err != nil && name != "" {
			t.Errorf("%q, %t, %v", name, done, err)
		}
	})
}
