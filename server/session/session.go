// Package session counts who is in: people who came in with a pass and have
// neither booked nor gone idle. What it counts is people and not connections,
// so a closed tab costs nothing but the idle time.
//
// A session has no end that anybody sees: people close the page. So one ends by
// booking, or when nothing was heard of it for the idle time. The table keeps
// for every number in line the tick at which it was last heard of, and for each
// of the last ticks how many sessions were last heard of then. A session that
// falls silent stays in the counter of its last tick; when that tick is older
// than the idle time its counter is no longer added up. So expiry costs nothing
// at all: no sweep, no timer, and however many went silent together, nothing
// happens at once.
//
// Memory: four bytes for each number that was called, in pages without
// pointers; 24 MB at six million. There is no limit to set: numbers come from
// passes, which only the server makes, and the caller lets none in above those
// issued.
//
// What it does not protect against: a table starts empty, also after a restart
// of the server, when thousands may be in the middle of booking. Whoever steers
// by it must not take that for an empty house; see Presumed.
package session

import (
	"sync"
	"sync/atomic"
	"time"

	"weir/core/event"
)

const (
	tick     = 10 * time.Second
	pageBits = 14
	pageSize = 1 << pageBits

	// done marks a number whose session ended with a booking. It stays: looking
	// at the booking afterwards is no new session.
	done = ^uint32(0)
)

// page holds the ticks of pageSize numbers; 0: never heard of.
type page [pageSize]atomic.Uint32

// Table is the sessions of one campaign. Heard, Booked, InProgress
// and Came are safe for concurrent use; Advance and Presumed belong to one
// goroutine.
//
// Invariant: counts[t % len(counts)] is the number of sessions last heard of at
// tick t, for every t in (now-idle, now], but for calls that are under way.
type Table struct {
	idle    uint32 // ticks after which a silent session is over
	now     atomic.Uint32
	counts  []atomic.Int64 // idle ticks and one to clear ahead
	came    atomic.Int64   // numbers that were ever heard of
	pages   atomic.Pointer[[]*page]
	growing sync.Mutex // pages is replaced under it
	// The caller of Advance owns:
	rest    time.Duration // of Advance that is no whole tick yet
	running time.Duration // by which time was moved on in all
}

// New returns an empty table whose sessions are over after idle of silence, to
// the next ten seconds.
func New(idle time.Duration) *Table {
	ticks := uint32(max(1, (idle+tick-1)/tick))
	t := &Table{idle: ticks, counts: make([]atomic.Int64, ticks+1)}
	t.now.Store(1)
	t.pages.Store(new([]*page))
	return t
}

// Advance moves the table's time on by elapsed, a duration of the monotonic
// clock. While it is not called time stands still, and nobody goes idle.
func (t *Table) Advance(elapsed time.Duration) {
	t.running += elapsed
	for t.rest += elapsed; t.rest >= tick; t.rest -= tick {
		next := t.now.Load() + 1
		t.counts[next%uint32(len(t.counts))].Store(0) // of a tick that is no longer added up
		t.now.Store(next)
		if t.rest > tick*time.Duration(len(t.counts)) {
			t.rest = tick * time.Duration(len(t.counts)) // all are idle by then
		}
	}
}

// Heard notes that the person with that number asked for something with a
// pass. It takes no lock but, now and then, to add a page.
func (t *Table) Heard(number event.Number) {
	stamp := t.stamp(number)
	for now := t.now.Load(); ; {
		last := stamp.Load()
		if last == now || last == done {
			return
		}
		if stamp.CompareAndSwap(last, now) {
			t.move(last, now)
			return
		}
	}
}

// Booked ends the session with that number.
func (t *Table) Booked(number event.Number) {
	if last := t.stamp(number).Swap(done); last != done {
		t.move(last, done)
	}
}

// move takes a session from the count of one tick to that of another.
func (t *Table) move(from, to uint32) {
	if from == 0 {
		t.came.Add(1)
	}
	if from != 0 && from+t.idle > t.now.Load() {
		t.count(from).Add(-1)
	}
	if to != done {
		t.count(to).Add(1)
	}
}

func (t *Table) count(tick uint32) *atomic.Int64 { return &t.counts[tick%uint32(len(t.counts))] }

// InProgress returns how many sessions are in progress.
func (t *Table) InProgress() int {
	var n int64
	now := t.now.Load()
	for back := range min(t.idle, now) {
		n += t.count(now - back).Load()
	}
	return int(max(0, n))
}

// Came returns how many different numbers have come in since the table was
// made, whatever became of them.
func (t *Table) Came() int { return int(t.came.Load()) }

// stamp returns where the tick of a number is kept.
func (t *Table) stamp(number event.Number) *atomic.Uint32 {
	index := int(number >> pageBits)
	pages := *t.pages.Load()
	if index >= len(pages) {
		pages = t.grow(index)
	}
	return &pages[index][number%pageSize]
}

func (t *Table) grow(index int) []*page {
	t.growing.Lock()
	defer t.growing.Unlock()
	pages := *t.pages.Load()
	if index < len(pages) {
		return pages
	}
	pages = append(make([]*page, 0, index+1), pages...)
	for len(pages) <= index {
		pages = append(pages, new(page))
	}
	t.pages.Store(&pages)
	return pages
}

// Presumed returns how many sessions to reckon with after a restart, when the
// table knows only those who asked since. before is how many may have been in
// when the server stopped. The caller is that of Advance.
//
// Those who were in come back within the idle time or not at all, so of before
// as many are still presumed as there is idle time left, and no fewer than were
// heard of. A mark that is steered by this rises no faster than by one idle
// time's worth of free capacity an idle time: no burst, and no standstill.
func (t *Table) Presumed(before int) int {
	idle := tick * time.Duration(t.idle)
	left := max(0, idle-t.running)
	return max(t.InProgress(), int(float64(before)*left.Seconds()/idle.Seconds()))
}
