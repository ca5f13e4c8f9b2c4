package suite

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"strings"

	"s3veil/test/servers"
)

var framingCases = []Case{
	{"PutObject_in_every_payload_mode", payloadModes},
	{"PutObject_without_any_length_is_refused", noLength},
}

// framing is a body on its way: x-amz-content-sha256, and the bytes on the wire, which for signed chunks follow from the
// signature of the request (https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html).
type framing struct {
	name, hash string
	trailer    bool
	frame      func(s *seed, body []byte, chunk int) []byte
}

// seed is what the signatures of chunks start from.
type seed struct {
	key          []byte
	stamp, scope string
	signature    string
}

func (s *seed) next(algorithm string, hashes ...string) string {
	text := strings.Join(append([]string{algorithm, s.stamp, s.scope, s.signature}, hashes...), "\n")
	s.signature = hex.EncodeToString(mac(s.key, text))
	return s.signature
}

func hexHash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func crc32Of(b []byte) string {
	return base64.StdEncoding.EncodeToString(binaryBE(crc32.ChecksumIEEE(b)))
}

func binaryBE(v uint32) []byte { return []byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)} }

// chunks frames body; sign returns what stands behind a chunk's size.
func chunks(body []byte, n int, sign func(chunk []byte) string) *bytes.Buffer {
	var b bytes.Buffer
	for rest := body; len(rest) > 0; rest = rest[min(n, len(rest)):] {
		piece := rest[:min(n, len(rest))]
		fmt.Fprintf(&b, "%x%s\r\n%s\r\n", len(piece), sign(piece), piece)
	}
	fmt.Fprintf(&b, "0%s\r\n", sign(nil))
	return &b
}

func signedChunks(s *seed, body []byte, n int) *bytes.Buffer {
	return chunks(body, n, func(piece []byte) string {
		return ";chunk-signature=" + s.next("AWS4-HMAC-SHA256-PAYLOAD", hexHash(nil), hexHash(piece))
	})
}

var framings = []framing{
	{name: "hash"},
	{name: "unsigned", hash: "UNSIGNED-PAYLOAD"},
	{name: "signed chunks", hash: "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", frame: func(s *seed, body []byte, n int) []byte {
		return append(signedChunks(s, body, n).Bytes(), "\r\n"...)
	}},
	{name: "signed chunks and trailer", hash: "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", trailer: true, frame: func(s *seed, body []byte, n int) []byte {
		b := signedChunks(s, body, n)
		line := "x-amz-checksum-crc32:" + crc32Of(body)
		fmt.Fprintf(b, "%s\r\nx-amz-trailer-signature:%s\r\n\r\n", line, s.next("AWS4-HMAC-SHA256-TRAILER", hexHash([]byte(line+"\n"))))
		return b.Bytes()
	}},
	{name: "unsigned chunks and trailer", hash: "STREAMING-UNSIGNED-PAYLOAD-TRAILER", trailer: true, frame: func(_ *seed, body []byte, n int) []byte {
		b := chunks(body, n, func([]byte) string { return "" })
		fmt.Fprintf(b, "x-amz-checksum-crc32:%s\r\n\r\n", crc32Of(body))
		return b.Bytes()
	}},
}

// framed is a PUT of body in a framing, with and without a word of it in Content-Encoding: old clients leave that out.
func (e *Env) framed(f framing, key string, body []byte, chunk int, announce bool) *rawRequest {
	r := e.request("PUT", "/"+e.Bucket+"/"+key, body)
	if r.hash = f.hash; f.frame == nil {
		return r
	}
	date := r.at.UTC().Format("20060102")
	s := seed{key: []byte("AWS4" + r.secret), stamp: r.at.UTC().Format("20060102T150405Z"), scope: date + "/" + servers.Region + "/s3/aws4_request"}
	for _, part := range []string{date, servers.Region, "s3", "aws4_request"} {
		s.key = mac(s.key, part)
	}
	r.header["X-Amz-Decoded-Content-Length"] = fmt.Sprint(len(body))
	if announce {
		r.header["Content-Encoding"] = "aws-chunked"
	}
	if f.trailer {
		r.header["X-Amz-Trailer"] = "x-amz-checksum-crc32"
	}
	r.frame = func(signature string) []byte {
		s := s
		s.signature = signature
		return f.frame(&s, body, chunk)
	}
	r.body = r.frame(strings.Repeat("0", 64)) // as long as it will be
	return r
}

// payloadModes: every mode is taken over http and over https, whichever the SDKs choose there today, in chunks from a few
// bytes to all of the body.
func payloadModes(e *Env) {
	for _, f := range framings {
		for _, n := range []int{0, 70_000, 1<<20 + 1} {
			for _, chunk := range []int{10_007, 4 << 20} {
				for _, announce := range []bool{true, false} {
					if f.frame == nil && (chunk != 4<<20 || !announce) {
						continue
					}
					what, body := fmt.Sprint(f.name, " of ", n, " in ", chunk, ", announced ", announce), Data(n, uint64(n))
					if a := e.do(e.framed(f, "k", body, chunk, announce)); a.status != 200 {
						e.Errorf("%s: %d %s", what, a.status, a.body)
						continue
					}
					got, out := e.Get("k")
					e.Same(what, got, body)
					if e.Target.Encrypted { // some stores keep it
						Equal(e, what+": Content-Encoding", str(out.ContentEncoding), "")
					}
				}
			}
		}
	}
}

// noLength: a store has to know how long an object will be. S3 answers 411 to a body in chunks of HTTP that does not say.
func noLength(e *Env) {
	if !e.Target.Encrypted { // bare stores differ
		return
	}
	for _, hash := range []string{"UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"} {
		r := e.request("PUT", "/"+e.Bucket+"/k", []byte("5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n"))
		r.hash, r.chunked = hash, true
		if strings.HasPrefix(hash, "STREAMING") {
			r.header["Content-Encoding"], r.header["X-Amz-Trailer"] = "aws-chunked", "x-amz-checksum-crc32"
		}
		e.refused(r, 411, "MissingContentLength")
		e.Absent("k")
	}
}
