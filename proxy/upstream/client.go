package upstream

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
	"golang.org/x/sync/semaphore"

	"s3veil/sigv4"
)

// bufferSize is the size of read and write buffers of a connection, and the limit of an answer's head (DATAPATH.md 2.1,
// rule 18). Reads and writes of this size and more bypass the buffers.
const bufferSize = 16 << 10

// maxHosts bounds the hosts that redirects may lead to; AWS has about 40 regions.
const maxHosts = 128

// Client is safe for concurrent use.
type Client struct {
	o   Options
	end endpoint
	// endHost and endAddr are end.host("") and end.addr(). mayBeVirtual: a bucket can stand before the host.
	endHost, endAddr string
	mayBeVirtual     bool

	proxy  *proxyAddr
	tls    *tls.Config
	signer sigv4.Signer

	slots *semaphore.Weighted
	inUse atomic.Int64
	open  atomic.Int64 // TCP connections, idle ones included

	mu    sync.Mutex
	hosts map[string]*fasthttp.HostClient // by host:port

	places  places
	mode    modeCache
	clockAt atomic.Int64 // Unix nanoseconds of the last clock event
	trusted atomic.Int64 // and of the last signature that was accepted
}

// Name is that of the upstream.
func (c *Client) Name() string { return c.o.Name }

// New returns a client; it does not connect.
func New(o Options) (*Client, error) {
	end, err := parseEndpoint(o.Endpoint)
	if err != nil {
		return nil, err
	}
	via, err := parseProxy(o.Proxy)
	if err != nil {
		return nil, err
	}
	if o.Payload < Auto || o.Payload > InsecureUnsigned {
		return nil, fmt.Errorf("upstream: payload mode %d is unknown", o.Payload)
	}
	defaultTo(&o.Region, "us-east-1")
	defaultTo(&o.AcceptEncoding, "identity")
	defaultTo(&o.MaxConns, 512)
	defaultTo(&o.IdleTimeout, 10*time.Second)
	defaultTo(&o.Dial, 5*time.Second)
	defaultTo(&o.Handshake, 10*time.Second)
	defaultTo(&o.Answer, 60*time.Second)
	defaultTo(&o.PoolWait, 10*time.Second)
	defaultTo(&o.Stall, 60*time.Second)
	o.MaxConns = max(o.MaxConns, 2)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Observe == nil {
		o.Observe = func(Event) {}
	}
	return &Client{
		o: o, end: end, proxy: via, tls: clientTLS(o.TLS),
		endHost: end.host(""), endAddr: end.addr(), mayBeVirtual: net.ParseIP(end.name) == nil,
		slots: semaphore.NewWeighted(int64(o.MaxConns)),
		hosts: map[string]*fasthttp.HostClient{},
	}, nil
}

func defaultTo[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// AWS reports whether the store is S3 of AWS, where a region is a place and not a word.
func (c *Client) AWS() bool { return c.end.aws() }

// Keeps reports whether a name may be no bucket but the administration of the store, which s3veil's credentials can open.
func (c *Client) Keeps(bucket string) bool { return c.end.keeps(bucket) }

// host returns the connection pool of an address of the endpoint's service.
func (c *Client) host(addr string) (*fasthttp.HostClient, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h := c.hosts[addr]; h != nil {
		return h, nil
	}
	if len(c.hosts) >= maxHosts {
		return nil, fmt.Errorf("%w: more than %d hosts", ErrUnavailable, maxHosts)
	}
	h := &fasthttp.HostClient{
		Addr:        addr,
		DialTimeout: c.dial,
		// The slots are the limit. Connections whose request was cancelled while they were dialled come on top.
		MaxConns:            2 * c.o.MaxConns,
		MaxIdleConnDuration: c.o.IdleTimeout,
		ReadBufferSize:      bufferSize,
		WriteBufferSize:     bufferSize,
		// The hottest connection first, so that spare ones reach their idle time-out.
		ConnPoolStrategy: fasthttp.LIFO,
		// Requests do not pass through HostClient.Do: its pool and buffers are used by exchange alone.
		DisablePathNormalizing:        true,
		DisableHeaderNamesNormalizing: true,
		MaxIdemponentCallAttempts:     1,
	}
	c.hosts[addr] = h
	return h, nil
}

// Health asks the store for any answer below 500.
func (c *Client) Health(ctx context.Context) error {
	resp, err := c.Do(ctx, &Request{Op: "Health", Method: http.MethodHead, Unsigned: true})
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	if resp.Status >= 500 {
		return fmt.Errorf("%w: answers %d", ErrUnavailable, resp.Status)
	}
	return nil
}

// Close drops idle connections.
func (c *Client) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, h := range c.hosts {
		h.CloseIdleConnections()
	}
}

// Conns returns the number of exchanges under way and of idle connections.
func (c *Client) Conns() (inUse, idle int) {
	used, open := c.inUse.Load(), c.open.Load()
	return int(used), int(max(open-used, 0))
}

func (c *Client) observeConns() {
	used, idle := c.Conns()
	c.o.Observe(Event{Kind: "conns", InUse: used, Idle: idle})
}
