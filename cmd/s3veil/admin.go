package main

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"s3veil/proxy"
)

// adminOptions configure the admin endpoint.
type adminOptions struct {
	Ready   func(context.Context) error // nil error: a request could succeed
	Metrics prometheus.Gatherer
	Recent  func() []proxy.Damaged // integrity failures, the newest first; nil: none are shown
	Pprof   bool
	Log     *slog.Logger // what the server has to say of connections; nil: Go's own log
}

// admin is the endpoint for operators: probes that are open to everybody; metrics, status page and profiles behind a token.
type admin struct {
	opts  adminOptions
	token atomic.Pointer[[sha256.Size]byte] // hash of the bearer token; nil: none asked for
	http  *http.Server
}

// readyWait bounds one readiness check, which may ask the KMS.
const readyWait = 5 * time.Second

func newAdmin(opts adminOptions) *admin {
	a := &admin{opts: opts}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", a.ready)
	mux.Handle("GET /metrics", a.guarded(promhttp.HandlerFor(opts.Metrics, promhttp.HandlerOpts{})))
	page := &status{admin: a, started: time.Now()}
	mux.Handle("GET /status", a.guardedPage(page.page))
	mux.Handle("GET /status.json", a.guardedPage(page.figures))
	if opts.Pprof {
		mux.Handle("/debug/pprof/", a.guarded(http.HandlerFunc(pprof.Index)))
		mux.Handle("/debug/pprof/cmdline", a.guarded(http.HandlerFunc(pprof.Cmdline)))
		mux.Handle("/debug/pprof/profile", a.guarded(http.HandlerFunc(pprof.Profile)))
		mux.Handle("/debug/pprof/symbol", a.guarded(http.HandlerFunc(pprof.Symbol)))
		mux.Handle("/debug/pprof/trace", a.guarded(http.HandlerFunc(pprof.Trace)))
	}
	a.http = &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
	if opts.Log != nil {
		a.http.ErrorLog = slog.NewLogLogger(opts.Log.Handler(), slog.LevelWarn)
	}
	return a
}

// serve answers on ln until stop; a nil error is a regular end.
func (a *admin) serve(ln net.Listener) error {
	if err := a.http.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("admin endpoint: %w", err)
	}
	return nil
}

func (a *admin) stop() { _ = a.http.Close() }

// setToken puts a token into force; an empty one opens everything.
func (a *admin) setToken(token Secret) {
	if token == "" {
		a.token.Store(nil)
		return
	}
	sum := sha256.Sum256([]byte(token.reveal()))
	a.token.Store(&sum)
}

// ready says whether a request could succeed; the body names what is missing.
func (a *admin) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyWait)
	defer cancel()
	if err := a.opts.Ready(ctx); err != nil {
		answer(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	answer(w, http.StatusOK, "ready")
}

// guarded asks for the bearer token. Hashes of equal length make the comparison independent of the token's.
func (a *admin) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if want := a.token.Load(); want != nil {
			scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
			got := sha256.Sum256([]byte(token))
			if !strings.EqualFold(scheme, "Bearer") || subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
				w.Header().Add("WWW-Authenticate", `Bearer realm="s3veil"`)
				answer(w, http.StatusUnauthorized, "a bearer token is needed")
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	fmt.Fprintln(w, text)
}
