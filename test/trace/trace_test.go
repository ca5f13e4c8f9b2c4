// Package trace runs s3veil as a program in front of a store and a collector of traces, and asks what docs/OPERATIONS.md 11
// promises.
package trace

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
)

func TestMain(m *testing.M) {
	servers.Patient(8)
	servers.Main(m, s3veil.RemoveBuild)
}

// rig is s3veil between a client, a store and a collector.
type rig struct {
	t      *testing.T
	c      *s3veil.Cluster
	at     *receiver
	client *s3.Client
	bucket string
	audit  string
}

// newRig starts them with every request recorded and named; change may alter the configuration.
func newRig(t *testing.T, change func(config map[string]any)) *rig {
	t.Helper()
	if !strings.Contains(t.Name(), "/") {
		t.Parallel()
	}
	r := &rig{t: t, at: newReceiver(t), audit: filepath.Join(t.TempDir(), "audit.log")}
	r.c = s3veil.MustStart(t, s3veil.Options{Store: servers.MustShared(t, servers.Versity), Configure: func(config map[string]any) {
		config["trace"] = map[string]any{"endpoint": r.at.URL, "ratio": 1, "keys": true, "parent_from": []string{"loopback"},
			"headers": []any{map[string]any{"name": "authorization", "value": "Bearer collector-secret"}}}
		config["audit"] = map[string]any{"to": "file", "file": r.audit}
		if change != nil {
			change(config)
		}
	}})
	r.client = r.c.Client(func(o *s3.Options) { o.RetryMaxAttempts = 1 })
	r.bucket = servers.NewBucket(t, r.client)
	return r
}

func (r *rig) put(key string, body []byte) {
	r.t.Helper()
	if _, err := r.client.PutObject(r.t.Context(), &s3.PutObjectInput{Bucket: &r.bucket, Key: &key, Body: bytes.NewReader(body)}); err != nil {
		r.t.Fatal(err)
	}
}

// with sends a header with a request, unsigned.
func with(name, value string) func(*s3.Options) {
	return func(o *s3.Options) {
		o.APIOptions = append(o.APIOptions, func(s *middleware.Stack) error {
			return s.Finalize.Add(middleware.FinalizeMiddlewareFunc(name, func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
				in.Request.(*smithyhttp.Request).Header.Set(name, value)
				return next.HandleFinalize(ctx, in)
			}), middleware.After)
		})
	}
}

func TestPutAndGetOfARange(t *testing.T) {
	r := newRig(t, nil)
	body := bytes.Repeat([]byte("plain"), 100_000)
	r.put("key", body)
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	out, err := r.client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &r.bucket, Key: aws.String("key"), Range: aws.String("bytes=100000-299999")},
		with("Traceparent", parent))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(out.Body); err != nil || !bytes.Equal(got, body[100000:300000]) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	put, get := r.at.await("PutObject", about("key")), r.at.await("GetObject", about("key"))
	if got := r.at.tree(get); got != "GetObject\n  authenticate\n  store GetObject\n  key read\n  open\n" {
		t.Errorf("GET is\n%s", got)
	}
	const want = "PutObject\n  authenticate\n  store GetObject\n  key write\n    kms generate\n  seal\n  store PutObject\n"
	if got := r.at.tree(put); got != want {
		t.Errorf("PUT is\n%s", got)
	}
	if hex.EncodeToString(get.TraceId) != parent[3:35] || hex.EncodeToString(get.ParentSpanId) != parent[36:52] || len(put.ParentSpanId) > 0 {
		t.Errorf("parents are %x of %x, and %x", get.ParentSpanId, get.TraceId, put.ParentSpanId)
	}
	for key, want := range map[string]string{"s3veil.bytes_out": "200000", "http.response.status_code": "206", "aws.s3.bucket": r.bucket,
		"s3veil.operation": "GetObject", "s3veil.key_id": "main"} {
		if got := value(get, key); got != want {
			t.Errorf("%s is %q", key, got)
		}
	}
	lines, err := os.ReadFile(r.audit)
	if err != nil || !strings.Contains(string(lines), fmt.Sprintf(`"trace_id":"%x"`, get.TraceId)) ||
		!strings.Contains(string(lines), `"request_id":"`+value(put, "s3veil.request_id")+`"`) {
		t.Errorf("audit log: %v\n%s", err, lines)
	}
	r.at.mu.Lock()
	defer r.at.mu.Unlock()
	if got := r.at.heads[0].Get("Authorization"); got != "Bearer collector-secret" {
		t.Errorf("the collector got %q", got)
	}
}

func TestMultipart(t *testing.T) {
	r := newRig(t, nil)
	ctx, key := t.Context(), aws.String("parts")
	up, err := r.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &r.bucket, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	part, err := r.client.UploadPart(ctx, &s3.UploadPartInput{Bucket: &r.bucket, Key: key, UploadId: up.UploadId, PartNumber: aws.Int32(1),
		Body: bytes.NewReader(make([]byte, 2<<20))})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{Bucket: &r.bucket, Key: key, UploadId: up.UploadId,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{{PartNumber: aws.Int32(1), ETag: part.ETag}}}}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]string{
		"CreateMultipartUpload":   {"authenticate", "key write", "store CreateMultipartUpload"},
		"UploadPart":              {"authenticate", "key read", "store UploadPart", "seal"},
		"CompleteMultipartUpload": {"authenticate", "store ListParts", "store PutObject", "store CompleteMultipartUpload"},
	} {
		root := r.at.await(name, about("parts"))
		for _, step := range want {
			r.at.below(root, step)
		}
	}
	if own := r.at.below(r.at.await("CompleteMultipartUpload", nil), "store PutObject"); !strings.Contains(own.String(), "s3veil.reserved") {
		t.Errorf("the manifest is not marked: %v", own)
	}
}

func TestErrors(t *testing.T) {
	r := newRig(t, nil)
	if _, err := r.client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &r.bucket, Key: aws.String("missing")}); err == nil {
		t.Fatal("there is an object")
	}
	missing := r.at.await("GetObject", about("missing"))
	if value(missing, "error.type") != "NoSuchKey" || missing.Status.GetCode() != tracepb.Status_STATUS_CODE_UNSET || value(missing, "http.response.status_code") != "404" {
		t.Errorf("404: %v", missing)
	}
	forger := servers.NewClient(r.c.Endpoint(), r.c.AccessKey, "forged-secret")
	if _, err := forger.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &r.bucket, Key: aws.String("forged")}); err == nil {
		t.Fatal("a forged signature is taken")
	}
	forged := r.at.await("HeadObject", about("forged"))
	if value(forged, "error.type") != "SignatureDoesNotMatch" || r.at.below(forged, "authenticate").Status.GetCode() != tracepb.Status_STATUS_CODE_ERROR {
		t.Errorf("forged: %v", forged)
	}
	log, err := os.ReadFile(r.c.Replicas[0].Log)
	if err != nil || !strings.Contains(string(log), fmt.Sprintf(`"trace_id":"%x"`, forged.TraceId)) {
		t.Errorf("log: %v\n%s", err, log)
	}
}

// An answer that the client does not stay for is an error, with the bytes that went out.
func TestAbortedDownload(t *testing.T) {
	r := newRig(t, nil)
	const size = 32 << 20
	r.put("big", make([]byte, size))
	out, err := r.client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &r.bucket, Key: aws.String("big")})
	if err != nil {
		t.Fatal(err)
	}
	out.Body.Close()
	get := r.at.await("GetObject", about("big"))
	if value(get, "error.type") != "ClientGone" || get.Status.GetCode() != tracepb.Status_STATUS_CODE_ERROR || value(get, "s3veil.bytes_out") == fmt.Sprint(size) {
		t.Errorf("%v", get)
	}
}

func TestOutageOfTheKMS(t *testing.T) {
	kms := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }))
	defer kms.Close()
	r := newRig(t, func(config map[string]any) {
		keys := config["kms"].(map[string]any)
		keys["keys"] = append(keys["keys"].([]any),
			map[string]any{"id": "away", "provider": "transit", "address": kms.URL, "key": "s3veil", "token": "hvs.kms-secret"})
		config["buckets"] = []any{map[string]any{"name": "*", "key": "main", "keys": []string{"main", "away"}}}
	})
	if _, err := r.client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &r.bucket, Key: aws.String("key"), Body: strings.NewReader("x"),
		ServerSideEncryption: types.ServerSideEncryptionAwsKms, SSEKMSKeyId: aws.String("away")}); err == nil {
		t.Fatal("written without a KMS")
	}
	put := r.at.await("PutObject", about("key"))
	call := r.at.below(put, "kms generate")
	if value(put, "error.type") != "ServiceUnavailable" || put.Status.GetCode() != tracepb.Status_STATUS_CODE_ERROR ||
		call.Status.GetCode() != tracepb.Status_STATUS_CODE_ERROR || string(call.ParentSpanId) != string(r.at.below(put, "key write").SpanId) {
		t.Errorf("%v\n%v", put, call)
	}
	r.noSecrets("kms-secret")
}

func TestForwardProxy(t *testing.T) {
	var port string
	r := newRig(t, func(config map[string]any) {
		ports, err := servers.FreePorts(1)
		if err != nil {
			t.Fatal(err)
		}
		port = fmt.Sprintf("127.0.0.1:%d", ports[0])
		config["forward"] = map[string]any{"listen": port, "hosts": []string{"s3.test"}}
	})
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "other") }))
	defer other.Close()
	through := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: port})}}
	client := s3.New(r.client.Options(), func(o *s3.Options) { o.HTTPClient, o.BaseEndpoint = through, aws.String("http://s3.test") })
	if _, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &r.bucket, Key: aws.String("key"), Body: strings.NewReader("x")}); err != nil {
		t.Fatal(err)
	}
	if put := r.at.await("PutObject", about("key")); value(put, "s3veil.port") != "forward" {
		t.Errorf("%v", put)
	}
	resp, err := through.Get(other.URL + "/?X-Amz-Signature=relay-secret")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if relayed := r.at.await("Relay", nil); value(relayed, "server.address") != "127.0.0.1" || value(relayed, "http.response.status_code") != "200" {
		t.Errorf("%v", relayed)
	}
	c, err := net.Dial("tcp", port)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "CONNECT %s HTTP/1.1\r\nHost: %[1]s\r\n\r\n", other.Listener.Addr())
	if tunnel := r.at.await("CONNECT", nil); value(tunnel, "server.address") != "127.0.0.1" {
		t.Errorf("%v", tunnel)
	}
	r.noSecrets("relay-secret")
}

// noSecrets searches everything that the collector got, and s3veil's log, for texts that must not be there.
func (r *rig) noSecrets(texts ...string) {
	r.t.Helper()
	log, err := os.ReadFile(r.c.Replicas[0].Log)
	if err != nil {
		r.t.Fatal(err)
	}
	r.at.mu.Lock()
	defer r.at.mu.Unlock()
	for _, text := range append(texts, r.c.SecretKey, r.c.Store.SecretKey, "collector-secret") {
		if bytes.Contains(r.at.raw, []byte(text)) {
			r.t.Errorf("spans hold %q", text)
		}
		if bytes.Contains(log, []byte(text)) {
			r.t.Errorf("the log holds %q", text)
		}
	}
}

func TestSpansHoldNoSecrets(t *testing.T) {
	r := newRig(t, func(config map[string]any) { config["trace"].(map[string]any)["keys"] = false })
	r.put("secret-name", []byte("secret-content"))
	link, err := s3.NewPresignClient(r.client).PresignGetObject(t.Context(), &s3.GetObjectInput{Bucket: &r.bucket, Key: aws.String("secret-name")})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get(link.URL + "&x-other=secret-query")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp, err = http.Get(link.URL); err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	_, _ = r.client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &r.bucket, Key: aws.String("secret-name"),
		SSECustomerAlgorithm: aws.String("AES256"), SSECustomerKey: aws.String("secret-key-of-the-client-32-bytes")},
		with("X-Amz-Security-Token", "secret-token"))
	r.at.await("HeadObject", nil)
	signature := regexp.MustCompile(`X-Amz-Signature=([0-9a-f]+)`).FindStringSubmatch(link.URL)[1]
	digest := sha256.Sum256([]byte("secret-content"))
	keys, err := os.ReadFile(filepath.Join(r.c.Dir, "keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	hidden := []string{"secret-", signature, hex.EncodeToString(digest[:]), r.c.AccessKey + "/", "X-Amz-", "AWS4-HMAC", "127.0.0.1", "Expires"}
	for _, m := range regexp.MustCompile(`"key": ?"([^"]+)"`).FindAllSubmatch(keys, -1) {
		hidden = append(hidden, string(m[1]))
	}
	if len(hidden) < 9 {
		t.Fatalf("no key in the key file")
	}
	r.at.mu.Lock()
	defer r.at.mu.Unlock()
	for _, text := range hidden {
		if bytes.Contains(r.at.raw, []byte(text)) {
			t.Errorf("spans hold %q", text)
		}
	}
}

// Off, which is the default, and with a ratio of 0 nothing is sent.
func TestNothingIsSentByDefault(t *testing.T) {
	for name, trace := range map[string]func(to string) any{
		"left out": func(string) any { return nil },
		"off":      func(string) any { return "off" },
		"nothing":  func(to string) any { return map[string]any{"endpoint": to, "ratio": 0} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, func(config map[string]any) {
				to := config["trace"].(map[string]any)["endpoint"].(string)
				if config["trace"] = trace(to); config["trace"] == nil {
					delete(config, "trace")
				}
			})
			r.put("key", []byte("x"))
			if _, err := r.client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &r.bucket, Key: aws.String("key")},
				with("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")); err != nil {
				t.Fatal(err)
			}
			r.c.Replicas[0].Stop() // what waits is sent at the end
			r.at.mu.Lock()
			defer r.at.mu.Unlock()
			if len(r.at.heads) > 0 {
				t.Errorf("%d requests to the collector", len(r.at.heads))
			}
			if lines, err := os.ReadFile(r.audit); err != nil || bytes.Contains(lines, []byte("trace_id")) {
				t.Errorf("audit log: %v\n%s", err, lines)
			}
		})
	}
}

// A collector that is not there, or hangs, costs no request, no readiness and one line of the log.
func TestCollectorThatIsAway(t *testing.T) {
	hung, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, as the kernel does, and answers nothing
	if err != nil {
		t.Fatal(err)
	}
	defer hung.Close()
	for name, endpoint := range map[string]string{"not there": "http://127.0.0.1:1", "hanging": "http://" + hung.Addr().String()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, func(config map[string]any) { config["trace"].(map[string]any)["endpoint"] = endpoint })
			var puts sync.WaitGroup
			for range 6 {
				puts.Go(func() {
					for i := range 200 { // of five spans each: more than can wait
						key := fmt.Sprintf("key %d", i%10)
						if _, err := r.client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &r.bucket, Key: &key, Body: strings.NewReader("x")}); err != nil {
							t.Error(err)
						}
					}
				})
			}
			puts.Wait()
			resp, err := http.Get(r.c.Replicas[0].Admin + "/readyz")
			if err != nil || resp.StatusCode != 200 {
				t.Fatalf("%v, %v", resp, err)
			}
			resp.Body.Close()
			log := func() int {
				text, err := os.ReadFile(r.c.Replicas[0].Log)
				if err != nil {
					t.Fatal(err)
				}
				return bytes.Count(text, []byte("does not take spans"))
			}
			for end := time.Now().Add(time.Minute); log() == 0 && time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			}
			if n := log(); n != 1 {
				t.Errorf("%d lines in the log", n)
			}
			if metrics := r.metrics(); !regexp.MustCompile(`s3veil_trace_spans_total\{result="dropped"\} [1-9]`).MatchString(metrics) {
				t.Errorf("nothing was dropped:\n%s", metrics)
			}
		})
	}
}

// A reload changes where spans go and which, and switches tracing off and on.
func TestReload(t *testing.T) {
	r := newRig(t, nil)
	second := newReceiver(t)
	r.put("first", []byte("x"))
	r.at.await("PutObject", about("first"))
	r.reload(r.at.URL, second.URL, 1)
	r.put("second", []byte("x"))
	second.await("PutObject", about("second"))
	r.reload(`"ratio": 1`, `"ratio": 0`, 2)
	r.put("third", []byte("x"))
	r.reload(`"ratio": 0`, `"ratio": 1`, 3)
	r.put("fourth", []byte("x"))
	second.await("PutObject", about("fourth"))
	for _, s := range append(r.at.all(), second.all()...) {
		if key := value(s, "aws.s3.key"); key == "third" {
			t.Errorf("recorded: %v", s)
		}
	}
}

// The spans of the last requests are sent before the program ends.
func TestLastSpansAreSentAtTheEnd(t *testing.T) {
	r := newRig(t, nil)
	for i := range 20 {
		r.put(fmt.Sprint("last ", i), []byte("x"))
	}
	r.c.Replicas[0].Stop()
	for i := range 20 {
		key := fmt.Sprint("last ", i)
		if !slices.ContainsFunc(r.at.all(), func(s *tracepb.Span) bool { return s.Name == "PutObject" && value(s, "aws.s3.key") == key }) {
			t.Errorf("no span about %q", key)
		}
	}
}

func (r *rig) metrics() string {
	r.t.Helper()
	resp, err := http.Get(r.c.Replicas[0].Admin + "/metrics")
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(text)
}

// reload changes a text of the configuration and waits until it is in force for the nth time.
func (r *rig) reload(old, changed string, nth int) {
	r.t.Helper()
	file := filepath.Join(r.c.Dir, "replica-0.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		r.t.Fatal(err)
	}
	if !bytes.Contains(text, []byte(old)) {
		r.t.Fatalf("no %s in\n%s", old, text)
	}
	if err := os.WriteFile(file, bytes.Replace(text, []byte(old), []byte(changed), 1), 0o600); err != nil {
		r.t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		log, err := os.ReadFile(r.c.Replicas[0].Log)
		if err != nil {
			r.t.Fatal(err)
		}
		if bytes.Count(log, []byte("configuration reloaded")) >= nth {
			return
		}
	}
	r.t.Fatal("the configuration is not reloaded")
}
