//go:build linux

package reactor

import (
	"net/http"
	"time"

	"weir/server/admission"
)

// Guard is what decides, before anything of a request is parsed, whether it is
// let through.
type Guard struct {
	Gate     *admission.Gate // with a desk for each loop
	Refusals *admission.Refusals
	Limiter  *admission.Limiter // nil: addresses are not limited
	Clients  *admission.Clients // with Limiter
	Signals  func() admission.Signals
}

// guarding is a loop's part of it.
type guarding struct {
	*Guard
	desk     *admission.Desk // nil: everybody is let through
	turn     uint64          // refusals so far
	date     []byte          // the Date line of refusals
	out      []byte          // scratch
	stale    [8 << 10]byte   // scratch of dismiss
	refusing time.Duration   // spent on refusals since the desk was told
	told     time.Duration   // when the desk was told what time went into
	idle     time.Duration   // spent waiting since then
}

// admit tells whether the request of c at the start of b is let through, and
// answers it where it is not.
func (l *loop[A]) admit(c *conn, b []byte) bool {
	g := &l.guarding
	if g.desk == nil {
		return true
	}
	if wait := l.limited(c, b); wait > 0 {
		l.refuse(c, b, admission.Answer{Reason: admission.TooMany, After: 1 + int(wait/time.Second)})
		return false
	}
	g.desk.Delay(max(l.now-c.ready, l.behind))
	if g.desk.Admit(admission.Classify(b), b, admission.Peer{Hash: c.hash, Through: c.through}) {
		return true
	}
	l.refuse(c, b, admission.Answer{Reason: admission.Overloaded})
	return false
}

// limited is how long the client has to wait who asks too often, or 0. What
// comes from this machine without a client's address in it is its own.
func (l *loop[A]) limited(c *conn, b []byte) time.Duration {
	g := &l.guarding
	if g.Limiter == nil || c.own {
		return 0
	}
	client := g.Clients.Address(c.socket.Remote().Addr(), b)
	if client.IsLoopback() {
		return 0
	}
	return g.Limiter.Address(client, l.now)
}

// refuse answers the request with what was prepared. The connection rests then,
// or ends where there are hardly any left.
func (l *loop[A]) refuse(c *conn, b []byte, a admission.Answer) {
	g := &l.guarding
	g.turn++
	relief := g.Gate.Relief()
	a.Spread, a.Turn = g.Gate.Spread(), g.turn
	a.Close = relief.Hangup && !c.through && !c.proxy || l.reactor.draining.Load()
	c.requests++
	c.ending = c.ending || a.Close
	g.out = g.Refusals.Append(g.out[:0], a, b, g.date)
	if l.send(c, g.out) == nil {
		// Who was aside has rested, in a way: the next request over the connection
		// is not to be set aside for that.
		rested := a.Reason == admission.Overloaded && l.now-c.ready > lastingAfter
		if !rested && !c.through && !c.proxy {
			l.rest(c, relief.RestOf(g.turn))
		}
		l.answered(c)
	}
	now := l.reactor.monotonic()
	g.refusing += now - l.now
	l.now = now
}

// adjust tells the gate, once a round, what the time went into.
func (l *loop[A]) adjust() {
	g := &l.guarding
	if g.desk == nil {
		return
	}
	g.desk.Spent(l.now-g.told-g.idle, g.refusing)
	g.told, g.idle, g.refusing = l.now, 0, 0
	g.Gate.Adjust(l.now, g.Signals())
}

// redate keeps the Date line of refusals.
func (g *guarding) redate() {
	g.date = time.Now().UTC().AppendFormat(append(g.date[:0], "Date: "...), http.TimeFormat)
	g.date = append(g.date, "\r\n"...)
}
