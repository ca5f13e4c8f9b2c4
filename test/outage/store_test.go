package outage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
)

// fault is what becomes of requests on the way to the store.
type fault int32

const (
	noFault  fault = iota
	slowDown       // 503 SlowDown, as S3 says it
	full           // 507, as MinIO says that its disks are full
	balancer       // 502 and a page of a balancer's
	dead           // the connection is closed in place of an answer
	cutBody        // answers break off in the middle of their bodies
	forget         // the request reaches the store, the answer is lost
)

// faultyWay is a way to the store, with faults.
func faultyWay(t *testing.T, store *servers.Store) (endpoint string, now *atomic.Int32) {
	t.Helper()
	to, err := url.Parse(store.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	now = new(atomic.Int32)
	relay := &httputil.ReverseProxy{
		Rewrite:      func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = to.Scheme, to.Host },
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	said := func(w http.ResponseWriter, r *http.Request, status int, body string) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("x-amz-request-id", "STORE")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch fault(now.Load()) {
		case slowDown:
			said(w, r, 503, `<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>`)
		case full:
			said(w, r, 507, `<Error><Code>XMinioStorageFull</Code><Message>Storage backend has reached its minimum free drive threshold.</Message></Error>`)
		case balancer:
			said(w, r, 502, `<html><body>Bad Gateway</body></html>`)
		case dead:
			panic(http.ErrAbortHandler)
		case cutBody:
			relay.ServeHTTP(&cut{ResponseWriter: w, left: 100 << 10}, r)
		case forget:
			relay.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		default:
			relay.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL, now
}

// cut ends an answer in the middle.
type cut struct {
	http.ResponseWriter
	left int
}

func (c *cut) Write(p []byte) (int, error) {
	if len(p) > c.left {
		_, _ = c.ResponseWriter.Write(p[:c.left])
		c.Flush()
		panic(http.ErrAbortHandler)
	}
	c.left -= len(p)
	return c.ResponseWriter.Write(p)
}

func (c *cut) Flush() { _ = http.NewResponseController(c.ResponseWriter).Flush() }

// storeRig is a replica with a faulty way to its store, a large object and an open upload with one part.
type storeRig struct {
	*rig
	now    *atomic.Int32
	upload string
	parts  []types.CompletedPart
}

var largeBody = bytes.Repeat([]byte("0123456789abcdef"), 6<<20/16)

func newStoreRig(t *testing.T) *storeRig {
	t.Helper()
	store := servers.MustShared(t, servers.Versity)
	endpoint, now := faultyWay(t, store)
	r := &storeRig{rig: &rig{t: t}, now: now}
	r.c = s3veil.MustStart(t, s3veil.Options{Store: store, Configure: func(config map[string]any) {
		config["upstream"].(map[string]any)["endpoint"] = endpoint
	}})
	r.client = r.c.Client(func(o *s3.Options) { o.RetryMaxAttempts = 1 })
	r.bucket = servers.NewBucket(t, r.client)
	t.Cleanup(func() { now.Store(int32(noFault)) }) // before the bucket is emptied
	ctx, key := context.Background(), "large"
	if _, err := r.client.PutObject(ctx, &s3.PutObjectInput{Bucket: &r.bucket, Key: &key, Body: bytes.NewReader(largeBody)}); err != nil {
		t.Fatal(err)
	}
	key = "upload"
	u, err := r.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &r.bucket, Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	r.upload = *u.UploadId
	one := int32(1)
	p, err := r.client.UploadPart(ctx, &s3.UploadPartInput{Bucket: &r.bucket, Key: &key, UploadId: &r.upload, PartNumber: &one, Body: bytes.NewReader(largeBody)})
	if err != nil {
		t.Fatal(err)
	}
	r.parts = []types.CompletedPart{{PartNumber: &one, ETag: p.ETag}}
	return r
}

// do is one request by its name.
func (r *storeRig) do(op string) error {
	ctx, large, upload, one := context.Background(), "large", "upload", int32(1)
	var err error
	switch op {
	case "PutObject":
		key := "put"
		_, err = r.client.PutObject(ctx, &s3.PutObjectInput{Bucket: &r.bucket, Key: &key, Body: bytes.NewReader(largeBody)})
	case "GetObject":
		var out *s3.GetObjectOutput
		if out, err = r.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &r.bucket, Key: &large}); err == nil {
			defer out.Body.Close()
			var n int64
			if n, err = io.Copy(io.Discard, out.Body); err == nil && n != int64(len(largeBody)) {
				r.t.Errorf("%d bytes taken for the whole of %d", n, len(largeBody))
			}
		}
	case "HeadObject":
		_, err = r.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &r.bucket, Key: &large})
	case "ListObjectsV2":
		_, err = r.client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &r.bucket})
	case "UploadPart":
		var out *s3.UploadPartOutput
		if out, err = r.client.UploadPart(ctx, &s3.UploadPartInput{Bucket: &r.bucket, Key: &upload, UploadId: &r.upload, PartNumber: &one, Body: bytes.NewReader(largeBody)}); err == nil {
			r.parts[0].ETag = out.ETag
		}
	case "CompleteMultipartUpload":
		_, err = r.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{Bucket: &r.bucket, Key: &upload, UploadId: &r.upload,
			MultipartUpload: &types.CompletedMultipartUpload{Parts: r.parts}})
	case "CopyObject":
		key, from := "copy", r.bucket+"/large"
		_, err = r.client.CopyObject(ctx, &s3.CopyObjectInput{Bucket: &r.bucket, Key: &key, CopySource: &from})
	case "DeleteObject":
		key := "nothing"
		_, err = r.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &r.bucket, Key: &key})
	default:
		r.t.Fatal(op)
	}
	return err
}

// failure is a line of the log.
type failure struct {
	Msg   string `json:"msg"`
	ID    string `json:"request_id"`
	Op    string `json:"op"`
	Code  string `json:"code"`
	Cause string `json:"cause"`
}

// failures are the lines "request failed" of one request.
func (r *storeRig) failures(id string) (all []failure) {
	r.t.Helper()
	text, err := os.ReadFile(r.c.Replicas[0].Log)
	if err != nil {
		r.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var f failure
		if json.Unmarshal([]byte(line), &f) == nil && f.ID == id && f.Msg == "request failed" {
			all = append(all, f)
		}
	}
	return all
}

// Whatever the store does, a client gets an error that its SDK repeats, the log one line that says whose fault it was, and when it
// is over everything goes on without a restart.
func TestFaultsOfTheStoreAreNamedAndPass(t *testing.T) {
	r := newStoreRig(t)
	everything := []string{"PutObject", "GetObject", "HeadObject", "ListObjectsV2", "UploadPart", "CompleteMultipartUpload", "CopyObject", "DeleteObject"}
	before := r.metric(`requests_total\{.*code="(SlowDown|ServiceUnavailable|InternalError|XMinioStorageFull|5..)".*\}`)
	failed := 0
	for _, c := range []struct {
		name   string
		fault  fault
		status int
		cause  string
		ops    []string
	}{
		{"SlowDown", slowDown, 503, "the store default answers ", everything},
		{"full disks", full, 507, " with 507", everything},
		{"a balancer's page", balancer, 502, " with 502", everything},
		{"closed connections", dead, 503, " at the store default: upstream: unavailable: ", everything},
		{"lost answers", forget, 503, " at the store default: upstream: unavailable: ", []string{"PutObject", "UploadPart", "DeleteObject"}},
	} {
		for _, op := range c.ops {
			r.now.Store(int32(c.fault))
			err := r.do(op)
			r.now.Store(int32(noFault))
			failed++
			r.checkFailure(c.name+", "+op, op, err, c.status, c.cause)
		}
	}
	if got := r.metric(`requests_total\{.*code="(SlowDown|ServiceUnavailable|InternalError|XMinioStorageFull|5..)".*\}`) - before; got < float64(failed) {
		t.Errorf("%v failures counted of %d", got, failed)
	}
	for _, op := range everything {
		if err := r.do(op); err != nil {
			t.Errorf("after it all, %s: %v", op, err)
		}
	}
}

func (r *storeRig) checkFailure(name, op string, err error, status int, cause string) {
	r.t.Helper()
	var answer *awshttp.ResponseError
	if !errors.As(err, &answer) || answer.HTTPStatusCode() != status {
		r.t.Errorf("%s: %v, want status %d", name, err, status)
		return
	}
	var api smithy.APIError
	if op != "HeadObject" && (!errors.As(err, &api) || api.ErrorCode() == "") {
		r.t.Errorf("%s: no code: %v", name, err)
	}
	lines := r.failures(answer.ServiceRequestID())
	if len(lines) != 1 || lines[0].Op != op || !strings.Contains(lines[0].Cause, cause) {
		r.t.Errorf("%s: the log has %+v of %s, want one line with %q", name, lines, answer.ServiceRequestID(), cause)
	}
}

// A download that breaks off at the store breaks off at the client, and nothing of it stays behind.
func TestDownloadsThatTheStoreCutsAreCut(t *testing.T) {
	r := newStoreRig(t)
	files, routines := r.process("process_open_fds"), r.process("go_goroutines")
	r.now.Store(int32(cutBody))
	for range 20 {
		if err := r.do("GetObject"); err == nil {
			t.Fatal("a download that the store cut ended well")
		}
	}
	r.now.Store(int32(noFault))
	if err := r.do("GetObject"); err != nil {
		t.Error(err)
	}
	r.await("buffers that are given back", func() bool {
		return r.metric(`memory_bytes\{state="used"\}`) == 0 && r.metric(`in_flight`) == 0
	})
	r.await("files and goroutines as before", func() bool {
		return r.process("process_open_fds") <= files+8 && r.process("go_goroutines") <= routines+16
	})
}

// process is a metric of the process itself.
func (r *rig) process(name string) (v float64) {
	r.t.Helper()
	_, page := r.admin("/metrics")
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, name+" ") {
			if _, err := fmt.Sscanf(line, name+" %g", &v); err != nil {
				r.t.Fatal(err)
			}
		}
	}
	return v
}
