package upstream

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"s3veil/sigv4"
)

const (
	// maxTries bounds attempts after failures that pass.
	maxTries = 3
	// maxTurns bounds redirects and regions learned during one request.
	maxTurns = 3
	// backoffBase is the upper end of the first pause between tries; the next is twice that.
	backoffBase = 100 * time.Millisecond
	// clockEvery is the pause between two clock events.
	clockEvery = 10 * time.Second
)

// course is the state of one request over its attempts.
type course struct {
	r       *Request
	p       *payload
	at      place
	tries   int // failures that pass
	turns   int // redirects and regions
	renewed bool
	session bool // signed with a session token
}

// Do sends a request. An answer of any status is a Response, not an error, except those behind ErrRefused. A store that
// answers before it has read the body is heard at once (DATAPATH.md rule 10). Redirects are followed or ErrUnavailable,
// never returned. A failing Body's error is returned as it is. ctx also covers the reading of the answer's body.
func (c *Client) Do(ctx context.Context, r *Request) (*Response, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	if !r.Unsigned && c.unsigned(ctx) {
		plain := *r
		plain.Unsigned = true
		r = &plain
	}
	p, err := c.prepare(ctx, r)
	if err != nil {
		return nil, err
	}
	return c.do(ctx, r, p)
}

// unsigned reports whether the credentials leave the requests of a context without a signature.
func (c *Client) unsigned(ctx context.Context) bool {
	u, ok := c.o.Credentials.(interface{ Unsigned(context.Context) bool })
	return ok && u.Unsigned(ctx)
}

// do sends a request whose payload has been chosen.
func (c *Client) do(ctx context.Context, r *Request, p *payload) (*Response, error) {
	at, err := c.place(ctx, r.Bucket)
	if err != nil {
		return nil, err
	}
	t := &course{r: r, p: p, at: at}
	for {
		resp, err := c.attempt(ctx, t)
		again := false
		if err != nil {
			if again = t.retryFailure(err); again {
				c.o.Observe(Event{Kind: "retry"})
			}
		} else {
			resp, again, err = c.judge(ctx, t, resp)
		}
		if !again {
			return resp, err
		}
		if err := t.pause(ctx); err != nil {
			return nil, err
		}
	}
}

// retryFailure decides about an exchange without an answer.
func (t *course) retryFailure(err error) bool {
	var f *failure
	if !errors.As(err, &f) || f.final || t.tries+1 >= maxTries {
		return false
	}
	if !t.p.replay() && !f.unsent {
		return false
	}
	if !t.r.Idempotent && !f.unsent {
		return false
	}
	t.tries++
	return true
}

// pause waits before the next try: full jitter, doubled each time. Redirects do not wait.
func (t *course) pause(ctx context.Context) error {
	if t.tries == 0 {
		return nil
	}
	d := rand.N(backoffBase << (t.tries - 1))
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return &failure{err: context.Cause(ctx), final: true}
	}
}

// attempt signs the request and sends it once.
func (c *Client) attempt(ctx context.Context, t *course) (*Response, error) {
	m, err := c.message(ctx, t)
	if err != nil {
		return nil, err
	}
	h, err := c.host(c.addrOf(t.at.end))
	if err != nil {
		return nil, err
	}
	start := time.Now()
	resp, err := c.exchange(ctx, h, m)
	e := Event{Kind: "request", Seconds: time.Since(start).Seconds(), Context: ctx}
	if err == nil {
		resp.Store, resp.Op = c.o.Name, t.r.Op
		e.Code = resp.Status
		c.observeClock(resp)
	}
	c.o.Observe(e)
	return resp, err
}

// message builds and signs one attempt.
func (c *Client) message(ctx context.Context, t *course) (*message, error) {
	r := t.r
	host, path := c.locate(t.at.end, r.Bucket, r.Key)
	query := encodeQuery(r.Query)
	m := &message{
		method: r.Method, host: host, target: path, header: c.headers(r, t.p, t.at.end),
		body: t.p.body, wire: t.p.wire, timeout: r.Timeout,
	}
	defaultTo(&m.timeout, c.o.Answer)
	if query != "" {
		m.target += "?" + query
	}
	if c.proxy != nil && !t.at.end.secure {
		m.target = t.at.end.scheme() + "://" + host + m.target // which is what counts, not the Host header (RFC 9112 3.2.2)
		if c.proxy.auth != "" {
			defer func() { m.header = append(m.header, Field{Name: "proxy-authorization", Value: c.proxy.auth}) }()
		}
	}
	if r.Unsigned || c.o.Credentials == nil {
		if t.p.wire == wireChunks {
			return nil, fmt.Errorf("%w: signed chunks without a signature", errRequest)
		}
		if t.p.body != nil { // the signature's header elsewhere: without it the framing of a trailer is taken for the object
			m.header = append(m.header, Field{Name: "x-amz-content-sha256", Value: t.p.sha})
		}
		return m, nil
	}
	cred, err := c.o.Credentials.Retrieve(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: credentials: %w", ErrUnavailable, err)
	}
	t.session = cred.SessionToken != ""
	sr := &sigv4.Request{Method: r.Method, Path: path, Query: query, Host: host, Header: m.header}
	seed, err := c.signer.Sign(sr, cred, t.at.region, "s3", t.p.sha, c.o.Now())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errRequest, err)
	}
	m.header, m.seed = sr.Header, seed
	return m, nil
}

// observeClock reports the offset of the store's clock now and then.
func (c *Client) observeClock(resp *Response) {
	now := c.o.Now()
	last := c.clockAt.Load()
	if now.UnixNano()-last < int64(clockEvery) && last != 0 || !c.clockAt.CompareAndSwap(last, now.UnixNano()) {
		return
	}
	if date, err := http.ParseTime(resp.Get("date")); err == nil {
		c.o.Observe(Event{Kind: "clock", Offset: date.Sub(now).Round(time.Second)})
	}
}
