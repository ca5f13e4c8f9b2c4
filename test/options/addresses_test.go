package options

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
	"s3veil/test/suite"
)

// Buckets in the host name, of every domain that is configured, dots in their names included.
func TestVirtualHostAddressing(t *testing.T) {
	cl := cluster(t, func(config map[string]any) { config["domains"] = []string{"s3.test", "objects.s3.test"} })
	listener := strings.TrimPrefix(cl.Endpoint(), "http://")
	port := listener[strings.LastIndex(listener, ":"):]
	everywhere := &http.Client{Transport: &http.Transport{DisableCompression: true, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, listener)
	}}}
	defer everywhere.CloseIdleConnections()
	in := func(domain string, path bool) *s3.Client {
		return servers.NewClient("http://"+domain+port, cl.AccessKey, cl.SecretKey, once, func(o *s3.Options) {
			o.UsePathStyle, o.HTTPClient = path, everywhere
		})
	}
	body, parts := suite.Data(100_000, 1), twoParts()
	for _, domain := range []string{"s3.test", "objects.s3.test", "S3.Test"} {
		c, dotted := in(domain, false), unique("a.b")
		bucket := create(t, c, unique("v"))
		create(t, cl.Client(), dotted)
		put(t, c, bucket, "dir/k +~ü", body)
		holds(t, c, bucket, "dir/k +~ü", body)
		holds(t, in(domain, true), bucket, "dir/k +~ü", body)
		holds(t, cl.Client(), bucket, "dir/k +~ü", body)
		done := complete(t, c, upload(t, c, bucket, "multi", parts...))
		if want := "http://" + bucket + "." + domain + port + "/multi"; !strings.EqualFold(aws.ToString(done.Location), want) {
			t.Errorf("%s: Complete says %s", domain, aws.ToString(done.Location))
		}
		copyTo(t, c, bucket+"/multi", bucket, "copy")
		holds(t, c, bucket, "copy", bytes.Join(parts, nil))
		if got := keys(t, c, bucket); !slices.Equal(got, []string{"copy", "dir/k +~ü", "multi"}) {
			t.Errorf("%s: the bucket holds %q", domain, got)
		}
		signed, err := s3.NewPresignClient(c).PresignGetObject(context.Background(), &s3.GetObjectInput{Bucket: &bucket, Key: aws.String("dir/k +~ü")})
		if err != nil {
			t.Fatal(err)
		}
		for host, want := range map[string]int{bucket + ".": 200, "another-bucket.": 403, "": 403} { // the host is signed, and is the bucket
			r, _ := http.NewRequest("GET", strings.Replace(signed.URL, bucket+".", host, 1), nil)
			resp, err := everywhere.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			got, _ := io.ReadAll(resp.Body)
			if resp.Body.Close(); resp.StatusCode != want || want == 200 && !bytes.Equal(got, body) {
				t.Errorf("%s: presigned at %q: %d, %d bytes", domain, host, resp.StatusCode, len(got))
			}
		}
		r, _ := http.NewRequest("GET", "http://"+dotted+"."+domain+port+"/?list-type=2", nil)
		resp, err := everywhere.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if text, _ := io.ReadAll(resp.Body); resp.StatusCode != 403 || !bytes.Contains(text, []byte("<Code>AccessDenied</Code>")) {
			t.Errorf("%s: unsigned, a bucket with dots: %d %s", domain, resp.StatusCode, text)
		}
		resp.Body.Close()
	}
	// A host that is none of the domains names no bucket.
	bucket := create(t, cl.Client(), unique("v"))
	put(t, cl.Client(), bucket, "k", body)
	if _, err := get(in("elsewhere.test", false), bucket, "k"); err == nil {
		t.Error("a host of no domain is taken for a bucket")
	}
	holds(t, in("elsewhere.test", true), bucket, "k", body)
}

// storeProxy is an HTTP proxy that leads to a store under any name, and remembers the names.
type storeProxy struct {
	store string
	asked atomic.Pointer[string]
}

func (p *storeProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	host := r.Host
	p.asked.Store(&host)
	to, err := net.Dial("tcp", p.store)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer to.Close()
	r.Close = true
	r.Header.Del("Proxy-Connection")
	resp, err := (&http.Transport{DisableKeepAlives: true, DisableCompression: true,
		DialContext: func(context.Context, string, string) (net.Conn, error) { return to, nil }}).RoundTrip(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer resp.Body.Close()
	for name, values := range resp.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body)
}

const virtualStore = "store.test"

// A store that is addressed by host names alone, over a proxy on the way to it, which sees the bucket in the name and never in the
// path.
func TestStoreWithBucketsInItsHostNames(t *testing.T) {
	store := virtualHostStore(t)
	p := &storeProxy{store: strings.TrimPrefix(store.Endpoint, "http://")}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: p}
	go func() { _ = server.Serve(ln) }()
	t.Cleanup(func() { server.Close() })
	cl := s3veil.MustStart(t, s3veil.Options{Store: store, Configure: func(config map[string]any) {
		up := config["upstream"].(map[string]any)
		up["endpoint"], up["path_style"], up["proxy"] = "http://"+virtualStore, false, "http://"+ln.Addr().String()
	}})
	c, parts := cl.Client(), twoParts()
	bucket := create(t, c, unique("v"))
	put(t, c, bucket, "dir/k +~ü", []byte("body"))
	holds(t, c, bucket, "dir/k +~ü", []byte("body"))
	if asked := p.asked.Load(); asked == nil || *asked != bucket+"."+virtualStore {
		t.Errorf("the store was asked as %v", asked)
	}
	complete(t, c, upload(t, c, bucket, "multi", parts...))
	copyTo(t, c, bucket+"/multi", bucket, "copy")
	holds(t, c, bucket, "copy", bytes.Join(parts, nil))
	if got := keys(t, c, bucket); !slices.Equal(got, []string{"copy", "dir/k +~ü", "multi"}) {
		t.Errorf("the bucket holds %q", got)
	}
}

// virtualHostStore is versitygw with buckets in its host names.
func virtualHostStore(t *testing.T) *servers.Store {
	t.Helper()
	program, err := servers.VersityProgram()
	if err != nil {
		t.Fatal(err)
	}
	s := &servers.Store{Kind: servers.Versity, Dir: t.TempDir(), AccessKey: "store", SecretKey: unique("secret-")}
	for _, sub := range []string{"data", "sidecar"} {
		if err := os.Mkdir(filepath.Join(s.Dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	err = servers.RetryPorts(func() error {
		ports, err := servers.FreePorts(1)
		if err != nil {
			return err
		}
		addr := fmt.Sprintf("127.0.0.1:%d", ports[0])
		proc, err := servers.StartProcess(servers.Spec{Name: "versitygw", Path: program, Log: filepath.Join(s.Dir, "log"),
			Args: []string{"-a", s.AccessKey, "-s", s.SecretKey, "-p", addr, "-r", servers.Region, "-q", "--virtual-domain", virtualStore,
				"posix", "--sidecar", filepath.Join(s.Dir, "sidecar"), filepath.Join(s.Dir, "data")}})
		if err != nil {
			return err
		}
		s.Endpoint = "http://" + addr
		err = proc.Await(20*time.Second, func() error {
			c, err := net.Dial("tcp", addr)
			if err == nil {
				c.Close()
			}
			return err
		})
		if err != nil {
			proc.Kill()
			return err
		}
		t.Cleanup(proc.Kill)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}
