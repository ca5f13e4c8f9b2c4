package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

func adminCall(a *admin, path, authorization string) (int, string) {
	r := httptest.NewRequest("GET", path, nil)
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	w := httptest.NewRecorder()
	a.http.Handler.ServeHTTP(w, r)
	body, _ := io.ReadAll(w.Body)
	return w.Code, string(body)
}

func newTestAdmin(ready error, profiler bool) *admin {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector())
	return newAdmin(adminOptions{Ready: func(context.Context) error { return ready }, Metrics: reg, Pprof: profiler})
}

func TestProbesAreOpenAndTheRestNeedsTheToken(t *testing.T) {
	a := newTestAdmin(nil, true)
	for _, path := range []string{"/healthz", "/readyz", "/metrics", "/debug/pprof/"} {
		if code, _ := adminCall(a, path, ""); code != http.StatusOK {
			t.Errorf("%s without a token configured: %d", path, code)
		}
	}
	a.setToken("let-me-in")
	for _, c := range []struct {
		path, authorization string
		want                int
	}{
		{"/healthz", "", 200}, {"/readyz", "", 200},
		{"/metrics", "", 401}, {"/metrics", "Bearer wrong", 401}, {"/metrics", "Basic let-me-in", 401}, {"/metrics", "let-me-in", 401},
		{"/metrics", "Bearer ", 401}, {"/metrics", "Bearer let-me-in", 200}, {"/metrics", "bearer let-me-in", 200},
		{"/debug/pprof/", "", 401}, {"/debug/pprof/", "Bearer let-me-in", 200},
		{"/debug/pprof/cmdline", "", 401}, {"/debug/pprof/symbol", "", 401}, {"/debug/pprof/profile", "", 401}, {"/debug/pprof/trace", "", 401},
		{"/status", "", 401}, {"/status", "Bearer let-me-in", 200}, {"/status", "Bearer wrong", 401}, {"/status.json", "", 401},
		{"/status.json", "Bearer let-me-in", 200}, {"/status", basic("let-me-in"), 200}, {"/status.json", basic("let-me-in"), 200},
		{"/status", basic("wrong"), 401}, {"/status.json", basic(""), 401}, {"/metrics", basic("let-me-in"), 401}, {"/", "", 404},
	} {
		if code, _ := adminCall(a, c.path, c.authorization); code != c.want {
			t.Errorf("%s with %q: %d, want %d", c.path, c.authorization, code, c.want)
		}
	}
	a.setToken("")
	if code, _ := adminCall(a, "/metrics", ""); code != http.StatusOK {
		t.Errorf("/metrics after the token was taken away: %d", code)
	}
}

func TestReadinessNamesWhatIsMissing(t *testing.T) {
	a := newTestAdmin(errors.New(`upstream "default" does not answer`), false)
	if code, body := adminCall(a, "/readyz", ""); code != http.StatusServiceUnavailable || !strings.Contains(body, "default") {
		t.Errorf("not ready: %d %q", code, body)
	}
	if code, _ := adminCall(a, "/healthz", ""); code != http.StatusOK {
		t.Errorf("health depends on readiness: %d", code)
	}
	if code, _ := adminCall(a, "/debug/pprof/", ""); code != http.StatusNotFound {
		t.Errorf("profiler without being asked for: %d", code)
	}
}
