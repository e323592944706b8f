//go:build linux

package openloop

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	eventsMax = 256
	readSize  = 256 << 10
	tickBits  = 16                    // a tick of the wheels is 2¹⁶ ns, 65 µs
	lookEvery = 20 * time.Millisecond // at the context, at connections that don't come about, at the clock
)

// Loop is one event loop. All methods but those of the engine are for its
// driver, within a call from the loop.
type Loop struct {
	engine *Engine
	index  int
	driver Driver
	start  time.Time
	now    time.Duration // since start, as last read
	over   bool          // no timer fires and nothing is sent any more

	timers    *wheel // of the clients
	deadlines *wheel // of the flights
	flights   flights
	failing   []flightID // whose drivers are to be told, of this round
	told      []flightID // of the last one, for its memory
	pool      pool

	in     []byte // what is read from any connection
	out    []byte // what is composed
	answer Answer
	events []unix.EpollEvent

	record   *recorder
	counters Counters
	cpu      time.Duration
	looked   time.Duration

	publishing sync.Mutex
	publicised Counters // under publishing
}

func newLoop(e *Engine, index int) *Loop {
	o := &e.options
	connections := o.Connections / o.Loops
	if index < o.Connections%o.Loops {
		connections++
	}
	return &Loop{
		engine: e, index: index, driver: o.Driver(index),
		timers: newWheel(o.Clients), deadlines: newWheel(0), pool: newPool(connections),
		record: newRecorder(o),
		in:     make([]byte, readSize), events: make([]unix.EpollEvent, eventsMax),
	}
}

func (l *Loop) open() error { return l.pool.create() }

func (l *Loop) close() {
	l.pool.close()
	l.counters.Open = 0
}

// Index is the number of the loop, from 0.
func (l *Loop) Index() int { return l.index }

// Now is the time since the start of the run, read when the event that is
// being handled was taken up.
func (l *Loop) Now() time.Duration { return l.now }

// WakeAt sets the client's timer, again where it is set. A time that is not
// ahead is as soon as possible.
func (l *Loop) WakeAt(client Client, at time.Duration) {
	l.timers.start(uint32(client), tickAfter(at))
}

// Cancel stops the client's timer.
func (l *Loop) Cancel(client Client) { l.timers.stop(uint32(client)) }

// run is the life of the loop.
func (l *Loop) run(ctx context.Context, start time.Time) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before := threadCPU()
	defer func() { l.cpu = threadCPU() - before }()
	defer l.close()
	l.start = start
	l.clock()
	l.driver.Start(l)
	wake := func(id, due uint32) { l.driver.Wake(l, Client(id), timeOfTick(due)) }
	expire := func(id, _ uint32) { l.expire(flightID(id)) }
	for !l.done() {
		if err := l.poll(); err != nil {
			return err
		}
		now := l.clock()
		l.deadlines.advance(tickBefore(now), expire)
		if !l.over {
			l.timers.advance(tickBefore(l.untilEnd(now)), wake)
			l.over = l.untilEnd(now) < now
		}
		l.tell()
		if now-l.looked >= lookEvery {
			l.looked = now
			if err := l.look(ctx, now); err != nil {
				return err
			}
		}
	}
	l.publish()
	return nil
}

// untilEnd bounds the time of timers by the end of the run.
func (l *Loop) untilEnd(now time.Duration) time.Duration {
	if end := l.engine.options.Duration; end > 0 {
		return min(now, end)
	}
	return now
}

func (l *Loop) done() bool {
	return l.flights.count == 0 && (l.over || l.timers.set == 0)
}

func (l *Loop) clock() time.Duration {
	l.now = time.Since(l.start)
	return l.now
}

// poll waits for events until the next timer and serves them.
func (l *Loop) poll() error {
	n, err := l.pool.wait(l.events, l.idleTime())
	if err != nil {
		return fmt.Errorf("wait for answers: %w", err)
	}
	for _, e := range l.events[:n] {
		l.serve(int(e.Fd), e.Pad, e.Events)
	}
	return nil
}

// idleTime is how long there is nothing to do but to wait.
func (l *Loop) idleTime() time.Duration {
	if len(l.failing) > 0 {
		return 0
	}
	next := l.deadlines.next()
	if !l.over {
		next = min(next, l.timers.next())
	}
	return min(max(timeOfTick(next)-l.clock(), 0), lookEvery)
}

// look does what need not be done at once.
func (l *Loop) look(ctx context.Context, now time.Duration) error {
	l.publish()
	if err := context.Cause(ctx); err != nil {
		l.cut()
		return fmt.Errorf("given up: %w", err)
	}
	if o := &l.engine.options; l.over && now >= o.Duration+o.Drain {
		l.cut()
	}
	l.dropSlowDials(now)
	l.dialMore(now)
	return nil
}

// cut ends all requests and tells their drivers.
func (l *Loop) cut() {
	l.over = true
	for id := range l.flights.table {
		l.end(flightID(id), Cut)
	}
	l.tell()
}

func (l *Loop) publish() {
	c := &l.counters
	c.Waiting, c.InFlight, c.Open = int64(l.flights.queue), int64(l.flights.count-l.flights.queue), int64(l.pool.open)
	l.publishing.Lock()
	defer l.publishing.Unlock()
	l.publicised = *c
}

func (l *Loop) published() Counters {
	l.publishing.Lock()
	defer l.publishing.Unlock()
	return l.publicised
}

// tickAfter rounds up, tickBefore down: no timer fires early.
func tickAfter(t time.Duration) uint32 {
	return uint32((max(t, 0) + 1<<tickBits - 1) >> tickBits)
}
func tickBefore(t time.Duration) uint32 { return uint32(t >> tickBits) }

func timeOfTick(tick uint32) time.Duration { return time.Duration(tick) << tickBits }

// threadCPU is the calling thread's user and system time. The call can't fail
// with these arguments.
func threadCPU() time.Duration {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
