package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/cobra"

	"s3veil/cmd/s3veil/internal/inject"
)

func (p *program) injectCommand() *cobra.Command {
	var file string
	var check bool
	c := &cobra.Command{
		Use:   "inject --config FILE",
		Short: "Put s3veil into pods, as an admission webhook of Kubernetes",
		Long: `Put s3veil into pods that are annotated s3veil.io/inject: "true", as a mutating admission webhook of Kubernetes.

The chart charts/s3veil with mode: injector installs it and writes its configuration. SIGHUP or a changed file reloads,
SIGTERM drains.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if file == "" {
				return usageError{errors.New("--config is missing")}
			}
			cfg, err := inject.ReadConfig(file, checkSidecar)
			if err != nil {
				return err
			}
			if check {
				fmt.Fprintln(p.stdout, "the configuration is good")
				return nil
			}
			return p.inject(c.Context(), file, cfg)
		},
	}
	c.Flags().StringVar(&file, "config", "", "configuration file")
	c.Flags().BoolVar(&check, "check-config", false, "report every mistake of the configuration and exit")
	return c
}

// checkSidecar applies the rules of serve to what a sidecar would be told.
func checkSidecar(env []string) error {
	l := load(sources{Env: env, Elsewhere: true})
	validate(l)
	return l.bad.err()
}

// injector is a running webhook.
type injector struct {
	p        *program
	log      *slog.Logger
	file     string
	cfg      *inject.Config // as it was at the start; profiles may be newer
	certs    *inject.Certificates
	server   *inject.Server
	metrics  *prometheus.Registry
	trusted  atomic.Bool // the API server has been told to trust the certificate
	draining atomic.Bool
}

func (p *program) inject(ctx context.Context, file string, cfg *inject.Config) error {
	i := &injector{p: p, log: newLogger(p.stderr, Log{Level: cfg.Log.Level, Format: cfg.Log.Format}), file: file, cfg: cfg,
		certs: &inject.Certificates{}, metrics: prometheus.NewRegistry()}
	i.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "s3veil_inject_certificate_expiry_timestamp_seconds",
			Help: "When the certificate of the webhook expires; 0 without one."}, func() float64 { return float64(max(i.certs.Ends().Unix(), 0)) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "s3veil_inject_ready", Help: "1 where /readyz is 200, 0 otherwise."}, i.readiness))
	i.server = inject.NewServer(&inject.Injector{Config: cfg, Check: checkSidecar}, i.log, i.metrics)
	ctx, cancel := context.WithCancel(ctx)
	var background sync.WaitGroup
	defer func() {
		cancel()
		background.Wait()
	}()
	if err := i.certificates(ctx, &background); err != nil {
		return err
	}
	return i.run(ctx, &background)
}

// certificates begins to look after the certificate.
func (i *injector) certificates(ctx context.Context, background *sync.WaitGroup) error {
	own := i.cfg.SelfSigned
	if own == nil {
		i.trusted.Store(true)
		return i.certs.Read(i.cfg.TLS)
	}
	api, err := inject.InCluster(i.p.variable, i.p.variable("S3VEIL_TEST_SERVICE_ACCOUNT"))
	if err != nil {
		return err
	}
	keeper := &inject.Keeper{Where: *own, API: api, Now: time.Now, Changed: func(what string) { i.log.Info("written", "what", what) }}
	last := ""
	background.Go(func() {
		i.certs.Keep(ctx, keeper, func(err error) {
			if err == nil {
				i.trusted.Store(true)
				last = ""
			} else if err.Error() != last {
				last = err.Error()
				i.log.Error("certificate not looked after, trying again", "error", err)
			}
		})
	})
	return nil
}

// run serves until a signal, and drains.
func (i *injector) run(ctx context.Context, background *sync.WaitGroup) error {
	files := newWatcher(i.p.poll, i.watched())
	all, err := openAll(i.cfg.Listen, i.cfg.Admin)
	if err != nil {
		return err
	}
	failed := make(chan error, 2)
	web, admin := i.server.HTTP(), i.admin()
	go func() { sendError(failed, regular(web.Serve(tls.NewListener(all[0], i.tls())))) }()
	go func() { sendError(failed, regular(admin.Serve(all[1]))) }()
	defer admin.Close()
	i.log.Info("serving", "listen", all[0].Addr().String(), "admin", all[1].Addr().String(), "profiles", len(i.cfg.Profiles), "self_signed", i.cfg.SelfSigned != nil)
	if i.p.started != nil {
		i.p.started(endpoints{Listen: all[0].Addr().String(), Admin: all[1].Addr().String()})
	}
	hup := make(chan struct{}, 1)
	background.Go(func() {
		files.run(ctx, hup, func(reason string) sightings {
			seen := i.watched()
			i.reload(reason)
			return seen
		})
	})
	for {
		select {
		case s := <-i.p.signals:
			if stopSignal(s) {
				return i.drain(web, s != syscall.SIGTERM)
			}
			select {
			case hup <- struct{}{}:
			default:
			}
		case err := <-failed:
			return errors.Join(err, web.Close())
		}
	}
}

// tls offers HTTP/2 too, which the API server prefers.
func (i *injector) tls() *tls.Config {
	c := i.certs.Config()
	c.NextProtos = []string{"h2", "http/1.1"}
	return c
}

func (i *injector) watched() sightings {
	s := sightings{}
	s.add(i.file)
	if i.cfg.SelfSigned == nil {
		s.add(i.cfg.TLS.CertFile)
		s.add(i.cfg.TLS.KeyFile)
	}
	return s
}

// regular is the error of a server that did not end because it was told to.
func regular(err error) error {
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// reload takes profiles and certificate anew; what is faulty stays as it was.
func (i *injector) reload(reason string) {
	cfg, err := inject.ReadConfig(i.file, checkSidecar)
	if err != nil {
		i.server.Reload(nil)
		i.log.Error("configuration not reloaded, the old one stays", "reason", reason, "error", err)
	} else {
		i.server.Reload(&inject.Injector{Config: cfg, Check: checkSidecar})
		i.log.Info("configuration reloaded", "reason", reason, "profiles", len(cfg.Profiles))
	}
	if i.cfg.SelfSigned == nil {
		if err := i.certs.Read(i.cfg.TLS); err != nil {
			i.log.Error("certificate not reloaded, the old one stays", "error", err)
		}
	}
}

// drainAtMost is how long reviews under way are waited for at the end; the API server gives up sooner.
const drainAtMost = 15 * time.Second

// drain lets readiness fail first, so that the Service sends nothing new, and ends then.
func (i *injector) drain(web *http.Server, now bool) error {
	i.draining.Store(true)
	i.log.Info("draining")
	if !now {
		select {
		case <-time.After(i.cfg.DrainDelay):
		case <-i.p.signals:
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), drainAtMost)
	defer cancel()
	err := web.Shutdown(ctx)
	i.log.Info("stopped")
	return err
}

// admin serves probes and metrics.
func (i *injector) admin() *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := i.ready(); err != nil {
			answer(w, http.StatusServiceUnavailable, err.Error())
			return
		}
		answer(w, http.StatusOK, "ready")
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(i.metrics, promhttp.HandlerOpts{}))
	return &http.Server{
		Handler: mux, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(i.log.Handler(), slog.LevelWarn),
	}
}

var errNotTrusted = errors.New("the API server has not been told to trust the certificate yet")

// readiness is ready in the form of a metric.
func (i *injector) readiness() float64 {
	if i.ready() != nil {
		return 0
	}
	return 1
}

func (i *injector) ready() error {
	switch {
	case i.draining.Load():
		return errDraining
	case !i.trusted.Load():
		return errNotTrusted
	}
	return i.certs.Ready(time.Now())
}
