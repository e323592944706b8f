package admission

import (
	"math"
	"sync/atomic"
	"time"
)

// Desk is one loop's side of a gate. Its methods belong to the loop; the gate
// reads along.
type Desk struct {
	gate *Gate

	offered  [Classes]atomic.Uint64 // since the start
	refused  [Classes]atomic.Uint64 // since the start; refused[c] ≤ offered[c]
	busy     atomic.Int64           // nanoseconds since the start
	refusing atomic.Int64           // nanoseconds since the start; part of busy
	least    atomic.Int64           // queueing delay of the interval, in nanoseconds, or noSample

	_ [64]byte // the neighbour's counts are in another cache line
}

const noSample = math.MaxInt64

// Admit tells whether a request is let through. c is its class (Classify),
// head what was read of it: the header lines, as far as they are there, are
// looked at only when the class is one of which some are refused.
func (d *Desk) Admit(c Class, head []byte, p Peer) bool {
	if c >= Classes {
		c = Page
	}
	cut := d.cut(c)
	through := c > cut.Class() ||
		c == cut.Class() && (cut&cohortMask == 0 || NewLevel(c, d.gate.cohort(head, p)) >= cut)
	d.count(c, through)
	return through
}

// cut is what the class is held to at the moment.
func (d *Desk) cut(c Class) Level {
	cut := Level(d.gate.cut.Load())
	if c.Writes() {
		cut = max(cut, Level(d.gate.journalCut.Load()))
	}
	return cut
}

func (d *Desk) count(c Class, through bool) {
	d.offered[c].Add(1)
	if !through {
		d.refused[c].Add(1)
	}
}

// Delay takes a sample of the queueing delay: how long ago the request whose
// turn it is became readable, as far as the loop knows. It is wanted at least
// once a round and every few dozen requests.
func (d *Desk) Delay(queued time.Duration) {
	if int64(queued) < d.least.Load() {
		d.least.Store(int64(queued)) // the gate may have begun a new interval in between: a sample lost
	}
}

// Spent adds to the time that the loop was at work, by the clock on the wall,
// and to how much of that went into reading and refusing what was not let
// through.
func (d *Desk) Spent(busy, refusing time.Duration) {
	d.busy.Add(int64(busy))
	d.refusing.Add(int64(refusing))
}

// Counts are what came to the desks since the start and what was refused of it.
type Counts struct {
	Offered, Refused [Classes]uint64
}

type tally struct {
	Counts
	busy, refusing time.Duration
}

func (t *Counts) allRefused() (sum uint64) {
	for _, n := range t.Refused {
		sum += n
	}
	return sum
}

// Counts of all desks.
func (g *Gate) Counts() Counts { return g.tally().Counts }

func (g *Gate) tally() (t tally) {
	for i := range g.desks {
		d := &g.desks[i]
		for c := range Classes {
			t.Refused[c] += d.refused[c].Load() // before offered, which is not to be less
			t.Offered[c] += d.offered[c].Load()
		}
		t.busy += time.Duration(d.busy.Load())
		t.refusing += time.Duration(d.refusing.Load())
	}
	return t
}

// gather ends the interval of all desks. The delay is that of the loop that is
// worst off: the people on its connections wait that long.
func (g *Gate) gather() (t tally, delay time.Duration) {
	for i := range g.desks {
		if least := g.desks[i].least.Swap(noSample); least != noSample {
			delay = max(delay, time.Duration(least))
		}
	}
	return g.tally(), delay
}
