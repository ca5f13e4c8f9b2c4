package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// bucket is where every object of the benchmark lies.
const bucket = "bench"

// The payload modes of an upload.
const (
	unsigned = "UNSIGNED-PAYLOAD"
	trailer  = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	signed   = "signed"
)

// scenario is one row of the table.
type scenario struct {
	name    string
	method  string
	payload string // of a PUT
	size    int    // of the object
	window  int    // bytes of a ranged GET, 0 for whole objects
	count   int    // requests in all
	workers int
	target  float64 // ratio to the limit that DESIGN asks for; 0 for none
	small   bool    // counted per request and compared with the relay itself
}

// bytesMoved is the number of plaintext bytes of one run.
func (s scenario) bytesMoved() float64 {
	n := s.size
	if s.window > 0 {
		n = s.window
	}
	return float64(n) * float64(s.count)
}

// client sends signed requests to one endpoint.
type client struct {
	endpoint string
	cred     aws.Credentials
	http     *http.Client
	signer   *v4.Signer
}

func newClient(endpoint, accessKey, secretKey string) *client {
	tr := &http.Transport{MaxIdleConnsPerHost: 64, WriteBufferSize: 1 << 20, ReadBufferSize: 1 << 20, DisableCompression: true}
	return &client{endpoint: endpoint, cred: aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: secretKey},
		http: &http.Client{Transport: tr}, signer: v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })}
}

// payload is a body that is prepared once and sent many times.
type payload struct {
	wire    []byte
	hash    string // x-amz-content-sha256
	decoded int
}

func newPayload(mode string, body []byte) payload {
	switch mode {
	case signed:
		sum := sha256.Sum256(body)
		return payload{wire: body, hash: hex.EncodeToString(sum[:]), decoded: len(body)}
	case trailer:
		var b bytes.Buffer
		fmt.Fprintf(&b, "%x\r\n", len(body))
		b.Write(body)
		sum := binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(body))
		fmt.Fprintf(&b, "\r\n0\r\nx-amz-checksum-crc32:%s\r\n\r\n", base64.StdEncoding.EncodeToString(sum))
		return payload{wire: b.Bytes(), hash: trailer, decoded: len(body)}
	}
	return payload{wire: body, hash: unsigned, decoded: len(body)}
}

var emptyHash = func() string { s := sha256.Sum256(nil); return hex.EncodeToString(s[:]) }()

func (c *client) do(method, key string, p *payload, byteRange string) (int64, error) {
	url, hash := c.endpoint+"/"+bucket, emptyHash
	if key != "" {
		url += "/" + key
	}
	var body io.Reader
	if p != nil {
		body, hash = bytes.NewReader(p.wire), p.hash
	}
	req, err := http.NewRequest(method, url, body)
	if err != nil {
		return 0, err
	}
	if byteRange != "" {
		req.Header.Set("Range", byteRange)
	}
	if hash == trailer {
		req.Header.Set("Content-Encoding", "aws-chunked")
		req.Header.Set("X-Amz-Decoded-Content-Length", fmt.Sprint(p.decoded))
		req.Header.Set("X-Amz-Trailer", "x-amz-checksum-crc32")
	}
	if err := c.sign(req, hash); err != nil {
		return 0, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 500))
		return 0, fmt.Errorf("%s %s: %s: %s", method, key, resp.Status, text)
	}
	return drain(resp.Body)
}

func drain(r io.Reader) (int64, error) {
	buf := discardPool.Get().(*[]byte)
	defer discardPool.Put(buf)
	var sum int64
	for {
		n, err := r.Read(*buf)
		sum += int64(n)
		if errors.Is(err, io.EOF) {
			return sum, nil
		}
		if err != nil {
			return sum, err
		}
	}
}

// run executes a scenario once and returns its wall time.
func (s scenario) run(c *client, p payload) (time.Duration, error) {
	var next atomic.Int64
	var wg sync.WaitGroup
	errs := make(chan error, s.workers)
	start := time.Now()
	for range s.workers {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= s.count {
					return
				}
				if err := s.one(c, &p, i); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	select {
	case err := <-errs:
		return 0, err
	default:
		return time.Since(start), nil
	}
}

func (s scenario) one(c *client, p *payload, i int) error {
	if s.method == "PUT" {
		_, err := c.do("PUT", fmt.Sprintf("put-%d", i), p, "")
		return err
	}
	spec := ""
	if s.window > 0 {
		first := rand.IntN(s.size - s.window)
		spec = fmt.Sprintf("bytes=%d-%d", first, first+s.window-1)
	}
	n, err := c.do("GET", fmt.Sprintf("%s-%d", keepPrefix, s.size), nil, spec)
	if want := int64(max(s.window, 1)); err == nil && n < want {
		err = fmt.Errorf("GET: %d bytes", n)
	}
	return err
}
