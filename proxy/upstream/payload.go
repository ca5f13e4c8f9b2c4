package upstream

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/minio/crc64nvme"
)

// ErrNeedsSignature is a streamed body without a signature for a store that does not verify checksum trailers: nothing would
// tell the store that it was cut off. One that is held carries its digests.
var ErrNeedsSignature = errors.New("upstream: a large body needs a signature")

// smallHash is the size up to which a body carries one SHA-256, whatever the mode (DATAPATH.md 7.1).
const smallHash = 16 << 10

const (
	shaUnsigned = "UNSIGNED-PAYLOAD"
	shaTrailer  = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	shaChunks   = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
)

var shaEmpty = hex.EncodeToString(sha256.New().Sum(nil))

// payload is a body in the form in which it will be sent.
type payload struct {
	body Body // nil for none
	wire wire
	sha  string // x-amz-content-sha256
	sum  string // x-amz-checksum-crc64nvme, or empty
	md5  string // content-md5, or empty
}

// replay reports whether the request can be sent again.
func (p *payload) replay() bool { return p.body == nil || p.body.Replay() }

// prepare chooses how the body of r goes out. It reads bodies that are hashed in advance.
func (c *Client) prepare(ctx context.Context, r *Request) (*payload, error) {
	if r.Body == nil {
		return &payload{sha: shaEmpty}, nil
	}
	mode, err := c.modeOf(ctx, r)
	if err != nil {
		return nil, err
	}
	if r.Body.Len() <= smallHash || mode == Chunks && r.Unsigned && r.isObject() && r.Body.Replay() {
		return hashed(r, mode)
	}
	switch {
	case mode == InsecureUnsigned:
		return &payload{body: r.Body, sha: shaUnsigned}, nil
	case mode == Trailer:
		return &payload{body: r.Body, wire: wireTrailer, sha: shaTrailer}, nil
	case mode == Hash && r.Body.Replay():
		h := sha256.New()
		if _, err := r.Body.WriteTo(h); err != nil {
			return nil, err
		}
		return &payload{body: r.Body, sha: hex.EncodeToString(h.Sum(nil))}, nil
	case r.Unsigned && r.isObject():
		return nil, ErrNeedsSignature
	case !r.isObject():
		return nil, fmt.Errorf("upstream: the body of %s cannot be hashed in advance", r.Op)
	default:
		return &payload{body: r.Body, wire: wireChunks, sha: shaChunks}, nil
	}
}

// modeOf is the payload mode of a request with a body. A small object by itself does not ask the store: where nothing is
// known yet its mode is Auto.
func (c *Client) modeOf(ctx context.Context, r *Request) (PayloadMode, error) {
	switch {
	case !r.isObject():
		return Hash, nil
	case c.o.Payload == Auto && r.Body.Len() <= smallHash && !r.has("uploadId"):
		return PayloadMode(c.mode.known.Load()), nil
	}
	return c.Mode(ctx, r.Bucket)
}

// hashed sends a small body from memory. A part of an upload that announced a checksum has to have one, also where no
// trailer carries it, and buckets with a default retention ask for one of every object; a lock in the request asks for
// Content-MD5 at stores that know nothing else, and so does the body of a request without a signature, which would hold the SHA-256.
func hashed(r *Request, mode PayloadMode) (*payload, error) {
	data, ok := r.Body.(Bytes)
	if !ok {
		var b bytes.Buffer
		b.Grow(int(r.Body.Len()))
		if _, err := r.Body.WriteTo(&b); err != nil {
			return nil, err
		}
		if int64(b.Len()) != r.Body.Len() {
			return nil, fmt.Errorf("%w: %d of %d", errLength, b.Len(), r.Body.Len())
		}
		data = b.Bytes()
	}
	p := &payload{body: r.Body, sha: hexSum(data)}
	if !ok {
		p.body = data
	}
	if mode == Trailer && !r.carries("x-amz-checksum-") {
		p.sum = checksumText(crc64nvme.Checksum(data))
	}
	if r.isObject() && (r.carries("x-amz-object-lock-") || r.Unsigned && mode != Trailer) && !r.carries("content-md5") {
		sum := md5.Sum(data)
		p.md5 = base64.StdEncoding.EncodeToString(sum[:])
	}
	return p, nil
}

// hexSum is the SHA-256 of data in hexadecimal digits.
func hexSum(data []byte) string {
	sum := sha256.Sum256(data)
	var text [2 * sha256.Size]byte
	hex.Encode(text[:], sum[:])
	return string(text[:])
}

// carries reports whether the caller has set a header whose name begins with prefix.
func (r *Request) carries(prefix string) bool {
	return slices.ContainsFunc(r.Header, func(f Field) bool { return strings.HasPrefix(f.Name, prefix) })
}

// isObject reports whether r uploads an object or a part: the operations that take aws-chunked bodies.
func (r *Request) isObject() bool {
	if r.Method != http.MethodPut || r.Key == "" {
		return false
	}
	for _, p := range r.Query {
		if p.Name != "partNumber" && p.Name != "uploadId" {
			return false
		}
	}
	return true
}

func (r *Request) has(param string) bool {
	return slices.ContainsFunc(r.Query, func(p Param) bool { return p.Name == param })
}

// own names the headers that the client sets; a caller's would change framing or signature.
func own(name string) bool {
	switch name {
	case "authorization", "connection", "content-length", "expect", "host", "keep-alive", "proxy-authorization",
		"proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "user-agent", "x-amz-content-sha256",
		"x-amz-date", "x-amz-decoded-content-length", "x-amz-security-token", "x-amz-trailer":
		return true
	}
	return false
}

func isLower(s string) bool {
	for i := range len(s) {
		if 'A' <= s[i] && s[i] <= 'Z' {
			return false
		}
	}
	return true
}

var errRequest = errors.New("upstream: request cannot be sent")

// check refuses what would not be one request with the headers given.
func (r *Request) check() error {
	if !token(r.Method) {
		return fmt.Errorf("%w: method %q", errRequest, r.Method)
	}
	if r.Bucket == "" && r.Key != "" {
		return fmt.Errorf("%w: a key without a bucket", errRequest)
	}
	if r.Bucket == "." || r.Bucket == ".." || strings.ContainsAny(r.Bucket, "/\\?#@") {
		return fmt.Errorf("%w: bucket %q", errRequest, r.Bucket)
	}
	for _, f := range r.Header {
		if !token(f.Name) || !isLower(f.Name) || own(f.Name) {
			return fmt.Errorf("%w: header %q is not the caller's", errRequest, f.Name)
		}
		for i := range len(f.Value) {
			if b := f.Value[i]; b < ' ' && b != '\t' || b == 0x7f {
				return fmt.Errorf("%w: value of header %q", errRequest, f.Name)
			}
		}
	}
	return nil
}

// token is that of RFC 9110 section 5.6.2.
func token(s string) bool {
	for i := range len(s) {
		b := s[i]
		if 'a' <= b && b <= 'z' || b == '-' || '0' <= b && b <= '9' {
			continue
		}
		if b <= ' ' || b >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, b) >= 0 {
			return false
		}
	}
	return s != ""
}

// headers returns the header list before it is signed, host and x-amz-content-sha256 apart.
func (c *Client) headers(r *Request, p *payload, end endpoint) []Field {
	list := make([]Field, 0, len(r.Header)+12)
	encoding, accept := "", c.o.AcceptEncoding
	for _, f := range r.Header {
		switch f.Name {
		case "content-encoding":
			encoding = join(encoding, f.Value)
		case "accept-encoding":
			accept = f.Value
		default:
			list = append(list, f)
		}
	}
	list = append(list, Field{Name: "accept-encoding", Value: accept}, Field{Name: "user-agent", Value: "s3veil"})
	if p.body == nil {
		if !bodiless(r.Method) {
			list = append(list, Field{Name: "content-length", Value: "0"})
		}
	} else {
		n := p.body.Len()
		list = append(list, Field{Name: "content-length", Value: strconv.FormatInt(p.wire.length(n), 10)})
		if p.wire != wirePlain {
			// AWS asks for aws-chunked and takes it away again. Others go by x-amz-content-sha256, and some
			// (versitygw) would keep it in the object's own Content-Encoding.
			if end.aws() {
				encoding = join("aws-chunked", encoding)
			}
			list = append(list, Field{Name: "x-amz-decoded-content-length", Value: strconv.FormatInt(n, 10)})
		}
		if p.wire == wireTrailer {
			list = append(list, Field{Name: "x-amz-trailer", Value: checksumHeader})
		}
		if p.sum != "" {
			list = append(list, Field{Name: checksumHeader, Value: p.sum})
		}
		if p.md5 != "" {
			list = append(list, Field{Name: "content-md5", Value: p.md5})
		}
	}
	if encoding != "" {
		list = append(list, Field{Name: "content-encoding", Value: encoding})
	}
	return list
}

func join(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "," + b
}
