//go:build linux

package openloop

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// Options say where to send and within which bounds. Addr, Labels, Clients and
// Driver must be given.
type Options struct {
	Addr    string   // "127.0.0.1:8080", "[::1]:8080": an IP and a port, no name
	Labels  []string // what results are told apart by, at most 64
	Clients int      // of each loop: Client goes from 0 to Clients-1

	// Driver makes the driver of one loop, 0 to Loops-1.
	Driver func(loop int) Driver
	Loops  int // each on a thread of its own; 1 where 0

	Duration time.Duration // no timer fires and nothing is sent after it; 0: until there is nothing left to do
	Drain    time.Duration // for answers under way behind Duration; 10 s where 0

	Patience time.Duration // from when a request is due until it is given up; 1 min where 0
	Timeout  time.Duration // from when it is sent until it is given up; 10 s where 0
	// ConnectWait is how long a request waits for a connection until it is given
	// up (Unconnected), as a proxy in front would; 0: as long as its patience.
	ConnectWait time.Duration
	LateMax     time.Duration // what is taken up later counts as not offered; 50 ms where 0

	Connections int // of all loops at once, at most; 128 where 0
	PerConn     int // answers after which a connection is closed; 0: as many as the server likes
	QueueMax    int // requests of a loop that wait for a connection; 1,000,000 where 0
	Sources     int // loopback addresses that connections come from in turn (127.0.0.1, 127.0.0.2 …); 0: the system's choice

	Slice time.Duration // of time, by which results are kept apart, too; 1 s where 0

	// Start is the moment from which times count, in the past; zero: when Run is
	// called. Several engines that share one can compare their times.
	Start time.Time

	// AnyAddress allows a target that is not this machine. A load test of
	// somebody else's server is an attack.
	AnyAddress bool
}

const (
	labelsMax      = 64
	statusMax      = 599
	connectionsMax = 18_000 // of 20,000 descriptors that a process may have
	slicesMax      = 100_000
	sourcesMax     = 1 << 20        // of the 2²⁴ addresses of loopback
	lengthMax      = 48 * time.Hour // of a run; the wheel's ticks end at 78
)

var (
	// ErrNotLoopback refuses a target that is not this machine.
	ErrNotLoopback = errors.New("target is not a loopback address")
	// ErrOptions refuses options that make no run.
	ErrOptions = errors.New("bad options")
)

// Engine is one run.
type Engine struct {
	options Options
	target  netip.AddrPort
	loops   []*Loop
}

// New checks the options and takes what memory the run needs. It opens nothing.
func New(o Options) (*Engine, error) {
	target, err := netip.ParseAddrPort(o.Addr)
	if err != nil {
		return nil, fmt.Errorf("open loop: %w: target: %w", ErrOptions, err)
	}
	if !target.Addr().Unmap().IsLoopback() && !o.AnyAddress {
		return nil, fmt.Errorf("open loop: %w: %s; only a server on this machine is loaded unless AnyAddress says otherwise",
			ErrNotLoopback, target)
	}
	o.setDefaults()
	if err := o.check(target); err != nil {
		return nil, fmt.Errorf("open loop: %w", err)
	}
	e := &Engine{options: o, target: target}
	for i := range o.Loops {
		e.loops = append(e.loops, newLoop(e, i))
	}
	return e, nil
}

func (o *Options) setDefaults() {
	setDefault(&o.Loops, 1)
	setDefault(&o.Drain, 10*time.Second)
	setDefault(&o.Patience, time.Minute)
	setDefault(&o.Timeout, 10*time.Second)
	setDefault(&o.LateMax, 50*time.Millisecond)
	setDefault(&o.Connections, 128)
	setDefault(&o.QueueMax, 1_000_000)
	setDefault(&o.Slice, time.Second)
}

func setDefault[T int | time.Duration](field *T, value T) {
	if *field == 0 {
		*field = value
	}
}

func (o *Options) check(target netip.AddrPort) error {
	switch {
	case o.Driver == nil:
		return fmt.Errorf("%w: no driver", ErrOptions)
	case len(o.Labels) == 0 || len(o.Labels) > labelsMax:
		return fmt.Errorf("%w: %d labels, from 1 to %d", ErrOptions, len(o.Labels), labelsMax)
	case o.Clients < 1 || o.Clients > timersMax:
		return fmt.Errorf("%w: %d clients, from 1 to %d", ErrOptions, o.Clients, timersMax)
	case o.Loops < 1 || o.Loops > o.Connections:
		return fmt.Errorf("%w: %d loops, from 1 to as many as connections", ErrOptions, o.Loops)
	case o.Connections > connectionsMax:
		return fmt.Errorf("%w: %d connections, at most %d", ErrOptions, o.Connections, connectionsMax)
	case min(o.Duration, o.Drain, o.Patience, o.Timeout, o.ConnectWait, o.LateMax, o.Slice) < 0:
		return fmt.Errorf("%w: a time is negative", ErrOptions)
	case o.Duration > lengthMax || o.Drain > lengthMax || o.Patience > latencyMax || o.Timeout > latencyMax:
		return fmt.Errorf("%w: a time is too long: a run at most %v, a request %v", ErrOptions, lengthMax, latencyMax)
	case o.Duration/o.Slice > slicesMax:
		return fmt.Errorf("%w: %d slices, at most %d", ErrOptions, o.Duration/o.Slice, slicesMax)
	case min(o.PerConn, o.QueueMax, o.Sources) < 0:
		return fmt.Errorf("%w: a bound is negative", ErrOptions)
	case o.Sources > sourcesMax || o.Sources > 0 && !target.Addr().Unmap().Is4():
		return fmt.Errorf("%w: %d sources, at most %d and with IPv4 alone", ErrOptions, o.Sources, sourcesMax)
	}
	return nil
}

// Run sends until the duration is over or nothing is left to do, awaits the
// answers under way, closes every connection and returns what came back. Where
// the context ends first it returns what came until then, and an error. A
// server that can't be reached is no error: each request says so. An engine
// runs once.
func (e *Engine) Run(ctx context.Context) (*Result, error) {
	for i, l := range e.loops {
		if err := l.open(); err != nil {
			for _, opened := range e.loops[:i] {
				opened.close()
			}
			return nil, fmt.Errorf("open loop: %w", err)
		}
	}
	start := e.options.Start
	if start.IsZero() {
		start = time.Now()
	}
	failures := make([]error, len(e.loops))
	var running sync.WaitGroup
	for i, l := range e.loops {
		running.Go(func() { failures[i] = l.run(ctx, start) })
	}
	running.Wait()
	result := gather(&e.options, e.loops, time.Since(start))
	if err := errors.Join(failures...); err != nil {
		return result, fmt.Errorf("open loop: %w", err)
	}
	return result, nil
}

// Counters are the counters of all loops so far, some hundredths of a second
// old. It is safe to call while Run runs.
func (e *Engine) Counters() Counters {
	var sum Counters
	for _, l := range e.loops {
		sum.add(l.published())
	}
	return sum
}
