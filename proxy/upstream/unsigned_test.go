package upstream

import (
	"bytes"
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
