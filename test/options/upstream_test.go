package options

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
	"s3veil/test/suite"
)

// watched is a store with a look at what it is sent.
type watched struct {
	endpoint string

	mu     sync.Mutex
	writes []http.Header   // of PutObject, CreateMultipartUpload and UploadPart
	conns  map[string]bool // open ones, by their other end: whether objects have gone over them
	most   int             // that carried objects at a time
}

func watch(t *testing.T, store *servers.Store) *watched {
	t.Helper()
	to, err := url.Parse(store.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	w := &watched{conns: map[string]bool{}}
	relay := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = to.Scheme, to.Host }}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.endpoint = "http://" + ln.Addr().String()
	server := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.Count(r.URL.Path, "/") > 1 && !strings.Contains(r.URL.Path, "/.s3veil/") {
			w.object(r)
		}
		relay.ServeHTTP(rw, r)
	}), ConnState: func(c net.Conn, s http.ConnState) {
		w.mu.Lock()
		defer w.mu.Unlock()
		switch s {
		case http.StateNew:
			w.conns[c.RemoteAddr().String()] = false
		case http.StateClosed, http.StateHijacked:
			delete(w.conns, c.RemoteAddr().String())
		}
	}}
	go func() { _ = server.Serve(ln) }()
	t.Cleanup(func() { server.Close() })
	return w
}

// object takes note of a request for an object.
func (w *watched) object(r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r.Method == http.MethodPut || r.URL.Query().Has("uploads") {
		w.writes = append(w.writes, r.Header.Clone())
	}
	w.conns[r.RemoteAddr] = w.conns[r.RemoteAddr] || r.Method == http.MethodPut && !r.URL.Query().Has("uploads") || r.Method == http.MethodGet
	n := 0
	for _, carries := range w.conns {
		if carries {
			n++
		}
	}
	w.most = max(w.most, n)
}

// behind puts s3veil in front of a watched store.
func behind(t *testing.T, change func(up map[string]any)) (*watched, *s3veil.Cluster) {
	t.Helper()
	w := watch(t, servers.MustShared(t, servers.Versity))
	return w, cluster(t, func(config map[string]any) {
		up := config["upstream"].(map[string]any)
		up["endpoint"] = w.endpoint
		change(up)
	})
}

// In every mode objects of all sizes come and go, and larger bodies are signed as it says; small ones have a hash, and so have
// those of the mode hash that are held.
func TestPayloadModesOfTheStore(t *testing.T) {
	const trailer, chunks, hash = "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "a hash"
	sizes := map[string]int{"empty": 0, "small": 1000, "held": 900_000, "streamed": 3 << 20}
	for mode, signed := range map[string]map[string]string{
		"auto":              {"held": trailer, "streamed": trailer},
		"trailer":           {"held": trailer, "streamed": trailer},
		"chunks":            {"held": chunks, "streamed": chunks},
		"hash":              {"held": hash, "streamed": chunks},
		"insecure_unsigned": {"held": "UNSIGNED-PAYLOAD", "streamed": "UNSIGNED-PAYLOAD"},
	} {
		t.Run(mode, func(t *testing.T) {
			w, cl := behind(t, func(up map[string]any) { up["payload"] = mode })
			c := cl.Client(once)
			bucket, parts := create(t, c, unique("p")), twoParts()
			for key, n := range sizes {
				body := suite.Data(n, 1)
				put(t, c, bucket, key, body)
				holds(t, c, bucket, key, body)
				got := w.last().Get("X-Amz-Content-Sha256")
				if len(got) == 64 {
					got = hash
				}
				if want := cmp.Or(signed[key], hash); got != want {
					t.Errorf("%s: signed as %s, want %s", key, got, want)
				}
			}
			complete(t, c, upload(t, c, bucket, "multi", parts...))
			copyTo(t, c, bucket+"/multi", bucket, "copy")
			holds(t, c, bucket, "copy", bytes.Join(parts, nil))
		})
	}
}

// last is the header of the last write.
func (w *watched) last() http.Header {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.writes[len(w.writes)-1]
}

// A store that demands an encryption header gets its own, and never what a client has sent.
func TestHeaderThatTheStoreDemands(t *testing.T) {
	for _, value := range []string{"", "AES256"} {
		w, cl := behind(t, func(up map[string]any) {
			if value != "" {
				up["sse"] = value
			}
		})
		c, ctx := cl.Client(once), context.Background()
		bucket := create(t, c, unique("p"))
		for _, asked := range []types.ServerSideEncryption{"", "AES256", "aws:kms"} {
			if _, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: aws.String("k"), Body: strings.NewReader("body"), ServerSideEncryption: asked}); err != nil {
				t.Fatal(err)
			}
			if _, err := c.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &bucket, Key: aws.String("m"), ServerSideEncryption: asked}); err != nil {
				t.Fatal(err)
			}
		}
		w.mu.Lock()
		if len(w.writes) != 6 {
			t.Errorf("%d writes", len(w.writes))
		}
		for _, h := range w.writes {
			for name, values := range h {
				if strings.HasPrefix(name, "X-Amz-Server-Side-Encryption") && (value == "" || name != "X-Amz-Server-Side-Encryption" || values[0] != value) {
					t.Errorf("%s: %q goes up", name, values)
				}
			}
			if h.Get("X-Amz-Server-Side-Encryption") != value {
				t.Errorf("the store gets %q, want %q", h.Get("X-Amz-Server-Side-Encryption"), value)
			}
		}
		w.mu.Unlock()
	}
}

// However many clients work, so many requests carry their objects to the store, and nobody fails for want of a connection. The store
// may see some that have ended a moment longer.
func TestConnectionsToTheStoreAreLimited(t *testing.T) {
	w, cl := behind(t, func(up map[string]any) { up["max_conns"] = 8 })
	c := cl.Client(once)
	bucket, body, parts := create(t, c, unique("p")), suite.Data(300_000, 1), twoParts()
	complete(t, c, upload(t, c, bucket, "multi", parts...))
	var wait sync.WaitGroup
	for i := range 60 {
		wait.Go(func() {
			key := unique("k")
			if _, err := c.PutObject(context.Background(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(body)}); err != nil {
				t.Errorf("put: %v", err)
			}
			if got, err := get(c, bucket, key); err != nil || !bytes.Equal(got, body) {
				t.Errorf("get: %d bytes, %v", len(got), err)
			}
			if i%15 != 0 {
				return
			}
			in := &s3.CopyObjectInput{Bucket: &bucket, Key: &key, CopySource: aws.String(bucket + "/multi"), MetadataDirective: types.MetadataDirectiveReplace,
				ServerSideEncryption: types.ServerSideEncryptionAwsKms, SSEKMSEncryptionContext: aws.String("eyJhIjoiYiJ9")} // another context: streamed
			if _, err := c.CopyObject(context.Background(), in); err != nil {
				t.Errorf("copy: %v", err)
			}
			holds(t, c, bucket, key, bytes.Join(parts, nil))
		})
	}
	wait.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.most > 16 || w.most < 2 {
		t.Errorf("%d connections at a time", w.most)
	}
}

// Parts but the last are at least as large as the store demands, in plaintext.
func TestSmallestPart(t *testing.T) {
	_, cl := behind(t, func(up map[string]any) { up["min_part"] = "6MiB" })
	c := cl.Client(once)
	bucket, last := create(t, c, unique("p")), suite.Data(10, 2)
	for n, want := range map[int]string{6<<20 - 1: "EntityTooSmall", 6 << 20: ""} {
		_, err := c.CompleteMultipartUpload(context.Background(), upload(t, c, bucket, "k", suite.Data(n, 1), last))
		if code(err) != want {
			t.Errorf("parts of %d bytes: %v", n, err)
		}
	}
}

// A store whose certificate nobody knows is not talked to, unless the configuration says that any will do.
func TestCertificatesOfTheStore(t *testing.T) {
	a, store := newAuthority(t, "unknown"), servers.MustShared(t, servers.Versity)
	front := frontOf(t, store, serverTLS(a.issue("store", filepath.Join(a.dir, "store.pem"), filepath.Join(a.dir, "store.key"))))
	bucket := create(t, store.Client(), unique("p"))
	cl := cluster(t, func(config map[string]any) {
		up := config["upstream"].(map[string]any)
		up["endpoint"], up["insecure_skip_verify"] = front.endpoint, true
	})
	c := cl.Client(once)
	put(t, c, bucket, "k", []byte("body"))
	holds(t, c, bucket, "k", []byte("body"))
	trust := func(file any) {
		cl.Replicas[0].MustReload(t, func(config map[string]any) {
			up := config["upstream"].(map[string]any)
			delete(up, "insecure_skip_verify")
			delete(up, "ca_file")
			if file != nil {
				up["ca_file"] = file
			}
		})
	}
	trust(nil)
	if _, err := get(c, bucket, "k"); code(err) != "ServiceUnavailable" {
		t.Errorf("a certificate of nobody: %v", err)
	}
	trust(newAuthority(t, "another").file)
	if _, err := get(c, bucket, "k"); code(err) != "ServiceUnavailable" {
		t.Errorf("a certificate of another authority: %v", err)
	}
	trust(a.file)
	holds(t, c, bucket, "k", []byte("body"))
	if resp, err := http.Get(cl.Replicas[0].Admin + "/readyz"); err != nil || resp.StatusCode != 200 {
		t.Errorf("readiness: %v, %v", resp, err)
	} else {
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
}
