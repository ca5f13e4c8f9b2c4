package upstream

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"testing"
)

// TestUnsignedBodiesSayHowTheyAreSent: the store decodes what the header names. Without it a large body would be kept with its
// framing, and the trailer that protects it against being cut off would mean nothing.
func TestUnsignedBodiesSayHowTheyAreSent(t *testing.T) {
	for n, want := range map[int]string{0: "", 100: hexSum(make([]byte, 100)), smallHash + 1: shaTrailer, 9 << 20: shaTrailer} {
		s := answering(t, func(r *http.Request, body []byte) string {
			if got := r.Header.Get("X-Amz-Content-Sha256"); got != want || r.Header.Get("Authorization") != "" {
				t.Errorf("%d bytes: %q, authorization %q", n, got, r.Header.Get("Authorization"))
			}
			if framed := bytes.Contains(body, []byte(checksumHeader)); framed != (want == shaTrailer) {
				t.Errorf("%d bytes: a trailer is %v", n, framed)
			}
			return reply(200, "")
		})
		c := newClient(t, s.url(), func(o *Options) { o.Credentials, o.Payload = static{AccessKey: "AK", Secret: "s"}, Trailer })
		r := &Request{Op: "PutObject", Method: http.MethodPut, Bucket: "b", Key: "k", Unsigned: true}
		if n > 0 {
			r.Body = streamOf(n)
		}
		if status, _, err := do(t, c, r); status != 200 || err != nil {
			t.Errorf("%d bytes: %d %v", n, status, err)
		}
	}
}

// streamOf is a body that can be sent once.
type streamOf int

func (n streamOf) Len() int64   { return int64(n) }
func (n streamOf) Replay() bool { return false }
func (n streamOf) WriteTo(w io.Writer) (int64, error) {
	written, err := w.Write(make([]byte, n))
	return int64(written), err
}

// TestUnsignedBodiesThatAreHeldCarryDigests: a store that verifies no trailers gets them up to what is held, with digests that tell it
// when they were cut off. A stream has none to give.
func TestUnsignedBodiesThatAreHeldCarryDigests(t *testing.T) {
	for _, mode := range []PayloadMode{Chunks, Trailer} {
		for _, n := range []int{100, 500_000} {
			data := make([]byte, n) // as the stream has
			sum := md5.Sum(data)
			s := answering(t, func(r *http.Request, body []byte) string {
				if got := r.Header.Get("Content-Md5"); (got == base64.StdEncoding.EncodeToString(sum[:])) != (mode == Chunks) {
					t.Errorf("%v, %d bytes: content-md5 %q", mode, n, got)
				}
				if got := r.Header.Get("X-Amz-Content-Sha256"); (got == hexSum(data)) != (mode == Chunks || n <= smallHash) {
					t.Errorf("%v, %d bytes: sha256 %q", mode, n, got)
				}
				return reply(200, "")
			})
			c := newClient(t, s.url(), func(o *Options) { o.Credentials, o.Payload = static{AccessKey: "AK", Secret: "s"}, mode })
			r := &Request{Op: "PutObject", Method: http.MethodPut, Bucket: "b", Key: "k", Unsigned: true, Body: Bytes(data)}
			if status, _, err := do(t, c, r); status != 200 || err != nil {
				t.Errorf("%v, %d bytes: %d %v", mode, n, status, err)
			}
			r.Body = streamOf(n)
			if _, _, err := do(t, c, r); errors.Is(err, ErrNeedsSignature) != (mode == Chunks && n > smallHash) {
				t.Errorf("%v, a stream of %d bytes: %v", mode, n, err)
			}
		}
	}
}
