package upstream

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	// autoRegion asks per bucket.
	autoRegion = "auto"
	// firstRegion signs what is asked before a region is known.
	firstRegion = "us-east-1"
	// placeLife is how long a bucket's place is believed; a bucket can be made anew elsewhere.
	placeLife = 15 * time.Minute
	// maxPlaces bounds the buckets remembered.
	maxPlaces = 4096
)

// place is where a bucket is served and in which region it is signed.
type place struct {
	end    endpoint
	region string
}

type knownPlace struct {
	place
	until time.Time
}

// places remembers what was learned about buckets.
type places struct {
	mu    sync.Mutex
	known map[string]knownPlace
	asked singleflight.Group
}

func (p *places) get(bucket string, now time.Time) (place, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	k, ok := p.known[bucket]
	return k.place, ok && now.Before(k.until)
}

func (p *places) put(bucket string, at place, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	// Starting over is rare, costs one question per bucket, and needs no order of use.
	if p.known == nil || len(p.known) >= maxPlaces {
		p.known = map[string]knownPlace{}
	}
	p.known[bucket] = knownPlace{at, now.Add(placeLife)}
}

// place returns where a bucket's requests go.
func (c *Client) place(ctx context.Context, bucket string) (place, error) {
	at := place{c.end, c.o.Region}
	if at.region == autoRegion {
		at.region = firstRegion
	}
	if bucket == "" {
		return at, nil
	}
	if known, ok := c.places.get(bucket, time.Now()); ok {
		return known, nil
	}
	if c.o.Region != autoRegion {
		return at, nil
	}
	ch := c.places.asked.DoChan(bucket, func() (any, error) {
		ask, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.o.Answer)
		defer cancel()
		return c.askPlace(ask, bucket, at)
	})
	select {
	case r := <-ch:
		if r.Err != nil {
			return place{}, r.Err
		}
		return r.Val.(place), nil
	case <-ctx.Done():
		return place{}, &failure{err: context.Cause(ctx), final: true}
	}
}

// askPlace is HeadBucket: every answer to it, refusals and redirects too, names the region where the store has regions.
func (c *Client) askPlace(ctx context.Context, bucket string, at place) (place, error) {
	// Not the caller's pair: the question would use up a connection of it.
	ctx = context.WithValue(ctx, pairKey{}, nil)
	t := &course{
		r: &Request{Op: "HeadBucket", Method: http.MethodHead, Bucket: bucket, Idempotent: true},
		p: &payload{sha: shaEmpty}, at: at,
	}
	for {
		resp, err := c.attempt(ctx, t)
		if err != nil {
			if t.retryFailure(err) && t.pause(ctx) == nil {
				continue
			}
			return place{}, err
		}
		_ = resp.Body.Close()
		region := resp.Get("x-amz-bucket-region")
		if resp.Status/100 == 3 {
			if to, ok := c.follow(t, resp, storeError{}); ok {
				at = to
			}
		}
		if validRegion(region) {
			at.region = region
		} else if resp.Status/100 != 2 && resp.Status/100 != 3 {
			// Not remembered: the bucket may come into being.
			return at, nil
		}
		c.places.put(bucket, at, time.Now())
		return at, nil
	}
}

// redirected follows a redirect to the same service, else it is ErrUnavailable: handed to the client it would lead around
// s3veil.
func (c *Client) redirected(t *course, resp *Response) (*Response, bool, error) {
	e := inspect(resp)
	to, ok := c.follow(t, resp, e)
	if !ok {
		_ = resp.Body.Close()
		c.o.Logger.Warn("the store redirects elsewhere", "upstream", c.o.Name, "op", t.r.Op, "status", resp.Status,
			"location", resp.Get("location"), "endpoint", e.Endpoint)
		return nil, false, fmt.Errorf("%w: redirected by %d to another service, or in a circle", ErrUnavailable, resp.Status)
	}
	return c.turn(t, resp, to)
}

// turn remembers a new place and sends the request there if its body can be sent again.
func (c *Client) turn(t *course, resp *Response, to place) (*Response, bool, error) {
	_ = resp.Body.Close()
	c.places.put(t.r.Bucket, to, time.Now())
	t.at = to
	t.turns++
	switch {
	case t.turns > maxTurns:
		return nil, false, fmt.Errorf("%w: redirected more than %d times", ErrUnavailable, maxTurns)
	case !t.p.replay():
		return nil, false, fmt.Errorf("%w: bucket is in %s, and the body cannot be sent again", ErrUnavailable, to.region)
	}
	c.o.Observe(Event{Kind: "retry", Code: resp.Status})
	return nil, true, nil
}

// follow returns where a redirect leads: the host of Location or <Endpoint>, or the endpoint of the region named. It is
// not ok when that is not the same service, or where the request has just been.
func (c *Client) follow(t *course, resp *Response, e storeError) (to place, ok bool) {
	to = t.at
	if region := first(resp.Get("x-amz-bucket-region"), e.Region); validRegion(region) {
		to.region = region
	}
	target := e.Endpoint
	if location := resp.Get("location"); location != "" {
		u, err := url.Parse(location)
		if err != nil || u.Host == "" || u.Scheme != c.end.scheme() {
			return to, false
		}
		target = u.Host
	}
	switch {
	case target != "":
		if to.end, ok = sameService(c.end, target, t.r.Bucket); !ok {
			return to, false
		}
		if region := awsRegion(to.end.name); region != "" {
			to.region = region
		}
	case to.region != t.at.region:
		to.end = regional(c.end, to.region)
	}
	return to, to != t.at
}

var (
	awsHost   = regexp.MustCompile(`^s3(?:[.-](?:dualstack\.)?([a-z]{2}(?:-[a-z]+)+-\d+))?\.amazonaws\.com(\.cn)?$`)
	awsFIPS   = regexp.MustCompile(`^s3-fips(?:\.dualstack)?\.([a-z]{2}(?:-[a-z]+)+-\d+)\.amazonaws\.com(\.cn)?$`)
	regionRE  = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,40}$`)
	awsSuffix = ".amazonaws.com"
)

func validRegion(s string) bool { return regionRE.MatchString(s) }

// awsRegion is the region in the name of an S3 endpoint of AWS.
func awsRegion(name string) string {
	for _, re := range []*regexp.Regexp{awsHost, awsFIPS} {
		if m := re.FindStringSubmatch(name); m != nil {
			return m[1]
		}
	}
	return ""
}

// sameService reports whether host, perhaps with the bucket before it, is from's own, or another S3 endpoint of AWS where
// from is one. Scheme and port never change.
func sameService(from endpoint, host, bucket string) (endpoint, bool) {
	u, err := url.Parse(from.scheme() + "://" + host)
	if err != nil || u.Host != host || u.User != nil {
		return endpoint{}, false
	}
	to := from
	to.name = strings.ToLower(u.Hostname())
	if bucket != "" {
		to.name = strings.TrimPrefix(to.name, bucket+".")
	}
	if port := u.Port(); port != "" && port != from.port || port == "" && from.port != from.defaultPort() {
		return endpoint{}, false
	}
	if to.name == from.name {
		return to, true
	}
	china := func(name string) bool { return strings.HasSuffix(name, ".cn") }
	fips := func(name string) bool { return awsFIPS.MatchString(name) }
	return to, from.aws() && to.aws() && china(from.name) == china(to.name) && fips(from.name) == fips(to.name)
}

// aws reports whether e is an S3 endpoint of AWS.
func (e endpoint) aws() bool { return awsHost.MatchString(e.name) || awsFIPS.MatchString(e.name) }

// regional returns the endpoint of a region where from is one of AWS, else from itself.
func regional(from endpoint, region string) endpoint {
	if !from.aws() {
		return from
	}
	to := from
	if old := awsRegion(from.name); old != "" {
		to.name = strings.Replace(from.name, old, region, 1)
	} else {
		to.name = strings.Replace(from.name, "s3"+awsSuffix, "s3."+region+awsSuffix, 1)
	}
	if !to.aws() {
		return from
	}
	return to
}
