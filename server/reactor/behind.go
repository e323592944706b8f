//go:build linux

package reactor

import (
	"cmp"
	"slices"
	"time"

	"weir/server/admission"
)

// A loop that is behind has more to read than it can serve. In order, everyone
// would wait as long as the queue is. So who has waited for lateAfter is set
// aside, unread, which costs nothing, and those behind them are served in good
// time.
//
// Who is set aside has a turn whenever nobody else has: a crowd of a moment is
// served to the last, in its order. Where the loop has been behind for
// lastingFrom, until nobody is left aside, those turns are for the newest of
// them, up to newestMax. Where there are none, some of those who have waited
// for spareAfter are told to come back, so that their connections bring others;
// and after staleAfter they are told so in any case, some each turn. A refusal
// is not much cheaper than a booking, most of which is the network's, and who is
// refused asks again: so no more are refused than that.
//
// lateAfter is well above what a loop that keeps up lets anybody wait. Were it
// not, a hiccup would set people aside whom the loop could have served in order,
// in larger and so cheaper batches, and it would not catch up.
const (
	lateAfter    = 100 * time.Millisecond
	lastingFrom  = time.Second            // that somebody has been aside without a break: this is no crowd of a moment
	lastingAfter = 50 * time.Millisecond  // lateAfter from then on
	newestMax    = 200 * time.Millisecond // that the newest of those aside have waited who are served then
	spareAfter   = 500 * time.Millisecond // that somebody has waited who is told to come back when nobody has a turn
	staleAfter   = 3 * time.Second        // that somebody has waited who is told so in any case

	turnMax  = 64          // how many a loop that is behind serves before it looks for others
	staleMax = turnMax / 4 // how many of those who are stale are answered a turn
)

// aside are those who have waited too long for a turn in order.
type aside struct {
	late    []*conn       // the oldest first
	since   time.Duration // by the loop's clock: from when on late has not been empty
	lasting bool          // late has not been empty for lastingFrom
	behind  time.Duration // how long the oldest of late has waited; 0: there is none
}

// pick chooses who of ready has a turn next.
func (l *loop[A]) pick() {
	if l.desk == nil {
		l.turn = len(l.ready)
		return
	}
	l.setAside()
	l.dismiss(staleAfter, staleMax)
	if len(l.ready) == 0 && len(l.late) > 0 {
		l.catchUp()
	}
	l.turn = len(l.ready)
	l.behind = 0
	if len(l.late) == 0 {
		l.lasting = false
		return
	}
	l.turn = min(l.turn, turnMax)
	l.behind = max(l.now-l.late[0].ready, 1)
	l.lasting = l.lasting || l.now-l.since > lastingFrom
}

// after is how long a turn in order is waited for.
func (l *loop[A]) after() time.Duration {
	if l.lasting {
		return lastingAfter
	}
	return lateAfter
}

// setAside sets those aside who have waited too long for a turn in order.
func (l *loop[A]) setAside() {
	n := 0
	for n < len(l.ready) && l.now-l.ready[n].ready > l.after() {
		l.lay(l.ready[n])
		n++
	}
	l.ready = slices.Delete(l.ready, 0, n)
}

// lay sets c aside.
func (l *loop[A]) lay(c *conn) {
	if len(l.late) == 0 {
		l.since = l.now
	}
	at := len(l.late)
	if at > 0 && l.late[at-1].ready > c.ready { // c rested, or is new and waited in the listener's queue
		at, _ = slices.BinarySearchFunc(l.late, c.ready+1, func(o *conn, ready time.Duration) int { return cmp.Compare(o.ready, ready) })
	}
	l.late = slices.Insert(l.late, at, c)
	c.queued = true
}

// catchUp sees to those who were set aside, while nobody else waits.
func (l *loop[A]) catchUp() {
	end := len(l.late)
	if !l.lasting {
		l.takeBack(0, min(end, turnMax))
		return
	}
	first := end
	for first > 0 && end-first < turnMax && l.now-l.late[first-1].ready < newestMax {
		first--
	}
	if first == end {
		l.dismiss(spareAfter, staleMax)
		return
	}
	l.takeBack(first, end)
}

// takeBack gives a turn to late[from:to].
func (l *loop[A]) takeBack(from, to int) {
	for _, c := range l.late[from:to] {
		if !l.gone(c) {
			l.ready = append(l.ready, c)
		}
	}
	l.late = slices.Delete(l.late, from, to)
}

// waits tells whether somebody waits for whom there is something to do.
func (l *loop[A]) waits() bool {
	switch {
	case len(l.ready) > 0:
		return true
	case len(l.late) == 0:
		return false
	}
	return !l.lasting || l.now-l.late[0].ready >= spareAfter || l.now-l.late[len(l.late)-1].ready < newestMax
}

// gone tells whether nobody waits for an answer of c any more, and closes it
// then.
func (l *loop[A]) gone(c *conn) bool {
	if c.last {
		l.close(c)
	}
	return c.closed
}

// dismiss tells those to come back who have waited for so long, the oldest
// first, at most so many.
func (l *loop[A]) dismiss(waited time.Duration, most int) {
	n, answered := 0, 0
	for ; n < len(l.late) && answered < most && l.now-l.late[n].ready >= waited; n++ {
		c := l.late[n]
		c.queued = false
		if l.gone(c) {
			continue
		}
		answered++
		b := l.stale[:]
		if size, extent := l.gather(c, b); size > 0 {
			c.store(b[extent.size:size])
			l.refuse(c, b[:extent.size], admission.Answer{Reason: admission.Overloaded})
		}
	}
	l.late = slices.Delete(l.late, 0, n)
}
