//go:build linux

package reactor

import (
	"slices"
	"time"

	"weir/server/admission"
)

// A loop that is behind has more to read than it can serve. In order, everyone
// would wait as long as the queue is. So who has waited for lateAfter is set
// aside, unread, which costs nothing, and those behind them are served in good
// time.
//
// A crowd of a moment is served to the last: who is set aside has a turn
// whenever nobody else has, in order. Where the loop has been behind for
// lastingFrom, that would be the better part of an answer nobody waits for any
// more. From then on, until nobody is left aside, nobody is served who has
// waited longer than lastingServed, and the time that nobody else needs goes
// into telling those to come back who have waited longest: that takes a fraction
// of serving them, and their connections are free for others. After staleAfter
// they are told so in any case, some each turn.
//
// Those who are served wait in order also then. Newest first, most of them would
// have waited less, but more of them grow old and are lost, and what was done
// for those is lost with them.
//
// lateAfter is well above what a loop that keeps up lets anybody wait. Were it
// not, a hiccup would set people aside whom the loop could have served in order,
// in larger and so cheaper batches, and it would not catch up.
const (
	lateAfter     = 100 * time.Millisecond
	lastingFrom   = time.Second           // that somebody has been aside without a break: this is no crowd of a moment
	lastingAfter  = 50 * time.Millisecond // lateAfter from then on
	lastingServed = 80 * time.Millisecond // who has waited longer then is not served
	spareAfter    = time.Second           // who has waited so long is told to come back when there is time to spare
	staleAfter    = 3 * time.Second       // and who has waited so long, in any case

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

// setAside sets those aside who have waited too long for a turn in order.
func (l *loop[A]) setAside() {
	after := lateAfter
	if l.lasting {
		after = lastingAfter
	}
	n := 0
	for n < len(l.ready) && l.now-l.ready[n].ready > after {
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
	for at > 0 && l.late[at-1].ready > c.ready { // c is new, and waited in the listener's queue
		at--
	}
	l.late = slices.Insert(l.late, at, c)
	c.queued = true
}

// tooLate tells whether c, who is not aside, has waited too long to be served.
// Where it rested, or is new, nobody has looked at that before.
func (l *loop[A]) tooLate(c *conn) bool {
	most := staleAfter
	if l.lasting {
		most = lastingServed
	}
	return l.desk != nil && l.now-c.ready > most
}

// catchUp sees to those who were set aside, while nobody else waits.
func (l *loop[A]) catchUp() {
	if l.lasting {
		l.dismiss(spareAfter, turnMax)
		first := len(l.late)
		for first > 0 && l.now-l.late[first-1].ready <= lastingServed {
			first--
		}
		l.takeBack(first, len(l.late))
		return
	}
	l.takeBack(0, min(len(l.late), turnMax))
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
	return len(l.ready) > 0 || len(l.late) > 0 && (!l.lasting || l.now-l.late[0].ready >= spareAfter)
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
