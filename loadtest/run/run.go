//go:build linux

// Package run is one load test from its start to the judged report: it starts
// the server, or takes one that runs, lets a crowd loose on it, kills and
// restarts it and pauses the campaign where that is asked for, reads what is on
// disk afterwards, has it judged, and sums everything up.
//
// Loader and server share the machine where the server is started here. That is
// said in the report's lateness: where the loader was late itself, the run is
// not valid.
//
// The package does not protect against another program that takes the killed
// server's port before it is back.
package run

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"weir/core/campaign"
	"weir/core/event"
	"weir/loadtest/answers"
	"weir/loadtest/crowd"
	"weir/loadtest/evidence"
	"weir/loadtest/judge"
	"weir/loadtest/openloop"
	"weir/loadtest/report"
	"weir/loadtest/scenario"
	"weir/server/keys"
)

// Options say what to run against what. Scenario and Dir must be given, and
// Binary or Target.
type Options struct {
	Scenario *scenario.Scenario
	Seed     uint64
	Loops    int    // of the loader, each on a thread of its own; 1 where 0
	Dir      string // that keeps the answers and, of a server that is started here, its data

	Binary    string        // of weir, to start a server; "": Target is one that runs
	KillEvery time.Duration // SIGKILL to the server that was started here, and start it again; 0: never
	Kills     int           // at most; 0: as many as there is time for

	Target *Target

	Grace time.Duration // for those who are not done when the last have come; 30 s where 0

	// Progress is told what happens, a sample a second among it, by one
	// goroutine. It must not block for long. May be nil.
	Progress func(Event)
}

// Target is a server that runs already.
type Target struct {
	URL    string // http://127.0.0.1:8080
	Rules  *campaign.Definition
	Issuer crowd.Issuer
	// AnyAddress allows one that is not this machine.
	AnyAddress bool
}

// Event is something that happened.
type Event struct {
	Text   string         // a step that was begun; "" with a sample
	Sample *report.Sample //
	Last   *report.Sample // the one before it, nil for the first
	Until  time.Duration  // about how long the run takes, since the start
}

// ErrOptions refuses what is no run.
var ErrOptions = errors.New("bad options")

const (
	leadMin        = 2 * time.Second
	perLeadSecond  = 3_000_000 // people whose timers are set in a second, at least
	identityLife   = 24 * time.Hour
	issuerName     = "weirload"
	issuerAudience = "weir"
	drain          = 10 * time.Second
)

// session is one Run.
type session struct {
	Options
	began    time.Time // from which all times count
	opens    time.Time
	server   *server // nil: Target
	addr     string
	admin    string
	rules    *campaign.Definition
	issuer   crowd.Issuer
	clock    clock
	file     *answers.File
	crowd    *crowd.Crowd
	engine   *openloop.Engine
	result   *openloop.Result
	samples  []report.Sample
	pauses   []judge.Pause
	stalls   []judge.Stall
	failures []error // of the run, not of the server under test
}

// Run runs a load test and returns what came of it. It fails where it cannot be
// done; what the server did wrong is in the report. Where the context ends
// first, there is no report.
func Run(ctx context.Context, o Options) (*report.Report, *openloop.Result, error) {
	s := &session{Options: o}
	if o.Target != nil && o.Scenario != nil && o.Scenario.Operator.Acts() {
		return nil, nil, fmt.Errorf("load test: %w: the scenario has an operator, who works on a server that was started here; leave the target out", ErrOptions)
	}
	if o.Scenario == nil || o.Dir == "" || (o.Binary == "") == (o.Target == nil) || o.KillEvery > 0 && o.Binary == "" {
		return nil, nil, fmt.Errorf("load test: %w: a scenario, a directory, and a binary or a target are needed; only a server that was started here is killed", ErrOptions)
	}
	s.Loops = max(s.Loops, 1)
	whole := time.Now()
	if err := s.play(ctx); err != nil {
		return nil, nil, fmt.Errorf("load test: %w", err)
	}
	r := s.summary()
	if err := s.judge(ctx, r); err != nil {
		return nil, nil, fmt.Errorf("load test: %w", err)
	}
	s.checkThresholds(r)
	r.WholeTime = time.Since(whole).Seconds()
	return r, s.result, nil
}

func (s *session) say(format string, args ...any) {
	if s.Progress != nil {
		s.Progress(Event{Text: fmt.Sprintf(format, args...)})
	}
}

// play sets everything up and lets the crowd loose.
func (s *session) play(ctx context.Context) (err error) {
	if err := s.setUp(ctx); err != nil {
		return err
	}
	defer func() {
		if s.server != nil {
			s.server.kill() // where it has not been stopped yet
		}
	}()
	if err := s.gather(ctx); err != nil {
		return err
	}
	s.say("%d people, of whom about %d may book %d places; %v of arrivals, the opening %v after the start",
		s.Scenario.People, int(s.Scenario.Eligible*float64(s.Scenario.People)), s.rules.Places(),
		s.Scenario.Duration.Of(), s.Scenario.Opening.Of())
	s.file, err = answers.Create(filepath.Join(s.Dir, answersFile), s.header())
	if err != nil {
		return err
	}
	err = s.crowdLoose(ctx)
	err = errors.Join(err, s.file.Close())
	if s.crowd != nil {
		err = errors.Join(err, s.crowd.Err())
	}
	if s.server != nil {
		s.say("stopping the server")
		err = errors.Join(err, s.server.stop())
	}
	return errors.Join(append(s.failures, err)...)
}

// setUp makes the campaign and has the server running.
func (s *session) setUp(ctx context.Context) error {
	if s.Target != nil {
		target, err := url.Parse(s.Target.URL)
		if err != nil || target.Scheme != "http" || target.Host == "" {
			return fmt.Errorf("%w: target %q has not the form http://127.0.0.1:8080", ErrOptions, s.Target.URL)
		}
		s.addr, s.rules, s.issuer = target.Host, s.Target.Rules, s.Target.Issuer
		s.began = time.Now()
		return nil
	}
	for allowance := startAllowance; ; allowance *= 2 {
		if err := s.startIn(ctx, allowance); err != nil {
			return err
		}
		if time.Now().Before(s.began) || allowance >= startAllowanceMax {
			break
		}
		s.say("the server took more than %v to start; once more, with more time", allowance)
		s.server.running.Kill()
		if err := s.server.clear(); err != nil {
			return err
		}
	}
	if late := time.Since(s.began); late > 0 {
		s.began = s.began.Add(late)
	}
	return wait(ctx, time.Until(s.began))
}

// startIn starts a server of a campaign that opens so much later as the scenario
// says, if that is up within the allowance: the opening is counted from when the
// crowd is about to come.
func (s *session) startIn(ctx context.Context, allowance time.Duration) error {
	s.opens = time.Now().Add(allowance + s.lead() + s.Scenario.Opening.Of()).Truncate(time.Second)
	name, rules, err := s.Scenario.Write(s.Dir, s.opens)
	if err != nil {
		return err
	}
	s.rules = rules
	var more []string
	if pass := s.Scenario.Campaign.Pass.Of(); pass > 0 {
		more = []string{"--pass-ttl", pass.String()}
	}
	s.server, err = startServer(ctx, s.Binary, s.Dir, name, more...)
	if err != nil {
		return err
	}
	s.addr, s.admin, s.issuer = s.server.addr, s.server.admin, s.server.issuer
	s.began = s.opens.Add(-s.lead() - s.Scenario.Opening.Of())
	return s.admit(ctx)
}

// startAllowance is how long a server may take to start without making the
// opening late. One that takes longer is started anew, for a later opening, as
// long as there is hope.
const (
	startAllowance    = 3 * time.Second
	startAllowanceMax = 20 * time.Second
)

func (s *session) lead() time.Duration {
	return leadMin + time.Duration(s.Scenario.People)*time.Second/perLeadSecond
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

func (s *session) header() *answers.Header {
	return &answers.Header{
		Scenario: s.Scenario.Name, Campaign: s.rules.ID, Seed: s.Seed, People: uint32(s.Scenario.People), Eligible: s.Scenario.Eligible,
		Began: event.Time(s.clock.at(s.began).UnixMilli()), ClockError: s.clock.err,
	}
}

// gather reads the server's clock.
func (s *session) gather(ctx context.Context) (err error) {
	s.began = time.Now()
	s.clock, err = readClock(ctx, s.addr, s.rules.ID)
	return err
}

// crowdLoose runs the client until everybody has gone.
func (s *session) crowdLoose(ctx context.Context) (err error) {
	sc := s.Scenario
	s.crowd, err = crowd.New(crowd.Plan{
		Scenario: sc, Rules: s.rules, Issuer: s.issuer, Seed: s.Seed, Loops: s.Loops, Host: s.addr, File: s.file,
		Lead: s.lead(), Grace: s.Grace, Expires: s.clock.at(time.Now()).Add(identityLife),
	})
	if err != nil {
		return err
	}
	s.engine, err = openloop.New(openloop.Options{
		Addr: s.addr, Labels: crowd.Labels(), Clients: s.crowd.Clients(), Driver: s.crowd.Driver, Loops: s.Loops,
		Patience: sc.Behaviour.Patience.Of(), Timeout: sc.Behaviour.Patience.Of(), Connections: sc.Client.Connections,
		PerConn: sc.Client.PerConn, Start: s.began, Drain: drain,
		AnyAddress: s.Target != nil && s.Target.AnyAddress,
	})
	if err != nil {
		return err
	}
	beside, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() { s.watch(beside) })
	watching.Go(func() { s.feelPulse(beside) })
	s.result, err = s.engine.Run(ctx)
	cancel()
	watching.Wait()
	return err
}

// judge reads what is on disk and has it held against what people were told.
func (s *session) judge(ctx context.Context, r *report.Report) error {
	if s.server == nil {
		s.say("not judged: stop the server, and give `weirload judge` the answers and its directories")
		return nil
	}
	s.say("judging %d requests", r.Requests)
	verdict, err := Judge(ctx, Kept{
		Answers: []string{filepath.Join(s.Dir, answersFile)}, Rules: s.rules, Issuer: s.issuer.Name, Downs: s.downs(), Pauses: s.pauses, Stalls: s.stalls,
		Disk: evidence.Directory{Binary: s.Binary, Data: s.server.data()}, Keys: s.server.keys(),
	})
	if err != nil {
		return err
	}
	r.Verdict, r.Violations = verdict, verdict.Texts()
	return nil
}

// answersFile is the name of the file of answers in Options.Dir.
const answersFile = "answers"

// Kept is what a run leaves that is to be judged.
type Kept struct {
	Answers []string // files of one run
	Rules   *campaign.Definition
	Disk    evidence.Directory // of a server that has been stopped
	Keys    string             // its directory of secrets; "": what it calls people is not known
	Issuer  string             // as identity tokens named it
	Downs   []judge.Down
	Pauses  []judge.Pause
	Stalls  []judge.Stall
}

// Judge reads what is on disk and has the answers of a run held against it.
func Judge(ctx context.Context, k Kept) (*judge.Verdict, error) {
	if len(k.Answers) == 0 {
		return nil, fmt.Errorf("%w: no answers to judge", ErrOptions)
	}
	header, err := answers.ReadHeader(k.Answers[0])
	if err != nil {
		return nil, err
	}
	found, err := readFound(ctx, k.Disk, k.Rules)
	if err != nil {
		return nil, err
	}
	c := judge.Case{Files: k.Answers, Rules: k.Rules, Found: found, Downs: k.Downs, Pauses: k.Pauses, Stalls: k.Stalls, Seed: header.Seed}
	if c.Born, err = crowd.BornOf(header.Seed, header.Eligible); err != nil {
		return nil, err
	}
	if c.Key, err = keyOf(k.Keys, k.Issuer); err != nil {
		return nil, err
	}
	return judge.Judge(ctx, c)
}

// keyOf is what the server calls people: its key is known to who has its
// directory of secrets.
func keyOf(dir, issuer string) (func(answers.Person) event.PersonKey, error) {
	if dir == "" {
		return nil, nil
	}
	if _, err := os.Stat(dir); err != nil { // else it would be made
		return nil, fmt.Errorf("read keys: %w", err)
	}
	k, err := keys.Open(dir)
	if err != nil {
		return nil, err
	}
	return func(p answers.Person) event.PersonKey { return k.Hasher.Person(issuer, crowd.Subject(p)) }, nil
}

// machine is where this runs.
func machine() report.Machine {
	return report.Machine{CPU: processor(), Cores: runtime.NumCPU(), Kernel: kernel(), Go: runtime.Version()}
}
