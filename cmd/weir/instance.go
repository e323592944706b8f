package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"weir/core"
	"weir/core/campaign"
	"weir/core/event"
	"weir/core/line"
	"weir/persist/wal"
	"weir/server"
	"weir/server/admission"
	"weir/server/identity"
	"weir/server/keys"
)

// The end in good order takes stopWithin at most, from the signal to the closed
// log; answering what is in flight takes no more than drainWithin of it.
const (
	stopWithin  = 10 * time.Second
	drainWithin = 8 * time.Second
)

// instance is one server from its start to its end:
//
//  1. The configuration is checked, the listeners open, the secrets are read,
//     the HTTP server answers /livez and /readyz.
//  2. The log is recovered into the engine; the clock is lifted to the log's
//     newest time, so that it never goes back over a restart.
//  3. The campaign files are put in force and the definitions are on disk.
//  4. The HTTP server gets the engine: it is ready.
//  5. At the end no new request is taken, those in flight are answered, then
//     the log is closed. After a failure of the log nothing is acknowledged
//     any more and the process ends: a restart recovers from the disk.
//
// run owns every goroutine and has ended them all when it returns.
type instance struct {
	config *config
	stderr io.Writer
	log    *slog.Logger
	clock  *rehearsalClock

	// ready is told once that public requests are served. May be nil.
	ready func(in *instance)
	// initial makes what is put in force where neither the log nor the
	// configuration has a campaign. nil: the built-in sample, and the log of
	// the process says so.
	initial func() (*campaign.Definition, error)

	listeners *listeners
	keys      *keys.Keys
	identity  *identity.Verifier
	http      *server.Server
	engine    *core.Engine
	history   server.History
	journal   journal
	wal       atomic.Pointer[wal.Log] // the journal where it is durable, for /metrics; nil until it is open
	snapshots keeping

	failed      chan error    // the journal's failure; one at most
	failureTold bool          // run returns it; owner: run
	served      chan error    // what the HTTP server returned
	ended       chan struct{} // closed when the background work is to end
	workers     sync.WaitGroup
}

// newInstance checks what can be checked before anything is opened.
func newInstance(c *config, stderr io.Writer) (*instance, error) {
	if len(c.issuers) == 0 {
		return nil, usagef(`nobody could prove who they are: no issuer of identity tokens is given. Name one in the
configuration (identity:), or for a trial type these two lines:
  openssl rand -hex 32 > secret && chmod 600 secret
  weir serve --identity-hs256-file secret --identity-issuer demo --identity-audience weir
Or type weir demo for a server with all of that and a campaign that opens in a minute`)
	}
	log, err := newLogger(stderr, c)
	if err != nil {
		return nil, err
	}
	return &instance{
		config: c, stderr: stderr, log: log,
		clock:  newRehearsalClock(c.rehearseAt),
		engine: core.New(),
		failed: make(chan error, 1),
		served: make(chan error, 1),
		ended:  make(chan struct{}),
	}, nil
}

// run serves until ctx ends or something fails.
func (in *instance) run(ctx context.Context) error {
	in.announce()
	reloads, stop := hangups()
	defer stop()
	if err := in.open(); err != nil {
		return errors.Join(err, in.close(context.WithoutCancel(ctx)))
	}
	go func() { in.served <- in.http.Serve(in.listeners.public, in.listeners.admin) }()
	err := in.start(ctx)
	if err == nil {
		err = in.wait(ctx, reloads)
	}
	if errors.Is(err, errStopped) {
		in.log.Info("stopped while the log was being read; the next start reads it again")
		err = nil
	}
	select {
	case failure := <-in.failed:
		in.failureTold = true
		err = journalFailure(in.config.data, failure)
	default:
	}
	return errors.Join(err, in.close(context.WithoutCancel(ctx)))
}

// open opens what needs no log.
func (in *instance) open() error {
	var err error
	if in.listeners, err = openListeners(in.config); err != nil {
		return err
	}
	in.log.Info("listening", "public", in.listeners.public.Addr().String(), "admin", in.listeners.admin.Addr().String())
	if in.keys, err = openKeys(in.config); err != nil {
		return err
	}
	if in.identity, err = identity.Open(identityConfig(in.config, in.log)); err != nil {
		return err
	}
	token, err := in.adminToken()
	if err != nil {
		return err
	}
	in.http, err = server.New(server.Config{
		Identity:  in.identity,
		Ring:      in.keys.Ring,
		Hasher:    in.keys.Hasher,
		Clock:     in.clock,
		Limits:    in.config.limits(),
		Admission: in.config.admissionOf(),
		Seed:      in.keys.Seed,
		PassTTL:   in.config.passTTL,
		TicketTTL: in.config.ticketTTL,

		LineSettings:  in.config.lineSettings(),
		Polling:       in.config.polling(),
		JournalDelays: in.journalDelays,
		History:       &in.history,

		Notice:     in.config.notice(),
		AdminToken: token,
		PublicTLS:  in.listeners.publicTLS.config(),
		AdminTLS:   in.listeners.adminTLS.config(),
		Logger:     in.log,
		Gauges:     in.gauges,
	})
	return err
}

func (c *config) limits() server.Limits {
	return server.Limits{
		Connections: c.maxConnections, InFlight: c.maxInFlight,
		ReadTimeout: c.readTimeout, WriteTimeout: c.writeTimeout, IdleTimeout: c.idleTimeout,
	}
}

func (c *config) admissionOf() server.Admission {
	headers := map[string]admission.Header{"none": admission.NoHeader, "x-forwarded-for": admission.XForwardedFor, "forwarded": admission.Forwarded}
	return server.Admission{Off: c.admission == "off", Header: headers[c.clientHeader], Proxies: c.trustedProxies}
}

// lineSettings is the file that keeps what operators set of lines: beside the
// log, and nowhere where nothing is to survive.
func (c *config) lineSettings() string {
	if c.journal == journalMemory {
		return ""
	}
	return filepath.Join(c.data, "line-settings.json")
}

func (c *config) polling() line.Polling {
	p := line.DefaultPolling()
	p.BudgetPerSecond = float64(c.pollBudget)
	return p
}

func (in *instance) adminToken() ([]byte, error) {
	if in.config.adminTokenFile == "" {
		in.log.Warn("no admin token file is given: requests to the admin listener that need a token are all refused")
		return nil, nil
	}
	return server.ReadAdminToken(in.config.adminTokenFile)
}

func identityConfig(c *config, log *slog.Logger) identity.Config {
	ic := identity.Config{Report: func(issuer string, err error) {
		if err != nil {
			log.Warn("the keys of an issuer could not be read; the last good ones stay", "issuer", issuer, "error", err)
			return
		}
		log.Debug("the keys of an issuer were read", "issuer", issuer)
	}}
	for _, i := range c.issuers {
		ic.Issuers = append(ic.Issuers, identity.Issuer{
			Name: i.name, Audience: i.audience, HS256File: i.hs256File, JWKSFile: i.jwksFile, JWKSURL: i.jwksURL,
		})
	}
	return ic
}

// start recovers the log, puts the campaigns in force and lets the HTTP server
// serve them.
func (in *instance) start(ctx context.Context) error {
	in.workers.Go(func() { tuneHeap(in.ended) })
	if err := in.openJournal(ctx); err != nil {
		return err
	}
	in.clock.raise(in.journal.NewestTime())
	if behind := in.clock.behind(); behind > 0 {
		in.log.Warn("the machine's clock is behind the newest record of the log; time stands still until it has caught up", "behind", behind)
	}
	in.engine.Start(in.journal)
	in.http.SetStage("campaigns", 0)
	if err := in.define(); err != nil {
		return err
	}
	in.http.Attach(in.engine)
	in.workers.Go(func() { sweep(in.engine, in.clock.Now, in.ended) })
	if err := in.keepSnapshots(); err != nil {
		return err
	}
	in.log.Info("ready", "public", in.listeners.public.Addr().String(), "admin", in.listeners.admin.Addr().String())
	if in.ready != nil {
		in.ready(in)
	}
	return nil
}

// define puts the definitions of the configuration in force. All of them are
// read first, so that a fault in one leaves the log as it was.
func (in *instance) define() error {
	var definitions []*campaign.Definition
	for _, name := range in.config.campaigns {
		d, err := loadDefinition(name)
		if err != nil {
			return explainDefinition(name, err)
		}
		definitions = append(definitions, d)
	}
	if len(definitions) == 0 && len(in.engine.Campaigns()) == 0 {
		d, err := in.first()
		if err != nil {
			return err
		}
		definitions = append(definitions, d)
	}
	for _, d := range definitions {
		if err := in.defineOne(d); err != nil {
			return err
		}
	}
	return nil
}

// first is the campaign of a server that has none and was given none.
func (in *instance) first() (*campaign.Definition, error) {
	if in.initial != nil {
		return in.initial()
	}
	in.log.Warn("no campaign is given and the log has none: the built-in sample is served, and stays in the log. Name your own with --campaign, and another directory with --data",
		"campaign", samplePrefix+sampleName)
	return loadDefinition(samplePrefix + sampleName)
}

func (in *instance) defineOne(d *campaign.Definition) error {
	c, seq, err := in.engine.Define(event.Time(in.clock.Now().UnixMilli()), d)
	if err != nil {
		return fmt.Errorf("put campaign %s in force: %w", d.ID, err)
	}
	if err := in.engine.Wait(seq); err != nil {
		return fmt.Errorf("write campaign %s to the log: %w", d.ID, err)
	}
	_, version := c.Definition()
	if seq != 0 {
		in.history.Defined(event.Time(in.clock.Now().UnixMilli()), seq, d.ID, version)
	}
	in.log.Info("campaign in force", "campaign", d.ID, "version", version, "changed", seq != 0,
		"sites", len(d.Sites), "slots", d.SlotCount(), "places", d.Places())
	return nil
}

// wait returns when ctx ends, the HTTP server gives up or the journal fails.
func (in *instance) wait(ctx context.Context, reloads <-chan os.Signal) error {
	for {
		select {
		case <-ctx.Done():
			in.log.Info("stopping: requests in flight are answered, then the log is closed")
			return nil
		case err := <-in.served:
			in.served <- nil // close waits for it as well
			if err != nil {
				return fmt.Errorf("serve: %w", err)
			}
			return nil
		case err := <-in.failed:
			in.failed <- err // run tells what it means
			return err
		case <-reloads:
			in.reload()
		}
	}
}

// reload reads the keys of tickets and passes and the certificates again.
func (in *instance) reload() {
	if err := errors.Join(in.keys.Reload(), in.listeners.reload()); err != nil {
		in.log.Error("reload: what could not be read stays as it was", "error", err)
		return
	}
	in.log.Info("reloaded the keys of tickets and passes and the certificates", "signing_key", in.keys.Ring.Signer())
}

// close ends everything in the reverse order of its beginning.
func (in *instance) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopWithin)
	defer cancel()
	var errs []error
	if in.http != nil {
		errs = append(errs, in.closeHTTP(ctx))
	}
	close(in.ended)
	in.workers.Wait()
	if in.listeners != nil {
		in.listeners.close()
	}
	if in.identity != nil {
		in.identity.Close()
	}
	if in.journal != nil {
		errs = append(errs, in.closeJournal(ctx))
	}
	return errors.Join(errs...)
}

func (in *instance) closeHTTP(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, drainWithin)
	defer cancel()
	err := in.http.Shutdown(ctx)
	in.listeners.close() // what Serve was not given yet
	select {
	case served := <-in.served:
		err = errors.Join(err, served)
	case <-ctx.Done():
		err = errors.Join(err, fmt.Errorf("the listeners did not close: %w", ctx.Err()))
	}
	if err != nil {
		return fmt.Errorf("stop serving: %w", err)
	}
	return nil
}
