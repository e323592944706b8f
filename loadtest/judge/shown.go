package judge

import (
	"time"

	"weir/core/event"
	"weir/loadtest/answers"
)

// What is shown to be free is as old as it says, and was so once. It is read
// without a lock, so what one answer shows of several slots need not have been
// true of all of them at once; each is judged by itself.

// shownAgeMax is how old, at the server, what it shows may be.
const shownAgeMax = event.Time(1000) // ms

// shownMax bounds the slots that are kept of all answers. Where there were more
// those of some slots are kept, drawn by lot, and all of these.
const shownMax = 4 << 20

// showing is that a slot was shown to have so many places left, at some time
// from one to another.
type showing struct {
	slot     event.SlotID
	left     uint16
	from, to time.Duration
}

// seeShown notes what an answer shows.
func (c *court) seeShown(a *answers.Answer) {
	at, shown := c.clock.span(a), &a.Shown
	if shown.AsOf == 0 || a.Outcome != answers.OK {
		return
	}
	age := shownAgeMax + event.Time(c.stalled(c.clock.latest(shown.AsOf), a.Answered).Milliseconds())
	if shown.AsOf < at.from-age || shown.AsOf > at.to {
		c.record.fault(ErrStale, "%s: shown as of %d, and the server's clock was at %d to %d", describe(a), shown.AsOf, at.from, at.to)
	}
	for i, left := range shown.Left {
		slot := shown.First + event.SlotID(i)
		if scatter(c.Seed^uint64(slot)<<8)>>(64-c.shownBits) != 0 {
			continue
		}
		c.slots.shown = append(c.slots.shown, showing{slot, left, c.clock.earliest(shown.AsOf), a.Answered})
	}
	if len(c.slots.shown) > shownMax {
		c.thinOut()
	}
}

// thinOut keeps about half of the slots.
func (c *court) thinOut() {
	c.shownBits++
	kept := c.slots.shown[:0]
	for _, s := range c.slots.shown {
		if scatter(c.Seed^uint64(s.slot)<<8)>>(64-c.shownBits) == 0 {
			kept = append(kept, s)
		}
	}
	c.slots.shown = kept
}

// checkShown asks whether a slot can have had as many places left as were shown,
// given how many were certainly and possibly taken.
func (c *court) checkShown(places int, certain, possible *level, shown []showing) {
	for i := range shown {
		s := &shown[i]
		taken := places - int(s.left)
		least := certain.least(s.from, s.to)
		_, most := possible.most(s.from, s.to)
		if taken < least || taken > most {
			c.record.fault(ErrShown, "slot %d was shown with %d of %d places left at some time from %v to %v, when from %d to %d were taken",
				s.slot, s.left, places, s.from, s.to, least, most)
		}
	}
}

// least is the lowest level from a time to another, both included.
func (l *level) least(from, to time.Duration) int {
	i := l.index(from)
	if i < 0 {
		return 0
	}
	n := l.counts[i]
	for i++; i < len(l.times) && l.times[i] <= to; i++ {
		n = min(n, l.counts[i])
	}
	return n
}
