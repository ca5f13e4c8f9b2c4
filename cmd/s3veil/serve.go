package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"

	"s3veil/proxy"
)

func (p *program) serveCommand() *cobra.Command {
	var file string
	var check bool
	flags := map[string]*string{"listen": new(string), "admin": new(string), "log.level": new(string)}
	c := &cobra.Command{
		Use:   "serve --config FILE",
		Short: "Run the proxy",
		Long: `Run the proxy.

Every key of the configuration can also be set as S3VEIL_<PATH> in the environment, for example
S3VEIL_UPSTREAM_ENDPOINT; lists as JSON. SIGHUP or a changed file reloads, SIGTERM drains.`,
		Args: noArgs,
	}
	c.Flags().StringVar(&file, "config", "", "configuration file (S3VEIL_CONFIG)")
	c.Flags().BoolVar(&check, "check-config", false, "report every mistake of the configuration and exit")
	c.Flags().StringVar(flags["listen"], "listen", "", "address of the S3 endpoint, in place of the configured one")
	c.Flags().StringVar(flags["admin"], "admin", "", "address of the admin endpoint, in place of the configured one")
	c.Flags().StringVar(flags["log.level"], "log-level", "", "debug, info, warn or error")
	c.RunE = func(c *cobra.Command, _ []string) error {
		src := sources{File: file, Env: p.env, Flags: map[string]string{}}
		if src.File == "" {
			src.File = p.variable(configVariable)
		}
		for path, value := range flags {
			if c.Flags().Changed(strings.ReplaceAll(path, ".", "-")) {
				src.Flags[path] = *value
			}
		}
		if check {
			return p.checkConfig(c.Context(), src)
		}
		return p.serve(c.Context(), src, nil)
	}
	return c
}

// variable looks a variable of the environment up.
func (p *program) variable(name string) string {
	value := ""
	for _, e := range p.env {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			value = v
		}
	}
	return value
}

func (p *program) checkConfig(ctx context.Context, src sources) error {
	l := load(src)
	validate(l)
	wire(ctx, l, nil, slog.New(slog.DiscardHandler))
	if err := l.bad.err(); err != nil {
		return err
	}
	fmt.Fprintln(p.stdout, "the configuration is good")
	return nil
}

// endpoints are the addresses a running proxy listens on; Admin and Forward are empty when they are off.
type endpoints struct{ Listen, Admin, Forward string }

// service is a running proxy with what surrounds it.
type service struct {
	p       *program
	log     *slog.Logger
	src     sources
	now     *loaded       // in force; belongs to the goroutine that reloads
	patient time.Duration // limits.drain
	delay   time.Duration // limits.drain_delay
	kept    *kept
	proxy   *proxy.Server
	tls     *tlsSwitch // nil without TLS
	admin   *admin     // nil when off
	metrics *prometheus.Registry
	ends    certificateEnds
	audit   *auditLog
	tracing *tracing

	draining atomic.Bool
}

// serve runs the proxy until a signal or until ended is closed, and drains it. ended may be nil.
func (p *program) serve(ctx context.Context, src sources, ended <-chan struct{}) error {
	s, w, err := p.newService(ctx, src)
	if err != nil {
		return err
	}
	defer s.audit.close()
	defer paceCollector()()
	return s.run(ctx, w, ended)
}

// newService makes a proxy that run starts, out of the configuration as it is now.
func (p *program) newService(ctx context.Context, src sources) (*service, *wired, error) {
	l := load(src)
	validate(l)
	s := &service{p: p, src: src, now: l, patient: time.Duration(l.Limits.Drain),
		delay: time.Duration(l.Limits.DrainDelay), log: newLogger(p.stderr, l.Log)}
	w := wire(ctx, l, nil, s.log)
	if err := l.bad.err(); err != nil {
		return nil, nil, err
	}
	s.kept = w.kept
	if l.LockMemory {
		if err := lockMemory(); err != nil {
			return nil, nil, fmt.Errorf("lock_memory: %w", err)
		}
	}
	s.warn()
	s.newMetrics()
	s.tracing = newTracing(s.log, s.metrics)
	w.settings.Tracing = s.tracing.settings(w, l.Trace.Service)
	s.tracing.use(w.collect)
	memory := l.bodyMemory(memoryLimit(cgroupLimits))
	opts := l.options(s.log, memory)
	opts.Registerer, opts.Version = s.metrics, buildVersion()
	s.fitConnections(&opts)
	var err error
	if s.audit, err = openAudit(l.Audit, p.stdout); err != nil {
		return nil, nil, err
	}
	opts.Audit, opts.AuditRequired = s.audit.sink, l.Audit.OnFailure == "refuse"
	if s.proxy, err = proxy.New(opts, w.settings); err != nil {
		s.audit.close()
		return nil, nil, err
	}
	return s, w, nil
}

// warn says what is allowed but should not be.
func (s *service) warn() {
	if s.now.open != "" {
		s.log.Warn("the configuration holds secrets and others can read it", "problem", s.now.open)
	}
}

func (s *service) newMetrics() {
	s.metrics = prometheus.NewRegistry()
	s.ends.store(s.now.ends)
	warnOfEnded(s.log, s.now.ends, time.Now())
	s.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), &s.ends)
}

// run opens the listeners, serves, and stops when told to.
func (s *service) run(ctx context.Context, w *wired, ended <-chan struct{}) error {
	ctx, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	defer func() {
		cancel()
		watching.Wait()
		s.kept.close()
	}()
	failed := make(chan error, 3)
	at, err := s.listen(w, failed)
	if err != nil {
		return errors.Join(err, s.proxy.Shutdown(ctx))
	}
	if s.admin != nil {
		defer s.admin.stop()
	}
	s.log.Info("serving", "listen", at.Listen, "admin", at.Admin, "forward", at.Forward, "tls", s.tls != nil, "fips", fipsMode())
	if s.p.started != nil {
		s.p.started(at)
	}
	hup := make(chan struct{}, 1)
	files := newWatcher(s.p.poll, s.now.files)
	watching.Go(func() { files.run(ctx, hup, func(reason string) sightings { return s.reload(ctx, reason) }) })
	for {
		select {
		case sig := <-s.p.signals:
			if stopSignal(sig) {
				s.log.Info("draining", "signal", sig.String(), "at_most", s.patient.String())
				delay := s.delay
				if sig == os.Interrupt {
					delay = 0 // somebody at a terminal
				}
				return s.drain(failed, delay)
			}
			if sig == syscall.SIGHUP {
				select {
				case hup <- struct{}{}:
				default:
				}
			}
		case err := <-failed:
			return errors.Join(err, s.drain(nil, 0))
		case <-ended:
			return s.drain(nil, 0)
		}
	}
}

// openAll opens listeners, nil for an empty address, all of them or none.
func openAll(addresses ...string) ([]net.Listener, error) {
	out := make([]net.Listener, len(addresses))
	for i, a := range addresses {
		if a == "" {
			continue
		}
		var err error
		if out[i], err = net.Listen("tcp", a); err != nil {
			for _, open := range out[:i] {
				if open != nil {
					err = errors.Join(err, open.Close())
				}
			}
			return nil, err
		}
	}
	return out, nil
}

// listen opens all listeners before anything is served, so that an address in use leaves nothing behind.
func (s *service) listen(w *wired, failed chan<- error) (endpoints, error) {
	var at endpoints
	adminAt := s.now.Admin
	if adminAt == "off" {
		adminAt = ""
	}
	all, err := openAll(s.now.Listen, adminAt, s.now.Forward.Listen)
	if err != nil {
		return at, err
	}
	ln, adminLn, forwardLn := all[0], all[1], all[2]
	at.Listen = ln.Addr().String()
	if adminLn != nil {
		at.Admin = adminLn.Addr().String()
		s.proxy.Protect(adminLn.Addr())
		s.admin = newAdmin(adminOptions{Ready: s.ready, Metrics: s.metrics, Recent: s.proxy.RecentDamage, Pprof: s.now.AdminPprof, Log: s.log})
		s.admin.setToken(w.token)
		go func() { sendError(failed, s.admin.serve(adminLn)) }()
	}
	if forwardLn != nil {
		at.Forward = forwardLn.Addr().String()
		go func() { sendError(failed, s.proxy.ServeForward(forwardLn)) }()
	}
	if w.tls == nil {
		go func() { sendError(failed, s.proxy.Serve(ln)) }()
		return at, nil
	}
	s.tls = newTLSSwitch(w.tls)
	go func() { sendError(failed, s.proxy.ServeTLS(ln, s.tls.config())) }()
	return at, nil
}

// ready reports what the proxy says of itself, and that it drains.
func (s *service) ready(ctx context.Context) error {
	if s.draining.Load() {
		return errDraining
	}
	return s.proxy.Ready(ctx)
}

var errDraining = errors.New("draining")

func sendError(to chan<- error, err error) {
	if err != nil {
		to <- err
	}
}

// drain lets readiness fail first, serves what still comes during the delay, because balancers take that long to notice, then
// stops accepting and gives running requests their time. A second signal cuts them.
func (s *service) drain(failed <-chan error, delay time.Duration) error {
	s.draining.Store(true)
	s.proxy.Drain()
	ctx, cancel := context.WithTimeout(context.Background(), s.patient)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		select {
		case <-time.After(delay):
		case <-ctx.Done():
		}
		err := s.proxy.Shutdown(ctx)
		s.tracing.end(ctx)
		done <- err
	}()
	for {
		select {
		case err := <-done:
			if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
				s.log.Warn("stopped with requests under way")
				return nil
			}
			s.log.Info("stopped")
			return err
		case sig := <-s.p.signals:
			if stopSignal(sig) {
				cancel()
			}
		case err := <-failed:
			s.log.Error("while draining", "error", err)
		}
	}
}

// reload puts the configuration as it is now into force, unless it has mistakes. It returns the files to watch.
func (s *service) reload(ctx context.Context, reason string) sightings {
	former := s.now.files.again()
	l := load(s.src)
	validate(l)
	w := wire(ctx, l, s.kept, s.log)
	files := former.and(l.files)
	err := l.bad.err()
	if err != nil {
		s.proxy.ReloadFailed()
	} else {
		w.settings.Tracing = s.tracing.settings(w, l.Trace.Service)
		err = s.proxy.Reload(w.settings)
	}
	if err := s.audit.reopen(); err != nil {
		s.log.Error("audit log not opened anew, the old file stays", "error", err)
	}
	if err != nil {
		w.kept.retire(s.kept)
		s.log.Error("configuration not reloaded, the old one stays", "reason", reason, "mistakes", strings.Split(err.Error(), "\n"))
		return files
	}
	if fixed := s.fixed(l); len(fixed) > 0 {
		s.log.Warn("changes that take a restart", "keys", fixed)
	}
	s.tracing.use(w.collect)
	if s.tls != nil && w.tls != nil {
		s.tls.current.Store(w.tls)
	}
	if s.admin != nil {
		s.admin.setToken(w.token)
	}
	l.Limits, l.Listen, l.Admin, l.Forward.Listen = s.now.Limits, s.now.Listen, s.now.Admin, s.now.Forward.Listen
	s.kept.retire(w.kept)
	s.now, s.kept = l, w.kept
	s.ends.store(l.ends)
	warnOfEnded(s.log, l.ends, time.Now())
	s.warn()
	s.log.Info("configuration reloaded", "reason", reason)
	return l.files
}

// fixed names the settings that differ from those in force and that a reload cannot change.
func (s *service) fixed(l *loaded) []string {
	a, b := &s.now.Config, &l.Config
	var out []string
	for _, f := range []struct {
		path string
		a, b any
	}{
		{"listen", a.Listen, b.Listen}, {"admin", a.Admin, b.Admin}, {"forward.listen", a.Forward.Listen, b.Forward.Listen},
		{"admin_pprof", a.AdminPprof, b.AdminPprof},
		{"lock_memory", a.LockMemory, b.LockMemory},
		{"limits", a.Limits, b.Limits}, {"log", a.Log, b.Log}, {"audit", a.Audit, b.Audit}, {"tls", a.TLS.CertFile == "", b.TLS.CertFile == ""},
		{"trace.service", s.tracing.nameOr(b.Trace.Service), b.Trace.Service},
	} {
		if !reflect.DeepEqual(f.a, f.b) {
			out = append(out, f.path)
		}
	}
	return out
}
