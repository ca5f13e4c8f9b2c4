package proxy

import (
	"errors"
	"log/slog"
	"math"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"

	"s3veil/keycache"
	"s3veil/proxy/budget"
	"s3veil/proxy/conn"
	"s3veil/proxy/forward"
	"s3veil/proxy/head"
	"s3veil/proxy/metrics"
	"s3veil/proxy/s3err"
	"s3veil/sigv4"
)

// Server is the proxy. It serves any number of listeners.
type Server struct {
	opts     Options
	limits   Limits
	log      *slog.Logger
	now      func() time.Time
	http     *fasthttp.Server
	state    atomic.Pointer[state]
	reload   sync.Mutex
	keys     *keycache.Cache
	memory   *budget.Budget
	caches   *caches
	defaults bucketDefaults
	heads    chan struct{} // listing HEADs under way, all requests together
	forms    chan struct{} // POST forms under way whose sender is not known yet
	drain    atomic.Bool
	health   health
	metrics  *metrics.Metrics
	active   atomic.Int64 // exchanges under way
	conns    *conn.Set
	stopped  chan struct{}
	own      ownAddrs
	connects *forward.Connects
	damaged  damageLog
}

// ioBuffer is the engine's buffer per connection and direction: 4 KiB doubles the cost of small objects, 64 KiB gains
// nothing on large ones. It also limits request heads.
const ioBuffer = 16 << 10

func (l Limits) withDefaults() Limits {
	set := func(p *int64, v int64) {
		if *p == 0 {
			*p = v
		}
	}
	span := func(p *time.Duration, v time.Duration) {
		if *p == 0 {
			*p = v
		}
	}
	count := func(p *int, v int) {
		if *p == 0 {
			*p = v
		}
	}
	set(&l.Memory, 64<<20)
	set(&l.HeldBody, 1<<20)
	span(&l.AdmissionWait, 2*time.Second)
	count(&l.Connections, 16384)
	count(&l.RequestHead, ioBuffer)
	count(&l.ListHeads, 64)
	count(&l.ListHeadsAll, 256)
	span(&l.HeadTimeout, 15*time.Second)
	span(&l.IdleTimeout, 2*time.Minute)
	span(&l.StallTimeout, time.Minute)
	span(&l.ClockSkew, 15*time.Minute)
	return l
}

// New returns a server for settings. It does not connect to anything.
func New(opts Options, set Settings) (*Server, error) {
	s := &Server{opts: opts, limits: opts.Limits.withDefaults(), log: opts.Log, now: opts.Now, stopped: make(chan struct{})}
	if s.log == nil {
		s.log = slog.Default()
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.opts.Registerer == nil {
		s.opts.Registerer = prometheus.NewRegistry()
	}
	s.http = s.newEngine()
	s.conns = s.newConns()
	s.connects = &forward.Connects{Serve: s.http.ServeConn, Count: func(outcome string) { s.metrics.Forward(outcome) }, Log: s.log, Patience: s.limits.HeadTimeout}
	s.memory = budget.New(s.limits.Memory, s.limits.AdmissionWait)
	s.caches = newCaches()
	s.defaults.patience = settingTime
	s.heads = make(chan struct{}, s.limits.ListHeadsAll)
	s.forms = make(chan struct{}, maxForms)
	co := set.Cache
	co.KEKs = set.KEKs
	co.Now = s.now
	co.Observe = s.observeKeys
	var err error
	if s.metrics, err = s.newMetrics(); err != nil {
		return nil, err
	}
	if s.keys, err = keycache.New(co); err != nil {
		return nil, err
	}
	st, err := s.newState(set, nil)
	if err != nil {
		return nil, err
	}
	s.state.Store(st)
	return s, nil
}

func (s *Server) newEngine() *fasthttp.Server {
	return &fasthttp.Server{
		Handler:                      s.handle,
		ErrorHandler:                 s.handleEngineError,
		HeaderReceived:               headerReceived,
		ExpectHandler:                s.handleExpect,
		Name:                         "s3veil",
		ConnState:                    connState,
		Concurrency:                  math.MaxInt32, // the listeners of conns limit connections, those at rest included
		ReadBufferSize:               s.limits.RequestHead,
		WriteBufferSize:              ioBuffer,
		ReadTimeout:                  s.limits.HeadTimeout,
		WriteTimeout:                 s.limits.StallTimeout,
		IdleTimeout:                  s.limits.IdleTimeout,
		MaxIdleWorkerDuration:        time.Second,
		StreamRequestBody:            true,
		DisablePreParseMultipartForm: true,
		NoDefaultContentType:         true,
		NoDefaultServerHeader:        true,
		CloseOnShutdown:              true,
		SecureErrorLogMessage:        true,
		MaxRequestBodySize:           1 << 30,
		ReduceMemoryUsage:            true, // write buffers are shared between requests
		Logger:                       engineLog{s.log},
	}
}

// engineLog carries the engine's own messages at debug level: what matters is logged by the exchange.
type engineLog struct{ log *slog.Logger }

func (l engineLog) Printf(format string, args ...any) { l.log.Debug("http engine", "format", format) }

// Reload puts new settings into force for requests that arrive from now on.
func (s *Server) Reload(set Settings) error {
	s.reload.Lock()
	defer s.reload.Unlock()
	old := s.state.Load()
	st, err := s.newState(set, old)
	if err == nil {
		err = s.updateKeys(old.settings.Cache, set)
	}
	s.metrics.Reload(err == nil)
	if err != nil {
		return err
	}
	s.state.Store(st)
	for name, o := range old.stores {
		if st.stores[name] != o {
			o.close()
		}
	}
	old.hosts.close()
	return nil
}

// updateKeys puts limits and keys of the key cache into force, or leaves both as they were.
func (s *Server) updateKeys(old keycache.Options, set Settings) error {
	if err := s.keys.Configure(set.Cache); err != nil {
		return err
	}
	err := s.keys.Update(set.KEKs)
	if err != nil {
		err = errors.Join(err, s.keys.Configure(old))
	}
	return err
}

// ReloadFailed counts a configuration that did not get as far as Reload.
func (s *Server) ReloadFailed() { s.metrics.Reload(false) }

func (s *Server) newVerifier(st *state) *sigv4.Verifier {
	return &sigv4.Verifier{
		Lookup: func(accessKey string) (sigv4.Credential, bool) {
			c := st.clients[accessKey]
			if c == nil {
				return sigv4.Credential{}, false
			}
			return c.credential, true
		},
		Region:   st.acceptsRegion,
		Expected: st.expectedRegion(),
		Now:      s.now,
		MaxSkew:  s.limits.ClockSkew,
	}
}

func (st *state) acceptsRegion(region string) bool {
	for _, r := range st.settings.Regions {
		if r == "*" || r == region {
			return true
		}
	}
	if len(st.settings.Regions) > 0 {
		return false
	}
	for _, o := range st.stores {
		if o.region == region || o.region == "auto" {
			return true
		}
	}
	return false
}

func (st *state) expectedRegion() string {
	if len(st.settings.Regions) > 0 && st.settings.Regions[0] != "*" {
		return st.settings.Regions[0]
	}
	if o := st.stores["default"]; o != nil && o.region != "auto" && o.region != "" {
		return o.region
	}
	return "us-east-1"
}

func (s *Server) handle(ctx *fasthttp.RequestCtx) {
	if ctx.IsConnect() {
		s.handleConnect(ctx)
		return
	}
	var x *exchange
	before, expected := ctx.UserValue(exchangeKey).(*admitted)
	if expected {
		x = before.take()
	} else {
		x = s.newExchange(ctx)
	}
	err := x.guard(func() error {
		if !expected {
			if err := x.admit(); err != nil {
				return err
			}
		}
		return x.serve()
	})
	if err != nil {
		x.fail(err)
	} else if !x.bodyDone() {
		x.abandonBody() // the engine would take what is left of the body for the next request
	}
	s.closeInDrain(ctx)
	if !x.streaming {
		x.finish()
	}
}

// guard turns a panic into an error: in this engine it would end the process.
func (x *exchange) guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			x.s.log.Error("panic", "request_id", x.id, "panic", p, "stack", string(debug.Stack()))
			err = s3err.InternalError.With(errPanic)
		}
	}()
	return f()
}

var errPanic = errors.New("panic in handler")

// handleEngineError answers requests that the engine could not read.
func (s *Server) handleEngineError(ctx *fasthttp.RequestCtx, err error) {
	if conn.Silent(ctx.Conn()) {
		ctx.Conn().Close() // a connection opened ahead of need and never used: an answer would be taken for the next request's
		return
	}
	x := s.newExchangeRaw(ctx)
	var small *fasthttp.ErrSmallBuffer
	var timeout net.Error
	switch {
	case errors.As(err, &small):
		x.fail(s3err.HeaderSection(head.MaxSection).With(err))
	case errors.As(err, &timeout) && timeout.Timeout():
		x.fail(s3err.RequestTimeout.With(err))
	default:
		x.fail(s3err.InvalidRequest.With(err))
	}
	ctx.SetConnectionClose()
	x.finish()
}
