//go:build linux

package reactor

import (
	"time"

	"weir/server/admission"
)

// A loop that is behind has more to read than it can. Served in order, everyone
// would wait as long as the queue is, and what is served at last nobody waits
// for any more. So it serves the newest first, who are served at once, and
// leaves the oldest unread, which costs nothing; of those some are told to come
// back, as many as there is time for.
const (
	behindFrom = 500 * time.Millisecond // that the oldest has waited
	behindTo   = 100 * time.Millisecond // where a loop is no longer behind
	newestMax  = 64                     // how many are served before the loop looks for newer ones
	staleAfter = 2 * time.Second        // that a request has waited which is not served any more
	staleMax   = 4                      // how many of those are answered for newestMax that are served
)

// pick chooses who of ready has a turn next.
func (l *loop[A]) pick() {
	l.turn = len(l.ready)
	if l.desk == nil || l.turn == 0 {
		l.behind = 0
		return
	}
	waited := l.now - l.ready[0].ready
	if waited > behindFrom || l.behind > 0 && waited > behindTo {
		l.behind = max(waited, 1)
		l.dismissStale()
		l.turn = len(l.ready)
		l.first = max(0, l.turn-newestMax)
		l.taken = l.first
		return
	}
	l.behind = 0
}

// dismissStale answers some of those who have waited longest, and closes the
// connections of those who have gone.
func (l *loop[A]) dismissStale() {
	n, answered := 0, 0
	for ; n < len(l.ready) && answered < staleMax; n++ {
		c := l.ready[n]
		if l.now-c.ready < staleAfter {
			break
		}
		c.queued = false
		switch {
		case c.closed:
		case c.last:
			l.close(c)
		default:
			l.dismiss(c)
			answered++
		}
	}
	l.ready = append(l.ready[:0], l.ready[n:]...)
}

// dismiss refuses a request that has waited too long.
func (l *loop[A]) dismiss(c *conn) {
	b := l.stale[:]
	if n, extent := l.gather(c, b); n > 0 {
		c.store(b[extent.size:n])
		l.refuse(c, b[:extent.size], admission.Answer{Reason: admission.Overloaded})
	}
}
