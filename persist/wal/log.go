package wal

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"weir/core"
	"weir/core/event"
)

// Log is a write-ahead log, open for appending. It is a core.Journal. Its
// methods are safe for concurrent use.
//
// Invariants, with flight the batch that is being written and open the one
// that is filling:
//
//  1. durable < flight.first <= flight.last < open.first <= next, where there
//     is a flight; durable < open.first = durable+1 where there is none.
//  2. durable rises only after the envelope that ends with it was written and
//     synced, and the name of its file was.
//  3. After the first error of a write or sync nothing is written or synced
//     again, and durable stays.
//  4. pending is the charge of all records reserved or appended and not
//     durable, so it is zero when the log is idle.
type Log struct {
	options  Options
	identity Identity
	lock     *os.File
	started  time.Time

	_       [64]byte // the fields below are written by every caller
	pending atomic.Uint64
	_       [56]byte
	state   atomic.Uint32 // stateFailed, …; changed under mu
	durable atomic.Uint64
	gate    atomic.Pointer[gate] // of the open batch
	_       [40]byte

	mu       sync.Mutex
	open     *batch     // mu
	flight   *batch     // mu: the batch being written, or nil
	next     event.Seq  // mu: of the next record
	newest   event.Time // mu: newest record time
	failure  error      // mu until stateFailed is set, constant from then on
	appended atomic.Uint64

	kick    chan struct{}     // there may be work for the committer
	rolls   chan chan<- error // who waits for a new epoch
	removal removal
	closing chan struct{} // closed by Close
	stopped chan struct{} // closed when the committer has ended
	once    sync.Once
	closed  error         // once
	kept    chan struct{} // closed when the keeper has ended
	watched chan struct{} // closed when the watchdog has ended

	writer  *writer     // committer
	spare   *batch      // committer
	last    uint32      // committer: records of the newest batch that was taken
	overlap uint32      // committer: records that were appended while it was written
	settled int64       // committer: Log.now when it was acknowledged
	grow    *time.Timer // committer

	mark *markFile // keeper; after it has ended, Close
	end  struct {
		sync.Mutex
		head head // end: newest durable
	}
	space space
	count counters
}

const (
	stateFailed   = 1 << iota // a write or sync failed
	stateClosed               // Close was called
	stateStalled              // the batch being written is past its deadline
	stateReadOnly             // the disk is nearly full
)

// pending packs two sums: bytes below, records above.
const (
	pendingShift = 40
	pendingBytes = 1<<pendingShift - 1
)

// charge is what one record of at most size bytes takes of pending. All records
// that fit are charged alike: Append does not know how much was reserved.
func charge(size int) uint64 {
	return 1<<pendingShift + uint64(max(size, event.MaxSize))
}

func newLog(op *opening, lock *os.File, w *writer, m *markFile) *Log {
	l := &Log{
		options: op.options, identity: op.report.Identity, lock: lock, started: time.Now(),
		kick: make(chan struct{}, 1), rolls: make(chan chan<- error), closing: make(chan struct{}), stopped: make(chan struct{}),
		kept: make(chan struct{}), watched: make(chan struct{}),
		writer: w, mark: m, open: &batch{}, spare: &batch{},
		next: w.head.seq + 1, newest: w.head.time,
	}
	l.grow = time.NewTimer(time.Hour)
	l.grow.Stop()
	l.end.head = w.head
	l.durable.Store(uint64(w.head.seq))
	l.appended.Store(uint64(w.head.seq))
	l.open.reset(newGate(l.next, nil))
	l.gate.Store(l.open.gate)
	return l
}

func (l *Log) run() {
	go l.commitLoop()
	go l.watch()
	go l.keep()
}

// now is the time since the log was opened, in nanoseconds, never zero.
func (l *Log) now() int64 { return int64(time.Since(l.started)) + 1 }

// Reserve is that of core.Journal. A record larger than event.MaxSize must be
// reserved with its exact size. While the batch being written is past the
// commit deadline it answers ErrOverloaded: what is refused is better off than
// what is unknown.
func (l *Log) Reserve(size int) error {
	if l.state.Load() != 0 {
		if err := l.refusal(); err != nil {
			return err
		}
	}
	own := charge(size)
	sum := l.pending.Add(own)
	if int(sum&pendingBytes) <= l.options.MaxPendingBytes && int(sum>>pendingShift) <= l.options.MaxPendingRecords {
		return nil
	}
	if sum == own && size <= maxRecord {
		return nil
	}
	l.pending.Add(-own)
	l.count.refused.Add(1)
	return core.ErrOverloaded
}

func (l *Log) refusal() error {
	state := l.state.Load()
	switch {
	case state&stateFailed != 0:
		return l.failure
	case state&stateClosed != 0:
		return core.ErrClosed
	case state&stateStalled != 0:
		l.count.refused.Add(1)
		return core.ErrOverloaded
	case state&stateReadOnly != 0:
		return core.ErrReadOnly
	}
	return nil
}

// Release is that of core.Journal, with the size that was reserved.
func (l *Log) Release(size int) {
	l.pending.Add(-charge(size))
	if l.state.Load()&stateClosed != 0 {
		l.wake() // Close waits for what is reserved
	}
}

// Append is that of core.Journal.
func (l *Log) Append(r *event.Record) event.Seq {
	size := r.Size()
	if r.Kind == 0 {
		panic("wal: append of a record of no kind")
	}
	l.mu.Lock()
	b := l.open
	if b.count == 0 {
		b.opened = l.now()
		b.gate.deadline.Store(b.opened + int64(l.options.CommitDeadline))
	}
	b.buf = event.Append(b.buf, r)
	b.count++
	b.charge += charge(size)
	l.newest = max(l.newest, r.At)
	seq := l.next
	l.next++
	l.appended.Store(uint64(seq))
	wake := b.count == 1 || b.count == b.target
	l.mu.Unlock()
	if wake {
		l.wake()
	}
	return seq
}

// wake makes the committer look.
func (l *Log) wake() {
	select {
	case l.kick <- struct{}{}:
	default: // it will look anyway
	}
}

// Wait is that of core.Journal. It answers ErrClosed for a record that was
// appended too late for Close to write it.
func (l *Log) Wait(seq event.Seq) error {
	if uint64(seq) <= l.durable.Load() {
		return nil
	}
	if uint64(seq) > l.appended.Load() {
		if l.state.Load()&stateFailed != 0 {
			return l.failure
		}
		return fmt.Errorf("wait for record %d, which was not appended: %w", seq, core.ErrOutcomeUnknown)
	}
	g := l.gate.Load()
	if seq < g.first {
		if g = g.prev.Load(); g == nil {
			return l.outcome(seq)
		}
	}
	<-g.done
	return l.outcome(seq)
}

// outcome is what became of a record whose gate was released.
func (l *Log) outcome(seq event.Seq) error {
	if uint64(seq) <= l.durable.Load() {
		return nil
	}
	if l.state.Load()&stateFailed != 0 {
		return l.failure
	}
	select {
	case <-l.stopped:
		return core.ErrClosed
	default:
		return core.ErrOutcomeUnknown
	}
}

// Durable is that of core.Journal.
func (l *Log) Durable() event.Seq { return event.Seq(l.durable.Load()) }

// NewestTime returns the newest time of any record, appended or replayed: the
// floor of the clock after a restart.
func (l *Log) NewestTime() event.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.newest
}

// Identity returns what the data directory is.
func (l *Log) Identity() Identity { return l.identity }

func (l *Log) setState(bit uint32)   { l.state.Or(bit) }
func (l *Log) clearState(bit uint32) { l.state.And(^bit) }
