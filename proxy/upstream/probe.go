package upstream

import (
	"context"
	"crypto/rand"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	// probePrefix is where the question is asked; it lies in the reserved prefix (FORMAT.md 9).
	probePrefix = ".s3veil/p/"
	probeSize   = 1000
	// probeTimeout limits the whole question.
	probeTimeout = 30 * time.Second
	// probeAgain is the pause after a question without an answer, during which Chunks are used.
	probeAgain = 10 * time.Second
)

// modeCache is what was learned about checksum trailers.
type modeCache struct {
	known atomic.Int32 // a PayloadMode; 0 is Auto: not known
	again atomic.Int64 // Unix nanoseconds before which it is not asked again
	asked singleflight.Group
}

// Mode is how objects and parts above 16 KiB go up: the configured mode, or what the store was found to take. Auto asks
// the store once, in bucket, by a multipart upload that is aborted (DATAPATH.md 7.2); a question that could not be asked,
// for want of a right or an answer, means Chunks and is asked again later. Where it is Trailer, see ChecksumAlgorithm.
func (c *Client) Mode(ctx context.Context, bucket string) (PayloadMode, error) {
	if c.o.Payload != Auto {
		return c.o.Payload, nil
	}
	if m := PayloadMode(c.mode.known.Load()); m != Auto {
		return m, nil
	}
	if c.o.Credentials == nil {
		return InsecureUnsigned, nil
	}
	if time.Now().UnixNano() < c.mode.again.Load() {
		return Chunks, nil
	}
	ch := c.mode.asked.DoChan("", func() (any, error) {
		ask, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeTimeout)
		defer cancel()
		mode, err := c.probe(context.WithValue(ask, pairKey{}, nil), bucket)
		if err != nil && c.unsigned(ctx) {
			return Chunks, nil // what is not open to everybody says nothing about other clients
		}
		if err != nil {
			c.mode.again.Store(time.Now().Add(probeAgain).UnixNano())
			c.o.Logger.Warn("could not ask for checksum trailers", "upstream", c.o.Name, "bucket", bucket, "error", err)
			return Chunks, nil
		}
		c.mode.known.Store(int32(mode))
		c.o.Logger.Info("payload mode", "upstream", c.o.Name, "mode", mode.String())
		return mode, nil
	})
	select {
	case r := <-ch:
		return r.Val.(PayloadMode), nil
	case <-ctx.Done():
		return Auto, &failure{err: context.Cause(ctx), final: true}
	}
}

var errProbe = errors.New("upstream: probe")

// probe asks whether the store verifies checksum trailers: a part with a right one is taken at its decoded size, one with
// a wrong one is not. No object becomes visible. An error means that nothing was learned.
func (c *Client) probe(ctx context.Context, bucket string) (mode PayloadMode, err error) {
	key := probePrefix + rand.Text()
	id, mode, err := c.probeCreate(ctx, bucket, key)
	if err != nil || mode != Auto {
		return mode, err
	}
	defer func() {
		// Also after a time-out, else the upload stays for ever.
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeTimeout)
		defer cancel()
		abort := &Request{
			Op: "AbortMultipartUpload", Method: http.MethodDelete, Bucket: bucket, Key: key,
			Query: []Param{{Name: "uploadId", Value: id}}, Idempotent: true,
		}
		if resp, aErr := c.Do(end, abort); aErr == nil {
			drop(resp)
		}
	}()
	for part, wrong := range []bool{false, true} {
		status, err := c.probePart(ctx, bucket, key, id, part+1, wrong)
		switch {
		case errors.Is(err, ErrRefused):
			return Chunks, nil // the credential was good a moment ago: the payload mode is not
		case err != nil:
			return Auto, err
		case status >= 500 && status != http.StatusNotImplemented:
			return Auto, fmt.Errorf("%w: part answered %d", errProbe, status)
		case (status/100 == 2) == wrong:
			return Chunks, nil
		}
	}
	size, err := c.probeList(ctx, bucket, key, id)
	if err != nil {
		return Auto, err
	}
	if size != probeSize {
		return Chunks, nil
	}
	return Trailer, nil
}

// probeCreate starts the upload, with the algorithm announced as real ones do. A store that refuses that while it would
// take a plain one does not know trailers.
func (c *Client) probeCreate(ctx context.Context, bucket, key string) (id string, mode PayloadMode, err error) {
	resp, err := c.Do(ctx, &Request{
		Op: "CreateMultipartUpload", Method: http.MethodPost, Bucket: bucket, Key: key,
		Query:  []Param{{Name: "uploads", Bare: true}},
		Header: []Field{{Name: "x-amz-checksum-algorithm", Value: ChecksumAlgorithm}},
	})
	if err != nil {
		return "", Auto, err
	}
	var created struct{ UploadId string }
	if err := decode(resp, &created); err != nil {
		if resp.Status == http.StatusBadRequest || resp.Status == http.StatusNotImplemented {
			return "", Chunks, nil
		}
		return "", Auto, err
	}
	if created.UploadId == "" {
		return "", Auto, fmt.Errorf("%w: no upload id", errProbe)
	}
	return created.UploadId, Auto, nil
}

// wrongTrailer makes bodyWriter send a checksum that is not the body's.
type wrongTrailer struct{ Bytes }

func (c *Client) probePart(ctx context.Context, bucket, key, id string, part int, wrong bool) (status int, err error) {
	data := make([]byte, probeSize)
	for i := range data {
		data[i] = byte(i + part)
	}
	var body Body = Bytes(data)
	if wrong {
		body = wrongTrailer{data}
	}
	r := &Request{
		Op: "UploadPart", Method: http.MethodPut, Bucket: bucket, Key: key, Idempotent: true,
		Query: []Param{{Name: "partNumber", Value: fmt.Sprint(part)}, {Name: "uploadId", Value: id}},
		Body:  body,
	}
	resp, err := c.do(ctx, r, &payload{body: body, wire: wireTrailer, sha: shaTrailer})
	if err != nil {
		return 0, err
	}
	drop(resp)
	return resp.Status, nil
}

// probeList returns the sum of the sizes of the upload's parts.
func (c *Client) probeList(ctx context.Context, bucket, key, id string) (size int64, err error) {
	resp, err := c.Do(ctx, &Request{
		Op: "ListParts", Method: http.MethodGet, Bucket: bucket, Key: key, Idempotent: true,
		Query: []Param{{Name: "uploadId", Value: id}},
	})
	if err != nil {
		return 0, err
	}
	var list struct {
		Part []struct{ Size int64 }
	}
	if err := decode(resp, &list); err != nil {
		return 0, err
	}
	for _, p := range list.Part {
		size += p.Size
	}
	return size, nil
}

// decode reads a small XML answer of status 200.
func decode(resp *Response, v any) error {
	defer func() { _ = resp.Body.Close() }()
	if resp.Status != http.StatusOK {
		return fmt.Errorf("%w: answered %d %s", errProbe, resp.Status, inspect(resp).Code)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	if err != nil {
		return err
	}
	return xml.Unmarshal(data, v)
}
