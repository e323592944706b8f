package server

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"weir/core/event"
	"weir/core/line"
	"weir/server/identity"
	"weir/server/token"
)

// Config is what a server is made of. Clock, Identity, Ring, Hasher and Seed are
// required; the zero value of everything else is usable.
type Config struct {
	Clock    Clock
	Identity Identity         // of identity tokens
	Ring     *token.Ring      // of tickets and passes
	Hasher   *identity.Hasher // of people

	TicketTTL time.Duration // how long a ticket is good for at most, and never past the last window; default and most: 24 h
	PassTTL   time.Duration // how long a pass is good for; default: 30 min, most: 24 h

	// Seed makes the secret seed of a draw, always the same for the same draw
	// (keys.Keys.Seed).
	Seed          func(campaignID string, draw uint16) [32]byte
	LineSettings  string        // file that keeps what operators set of lines; empty: lost with the process
	Polling       line.Polling  // how often all who wait ask, together; zero: line.DefaultPolling
	JournalDelays func() Delays // what the steering of lines follows; nil: it sees no delay
	History       *History      // of the log that was read; nil: there was none

	AdminToken []byte      // of the admin listener (ReadAdminToken); empty: nobody has it
	PublicTLS  *tls.Config // nil: plain HTTP behind a proxy
	AdminTLS   *tls.Config // likewise

	Admission Admission // who is let through before anything is parsed

	Notice string // what sets this server apart from one in earnest, a sentence for /readyz; empty: nothing

	Limits Limits
	Logger *slog.Logger                            // default: slog.Default()
	Gauges func(emit func(name string, v float64)) // figures of others for /metrics, labels in the name included; may be nil
}

const (
	ticketTTLMax    = 24 * time.Hour
	passTTLDefault  = 30 * time.Minute
	passTTLMax      = 24 * time.Hour
	refreshInterval = 250 * time.Millisecond
)

// Server is both listeners over one engine. All methods are safe for
// concurrent use.
//
// Its life: New; Serve in a goroutine; SetStage while the log is replayed;
// Attach, from which on public requests are served; Shutdown, which ends Serve.
type Server struct {
	clock     Clock
	identity  Identity
	ring      *token.Ring
	hasher    *identity.Hasher
	ticketTTL time.Duration
	passTTL   time.Duration
	notice    string
	limits    Limits
	guard     *guard    // nil: everybody is let through
	began     time.Time // of the monotonic clock of guard and loops
	log       *slog.Logger
	started   event.Time
	seed      func(campaignID string, draw uint16) [32]byte
	settings  *settingsStore
	polling   line.Polling
	delays    func() Delays
	history   *History
	keeper    keeper
	keepEvery time.Duration                 // between its ticks
	recent    atomic.Pointer[journalRecent] // the keeper's newest; never nil
	alarms    alarms
	gauges    func(emit func(name string, v float64))

	adminToken    [sha256.Size]byte // hash of it
	hasAdminToken bool
	publicTLS     *tls.Config
	adminTLS      *tls.Config

	public    *fasthttp.Server // for connections with a goroutine of their own
	lanes     *fasthttp.Server // for those of the loops
	admin     *fasthttp.Server
	metrics   *serverMetrics
	language  languageCache
	stage     stage
	attached  atomic.Pointer[attached] // set once, before the stage is ready
	inFlight  atomic.Int64             // public requests being answered
	exchanges sync.Pool                // of *exchange

	mu        sync.Mutex
	listeners []runningListener // of Serve; guarded by mu
	front     *front            // of Serve; nil where there are no loops; guarded by mu
	closed    bool              // Shutdown was called; guarded by mu
	drained   chan struct{}     // closed when Shutdown is over
}

type runningListener struct {
	name string
	*boundListener
}

// New makes a server that is starting: nothing listens yet and no engine is
// attached.
func New(cfg Config) (*Server, error) {
	if cfg.Clock == nil || cfg.Identity == nil || cfg.Ring == nil || cfg.Hasher == nil || cfg.Seed == nil {
		return nil, errors.New("new server: clock, identity, ring, hasher and seed are required")
	}
	settings, err := openSettings(cfg.LineSettings)
	if err != nil {
		return nil, fmt.Errorf("new server: %w", err)
	}
	limits, err := cfg.Limits.complete()
	if err != nil {
		return nil, fmt.Errorf("new server: %w", err)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if limits, err = limits.fitting(cfg.Logger); err != nil {
		return nil, fmt.Errorf("new server: %w", err)
	}
	ticketTTL, err := ttl("ticket", cfg.TicketTTL, ticketTTLMax, ticketTTLMax)
	if err != nil {
		return nil, fmt.Errorf("new server: %w", err)
	}
	passTTL, err := ttl("pass", cfg.PassTTL, passTTLDefault, passTTLMax)
	if err != nil {
		return nil, fmt.Errorf("new server: %w", err)
	}
	guard, err := newGuard(cfg.Admission)
	if err != nil {
		return nil, fmt.Errorf("new server: %w", err)
	}
	s := &Server{
		guard: guard, began: time.Now(),
		clock: cfg.Clock, identity: cfg.Identity, ring: cfg.Ring, hasher: cfg.Hasher,
		ticketTTL: ticketTTL, passTTL: passTTL, notice: cfg.Notice, limits: limits, log: cfg.Logger, gauges: cfg.Gauges,
		started: event.Time(cfg.Clock.Now().UnixMilli()),
		seed:    cfg.Seed, settings: settings, polling: cfg.Polling, delays: cfg.JournalDelays, history: cfg.History,
		publicTLS: cfg.PublicTLS, adminTLS: cfg.AdminTLS,
		metrics: newServerMetrics(), drained: make(chan struct{}),
	}
	if s.history == nil {
		s.history = new(History)
	}
	if s.polling == (line.Polling{}) {
		s.polling = line.DefaultPolling()
	}
	if err := s.polling.Check(); err != nil {
		return nil, fmt.Errorf("new server: polling: %w", err)
	}
	s.keeper.s, s.keeper.began, s.keepEvery = s, time.Now(), keepInterval
	s.recent.Store(&journalRecent{})
	if len(cfg.AdminToken) > 0 {
		if err := checkAdminToken(cfg.AdminToken); err != nil {
			return nil, fmt.Errorf("new server: admin token: %w", err)
		}
		s.adminToken, s.hasAdminToken = sha256.Sum256(cfg.AdminToken), true
	}
	s.exchanges.New = func() any { return &exchange{tally: s.metrics.tally()} }
	s.stage.set(stageNow{name: stageStarting})
	s.public = s.newHTTP(s.servePublic, limits.Connections)
	s.lanes = s.newHTTP(s.servePublic, math.MaxInt32)
	s.lanes.MaxRequestsPerConn = 0 // the loops count
	s.admin = s.newHTTP(s.serveAdmin, adminConnections)
	return s, nil
}

func ttl(name string, d, preset, most time.Duration) (time.Duration, error) {
	if d == 0 {
		return preset, nil
	}
	if d < time.Second || d > most {
		return 0, fmt.Errorf("a %s is good for %v, it must be 1s to %v", name, d, most)
	}
	return d, nil
}

// newHTTP makes one HTTP server under the limits. Deadlines are its listener's.
func (s *Server) newHTTP(handler fasthttp.RequestHandler, connections int) *fasthttp.Server {
	return &fasthttp.Server{
		Handler:                      handler,
		ErrorHandler:                 s.unreadable,
		Concurrency:                  connections + 1, // the listener bounds them first, and says so
		ReadBufferSize:               s.limits.HeaderBytes,
		MaxRequestBodySize:           s.limits.BodyBytes,
		MaxRequestsPerConn:           s.limits.RequestsPerConn,
		DisablePreParseMultipartForm: true,
		NoDefaultServerHeader:        true,
		NoDefaultContentType:         true,
		SecureErrorLogMessage:        true,
		CloseOnShutdown:              true,
		Logger:                       quietLogger{s.log},
	}
}

// quietLogger passes on what the HTTP library has to say without the
// addresses of those whom it concerns: the format and none of its arguments.
type quietLogger struct{ log *slog.Logger }

func (q quietLogger) Printf(format string, _ ...any) {
	q.log.Debug("http library", slog.String("message", format))
}

// unreadable answers what the HTTP library could not make a request of.
func (s *Server) unreadable(ctx *fasthttp.RequestCtx, err error) {
	f := faultRequest
	var small *fasthttp.ErrSmallBuffer
	var netErr net.Error
	switch {
	case errors.As(err, &small):
		f = faultHeaderSize
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		f = faultBodySize
	case errors.As(err, &netErr) && netErr.Timeout():
		f = faultTimeout
	}
	s.metrics.problems[f].Inc()
	writeProblem(ctx, f, s.language.match(ctx.Request.Header.Peek(fasthttp.HeaderAcceptLanguage)))
}

// SetStage tells /readyz what the server is busy with before it is ready, and
// about how long that will take (0: not known). It sets the Retry-After of
// those who come meanwhile.
func (s *Server) SetStage(name string, eta time.Duration) {
	if s.attached.Load() == nil {
		s.stage.set(stageNow{name: name, eta: eta})
	}
}

// Attach hands over the engine, recovered and started, and makes the server
// ready. It is called once.
func (s *Server) Attach(b Booker) {
	a := s.attach(b)
	s.keeper.tick(a, time.Since(s.keeper.began)) // nobody is served by a line that is not kept yet
	s.attached.Store(a)
	s.stage.set(stageNow{name: stageReady, ready: true})
}

// Serve accepts on both listeners, which it closes in the end. It returns nil
// after Shutdown is over, and the error when one of the listeners fails for
// good; the other is closed then, with all connections.
func (s *Server) Serve(public, admin net.Listener) error {
	public, looped, err := s.looping(public)
	if err != nil {
		return errors.Join(err, public.Close(), admin.Close())
	}
	p := paces{read: s.limits.ReadTimeout, write: s.limits.WriteTimeout, idle: s.limits.IdleTimeout}
	pub := newBoundListener(public, s.limits.Connections, p)
	p.read, p.write = adminTimeout, adminTimeout
	adm := newBoundListener(admin, adminConnections, p)
	adm.relief = pub.makeRoom // the operator can look on whoever takes the descriptors
	if looped {
		pub.relief = s.relieve
	}
	if !s.register(pub, adm) {
		return errors.Join(pub.Close(), adm.Close())
	}
	serving, stop := context.WithCancel(context.Background())
	var keepers sync.WaitGroup
	keepers.Go(func() { s.refresh(serving) })
	keepers.Go(func() { s.keep(serving) })
	keepers.Go(func() { pub.enforce(serving) })
	keepers.Go(func() { adm.enforce(serving) })
	defer keepers.Wait()
	defer stop()

	ended := make(chan error, 2)
	go func() { ended <- s.serveOnPublic(pub, looped) }()
	go func() { ended <- serveOn(s.admin, "admin", adm, s.adminTLS) }()
	err = <-ended
	if err != nil {
		s.abort()
	}
	err = errors.Join(err, <-ended)
	if s.isClosed() {
		<-s.drained // Shutdown has a deadline
	}
	return err
}

// looping prepares the public listener for loops, where they can serve it: plain
// HTTP over TCP.
func (s *Server) looping(public net.Listener) (net.Listener, bool, error) {
	tcp, ok := public.(*net.TCPListener)
	if !ok || s.publicTLS != nil {
		return public, false, nil
	}
	raw, err := newRawListener(tcp)
	if err != nil {
		return public, false, fmt.Errorf("serve public listener: %w", err)
	}
	return raw, true, nil
}

func (s *Server) serveOnPublic(l *boundListener, looped bool) error {
	if !looped {
		return serveOn(s.public, "public", l, s.publicTLS)
	}
	f, err := s.newFront(l)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.front = f
	s.mu.Unlock()
	return f.serve(s.public, s.isClosed, s.drained)
}

func serveOn(h *fasthttp.Server, name string, l net.Listener, config *tls.Config) error {
	if config != nil {
		l = tls.NewListener(l, config)
	}
	if err := h.Serve(l); err != nil {
		return fmt.Errorf("serve %s listener: %w", name, err)
	}
	return nil
}

// register keeps the listeners of Serve, unless the server was shut down
// before.
func (s *Server) register(public, admin *boundListener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.listeners = []runningListener{{"public", public}, {"admin", admin}}
	return true
}

func (s *Server) running() []runningListener {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.listeners
}

func (s *Server) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// abort closes everything at once.
func (s *Server) abort() {
	for _, l := range s.running() {
		_ = l.Close() // it may be closed already
		l.closeConns()
	}
	if f := s.loops(); f != nil {
		f.loops.Stop()
	}
}

func (s *Server) loops() *front {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.front
}

// refresh keeps what is published about availability fresh, so that readers
// need not wait for it.
func (s *Server) refresh(ctx context.Context) {
	ticker := time.NewTicker(refreshInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if a := s.attached.Load(); a != nil {
			now := event.Time(s.clock.Now().UnixMilli())
			for _, e := range a.all() {
				e.published.Refresh(now)
			}
		}
	}
}

// Shutdown stops accepting, refuses what comes on open connections, answers
// what is in flight, and closes the connections; the admin listener answers
// until the public one is done. When ctx ends first, the connections are cut
// and its error is returned. The journal may be closed only after it. A second
// call waits for the first.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	again := s.closed
	s.closed = true
	s.mu.Unlock()
	if again {
		select {
		case <-s.drained:
			return nil
		case <-ctx.Done():
			return fmt.Errorf("shut down: %w", ctx.Err())
		}
	}
	defer close(s.drained)
	s.stage.set(stageNow{name: stageDraining, stopping: true})
	err := s.shutdownPublic(ctx)
	err = errors.Join(err, s.admin.ShutdownWithContext(ctx))
	s.abort()
	if err != nil {
		return fmt.Errorf("shut down: %w", err)
	}
	return nil
}

func (s *Server) shutdownPublic(ctx context.Context) error {
	f := s.loops()
	if f == nil {
		return s.public.ShutdownWithContext(ctx)
	}
	return errors.Join(f.listener.Close(), f.loops.Drain(ctx), s.public.ShutdownWithContext(ctx))
}
