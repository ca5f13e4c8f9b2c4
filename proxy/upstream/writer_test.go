package upstream

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/minio/crc64nvme"

	"s3veil/sigv4"
)

// recorder keeps the size of every write.
type recorder struct {
	net.Conn
	bytes.Buffer
	sizes []int
	fail  int // writes from this one on fail, when not 0
}

func (r *recorder) Write(p []byte) (int, error) {
	if r.fail > 0 && len(r.sizes)+1 >= r.fail {
		return 0, io.ErrClosedPipe
	}
	r.sizes = append(r.sizes, len(p))
	return r.Buffer.Write(p)
}

func (r *recorder) Read([]byte) (int, error) { return 0, io.EOF }

func frame(b Body, w wire) (*recorder, *bodyWriter, error) {
	r := &recorder{}
	bw := &bodyWriter{bw: bufio.NewWriterSize(r, bufferSize), nc: r, wire: w}
	if w == wireChunks {
		var signer sigv4.Signer
		var err error
		bw.seed, err = signer.Sign(&sigv4.Request{Method: "PUT", Path: "/b/k", Host: "h"}, sigv4.Credential{AccessKey: "AK", Secret: "s"},
			"us-east-1", "s3", shaChunks, time.Now())
		if err != nil {
			return r, bw, err
		}
	}
	err := bw.send(b)
	return r, bw, err
}

func TestTrailerFraming(t *testing.T) {
	const most = 8 << 20 // MinIO refuses chunks above 16 MiB
	for _, n := range []int64{0, 1, 15, 16, 100_000, most - 1, most, most + 1, 2 * most, 2*most + 100_000} {
		data := make([]byte, n)
		for i := range data {
			data[i] = byte(i)
		}
		sum := base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, crc64nvme.Checksum(data)))
		var want string
		for rest := data; len(rest) > 0; rest = rest[min(most, len(rest)):] {
			want += fmt.Sprintf("%x\r\n%s\r\n", min(most, len(rest)), rest[:min(most, len(rest))])
		}
		want += "0\r\nx-amz-checksum-crc64nvme:" + sum + "\r\n\r\n"
		r, _, err := frame(writes{data, 1<<20 + 77}, wireTrailer)
		if err != nil || r.String() != want {
			t.Errorf("%d bytes: framing differs, %v", n, err)
		}
		if got := wireTrailer.length(n); got != int64(len(want)) {
			t.Errorf("%d bytes: length %d, want %d", n, got, len(want))
		}
	}
}

func TestLengthOfSignedChunks(t *testing.T) {
	const sig = 17 + 64 + 2 + 2
	for n, want := range map[int64]int64{
		0:             1 + sig,
		1:             1 + sig + 1 + 1 + sig,
		chunkSize:     5 + sig + chunkSize + 1 + sig,
		chunkSize + 1: 5 + sig + chunkSize + 1 + sig + 1 + 1 + sig,
	} {
		if got := wireChunks.length(n); got != want {
			t.Errorf("%d bytes: %d, want %d", n, got, want)
		}
	}
}

// TestLargeWritesAreNotCopied: writes of 16 KiB and more reach the connection as they are.
func TestLargeWritesAreNotCopied(t *testing.T) {
	for _, w := range []wire{wirePlain, wireTrailer} {
		r, _, err := frame(&stream{n: 4 << 20, piece: 1 << 20}, w)
		if err != nil {
			t.Fatal(err)
		}
		large := 0
		for _, n := range r.sizes {
			if n >= 1<<20-1 {
				large++
			}
		}
		if large != 4 || len(r.sizes) > 6 {
			t.Errorf("wire %d: writes of %v", w, r.sizes)
		}
	}
	r, _, err := frame(&stream{n: 64 << 10, piece: 100}, wirePlain)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.sizes) > 6 {
		t.Errorf("small writes were not gathered: %d", len(r.sizes))
	}
}

func TestBodyDoesNotAllocatePerWrite(t *testing.T) {
	b := &stream{n: 8 << 20, piece: 1 << 20}
	r := &recorder{}
	r.Grow(9 << 20)
	bw := bufio.NewWriterSize(r, bufferSize)
	allocs := testing.AllocsPerRun(5, func() {
		r.Reset()
		r.sizes = r.sizes[:0]
		bw.Reset(r)
		if err := (&bodyWriter{bw: bw, nc: r, wire: wireTrailer}).send(b); err != nil {
			t.Fatal(err)
		}
	})
	if allocs > 16 {
		t.Errorf("%v allocations for 8 writes", allocs)
	}
}

func TestConnectionFailureIsNotTheBodys(t *testing.T) {
	r := &recorder{fail: 2}
	w := &bodyWriter{bw: bufio.NewWriterSize(r, bufferSize), nc: r}
	if err := w.send(&stream{n: 1 << 20, piece: 1 << 18}); err == nil || w.err == nil {
		t.Errorf("got %v, connection %v", err, w.err)
	}
	if n, err := w.Write([]byte("x")); n != 0 || err == nil {
		t.Error("the failure does not stay")
	}
}

func TestChunksSpanWrites(t *testing.T) {
	line := regexp.MustCompile(`(?m)^([0-9a-f]+);chunk-signature=[0-9a-f]{64}\r\n`)
	for _, piece := range []int{1, 1000, chunkSize - 1, chunkSize, chunkSize + 1, 65_568, 16 * 65_568} {
		n := int64(3*chunkSize + 17)
		if piece == 1 {
			n = 2000
		}
		r, _, err := frame(&stream{n: n, piece: piece}, wireChunks)
		if err != nil {
			t.Fatal(err)
		}
		if got := int64(r.Len()); got != wireChunks.length(n) {
			t.Errorf("pieces of %d: %d bytes, announced %d", piece, got, wireChunks.length(n))
		}
		if !strings.HasSuffix(r.String(), "\r\n\r\n") || len(line.FindAllString(r.String(), -1)) != int(n/chunkSize)+2 {
			t.Errorf("pieces of %d: framing", piece)
		}
	}
}

// writes is a body that comes in pieces of size bytes.
type writes struct {
	data []byte
	size int
}

func (w writes) Len() int64 { return int64(len(w.data)) }

func (w writes) Replay() bool { return true }

func (w writes) WriteTo(to io.Writer) (int64, error) {
	var n int64
	for b := w.data; len(b) > 0; b = b[min(w.size, len(b)):] {
		m, err := to.Write(b[:min(w.size, len(b))])
		if n += int64(m); err != nil {
			return n, err
		}
	}
	return n, nil
}
