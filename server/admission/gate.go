package admission

import (
	"fmt"
	"hash/maphash"
	"math"
	"sync/atomic"
	"time"
)

// Gate decides which requests are let through. Every loop works at a Desk of
// it. All methods are safe for concurrent use.
//
// There are two cuts, each with a state of the rule: one by the queue in front
// of the loops, for every request, and one by the queue in front of the disk,
// for the classes that write. Were there one alone, a slow disk would have to
// turn away everyone who reads before the first who writes.
type Gate struct {
	settings Settings
	seed     maphash.Seed
	desks    []Desk

	cut        atomic.Uint32 // a Level; written by who holds due
	journalCut atomic.Uint32 // a Level; written by who holds due
	turn       atomic.Uint32 // of the cohorts; written by who holds due
	spread     atomic.Int64  // seconds; written by who holds due
	relief     atomic.Uint64 // packed; written by who holds due

	accepted  atomic.Uint64 // connections since the start
	acceptDue atomic.Int64  // of Rate.Take

	// due is when the rule is applied next, or taken while somebody does.
	due  atomic.Int64
	rule gateRule // of who holds due
}

const taken = math.MaxInt64

// gateRule is what the rule remembers between intervals.
type gateRule struct {
	last     time.Duration // when it was applied last
	seen     tally         // the desks' counts then
	offered  [Classes]float64
	refused  float64
	queue    cutState
	journal  cutState
	delays   [2]time.Duration // least queueing and commit delay of the interval before
	relieves relieving
}

// NewGate returns a gate with that many desks, which lets everybody through.
func NewGate(s Settings, loops int) (*Gate, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	if loops < 1 {
		return nil, fmt.Errorf("admission: a gate needs a loop, not %d", loops)
	}
	g := &Gate{settings: s, seed: maphash.MakeSeed(), desks: make([]Desk, loops)}
	for i := range g.desks {
		g.desks[i].gate = g
		g.desks[i].least.Store(noSample)
	}
	g.spread.Store(spreadMin)
	g.relief.Store(Relief{}.pack())
	return g, nil
}

// Desk returns the desk of one loop, 0 ≤ loop < loops.
func (g *Gate) Desk(loop int) *Desk { return &g.desks[loop] }

// Signals are what the rule needs to know from outside of the loops.
type Signals struct {
	CommitDelay    time.Duration // of the newest commit, from append to durable; of the one under way, if that is longer
	JournalFill    float64       // share of the journal's room that is taken, 0…1
	ConnectionFill float64       // share of the connections allowed that are open, 0…1
}

// Adjust applies the rule when it is due, and otherwise returns at once. Every
// loop calls it once a round, with the one monotonic clock that all share.
func (g *Gate) Adjust(now time.Duration, s Signals) {
	due := g.due.Load()
	if int64(now) < due || !g.due.CompareAndSwap(due, taken) {
		return
	}
	g.adjust(now, s)
	g.due.Store(int64(now + g.settings.Interval))
}

func (g *Gate) adjust(now time.Duration, s Signals) {
	r := &g.rule
	length := now - r.last
	if length <= 0 {
		return // two loops read the clock and came here in the other order
	}
	seen, delay := g.gather()
	r.last = now
	r.smooth(r.seen, seen)
	refusing := float64(seen.refusing-r.seen.refusing) / float64(length) / float64(len(g.desks))
	busy := float64(seen.busy-r.seen.busy) / float64(length) / float64(len(g.desks))
	r.seen = seen

	o := observation{offered: r.offered, length: length, futile: refusing > futileShare, busy: busy}
	r.queue = r.queue.next(o.of(delay, r.delays[0], g.settings.QueueDelay))
	r.queue.cut = min(r.queue.cut, NewLevel(g.settings.Spared, 0))
	commit := s.pressure(g.settings)
	r.journal = r.journal.next(o.writing().of(commit, r.delays[1], g.settings.CommitDelay))
	r.delays = [2]time.Duration{delay, commit}
	r.relieves = r.relieves.next(refusal{
		share: refusing, aim: g.settings.Refusing, now: now, accepted: g.accepted.Load(), connections: s.ConnectionFill,
		restMax: g.settings.RestMax, acceptMax: g.settings.AcceptMax,
	})

	g.cut.Store(uint32(r.queue.cut))
	g.journalCut.Store(uint32(r.journal.cut))
	g.turn.Store(uint32(turnAt(now)))
	g.spread.Store(r.spread())
	g.relief.Store(r.relieves.relief.pack())
}

// futileShare is the share of the time spent on refusing from which on
// refusing more is no help: that is Relief's task.
const futileShare = 0.5

// pressure is the commit delay, or what the journal's fill comes to in its
// terms where that is more.
func (s Signals) pressure(targets Settings) time.Duration {
	fill := min(max(s.JournalFill, 0), 1) / targets.JournalFill
	return max(s.CommitDelay, time.Duration(fill*float64(targets.CommitDelay)))
}

func (o observation) of(delay, before, target time.Duration) observation {
	o.delay, o.target = delay, target
	o.growth = float64(delay-before) / float64(o.length)
	return o
}

// writing leaves the classes out that the journal does not see.
func (o observation) writing() observation {
	for c := range Classes {
		if !c.Writes() {
			o.offered[c] = 0
		}
	}
	o.futile, o.busy = false, 0
	return o
}

// smoothing is the weight of the newest interval in the counts.
const smoothing = 0.25

func (r *gateRule) smooth(before, now tally) {
	for c := range Classes {
		r.offered[c] += smoothing * (float64(now.Offered[c]-before.Offered[c]) - r.offered[c])
	}
	r.refused += smoothing * (float64(now.allRefused()-before.allRefused()) - r.refused)
}

// Those who are refused are asked to come back within so many seconds.
const (
	spreadMin = 2
	spreadMax = 60
)

// spread is wider the more are refused for each one who is let through: that
// many times as long it takes to serve them.
func (r *gateRule) spread() int64 {
	var all float64
	for _, n := range r.offered {
		all += n
	}
	if r.refused < 1 || all <= r.refused {
		return spreadMin
	}
	return int64(min(spreadMin*all/(all-r.refused), spreadMax))
}

// Spread is the number of seconds over which the refused are to come back.
func (g *Gate) Spread() int { return int(g.spread.Load()) }

// Relief is what the loops and the listener do at the moment to spend less on
// refusing.
func (g *Gate) Relief() Relief { return unpackRelief(g.relief.Load()) }

// acceptBurst is how many connections may be accepted at once.
const acceptBurst = 16

// Accept tells whether the listener may take the next connection. Where it may
// not, the connection stays with the kernel and the listener asks again some
// milliseconds later.
func (g *Gate) Accept(now time.Duration) bool {
	every := g.Relief().AcceptEvery
	if every > 0 {
		rate := Rate{interval: every, slack: (acceptBurst - 1) * every}
		due := g.acceptDue.Load()
		next, wait := rate.Take(time.Duration(due), now)
		if wait > 0 || !g.acceptDue.CompareAndSwap(due, int64(next)) {
			return false
		}
	}
	g.accepted.Add(1)
	return true
}

// Cuts are the levels below which nobody is let through at the moment: by the
// queue in front of the loops, and, for classes that write, by the journal.
func (g *Gate) Cuts() (queue, journal Level) {
	return Level(g.cut.Load()), Level(g.journalCut.Load())
}
