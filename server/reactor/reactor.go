//go:build linux

package reactor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"weir/core/event"
)

// Journal is where records become durable, as core.Journal has it.
type Journal interface {
	Wait(seq event.Seq) error
	Durable() event.Seq
}

// Paces are how long a connection may take for what it does, to within two
// ticks of the reactor's clock.
type Paces struct {
	Read  time.Duration // from the connection's start, or a request's first byte, to its last
	Write time.Duration // for an answer
	Idle  time.Duration // between requests
}

// restTick is to what a rest is kept, and how often the clock ticks at least.
const restTick = 50 * time.Millisecond

func (p Paces) tick() time.Duration {
	return max(time.Millisecond, min(250*time.Millisecond, min(p.Read, p.Write, p.Idle)/4))
}

// Config is what a reactor is made of. A is what is to be known of an answer
// when it leaves.
type Config[A any] struct {
	Loops int
	Began time.Time // of the monotonic clock that Guard's users share; zero: New
	Paces Paces
	Guard *Guard // nil: everybody is let through

	// Serve serves HTTP on a lane and returns when an answer ends its
	// connection or when the lane answers io.EOF: ServeConn of fasthttp.
	Serve func(lane net.Conn) error
	// Other takes over a connection that a loop can't serve. It must not
	// block.
	Other func(Handed)
	// Late makes the whole answer to a request that takes too long to come.
	Late func() []byte
	// Left is told once of each kept answer: that it leaves, or never will
	// since its connection is gone. Lost is told before, of one whose record is
	// not known to be durable, and gives what is sent in its place; the
	// connection ends then.
	Left func(account *A)
	Lost func(account *A, err error) []byte
}

// Reactor is a set of loops. Its methods are safe for concurrent use.
//
// Its life: New; Add for each connection; Drain or not; Stop; Wait.
type Reactor[A any] struct {
	config    Config[A]
	loops     []*loop[A]
	next      atomic.Uint32 // loop that the next connection goes to
	nextRoom  atomic.Uint32 // loop that makes room next
	displaced atomic.Uint64 // connections that made room
	began     time.Time     // of Config.Began
	clock     atomic.Int64  // nanoseconds that the reactor was at work, set at each tick

	draining atomic.Bool
	stopped  atomic.Bool
	stop     context.CancelFunc
	running  sync.WaitGroup
}

// New starts a reactor.
func New[A any](config Config[A]) (*Reactor[A], error) {
	if config.Loops < 1 {
		return nil, fmt.Errorf("start reactor: %d loops, it takes at least one", config.Loops)
	}
	if config.Began.IsZero() {
		config.Began = time.Now()
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &Reactor[A]{config: config, stop: cancel, began: config.Began}
	var errs error
	for i := range config.Loops {
		l, err := newLoop(r, i)
		errs = errors.Join(errs, err)
		if err == nil {
			r.loops = append(r.loops, l)
		}
	}
	if errs != nil {
		for _, l := range r.loops {
			l.free()
		}
		cancel()
		return nil, fmt.Errorf("start reactor: %w", errs)
	}
	for _, l := range r.loops {
		r.running.Go(l.run)
	}
	r.running.Go(func() { r.tick(ctx) })
	return r, nil
}

// tick moves the clock and has every loop look at it. Where the process stood
// still for long, the clock does not jump: what its callers sent meanwhile lies
// in their sockets, and they are not to be called late for it.
func (r *Reactor[A]) tick(ctx context.Context) {
	const ticksMax = 4 // that the clock moves in one go
	step := min(r.config.Paces.tick(), restTick)
	ticker := time.NewTicker(step)
	defer ticker.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := time.Now()
		r.clock.Add(int64(min(now.Sub(last), ticksMax*step)))
		last = now
		for _, l := range r.loops {
			l.ticked.Store(true)
			l.wake()
		}
	}
}

// Watch calls readable in a loop's goroutine whenever the descriptor, a
// listener, has become readable. It is called once.
func (r *Reactor[A]) Watch(fd int, readable func()) error { return r.loops[0].watch(fd, readable) }

// monotonic is the time since Config.Began.
func (r *Reactor[A]) monotonic() time.Duration { return time.Since(r.began) }

// Add gives the reactor a connection. After Drain or Stop it is closed.
func (r *Reactor[A]) Add(s Socket) {
	r.loops[r.next.Add(1)%uint32(len(r.loops))].add(s)
}

// Drain closes what has no whole request under way, has everything else closed
// when its answer has left, and returns when no connection is left or ctx ends,
// with its error.
func (r *Reactor[A]) Drain(ctx context.Context) error {
	r.draining.Store(true)
	for _, l := range r.loops {
		l.wake()
	}
	for _, l := range r.loops {
		select {
		case <-l.empty:
		case <-ctx.Done():
			return fmt.Errorf("drain connections: %w", ctx.Err())
		}
	}
	return nil
}

// Draining tells whether answers should end their connections.
func (r *Reactor[A]) Draining() bool { return r.draining.Load() }

// Stop has all connections closed and the loops end. Answers that are kept are
// not sent.
func (r *Reactor[A]) Stop() {
	r.stopped.Store(true)
	r.stop()
	for _, l := range r.loops {
		l.wake()
	}
}

// Wait returns when the loops have ended after Stop. Whoever waits for a record
// on their behalf ends no sooner than the journal tells about it.
func (r *Reactor[A]) Wait() { r.running.Wait() }
