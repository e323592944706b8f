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
// lastingFrom, until nobody is left aside, it keeps about turnMax waiting, so that
// commits serve many, and no more, so that they are soon over: only whoever is one
// too many is set aside. Of those aside the newest have a turn, up to newestMax,
// when nobody else waits: a hiccup set them aside. All of them have, the newest
// first, when the load has fallen back: where on average fewer than calmMax are in
// hand, kept answers included, or more connections are idle than that. In a load
// that lasts, whoever is served makes room on a busy connection for the next; and
// where others come over idle ones all the time, the newest aside have not waited
// for long.
//
// Whoever has waited for staleAfter is told to come back, a few each turn. A
// refusal takes half of what a booking does, nearly all of it for the network,
// and who is refused asks again: so no more are refused than that.
//
// lateAfter is well above what a loop that keeps up lets anybody wait. Were it
// not, a hiccup would set people aside whom the loop could have served in order,
// in larger and so cheaper batches, and it would not catch up.
const (
	lateAfter    = 100 * time.Millisecond
	lastingFrom  = time.Second            // that somebody has been aside without a break: this is no crowd of a moment
	lastingAfter = 20 * time.Millisecond  // lateAfter from then on
	newestMax    = 50 * time.Millisecond  // that somebody has waited whom a hiccup set aside
	averageOver  = 300 * time.Millisecond // how many are in hand
	staleAfter   = 10 * time.Second       // that somebody has waited who is told to come back

	turnMax  = 72              // how many a loop that is behind serves before it looks for others
	calmMax  = turnMax * 5 / 4 // how many a loop that keeps up has in hand at most
	staleMax = turnMax / 24    // how many of those who are stale are answered a turn
)

// aside are those who have waited too long for a turn in order.
type aside struct {
	late    []*conn       // the oldest first
	since   time.Duration // by the loop's clock: from when on late has not been empty
	lasting bool          // late has not been empty for lastingFrom
	behind  time.Duration // how long the oldest of late has waited; 0: there is none
	hands
}

// hands is how many a loop has had in hand, and how many connections were idle.
type hands struct {
	average, idlers float64       // over about averageOver
	held, idled     int           // when that was looked at last: in hand, and idle
	looked          time.Duration // by the loop's clock: then
}

// weigh takes in how many there are by now.
func (h *hands) weigh(now time.Duration, inHand, idle int) {
	share := min(float64(now-h.looked)/float64(averageOver), 1)
	h.average += share * (float64(h.held) - h.average)
	h.idlers += share * (float64(h.idled) - h.idlers)
	h.held, h.idled, h.looked = inHand, idle, now
}

// calm tells whether the load has fallen back.
func (h *hands) calm() bool { return h.average < calmMax || h.idlers > h.average }

// pick chooses who of ready has a turn next.
func (l *loop[A]) pick() {
	if l.desk == nil {
		l.turn = len(l.ready)
		return
	}
	l.setAside()
	l.dismiss()
	l.weigh(l.now, l.inHand(), l.unasked())
	if len(l.ready) == 0 {
		l.catchUp(l.spare())
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
	n, most := 0, len(l.ready)
	if l.lasting {
		most -= turnMax
	}
	for n < most && l.now-l.ready[n].ready > l.after() {
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
	c.queued, c.aside = true, true
}

// inHand is how many wait for a turn or for their record.
func (l *loop[A]) inHand() int { return len(l.ready) + int(l.shelf.n) }

// unasked is how many connections want nothing from the loop.
func (l *loop[A]) unasked() int { return l.open - l.rests.n - len(l.late) - l.inHand() }

// spare is how many of those aside may have a turn where nobody else waits.
func (l *loop[A]) spare() int {
	if !l.lasting {
		return min(len(l.late), turnMax)
	}
	most := min(len(l.late), max(turnMax-1-l.inHand(), 0)) // with these it stays so
	if l.calm() {
		return most
	}
	n := 0
	for n < most && l.now-l.late[len(l.late)-1-n].ready < newestMax {
		n++
	}
	return n
}

// catchUp gives n of those aside a turn.
func (l *loop[A]) catchUp(n int) {
	from := 0
	if l.lasting {
		from = len(l.late) - n
	}
	for _, c := range l.late[from : from+n] {
		c.aside = false
		if !l.gone(c) {
			l.ready = append(l.ready, c)
		}
	}
	l.late = slices.Delete(l.late, from, from+n)
}

// waits tells whether somebody waits for whom there is something to do.
func (l *loop[A]) waits() bool { return len(l.ready) > 0 || l.spare() > 0 }

// gone tells whether nobody waits for an answer of c any more, and closes it
// then.
func (l *loop[A]) gone(c *conn) bool {
	if c.last {
		l.close(c)
	}
	return c.closed
}

// dismiss tells those to come back who are stale, the oldest first, at most
// staleMax of them.
func (l *loop[A]) dismiss() {
	n, answered := 0, 0
	for ; n < len(l.late) && answered < staleMax && l.now-l.late[n].ready >= staleAfter; n++ {
		c := l.late[n]
		c.queued, c.aside = false, false
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
