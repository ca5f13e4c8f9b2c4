package sigv4

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"s3veil/sigv4/checksum"
)

var allModes = map[string]PayloadMode{
	"hash": PayloadHash, "unsigned": PayloadUnsigned, "absent": PayloadAbsent, "signed chunks": PayloadSignedChunks,
	"signed chunks trailer": PayloadSignedChunksTrailer, "unsigned chunks trailer": PayloadUnsignedChunksTrailer,
}

// body is an encoded request body with what a client promises about it.
type body struct {
	wire []byte
	opts PayloadOptions
}

// encodeBody frames data as mode demands: chunks of size bytes and a CRC32C trailer where there is one. It is written
// apart from the code under test but for the signatures of a ChunkSeed, which the published examples fix.
func encodeBody(t testing.TB, mode PayloadMode, data []byte, size int) body {
	t.Helper()
	v := &Verified{Kind: Header, Payload: mode}
	o := PayloadOptions{Verified: v, DecodedLength: -1}
	if !mode.Chunked() {
		if mode == PayloadHash {
			copy(v.Hash[:], hashOf(checksum.SHA256, data))
		}
		o.ContentLength = int64(len(data))
		return body{data, o}
	}
	seed := testSeed(t)
	if mode != PayloadUnsignedChunksTrailer {
		v.chunk = seed.signer.clone()
	}
	var w bytes.Buffer
	chunk := func(b []byte) {
		fmt.Fprintf(&w, "%x", len(b))
		if v.chunk != nil {
			w.WriteString(";chunk-signature=" + seed.Next(b))
		}
		w.WriteString("\r\n")
	}
	for rest := data; len(rest) > 0; {
		n := min(size, len(rest))
		chunk(rest[:n])
		w.Write(rest[:n])
		w.WriteString("\r\n")
		rest = rest[n:]
	}
	chunk(nil)
	if mode != PayloadSignedChunks {
		line := "x-amz-checksum-crc32c:" + checksum.Encode(hashOf(checksum.CRC32C, data))
		w.WriteString(line + "\r\n")
		if v.chunk != nil {
			w.WriteString("x-amz-trailer-signature:" + seed.Trailer(line+"\n") + "\r\n")
		}
		o.Trailer = []string{"x-amz-checksum-crc32c"}
	}
	w.WriteString("\r\n")
	o.ContentLength, o.DecodedLength = int64(w.Len()), int64(len(data))
	return body{w.Bytes(), o}
}

func testSeed(t testing.TB) ChunkSeed {
	t.Helper()
	r := &Request{Method: "PUT", Path: "/b/k", Host: "h"}
	seed, err := new(Signer).Sign(r, exampleCredential(), "us-east-1", "s3", streamingSigned, exampleTime)
	if err != nil {
		t.Fatal(err)
	}
	return seed
}

func hashOf(a checksum.Algorithm, data []byte) []byte {
	h := a.New()
	h.Write(data)
	return h.Sum(nil)
}

func testData(n int) []byte {
	rnd := rand.New(rand.NewPCG(uint64(n), 7))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	return b
}

// readBody reads with a buffer of size bytes and verifies. Chunks may be of any size here, so that few bytes have many seams.
func readBody(src io.Reader, o PayloadOptions, size int) ([]byte, *Payload, error) {
	return readChunks(src, o, size, 1)
}

// readChunks is readBody for chunks of at least so many bytes.
func readChunks(src io.Reader, o PayloadOptions, size int, least int64) ([]byte, *Payload, error) {
	p, err := newPayload(src, o, least)
	if err != nil {
		return nil, nil, err
	}
	var out []byte
	b := make([]byte, size)
	for {
		n, err := p.Read(b)
		out = append(out, b[:n]...)
		if err == io.EOF {
			return out, p, p.Verify()
		}
		if err != nil {
			if again := p.Verify(); again != err {
				return out, p, fmt.Errorf("not sticky: %v, then %v", err, again)
			}
			return out, p, err
		}
	}
}

// wantRefusal fails unless err is an *Error that no one can take for the end of data.
func wantRefusal(t *testing.T, err error) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want an *Error", err)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatalf("%v passes for an end of data", err)
	}
}

// splitReader returns its data in pieces of random size, and the end together with the last piece now and then.
type splitReader struct {
	data []byte
	rnd  *rand.Rand
	end  error
}

func newSplitReader(data []byte, seed uint64) *splitReader {
	return &splitReader{data: data, rnd: rand.New(rand.NewPCG(seed, 3)), end: io.EOF}
}

func (s *splitReader) Read(b []byte) (int, error) {
	if len(s.data) == 0 {
		return 0, s.end
	}
	n := min(len(b), len(s.data))
	if n > 1 {
		n = s.rnd.IntN(n + 1)
	}
	copy(b, s.data[:n])
	s.data = s.data[n:]
	if len(s.data) == 0 && s.rnd.IntN(2) == 0 {
		return n, s.end
	}
	return n, nil
}

// bodyOf replaces line ends for literal bodies in tests.
func bodyOf(lines ...string) io.Reader { return strings.NewReader(strings.Join(lines, "\r\n")) }
