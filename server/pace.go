package server

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// Deadlines of connections. The HTTP library can set three a request, each of
// which reads the clock and moves a timer. So
// a connection only notes what it began and when, by a clock that ticks a few
// times a second, and one goroutine looks over all of them at each tick. A
// deadline is kept to within two ticks.

// paces are how long a connection may take for what it does.
type paces struct {
	read  time.Duration // from a request's first byte, or the connection's start, to the answer's first
	write time.Duration // for one piece of an answer
	idle  time.Duration // between requests
}

func (p paces) tick() time.Duration {
	return max(time.Millisecond, min(250*time.Millisecond, min(p.read, p.write, p.idle)/4))
}

// What a connection does.
const (
	reading = iota
	writing
	idling
	actBits = 2
	actMask = 1<<actBits - 1
)

// act is what a connection does and since which reading of its listener's
// clock, in milliseconds: since<<actBits | doing. The connection's goroutine
// writes it, the one that looks over all reads it.
type act struct{ atomic.Int64 }

func (a *act) begin(what int64, clock *atomic.Int64) { a.Store(clock.Load()<<actBits | what) }

func (a *act) is(what int64) bool { return a.Load()&actMask == what }

// since is when it began that, by the listener's clock.
func (a *act) since() int64 { return a.Load() >> actBits }

// overdue tells whether the connection takes longer than p allows.
func (a *act) overdue(now int64, p paces) bool {
	v := a.Load()
	limit := [...]time.Duration{reading: p.read, writing: p.write, idling: p.idle}[v&actMask]
	return now-v>>actBits > limit.Milliseconds()
}

// Read is that of net.Conn. The first byte after an answer begins a request.
func (c *boundConn) Read(b []byte) (int, error) {
	c.idle.Store(true)
	n, err := c.Conn.Read(b)
	c.idle.Store(false)
	if n > 0 && c.act.is(idling) {
		c.act.begin(reading, &c.of.clock)
	}
	return n, err
}

// Write is that of net.Conn. It waits at the connection's gate. Where that does
// not open, the caller is told so instead of b, and the connection ends.
func (c *boundConn) Write(b []byte) (int, error) {
	if c.gate.seq != 0 {
		if err := c.gate.pass(); err != nil {
			_, written := c.Conn.Write(wholeAnswer(faultOutcomeUnknown, c.gate.accounts.language))
			return 0, errors.Join(err, written)
		}
	}
	c.act.begin(writing, &c.of.clock)
	n, err := c.Conn.Write(b)
	c.act.begin(idling, &c.of.clock)
	return n, err
}

// enforce keeps the listener's connections to their paces until ctx ends.
func (l *boundListener) enforce(ctx context.Context) {
	began := time.Now()
	ticker := time.NewTicker(l.paces.tick())
	defer ticker.Stop()
	var late []*boundConn
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := time.Since(began).Milliseconds()
		l.clock.Store(now)
		late = l.overdue(now, late[:0])
		for _, c := range late {
			c.hurry()
		}
	}
}

func (l *boundListener) overdue(now int64, late []*boundConn) []*boundConn {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		if c.act.overdue(now, l.paces) {
			late = append(late, c)
		}
	}
	return late
}

// longAgo is a deadline that has passed.
var longAgo = time.Unix(1, 0)

// hurry makes the read or write that takes too long fail with a timeout. A
// handler at work is not disturbed: it answers, and the connection ends then.
// An error says that the connection was closed meanwhile.
func (c *boundConn) hurry() {
	if c.act.is(writing) {
		_ = c.SetWriteDeadline(longAgo)
		return
	}
	_ = c.SetReadDeadline(longAgo)
}
