package inject

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func testServer(t *testing.T, log io.Writer) (*Server, *prometheus.Registry) {
	t.Helper()
	r := prometheus.NewRegistry()
	return NewServer(testInjector(t), slog.New(slog.NewJSONHandler(log, nil)), r), r
}

// send asks a handler and returns code and body.
func send(h http.Handler, method, path, kind string, body io.Reader) (int, string) {
	r := httptest.NewRequest(method, path, body)
	r.Header.Set("Content-Type", kind)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func TestRequestsThatAreNoReviews(t *testing.T) {
	s, r := testServer(t, io.Discard)
	good := string(reviewOf(t, readYAML(t, "testdata/pods/minimal.yaml"), "ns"))
	deep := strings.Replace(good, `"spec":{`, `"spec":{"x":`+strings.Repeat("[", 100)+strings.Repeat("]", 100)+",", 1)
	const kind = "application/json"
	for name, c := range map[string]struct {
		method, path, kind, body string
		code                     int
	}{
		"good":            {"POST", PathPods, kind, good, 200},
		"with a charset":  {"POST", PathPods, kind + "; charset=utf-8", good, 200},
		"with a timeout":  {"POST", PathPods + "?timeout=5s", kind, good, 200},
		"GET":             {"GET", PathPods, kind, "", 405},
		"PUT":             {"PUT", PathNamespaces, kind, good, 405},
		"another path":    {"POST", "/", kind, good, 404},
		"a form":          {"POST", PathPods, "application/x-www-form-urlencoded", good, 415},
		"no content type": {"POST", PathPods, "", good, 415},
		"too long":        {"POST", PathPods, kind, good + strings.Repeat(" ", maxBody), 413},
		"empty":           {"POST", PathPods, kind, "", 400},
		"no JSON":         {"POST", PathPods, kind, "{", 400},
		"too deep":        {"POST", PathPods, kind, deep, 400},
		"another version": {"POST", PathPods, kind, strings.Replace(good, "k8s.io/v1\"", "k8s.io/v1beta1\"", 1), 400},
		"another kind":    {"POST", PathPods, kind, strings.Replace(good, "AdmissionReview", "Pod", 1), 400},
		"no uid":          {"POST", PathPods, kind, strings.Replace(good, `"uid":"705ab4f5-6393-11e8-b7cc-42010a800002"`, `"uid":""`, 1), 400},
		"no request":      {"POST", PathPods, kind, `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}`, 400},
		"no pod":          {"POST", PathPods, kind, string(reviewOf(t, []byte(`"x"`), "ns")), 400},
		"no spec":         {"POST", PathPods, kind, string(reviewOf(t, []byte(`{"metadata":{}}`), "ns")), 400},
		"a null":          {"POST", PathPods, kind, string(reviewOf(t, []byte(`{"metadata":{},"spec":{"containers":[null]}}`), "ns")), 400},
		"two spellings":   {"POST", PathPods, kind, string(reviewOf(t, []byte(`{"metadata":{},"spec":{"containers":[],"HostNetwork":true}}`), "ns")), 400},
		"wrong types":     {"POST", PathPods, kind, string(reviewOf(t, []byte(`{"spec":{"containers":1}}`), "ns")), 400},
	} {
		if code, body := send(s.Handler(), c.method, c.path, c.kind, strings.NewReader(c.body)); code != c.code {
			t.Errorf("%s: %d, want %d: %s", name, code, c.code, body)
		}
	}
	want := `
# HELP s3veil_inject_reviews_total Reviews by result.
# TYPE s3veil_inject_reviews_total counter
s3veil_inject_reviews_total{result="abandoned"} 0
s3veil_inject_reviews_total{result="failed"} 15
s3veil_inject_reviews_total{result="injected"} 3
s3veil_inject_reviews_total{result="refused"} 0
s3veil_inject_reviews_total{result="skipped"} 0
s3veil_inject_reviews_total{result="unchanged"} 0
`
	if err := testutil.GatherAndCompare(r, strings.NewReader(want), "s3veil_inject_reviews_total"); err != nil {
		t.Error(err)
	}
}

// The API server gives up while a review waits for its turn, while it arrives, and while it is decided.
func TestReviewsThatAreGivenUpAreCounted(t *testing.T) {
	good := reviewOf(t, readYAML(t, "testdata/pods/minimal.yaml"), "ns")
	for name, body := range map[string]func(give func()) io.Reader{
		"waiting": func(give func()) io.Reader { give(); return bytes.NewReader(good) },
		"arriving": func(give func()) io.Reader {
			return io.MultiReader(bytes.NewReader(good[:10]), lastWord{give, io.ErrUnexpectedEOF})
		},
		"decided": func(give func()) io.Reader { return io.MultiReader(bytes.NewReader(good), lastWord{give, io.EOF}) },
	} {
		var log bytes.Buffer
		s, r := testServer(t, &log)
		if name == "waiting" {
			for range maxReviews {
				s.places <- struct{}{}
			}
		}
		ctx, give := context.WithCancel(t.Context())
		q := httptest.NewRequestWithContext(ctx, "POST", PathPods, body(give))
		q.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, q)
		if n := testutil.ToFloat64(s.reviews.WithLabelValues(resultAbandoned)); n != 1 || w.Body.Len() > 0 {
			t.Errorf("%s: %v counted, answered %q", name, n, w.Body)
		}
		if n, err := testutil.GatherAndCount(r, "s3veil_inject_review_seconds"); n != 1 || err != nil || !strings.Contains(log.String(), "review abandoned") || strings.Contains(log.String(), "pod reviewed") {
			t.Errorf("%s: %d, %v, %s", name, n, err, &log)
		}
	}
}

// lastWord is the end of a body, at which something happens.
type lastWord struct {
	happens func()
	err     error
}

func (l lastWord) Read([]byte) (int, error) {
	l.happens()
	return 0, l.err
}

// What is no new pod passes untouched, whatever a configuration of the webhook sends.
func TestOnlyNewPodsAreLookedAt(t *testing.T) {
	in := testInjector(t)
	good := string(reviewOf(t, readYAML(t, "testdata/pods/minimal.yaml"), "ns"))
	for _, c := range [][2]string{{`"CREATE"`, `"UPDATE"`}, {`"CREATE"`, `"DELETE"`}, {`"kind":"Pod"`, `"kind":"Node"`}, {`"group":""`, `"group":"apps"`},
		{`"operation"`, `"subResource":"binding","operation"`}} {
		answer, o, err := in.review([]byte(strings.Replace(good, c[0], c[1], 1)), true)
		if err != nil || o.result != resultSkipped || bytes.Contains(answer, []byte("patch")) || !bytes.Contains(answer, []byte(`"allowed":true`)) {
			t.Errorf("%v: %v %s", c, err, answer)
		}
	}
}

// A review that is only a trial is answered like any other.
func TestDryRunsAreAnsweredAlike(t *testing.T) {
	in := testInjector(t)
	good := string(reviewOf(t, readYAML(t, "testdata/pods/minimal.yaml"), "ns"))
	first, _, err := in.review([]byte(good), false)
	if err != nil {
		t.Fatal(err)
	}
	second, _, err := in.review([]byte(strings.Replace(good, `"operation"`, `"dryRun":true,"operation"`, 1)), false)
	if err != nil || !bytes.Equal(first, second) {
		t.Errorf("%v\n%s\n%s", err, first, second)
	}
}

func TestLogSaysWhyAPodIsRefused(t *testing.T) {
	var log bytes.Buffer
	s, _ := testServer(t, &log)
	for _, pod := range []string{"bad-key", "minimal", "full"} {
		send(s.Handler(), "POST", PathPods, "application/json", bytes.NewReader(reviewOf(t, readYAML(t, "testdata/pods/"+pod+".yaml"), "ns")))
	}
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != 3 {
		t.Fatalf("%q", lines)
	}
	for i, want := range []map[string]any{
		{"level": "WARN", "result": "refused", "namespace": "ns", "pod": "app", "uid": "705ab4f5-6393-11e8-b7cc-42010a800002", "reason": `s3veil.io/key: profile "default" does not allow "main"`},
		{"level": "INFO", "result": "injected", "pod": "app-", "profile": "default"},
		{"level": "INFO", "result": "injected", "warnings": []any{"container app sets AWS_ENDPOINT_URL_S3 itself, s3veil leaves it: requests may go past it"}},
	} {
		var got any
		if err := json.Unmarshal([]byte(lines[i]), &got); err != nil || !contains(got, want) {
			t.Errorf("%v: %s", err, lines[i])
		}
	}
}

// files writes a certificate and its key.
func files(t *testing.T, dir string) Files {
	t.Helper()
	k, _, err := fresh([]string{hookName}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	f := Files{filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")}
	for name, text := range map[string][]byte{f.CertFile: k.cert, f.KeyFile: k.key, filepath.Join(dir, "ca.crt"): k.bundle} {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

func TestCertificateFromFiles(t *testing.T) {
	dir := t.TempDir()
	var c Certificates
	if c.Ready(time.Now()) == nil || c.Read(Files{filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")}) == nil {
		t.Error("ready without a certificate")
	}
	f := files(t, dir)
	if err := c.Read(f); err != nil {
		t.Fatal(err)
	}
	first := c.current.Load()
	if err := os.WriteFile(f.CertFile, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := c.Read(f); err == nil || c.current.Load() != first {
		t.Errorf("%v: the old certificate does not stay", err)
	}
	if err := c.Read(files(t, dir)); err != nil || c.current.Load() == first {
		t.Errorf("%v: the new certificate is not taken", err)
	}
	if err := os.Chmod(f.KeyFile, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := c.Read(f); err == nil {
		t.Error("a key that everybody reads")
	}
}

func TestNothingBelowTLS12(t *testing.T) {
	dir := t.TempDir()
	var c Certificates
	if err := c.Read(files(t, dir)); err != nil {
		t.Fatal(err)
	}
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln := tls.NewListener(inner, c.Config())
	s, _ := testServer(t, io.Discard)
	web := s.HTTP()
	defer web.Close()
	go func() { _ = web.Serve(ln) }()
	roots := x509.NewCertPool()
	text, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
	if err != nil || !roots.AppendCertsFromPEM(text) {
		t.Fatal(err)
	}
	for most, want := range map[uint16]bool{tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		conn, err := tls.Dial("tcp", ln.Addr().String(), &tls.Config{RootCAs: roots, ServerName: hookName, MinVersion: tls.VersionTLS10, MaxVersion: most})
		if (err == nil) != want {
			t.Errorf("%x: %v", most, err)
		}
		if err == nil {
			conn.Close()
		}
	}
}
