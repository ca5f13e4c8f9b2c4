package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"s3veil/keycache"
	"s3veil/proxy"
	"s3veil/proxy/metrics"
	"s3veil/proxy/upstream"
)

func basic(password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte("anybody:"+password))
}

const hostile = `</script><script>alert(1)</script><b onclick="x">'&`

// statusAdmin is an admin endpoint over the proxy's own metrics with some events in them.
func statusAdmin(t *testing.T, ready error) *admin {
	t.Helper()
	reg := prometheus.NewRegistry()
	m, err := metrics.New(reg, metrics.Gauges{
		InFlight: func() int64 { return 3 }, Connections: func() int64 { return 5 }, Memory: func() (int64, int64) { return 1 << 20, 64 << 20 },
		Refused: func() uint64 { return 0 }, Caches: func() map[string]int { return map[string]int{"read": 7} },
		Tunnels: func() int64 { return 0 }, Scrape: func() {},
	}, "v0")
	if err != nil {
		t.Fatal(err)
	}
	m.Request("GetObject", "200", .002)
	m.Request("PutObject", "200", .02)
	m.Request("GetObject", "NoSuchKey", .002)
	m.Request("HeadObject", "404", .002)
	m.Bytes("client", "in", 1000)
	m.Bytes("client", "out", 2000)
	m.Bytes("upstream", "out", 4000)
	m.Integrity("stream")
	m.Upstream("default", upstream.Event{Kind: "request", Code: 200, Seconds: .5})
	m.Upstream("default", upstream.Event{Kind: "request", Code: 503, Seconds: .5})
	m.Upstream("default", upstream.Event{Kind: "conns", InUse: 2, Idle: 4})
	m.Keys(keycache.Event{Kind: "kms", KID: "main", Op: "generate"})
	m.Keys(keycache.Event{Kind: "kms", KID: "main", Op: "generate", Err: errors.New("gone")})
	m.Keys(keycache.Event{Kind: "hit", Cache: "read", KID: "main"})
	m.Dependencies("upstream", map[string]bool{"default": true, hostile: false})
	m.Dependencies("key", map[string]bool{"main": true})
	recent := []proxy.Damaged{{Time: time.Unix(0, 0), RequestID: "R1", Action: "GetObject", Class: "stream", Bucket: "secret-bucket", Key: "k" + hostile}}
	return newAdmin(adminOptions{Ready: func(context.Context) error { return ready }, Metrics: reg, Recent: func() []proxy.Damaged { return recent }})
}

func statusFigures(t *testing.T, a *admin, authorization string) statusData {
	t.Helper()
	code, body := adminCall(a, "/status.json", authorization)
	var d statusData
	if err := json.Unmarshal([]byte(body), &d); code != http.StatusOK || err != nil {
		t.Fatal(code, err, body)
	}
	return d
}

func TestStatusFiguresAreThoseOfTheMetrics(t *testing.T) {
	d := statusFigures(t, statusAdmin(t, nil), "")
	if d.Requests != 4 || d.Failed != 2 || d.BytesIn != 1000 || d.BytesOut != 2000 || d.InFlight != 3 || d.Connections != 5 ||
		d.MemoryUsed != 1<<20 || d.MemoryLimit != 64<<20 || d.IntegrityFailures != 1 || !d.Ready || len(d.Missing) != 0 || d.Version == "" {
		t.Errorf("%+v", d)
	}
	l := d.Latency
	if l.Count != 4 || len(l.Bounds) == 0 || len(l.Bounds) != len(l.Counts) || l.Counts[len(l.Counts)-1] != 4 {
		t.Errorf("latency %+v", l)
	}
	for i, bound := range l.Bounds {
		if bound == .0025 && l.Counts[i] != 3 {
			t.Errorf("%d requests within 2.5 ms", l.Counts[i])
		}
	}
	if len(d.Upstreams) != 2 {
		t.Fatalf("stores %+v", d.Upstreams)
	}
	if down, u := d.Upstreams[0], d.Upstreams[1]; *down.Up || !*u.Up || u.Requests != 2 || u.Errors != 1 || u.MeanSeconds != .5 || u.InUse != 2 || u.Idle != 4 {
		t.Errorf("stores %+v %+v", *down, *u)
	}
	if len(d.Keys) != 1 || d.Keys[0].ID != "main" || !*d.Keys[0].Usable || d.Keys[0].Calls != 2 || d.Keys[0].Failed != 1 {
		t.Errorf("keys %+v", d.Keys)
	}
	if len(d.Caches) != 1 || d.Caches[0].Name != "read" || d.Caches[0].Entries != 7 || d.Caches[0].Results["hit"] != 1 {
		t.Errorf("caches %+v", d.Caches)
	}
	if len(d.Classes) != 1 || d.Classes[0] != (classCount{"stream", 1}) {
		t.Errorf("classes %+v", d.Classes)
	}
}

func TestStatusNamesObjectsBehindATokenOnly(t *testing.T) {
	a := statusAdmin(t, nil)
	f := statusFigures(t, a, "").Recent
	if len(f) != 1 || f[0].RequestID != "R1" || f[0].Class != "stream" || f[0].Bucket != "" || f[0].Key != "" {
		t.Errorf("without a token: %+v", f)
	}
	if _, page := adminCall(a, "/status", ""); strings.Contains(page, "secret-bucket") || !strings.Contains(page, "R1") {
		t.Error("the page without a token names the bucket, or not the request")
	}
	a.setToken("let-me-in")
	if f := statusFigures(t, a, basic("let-me-in")).Recent; len(f) != 1 || f[0].Bucket != "secret-bucket" || f[0].Key != "k"+hostile {
		t.Errorf("behind a token: %+v", f)
	}
}

func TestStatusPageEscapesWhatOthersNamed(t *testing.T) {
	a := statusAdmin(t, errors.New("missing "+hostile))
	a.setToken("canary-of-the-token")
	code, page := adminCall(a, "/status", "Bearer canary-of-the-token")
	if code != http.StatusOK || !strings.Contains(page, "secret-bucket") || !strings.Contains(page, "not ready") {
		t.Fatal(code, page)
	}
	if strings.Contains(page, "<script>") || strings.Contains(page, "<b onclick") || strings.Count(page, "<script") != 1 {
		t.Error("markup out of a name")
	}
	if strings.Contains(page, "canary-of-the-token") {
		t.Error("the token is in the page")
	}
	if strings.Contains(page, "innerHTML") || strings.Contains(page, "ZgotmplZ") {
		t.Error("the script writes markup, or a value was refused by the template")
	}
}

func TestStatusPageRunsItsOwnScriptOnly(t *testing.T) {
	a := statusAdmin(t, nil)
	nonces := map[string]bool{}
	for range 2 {
		w := httptest.NewRecorder()
		a.http.Handler.ServeHTTP(w, httptest.NewRequest("GET", "/status", nil))
		csp, page := w.Header().Get("Content-Security-Policy"), w.Body.String()
		m := regexp.MustCompile(`script-src 'nonce-([A-Z2-7]{26,})'`).FindStringSubmatch(csp)
		if m == nil || !strings.HasPrefix(csp, "default-src 'none'; ") || strings.Contains(csp, "unsafe") || !strings.Contains(csp, "frame-ancestors 'none'") {
			t.Fatal(csp)
		}
		nonces[m[1]] = true
		if strings.Count(page, `nonce="`+m[1]+`"`) != 2 {
			t.Error("script or style without the nonce")
		}
		if found := regexp.MustCompile(`(?i)https?://[^ '"]*|@import|<[a-z][^<>]*\s(src|style|on[a-z]+)=`).FindAllString(page, -1); len(found) != 1 ||
			found[0] != "http://www.w3.org/2000/svg" {
			t.Errorf("from outside, or inline: %q", found)
		}
		if w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%v", w.Header())
		}
	}
	if len(nonces) != 2 {
		t.Error("the nonce is the same twice")
	}
}

func TestStatusAsksBrowsersForThePassword(t *testing.T) {
	a := statusAdmin(t, nil)
	a.setToken("let-me-in")
	w := httptest.NewRecorder()
	a.http.Handler.ServeHTTP(w, httptest.NewRequest("GET", "/status", nil))
	asked := strings.Join(w.Header().Values("WWW-Authenticate"), "; ")
	if w.Code != http.StatusUnauthorized || !strings.Contains(asked, "Basic ") || !strings.Contains(asked, "Bearer ") {
		t.Error(w.Code, asked)
	}
}
