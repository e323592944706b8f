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
// time. Who is set aside has a turn whenever nobody else has: a crowd that comes
// at one moment is served to the last, in its order. Where the loop is behind
// for longer the newest of them come first, who are the likeliest to be still
// there, and after staleAfter they are told to come back, as many as there is
// time for.
const (
	lateAfter   = 50 * time.Millisecond
	turnMax     = 64              // how many a loop that is behind serves before it looks for others
	lastingFrom = time.Second     // that the oldest set aside has waited: this is no crowd of a moment
	staleAfter  = 3 * time.Second // that a request has waited which is not served any more
	staleMax    = turnMax / 4     // how many of those are answered a turn
)

// pick chooses who of ready has a turn next.
func (l *loop[A]) pick() {
	l.behind = 0
	if l.desk != nil {
		l.setAside()
		l.dismissStale()
		if len(l.ready) == 0 && len(l.late) > 0 {
			l.takeBack()
		}
	}
	l.turn = len(l.ready)
	if len(l.late) > 0 {
		l.behind = max(l.now-l.late[0].ready, 1)
		l.turn = min(l.turn, turnMax)
	}
}

// setAside sets those aside who have waited too long for a turn in order.
func (l *loop[A]) setAside() {
	n := 0
	for n < len(l.ready) && l.now-l.ready[n].ready > lateAfter {
		n++
	}
	for _, c := range l.ready[:n] {
		at := len(l.late)
		for at > 0 && l.late[at-1].ready > c.ready { // c is new, and waited in the listener's queue
			at--
		}
		l.late = slices.Insert(l.late, at, c)
	}
	l.ready = slices.Delete(l.ready, 0, n)
}

// takeBack gives a turn to those who were set aside, or some of them.
func (l *loop[A]) takeBack() {
	n := min(len(l.late), turnMax)
	if l.now-l.late[0].ready < lastingFrom {
		l.ready = append(l.ready, l.late[:n]...)
		l.late = append(l.late[:0], l.late[n:]...)
	} else {
		rest := len(l.late) - n
		l.ready = append(l.ready, l.late[rest:]...)
		l.late = l.late[:rest]
	}
	kept := l.ready[:0]
	for _, c := range l.ready {
		if !l.gone(c) {
			kept = append(kept, c)
		}
	}
	l.ready = kept
}

// gone tells whether nobody waits for an answer of c any more, and closes it
// then.
func (l *loop[A]) gone(c *conn) bool {
	if c.last {
		l.close(c)
	}
	return c.closed
}

// dismissStale answers some of those who have waited longest.
func (l *loop[A]) dismissStale() {
	n, answered := 0, 0
	for ; n < len(l.late) && answered < staleMax; n++ {
		c := l.late[n]
		if l.now-c.ready < staleAfter {
			break
		}
		c.queued = false
		if !l.gone(c) {
			l.dismiss(c)
			answered++
		}
	}
	l.late = append(l.late[:0], l.late[n:]...)
}

// dismiss refuses a request that has waited too long.
func (l *loop[A]) dismiss(c *conn) {
	b := l.stale[:]
	if n, extent := l.gather(c, b); n > 0 {
		c.store(b[extent.size:n])
		l.refuse(c, b[:extent.size], admission.Answer{Reason: admission.Overloaded})
	}
}
