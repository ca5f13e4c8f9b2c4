package upstream

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"
)

// maxErrorBody is how much of an error answer is read to find its code.
const maxErrorBody = 64 << 10

// trustLife is how long an accepted signature speaks for the credential.
const trustLife = time.Minute

// storeError is the part of S3's error document that decides here.
type storeError struct {
	Code     string
	Region   string
	Endpoint string
}

var (
	// expiredCodes ask for a new credential.
	expiredCodes = []string{"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"}
	// refusedCodes mean that the store does not accept s3veil's own signature, token or clock. AccessDenied is an answer.
	refusedCodes = []string{
		"AuthorizationHeaderMalformed", "InvalidAccessKeyId", "InvalidSecurity", "InvalidToken", "RequestTimeTooSkewed",
		"SignatureDoesNotMatch",
	}
)

// judge decides whether an answer is the caller's. It is not when the request should be made again, or when the answer is
// about s3veil itself.
func (c *Client) judge(ctx context.Context, t *course, resp *Response) (_ *Response, again bool, err error) {
	switch s := resp.Status; {
	case s/100 == 3 && s != http.StatusNotModified:
		return c.redirected(t, resp)
	case s == http.StatusBadRequest || s == http.StatusUnauthorized || s == http.StatusForbidden:
		if t.r.Unsigned || c.o.Credentials == nil {
			return resp, false, nil
		}
		return c.denied(ctx, t, resp)
	case s == http.StatusInternalServerError || s == http.StatusBadGateway || s == http.StatusServiceUnavailable ||
		s == http.StatusGatewayTimeout:
		if !t.r.Idempotent || !t.p.replay() || t.tries+1 >= maxTries {
			return resp, false, nil
		}
		t.tries++
		c.o.Observe(Event{Kind: "retry", Code: s})
		drop(resp)
		return nil, true, nil
	}
	if !t.r.Unsigned && resp.Status/100 == 2 {
		c.trusted.Store(time.Now().UnixNano())
	}
	return resp, false, nil
}

// denied looks into a 400, 401 or 403.
func (c *Client) denied(ctx context.Context, t *course, resp *Response) (*Response, bool, error) {
	e := inspect(resp)
	region := first(e.Region, resp.Get("x-amz-bucket-region"))
	wrongRegion := e.Code == "AuthorizationHeaderMalformed" || e.Code == "IncorrectEndpoint" ||
		e.Code == "" && resp.Status == http.StatusBadRequest
	if wrongRegion && validRegion(region) && region != t.at.region {
		at := t.at
		at.region = region
		return c.turn(t, resp, at)
	}
	switch {
	case slices.Contains(expiredCodes, e.Code):
		_ = resp.Body.Close()
		c.o.Credentials.Expired()
		if t.renewed {
			return nil, false, c.refuse(t, resp.Status, e.Code)
		}
		if !t.p.replay() {
			return nil, false, fmt.Errorf("%w: the credential was renewed, the body cannot be sent again", ErrUnavailable)
		}
		t.renewed = true
		c.o.Observe(Event{Kind: "retry", Code: resp.Status})
		return nil, true, nil
	case t.r.Method == http.MethodHead && resp.Status == http.StatusBadRequest && t.session && !t.renewed:
		// An expired token looks like this where there is no body to say so.
		_ = resp.Body.Close()
		c.o.Credentials.Expired()
		t.renewed = true
		c.o.Observe(Event{Kind: "retry", Code: resp.Status})
		return nil, true, nil
	case slices.Contains(refusedCodes, e.Code):
		_ = resp.Body.Close()
		return nil, false, c.refuse(t, resp.Status, e.Code)
	case t.r.Method == http.MethodHead && resp.Status == http.StatusForbidden:
		if err := c.askTrust(ctx); err != nil {
			_ = resp.Body.Close()
			return nil, false, err
		}
	}
	return resp, false, nil
}

// askTrust finds out whose fault a 403 without a body is: a store that refuses s3veil's own signature says so to a GET.
// Where it has lately accepted one there is nothing to ask.
func (c *Client) askTrust(ctx context.Context) error {
	now, last := time.Now().UnixNano(), c.trusted.Load()
	if now-last < int64(trustLife) || !c.trusted.CompareAndSwap(last, now) {
		return nil
	}
	resp, err := c.Do(ctx, &Request{Op: "ListBuckets", Method: http.MethodGet})
	if err == nil {
		drop(resp)
		return nil
	}
	if !errors.Is(err, ErrRefused) {
		return nil
	}
	c.trusted.Store(last)
	return err
}

func (c *Client) refuse(t *course, status int, code string) error {
	c.o.Logger.Error("the store refuses s3veil's own credentials",
		"upstream", c.o.Name, "op", t.r.Op, "status", status, "code", code, "region", t.at.region)
	return &Refusal{Status: status, Code: code}
}

// inspect reads the error document and puts it back.
func inspect(resp *Response) storeError {
	var e storeError
	head, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	if err == nil {
		if xml.Unmarshal(head, &e) != nil {
			e = storeError{}
		}
		if len(head) < maxErrorBody {
			_ = resp.Body.Close()
			resp.Body = io.NopCloser(bytes.NewReader(head))
			return e
		}
	}
	resp.Body = &rejoined{Reader: io.MultiReader(bytes.NewReader(head), resp.Body), Closer: resp.Body}
	return e
}

type rejoined struct {
	io.Reader
	io.Closer
}

// drop reads what little an answer may hold, so that its connection lives on, and closes it.
func drop(resp *Response) {
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxErrorBody))
	_ = resp.Body.Close()
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
