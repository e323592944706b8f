package judge

import (
	"cmp"
	"slices"
	"time"

	"weir/core/event"
	"weir/loadtest/answers"
)

// stay is that somebody had a place of a slot for a while: a hold, a booking,
// or one that became the other. Times are the client's: it was taken between
// takenFrom and takenTo and given back between givenFrom and givenTo, forever
// where it still stands.
//
// Where a person's requests overlapped or got no answer it is a bound:
// certainly there from takenTo until givenFrom (perhaps never), and possibly
// from takenFrom until givenTo.
type stay struct {
	slot               event.SlotID
	exact              bool
	takenFrom, takenTo time.Duration
	givenFrom, givenTo time.Duration
}

// refusal is that somebody was told that a slot is full.
type refusal struct {
	slot     event.SlotID
	person   answers.Person
	sent, at time.Duration
}

// slotLog collects what happened at slots. It belongs to one goroutine.
type slotLog struct {
	stays    []stay
	refusals []refusal
	shown    []showing // of all answers: the court's alone
	ends     holdEnds
}

// holdEnds says by when a hold whose time has passed is surely given back.
type holdEnds struct {
	clock  clock
	downs  []Down
	pauses pauses
	// heard are the seconds of the run in which the server answered anybody,
	// ascending. One that is down or stopped gives nothing back.
	heard []time.Duration
}

// sweepSeconds is in how many such seconds the server has surely noticed that a
// hold has expired. It looks many times a second.
const sweepSeconds = 20

// by returns when a hold whose time has passed at latest is surely given back.
// In a pause nothing is.
func (e *holdEnds) by(latest time.Duration) time.Duration {
	from, _ := slices.BinarySearch(e.heard, latest)
	for ; from+sweepSeconds < len(e.heard); from++ {
		if until := e.heard[from+sweepSeconds]; !e.pausedBetween(e.heard[from], until) {
			return until
		}
	}
	return forever - 1
}

func (e *holdEnds) pausedBetween(from, to time.Duration) bool {
	return slices.ContainsFunc(e.pauses, func(p Pause) bool { return p.Asked <= to && p.Ended >= from })
}

// checkSlots asks of every slot whether the stays fit into it and whether it
// can have been full when it was said to be.
func (c *court) checkSlots() {
	slices.SortFunc(c.slots.stays, func(a, b stay) int { return cmp.Compare(a.slot, b.slot) })
	slices.SortFunc(c.slots.refusals, func(a, b refusal) int { return cmp.Compare(a.slot, b.slot) })
	slices.SortFunc(c.slots.shown, func(a, b showing) int { return cmp.Compare(a.slot, b.slot) })
	stays, refusals, shown, slots := c.slots.stays, c.slots.refusals, c.slots.shown, int64(0)
	for len(stays) > 0 || len(refusals) > 0 || len(shown) > 0 {
		slot := event.NoSlot
		if len(stays) > 0 {
			slot = stays[0].slot
		}
		if len(refusals) > 0 {
			slot = min(slot, refusals[0].slot)
		}
		if len(shown) > 0 {
			slot = min(slot, shown[0].slot)
		}
		s, r, n := 0, 0, 0
		for s < len(stays) && stays[s].slot == slot {
			s++
		}
		for r < len(refusals) && refusals[r].slot == slot {
			r++
		}
		for n < len(shown) && shown[n].slot == slot {
			n++
		}
		c.checkSlot(slot, stays[:s], refusals[:r], shown[:n])
		stays, refusals, shown = stays[s:], refusals[r:], shown[n:]
		if s > 0 || r > 0 {
			slots++
		}
	}
	c.record.count(func(checked *Checked) {
		checked.Slots, checked.SlotFull, checked.Shown = slots, int64(len(c.slots.refusals)), int64(len(c.slots.shown))
	})
}

func (c *court) checkSlot(slot event.SlotID, stays []stay, refusals []refusal, shown []showing) {
	places := c.capacity(slot)
	certain := newLevel(stays, func(s *stay) (from, to time.Duration) { return s.takenTo, s.givenFrom })
	if at, most := certain.most(0, forever); most > places {
		c.record.fault(ErrOversold, "slot %d: at %v %d people had a place of %d", slot, at, most, places)
	}
	possible := newLevel(stays, func(s *stay) (from, to time.Duration) { return s.takenFrom, s.givenTo + 1 })
	for i := range refusals {
		r := &refusals[i]
		if _, most := possible.most(r.sent, r.at); most < places {
			c.record.fault(ErrUnjustified, "slot %d: person %d was told between %v and %v that it is full, when at most %d of %d places can have been taken",
				slot, r.person, r.sent, r.at, most, places)
		}
	}
	c.checkShown(places, &certain, &possible, shown)
}

// level is how many intervals hold at each time: counts[i] from times[i] until
// the next.
type level struct {
	times  []time.Duration
	counts []int
}

func newLevel(stays []stay, interval func(*stay) (from, to time.Duration)) level {
	type edge struct {
		at time.Duration
		by int
	}
	var edges []edge
	for i := range stays {
		if from, to := interval(&stays[i]); from < to {
			edges = append(edges, edge{from, 1}, edge{to, -1})
		}
	}
	slices.SortFunc(edges, func(a, b edge) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.by, b.by)) })
	var l level
	n := 0
	for i, e := range edges {
		n += e.by
		if i+1 < len(edges) && edges[i+1].at == e.at {
			continue
		}
		l.times, l.counts = append(l.times, e.at), append(l.counts, n)
	}
	return l
}

// most is the highest level from a time to another, both included, and when.
func (l *level) most(from, to time.Duration) (at time.Duration, n int) {
	for i := max(l.index(from), 0); i < len(l.times) && l.times[i] <= to; i++ {
		if l.counts[i] > n {
			at, n = l.times[i], l.counts[i]
		}
	}
	return at, n
}

// index is that of the level at a time, -1 before the first.
func (l *level) index(at time.Duration) int {
	i, exact := slices.BinarySearch(l.times, at)
	if !exact {
		i--
	}
	return i
}

func (c *court) capacity(slot event.SlotID) int {
	if int64(slot) >= int64(c.rules.SlotCount()) {
		return 0
	}
	return int(c.rules.Capacity(slot))
}
