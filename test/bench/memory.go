package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
)

// What DESIGN promises of the process's memory.
const (
	uploads      = 64
	uploadSize   = 1 << 30
	uploadTarget = 128 << 20
	idleConns    = 10_000
	idleTarget   = 256 << 20
)

// residence measures resident memory, each row in a process of its own: many large uploads at once, and idle connections.
func residence(scale float64) error {
	store, stop, err := startStore()
	if err != nil {
		return err
	}
	defer stop()
	defer s3veil.RemoveBuild(false)
	fmt.Println("| Scenario | succeeded | RSS at the start | peak RSS | RSS at the end | target |")
	fmt.Println("|---|---|---|---|---|---|")
	size := int64(float64(uploadSize) * scale)
	err = fresh(store, fmt.Sprintf("%d concurrent uploads of %d MiB", uploads, size>>20), uploads, uploadTarget, func(c *client) (int, func(), error) {
		return uploadAll(c, size)
	})
	if err != nil {
		return err
	}
	err = fresh(store, fmt.Sprintf("%d idle connections, one 4 KiB GET each", idleConns), idleConns, idleTarget, idleAll)
	if err != nil {
		return err
	}
	return fresh(store, fmt.Sprintf("%d uploads of %d MiB, then %d idle connections", uploads, size>>23, idleConns), uploads+idleConns, 0,
		func(c *client) (int, func(), error) {
			uploaded, _, err := uploadAll(c, size/8)
			if err != nil {
				return 0, func() {}, err
			}
			idle, end, err := idleAll(c)
			return uploaded + idle, end, err
		})
}

func startStore() (endpoint string, stop func(), err error) {
	dir, err := os.MkdirTemp("", "s3veil-bench-")
	if err != nil {
		return "", nil, err
	}
	ports, err := servers.FreePorts(1)
	if err != nil {
		return "", nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return "", nil, err
	}
	addr := fmt.Sprintf("127.0.0.1:%d", ports[0])
	p, err := spawn(dir, self, "store", addr, "")
	if err != nil {
		return "", nil, err
	}
	return "http://" + addr, func() { p.Kill(); os.RemoveAll(dir) }, nil
}

// fresh runs load over an s3veil process of its own and prints a row. load returns how many of its requests succeeded, and
// what ends it.
func fresh(store, name string, want int, target int64, load func(*client) (int, func(), error)) error {
	cluster, err := s3veil.Start(s3veil.Options{Store: &servers.Store{Kind: "stub", Endpoint: store, AccessKey: "a", SecretKey: "b"},
		Configure: func(config map[string]any) { config["audit"] = map[string]any{"to": "off"}; withPprof(config) }})
	if err != nil {
		return err
	}
	defer cluster.Stop()
	pid := cluster.Replicas[0].PID()
	c := newClient(cluster.Endpoint(), cluster.AccessKey, cluster.SecretKey)
	defer c.http.CloseIdleConnections()
	seed := newPayload(unsigned, make([]byte, smallObject))
	if _, err := c.do("PUT", smallKey, &seed, ""); err != nil {
		return err
	}
	before := residentSize(pid)
	resetPeak(pid)
	done, end, err := load(c)
	defer end()
	if err != nil {
		return fmt.Errorf("%s: %w\nend of s3veil's log:\n%s", name, err, servers.Tail(cluster.Replicas[0].Log, 2000))
	}
	if profiles != "" {
		if err := profile(cluster.Replicas[0].Admin, "heap", "", name); err != nil {
			return err
		}
	}
	mib := func(n int64) float64 { return float64(n) / (1 << 20) }
	limit := "–"
	if target > 0 {
		limit = fmt.Sprintf("≤ %d MiB", target>>20)
	}
	fmt.Printf("| %s | %d of %d | %.0f MiB | **%.0f MiB** | %.0f MiB | %s |\n", name, done, want,
		mib(before), mib(peakRSS(pid)), mib(residentSize(pid)), limit)
	return nil
}

const (
	smallObject = 4 << 10
	smallKey    = keepPrefix + "-4096"
)

// uploadAll puts objects of size bytes, all at the same time: no upload ends before all have begun.
func uploadAll(c *client, size int64) (int, func(), error) {
	c.http.Transport = &http.Transport{MaxIdleConnsPerHost: uploads, WriteBufferSize: 256 << 10, DisableCompression: true}
	var begun, failed sync.WaitGroup
	var done atomic.Int64
	errs := make(chan error, uploads)
	begun.Add(uploads)
	for i := range uploads {
		failed.Go(func() {
			body := &pattern{left: size, begun: &begun}
			err := c.send("PUT", fmt.Sprintf("put-%d", i), body, size)
			body.arrive()
			if err != nil {
				errs <- err
				return
			}
			done.Add(1)
		})
	}
	failed.Wait()
	close(errs)
	for err := range errs {
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
	return int(done.Load()), func() {}, nil
}

// pattern is a body of left bytes. Its second half waits until every other body has come as far.
type pattern struct {
	left, half int64
	begun      *sync.WaitGroup
	once       sync.Once
}

var patternText = []byte(strings.Repeat("0123456789abcdef", 16<<10))

func (p *pattern) arrive() { p.once.Do(p.begun.Done) }

func (p *pattern) Read(b []byte) (int, error) {
	if p.left == 0 {
		return 0, io.EOF
	}
	if p.half == 0 {
		p.half = p.left / 2
	}
	if p.left <= p.half {
		p.arrive()
		p.begun.Wait()
	}
	n := copy(b, patternText[:min(int64(len(patternText)), p.left)])
	p.left -= int64(n)
	return n, nil
}

// send puts a body of size bytes whose payload is not signed.
func (c *client) send(method, key string, body io.Reader, size int64) error {
	req, err := http.NewRequest(method, c.endpoint+"/"+bucket+"/"+key, body)
	if err != nil {
		return err
	}
	req.ContentLength = size
	if err := c.sign(req, unsigned); err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	return answered(resp)
}

func (c *client) sign(req *http.Request, hash string) error {
	req.Header.Set("X-Amz-Content-Sha256", hash)
	return c.signer.SignHTTP(context.Background(), c.cred, req, hash, "s3", servers.Region, time.Now())
}

func answered(resp *http.Response) error {
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 500))
		return fmt.Errorf("%s: %s", resp.Status, text)
	}
	_, err := drain(resp.Body)
	return err
}

// idleAll opens connections, makes one request on each and leaves them open for a moment.
func idleAll(c *client) (int, func(), error) {
	const dialers = 16
	conns := make([]net.Conn, idleConns)
	end := func() {
		for _, nc := range conns {
			if nc != nil {
				nc.Close()
			}
		}
	}
	var next, done atomic.Int64
	var wg sync.WaitGroup
	errs := make(chan error, dialers)
	for range dialers {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= idleConns {
					return
				}
				nc, err := c.once()
				if err != nil {
					errs <- err
					return
				}
				conns[i] = nc
				done.Add(1)
			}
		})
	}
	wg.Wait()
	close(errs)
	time.Sleep(5 * time.Second)
	return int(done.Load()), end, <-errs
}

// once opens a connection, gets a small object over it and leaves it open.
func (c *client) once() (net.Conn, error) {
	req, err := http.NewRequest("GET", c.endpoint+"/"+bucket+"/"+smallKey, nil)
	if err != nil {
		return nil, err
	}
	if err := c.sign(req, emptyHash); err != nil {
		return nil, err
	}
	nc, err := net.Dial("tcp4", req.URL.Host)
	if err != nil {
		return nil, err
	}
	if err := req.Write(nc); err != nil {
		nc.Close()
		return nil, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(nc), req)
	if err == nil {
		err = answered(resp)
	}
	if err != nil {
		nc.Close()
		return nil, err
	}
	return nc, nil
}
