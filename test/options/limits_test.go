package options

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
	"s3veil/test/suite"
)

// limited is a cluster with limits of its own, and a bucket.
func limited(t *testing.T, limits map[string]any, more ...func(map[string]any)) (*s3veil.Cluster, *s3.Client, string) {
	t.Helper()
	cl := cluster(t, func(config map[string]any) {
		for name, value := range limits {
			config["limits"].(map[string]any)[name] = value
		}
		for _, f := range more {
			f(config)
		}
	})
	c := cl.Client(once)
	return cl, c, create(t, cl.Store.Client(), unique("i"))
}

// wire is a connection to s3veil below HTTP.
type wire struct {
	net.Conn
	in *bufio.Reader
}

func dial(t *testing.T, cl *s3veil.Cluster) *wire {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(cl.Endpoint(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(60 * time.Second))
	return &wire{c, bufio.NewReader(c)}
}

// answer reads one answer, status 0 where the connection ends without one.
func (w *wire) answer() (status int, text string) {
	resp, err := http.ReadResponse(w.in, nil)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b)
}

// ended waits for the end of the connection.
func (w *wire) ended() error {
	_, err := io.Copy(io.Discard, w.in)
	return err
}

// head is the signed head of an upload of n bytes, of which any may follow.
func head(t *testing.T, cl *s3veil.Cluster, bucket, key string, n int) string {
	t.Helper()
	c := cl.Client(func(o *s3.Options) { o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired })
	signed, err := s3.NewPresignClient(c).PresignPutObject(context.Background(), &s3.PutObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(signed.URL)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("PUT %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n", u.RequestURI(), u.Host, n)
}

// Where body buffers are used up, requests wait for a while and are told to slow down; when they are free again all is well.
func TestMemoryIsLimited(t *testing.T) {
	cl, c, bucket := limited(t, map[string]any{"memory": "4MiB", "admission_wait": "100ms"})
	var stalled []*wire
	for i := range 100 {
		w := dial(t, cl)
		stalled = append(stalled, w)
		if _, err := io.WriteString(w, head(t, cl, bucket, fmt.Sprint("stalled/", i), 64<<20)+strings.Repeat("x", 70_000)); err != nil {
			t.Fatal(err)
		}
	}
	body := suite.Data(500_000, 1)
	try := func() error {
		_, err := c.PutObject(context.Background(), &s3.PutObjectInput{Bucket: &bucket, Key: aws.String("k"), Body: bytes.NewReader(body)})
		return err
	}
	var err error
	eventually(t, "the memory is used up", func() bool { err = try(); return err != nil })
	var answer interface{ HTTPStatusCode() int }
	if code(err) != "SlowDown" || !errors.As(err, &answer) || answer.HTTPStatusCode() != 503 {
		t.Errorf("without memory: %v", err)
	}
	for _, w := range stalled {
		w.Close()
	}
	eventually(t, "the memory is free again", func() bool { return try() == nil })
	holds(t, c, bucket, "k", body)
	if got := keys(t, cl.Store.Client(), bucket); len(got) != 1 {
		t.Errorf("the bucket holds %q", got)
	}
}

func TestConnectionsAreLimited(t *testing.T) {
	cl, c, bucket := limited(t, map[string]any{"connections": 5})
	body := []byte("body")
	var open []*wire
	for i := range 5 {
		w := dial(t, cl)
		open = append(open, w)
		io.WriteString(w, head(t, cl, bucket, fmt.Sprint("k", i), len(body))+string(body))
		if status, text := w.answer(); status != 200 {
			t.Fatalf("connection %d: %d %s", i, status, text)
		}
	}
	turned := dial(t, cl)
	if status, text := turned.answer(); status != 503 || !strings.Contains(text, "<Code>SlowDown</Code>") {
		t.Errorf("a connection too many: %d %s", status, text)
	}
	if err := turned.ended(); err != nil {
		t.Errorf("a connection too many stays: %v", err)
	}
	open[0].Close()
	eventually(t, "there is room again", func() bool { _, err := get(c, bucket, "k0"); return err == nil })
}

// Reading what was never read costs a call of the KMS, of which a client can cause so many a second; what is cached costs none.
func TestMissesAreLimited(t *testing.T) {
	for _, cache := range []string{"off", "on"} {
		_, c, bucket := limited(t, map[string]any{"kms_misses": 1}, func(config map[string]any) { config["dek"] = map[string]any{"cache": cache} })
		body := []byte("body")
		put(t, c, bucket, "k", body)
		var told atomic.Int64
		var wait sync.WaitGroup
		for range 4 {
			wait.Go(func() {
				for range 10 {
					switch _, err := get(c, bucket, "k"); code(err) {
					case "":
					case "SlowDown":
						told.Add(1)
					default:
						t.Errorf("cache %s: %v", cache, err)
					}
				}
			})
		}
		wait.Wait()
		if n := told.Load(); (n > 0) != (cache == "off") {
			t.Errorf("cache %s: %d of 40 readings were told to slow down", cache, n)
		}
		eventually(t, "a second later", func() bool { _, err := get(c, bucket, "k"); return err == nil })
	}
}

// What does not move is cut in time: a head, a body, a connection between requests. What moves goes on however long it takes.
func TestTimesAreLimited(t *testing.T) {
	const limit = 3 * time.Second
	cl, _, bucket := limited(t, map[string]any{"head_timeout": limit.String(), "idle_timeout": limit.String(), "stall_timeout": limit.String()})
	body := strings.Repeat("x", 100_000)
	send := func(text string) *wire {
		w := dial(t, cl)
		io.WriteString(w, text)
		return w
	}
	upload := func(key string, n int) string { return head(t, cl, bucket, key, n) }
	stalled := map[string]*wire{
		"half a head":              send(upload("no", 10)[:60]),
		"half a small body":        send(upload("no", len(body)) + body[:50_000]),
		"the beginning of a large": send(upload("no", 64<<20) + body),
	}
	silent, idle := dial(t, cl), send(upload("k", 4)+"body")
	if status, text := idle.answer(); status != 200 {
		t.Errorf("%d %s", status, text)
	}
	slow := send(upload("slow", 20*len(body)))
	for range 20 {
		io.WriteString(slow, body)
		time.Sleep(limit / 15)
	}
	if status, text := slow.answer(); status != 200 {
		t.Errorf("a slow upload: %d %s", status, text)
	}
	for what, w := range stalled {
		if status, text := w.answer(); status != 400 || !strings.Contains(text, "<Code>RequestTimeout</Code>") {
			t.Errorf("%s: %d %s", what, status, text)
		}
		if err := w.ended(); err != nil {
			t.Errorf("%s: the connection stays: %v", what, err)
		}
	}
	for what, w := range map[string]*wire{"an idle connection": idle, "a connection that never speaks": silent} {
		if err := w.ended(); err != nil {
			t.Errorf("%s stays: %v", what, err)
		}
	}
	if got := keys(t, cl.Store.Client(), bucket); strings.Join(got, " ") != "k slow" {
		t.Errorf("the bucket holds %q", got)
	}
}

// What is too large is refused with S3's own error, and leaves nothing.
func TestSizesAreLimited(t *testing.T) {
	cl, c, bucket := limited(t, nil)
	ctx, body := context.Background(), func() io.Reader { return strings.NewReader("body") }
	write := func(key string, metadata map[string]string) error {
		_, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: body(), Metadata: metadata})
		return err
	}
	remove := func(n int) error {
		list := make([]types.ObjectIdentifier, n)
		for i := range list {
			list[i].Key = aws.String(fmt.Sprint("none/", i))
		}
		_, err := c.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: &bucket, Delete: &types.Delete{Objects: list, Quiet: aws.Bool(true)}})
		return err
	}
	finish := func(parts ...[]byte) error {
		_, err := c.CompleteMultipartUpload(ctx, upload(t, c, bucket, "multi", parts...))
		return err
	}
	long := strings.Repeat("k/", 511) + "kk"
	for what, v := range map[string]struct {
		err  error
		want string
	}{
		"the longest key":             {write(long, nil), ""},
		"a longer one":                {write(long+"k", nil), "KeyTooLongError"},
		"much metadata":               {write("m", map[string]string{"m": strings.Repeat("v", 1000)}), ""},
		"more than S3 takes":          {write("no", map[string]string{"m": strings.Repeat("v", 2100)}), "MetadataTooLarge"},
		"1,000 keys to delete":        {remove(1000), ""},
		"1,001 keys to delete":        {remove(1001), "MalformedXML"},
		"parts that are too small":    {finish(suite.Data(5<<20-1, 1), suite.Data(10, 2)), "EntityTooSmall"},
		"parts that are large enough": {finish(suite.Data(5<<20, 1), suite.Data(10, 2)), ""},
	} {
		if got := code(v.err); got != v.want {
			t.Errorf("%s: %v, want %q", what, v.err, v.want)
		}
	}
	w := dial(t, cl)
	io.WriteString(w, strings.Replace(head(t, cl, bucket, "no", 4), "\r\n\r\n", "\r\nX-Long: "+strings.Repeat("a", 17<<10)+"\r\n\r\nbody", 1))
	if status, text := w.answer(); status != 400 || !strings.Contains(text, "<Code>RequestHeaderSectionTooLarge</Code>") {
		t.Errorf("a long head: %d %s", status, text)
	}
	w = dial(t, cl)
	io.WriteString(w, strings.Replace(head(t, cl, bucket, "no", 5<<30+1), "\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n", 1))
	if status, text := w.answer(); status != 400 || !strings.Contains(text, "<Code>EntityTooLarge</Code>") {
		t.Errorf("a body of more than 5 GiB: %d %s", status, text)
	}
	for _, key := range keys(t, cl.Store.Client(), bucket) {
		if key == "no" {
			t.Error("what was refused is there")
		}
	}
}

// A listing of a bucket that may hold plaintext asks for so many objects at a time.
func TestQuestionsOfListingsAreLimited(t *testing.T) {
	store := servers.MustShared(t, servers.Versity)
	var now, most, all atomic.Int64
	to, err := url.Parse(store.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	relay := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = to.Scheme, to.Host }}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead && strings.Contains(r.URL.Path, "/o/") {
			n := now.Add(1)
			defer now.Add(-1)
			for seen := most.Load(); n > seen && !most.CompareAndSwap(seen, n); seen = most.Load() {
			}
			all.Add(1)
			time.Sleep(5 * time.Millisecond) // so that they meet
		}
		relay.ServeHTTP(w, r)
	})}
	go func() { _ = server.Serve(ln) }()
	t.Cleanup(func() { server.Close() })
	_, c, bucket := limited(t, map[string]any{"list_heads": 2}, func(config map[string]any) {
		config["upstream"].(map[string]any)["endpoint"] = "http://" + ln.Addr().String()
		config["buckets"] = []any{map[string]any{"name": "*", "key": "main", "plaintext": "allow"}}
	})
	const objects = 40
	for i := range objects {
		put(t, store.Client(), bucket, fmt.Sprint("o/", i), suite.Data(100_000+i, 1))
	}
	var wait sync.WaitGroup
	list := func() {
		out, err := c.ListObjectsV2(context.Background(), &s3.ListObjectsV2Input{Bucket: &bucket})
		if err != nil || len(out.Contents) != objects {
			t.Errorf("%v", err)
		}
	}
	list()
	if n := most.Load(); n != 2 || all.Load() != objects {
		t.Errorf("%d questions, %d at a time", all.Load(), n)
	}
	for range 6 {
		wait.Go(list)
	}
	wait.Wait()
	if n := most.Load(); n > 8 {
		t.Errorf("%d questions at a time for all listings", n)
	}
}
