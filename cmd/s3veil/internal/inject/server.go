package inject

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The paths: pods that are annotated, and pods of namespaces in which all are injected that do not say otherwise.
const (
	PathPods       = "/inject"
	PathNamespaces = "/inject/all"
)

// The bounds of the webhook.
const (
	maxBody    = 3 << 20 // the API server's own limit for one object; etcd's is half of it
	maxReviews = 32      // at a time: what waits, waits in the API server
)

// Server answers reviews over HTTP. The Injector behind it can be exchanged.
type Server struct {
	log     *slog.Logger
	current atomic.Pointer[Injector]
	places  chan struct{}
	reviews *prometheus.CounterVec
	seconds prometheus.Histogram
	reloads *prometheus.CounterVec
}

// NewServer makes a server; its metrics go to r.
func NewServer(in *Injector, log *slog.Logger, r prometheus.Registerer) *Server {
	s := &Server{log: log, places: make(chan struct{}, maxReviews),
		reviews: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "s3veil_inject_reviews_total", Help: "Reviews by result."}, []string{"result"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "s3veil_inject_review_seconds", Help: "Time of one review.",
			Buckets: []float64{.001, .003, .01, .03, .1, .3, 1, 3}}),
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "s3veil_inject_config_reloads_total", Help: "Reloads of the configuration by result."}, []string{"result"}),
	}
	for _, result := range []string{resultInjected, resultUnchanged, resultSkipped, resultRefused, resultFailed, resultAbandoned} {
		s.reviews.WithLabelValues(result)
	}
	for _, result := range []string{"ok", "failed"} {
		s.reloads.WithLabelValues(result)
	}
	r.MustRegister(s.reviews, s.seconds, s.reloads)
	s.current.Store(in)
	return s
}

// Reload puts another Injector into force; nil says that a new configuration was faulty and the old one stays.
func (s *Server) Reload(in *Injector) {
	if in == nil {
		s.reloads.WithLabelValues("failed").Inc()
		return
	}
	s.current.Store(in)
	s.reloads.WithLabelValues("ok").Inc()
}

// Handler serves PathPods and PathNamespaces.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+PathPods, func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, false) })
	mux.HandleFunc("POST "+PathNamespaces, func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, true) })
	return mux
}

// HTTP makes the server of the webhook's port, with its bounds.
func (s *Server) HTTP() *http.Server {
	return &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request, always bool) {
	begin := time.Now()
	select {
	case s.places <- struct{}{}:
		defer func() { <-s.places }()
	case <-r.Context().Done():
		s.abandoned(begin)
		return
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		s.fail(w, http.StatusUnsupportedMediaType, "the content type is not application/json")
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &long):
		s.fail(w, http.StatusRequestEntityTooLarge, "the review is too long")
		return
	case r.Context().Err() != nil:
		s.abandoned(begin)
		return
	case err != nil:
		s.fail(w, http.StatusBadRequest, "the review did not arrive whole")
		return
	}
	answer, o, err := s.current.Load().review(body, always)
	if err != nil {
		s.fail(w, http.StatusBadRequest, err.Error())
		return
	}
	if r.Context().Err() != nil {
		s.abandoned(begin)
		return
	}
	s.report(r.Context(), o)
	s.seconds.Observe(time.Since(begin).Seconds())
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(answer)
}

// abandoned counts a review whose answer nobody waits for: the API server has made the pod without, or not at all. Its time
// belongs to those of the others, of which it may be the longest.
func (s *Server) abandoned(begin time.Time) {
	waited := time.Since(begin)
	s.reviews.WithLabelValues(resultAbandoned).Inc()
	s.seconds.Observe(waited.Seconds())
	s.log.Warn("review abandoned", "waited", waited.Round(time.Millisecond).String())
}

// fail answers what is not a review.
func (s *Server) fail(w http.ResponseWriter, code int, message string) {
	s.reviews.WithLabelValues(resultFailed).Inc()
	s.log.Warn("not a review", "code", code, "error", message)
	http.Error(w, message, code)
}

// report counts a review and says in the log what became of the pod.
func (s *Server) report(ctx context.Context, o *outcome) {
	s.reviews.WithLabelValues(o.result).Inc()
	level := slog.LevelInfo
	attrs := []any{"result", o.result, "namespace", o.request.Namespace, "pod", o.pod, "uid", o.request.UID}
	if o.profile != "" {
		attrs = append(attrs, "profile", o.profile)
	}
	if o.request.DryRun {
		attrs = append(attrs, "dry_run", true)
	}
	switch {
	case o.result == resultRefused:
		level = slog.LevelWarn
		attrs = append(attrs, "reason", o.message)
	case len(o.warnings) > 0:
		attrs = append(attrs, "warnings", o.warnings)
	case o.result == resultSkipped:
		level = slog.LevelDebug
	}
	s.log.Log(ctx, level, "pod reviewed", attrs...)
}
