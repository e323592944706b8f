//go:build linux

package openloop

import (
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// Send hands over a request that is due now or was due earlier. It goes out at
// once where a connection is idle, and else waits for one. Ended is called for
// it later, whatever becomes of it. When the run is over Send does nothing.
func (l *Loop) Send(r Request) {
	if l.over {
		return
	}
	now := l.clock()
	r.Due = min(max(r.Due, 0), now)
	o := &l.engine.options
	setDefault(&r.Patience, o.Patience)
	setDefault(&r.Timeout, o.Timeout)
	r.Patience, r.Timeout = min(r.Patience, latencyMax), min(r.Timeout, latencyMax)

	l.counters.Planned++
	l.record.due(r.Label, r.Due)
	observe(l.record.lateness, int64(now-r.Due))

	id := l.flights.take()
	l.deadlines.grow(len(l.flights.table))
	l.flights.table[id] = flight{Request: r, conn: -1, taken: now}
	if l.flights.queue >= o.QueueMax {
		l.failLater(id, Crowded)
		return
	}
	if now-r.Due <= o.LateMax {
		l.counters.Offered++
	}
	l.deadlines.start(uint32(id), tickAfter(l.connectBy(&l.flights.table[id])))
	l.flights.push(id)
	if at, ok := l.pool.wakeIdle(); ok {
		l.ready(at)
		return
	}
	l.dialMore(now)
}

// connectBy is when a request that waits for a connection is given up.
func (l *Loop) connectBy(f *flight) time.Duration {
	deadline := f.Due + f.Patience
	if wait := l.engine.options.ConnectWait; wait > 0 {
		deadline = min(deadline, f.taken+wait)
	}
	return deadline
}

// dialMore opens connections for those who wait, as far as the bound allows.
func (l *Loop) dialMore(now time.Duration) {
	for l.pool.connecting < l.flights.queue && l.pool.mayDial(now) {
		l.counters.Dialled++
		if !l.pool.dial(l.engine.target, l.source(), now) {
			l.counters.Refused++
		}
	}
	l.counters.OpenPeak = max(l.counters.OpenPeak, int64(l.pool.open))
}

// source is the address that the next connection comes from.
func (l *Loop) source() netip.Addr {
	o := &l.engine.options
	if o.Sources == 0 {
		return netip.Addr{}
	}
	n := 1 + (l.index+l.pool.dials*o.Loops)%o.Sources
	return netip.AddrFrom4([4]byte{127, byte(n >> 16), byte(n >> 8), byte(n)})
}

// dropSlowDials gives up connections that don't come about.
func (l *Loop) dropSlowDials(now time.Duration) {
	if l.pool.connecting == 0 {
		return
	}
	for at := range l.pool.conns {
		c := &l.pool.conns[at]
		if c.state == connecting && now-c.dialled > l.engine.options.Timeout {
			l.refused(at)
		}
	}
}

func (l *Loop) refused(at int) {
	l.counters.Refused++
	l.pool.drop(at)
	l.pool.failed(l.now)
}

// ready gives a connection that has nothing to do to who waits first, or else
// puts it among the idle ones.
func (l *Loop) ready(at int) {
	for l.flights.first != 0 {
		id := l.flights.first - 1
		l.flights.leave(id)
		l.out = l.driver.Compose(l.out[:0], l.flights.table[id].Request)
		if len(l.out) > 0 {
			l.begin(at, id)
			return
		}
		l.failLater(id, Withdrawn)
	}
	l.pool.rest(at)
}

// begin writes the request in l.out to a connection that has nothing else to do.
func (l *Loop) begin(at int, id flightID) {
	c, f := &l.pool.conns[at], &l.flights.table[id]
	n, err := c.write(l.out)
	if err != nil {
		l.unwritten(at, id, n)
		return
	}
	c.out = append(c.out, l.out[n:]...) // usually nothing
	c.flight, f.conn, f.state, f.sent = id, int32(at), underWay, l.now
	l.counters.Sent++
	observe(l.record.wait, int64(l.now-f.taken))
	l.deadlines.start(uint32(id), tickAfter(min(f.sent+f.Timeout, f.Due+f.Patience)))
}

// unwritten handles a connection that takes no request. One that had been idle
// was closed by the server meanwhile, and of this request it has nothing:
// another connection may take it.
func (l *Loop) unwritten(at int, id flightID, written int) {
	again := written == 0 && l.pool.conns[at].answers > 0
	l.pool.drop(at)
	if !again {
		l.failLater(id, Broken)
		return
	}
	l.flights.pushFront(id)
	l.dialMore(l.now)
}

// flush writes what is left of a request.
func (l *Loop) flush(at int) {
	c := &l.pool.conns[at]
	n, err := c.write(c.out)
	if err != nil {
		l.lost(at)
		return
	}
	c.out = c.out[n:]
}

// expire gives up a request whose time is over.
func (l *Loop) expire(id flightID) {
	f := &l.flights.table[id]
	failure := GaveUp
	switch {
	case f.state == queued && l.pool.open == l.pool.connecting && l.pool.backoff > 0:
		failure = Unreachable
	case f.state == queued && l.connectBy(f) < f.Due+f.Patience:
		failure = Unconnected
	case f.state == underWay && l.now-f.sent >= f.Timeout && f.sent+f.Timeout < f.Due+f.Patience:
		failure = TimedOut
	}
	l.end(id, failure)
}

// end takes a request off wherever it is, and lets it fail.
func (l *Loop) end(id flightID, failure Failure) {
	f := &l.flights.table[id]
	switch f.state {
	case queued:
		l.flights.leave(id)
	case underWay:
		l.pool.drop(int(f.conn))
	case landed, failing:
		return
	}
	l.failLater(id, failure)
}

// failLater keeps a request for tell: a driver that sends again at once must
// not be called from within Send.
func (l *Loop) failLater(id flightID, failure Failure) {
	f := &l.flights.table[id]
	f.state, f.failure = failing, failure
	l.deadlines.stop(uint32(id))
	l.failing = append(l.failing, id)
}

// tell tells the driver of the requests that failed until now. Those that fail
// meanwhile wait for the next round.
func (l *Loop) tell() {
	l.failing, l.told = l.told[:0], l.failing
	for _, id := range l.told {
		f := l.flights.table[id]
		l.flights.release(id)
		l.counters.Failed++
		l.answer = Answer{Failure: f.failure, Sent: f.sent, At: l.now}
		label := l.driver.Ended(l, f.Request, &l.answer)
		l.record.ended(label, f.Due, &l.answer)
	}
	l.dialMore(l.now)
}

// serve takes one event of a connection.
func (l *Loop) serve(at int, generation int32, events uint32) {
	c := &l.pool.conns[at]
	if c.generation != generation {
		return // it was closed in the same round
	}
	l.clock()
	if c.state == connecting {
		if events&(unix.EPOLLERR|unix.EPOLLHUP) != 0 || !c.connected() {
			l.refused(at)
			return
		}
		l.pool.took(c)
		l.ready(at)
	} else if len(c.out) > 0 && events&unix.EPOLLOUT != 0 {
		l.flush(at)
	}
	if c.generation == generation && events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		c.ending = events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0
		l.receive(at, generation)
	}
}

// receive reads all that has come: epoll doesn't say it twice.
func (l *Loop) receive(at int, generation int32) {
	c := &l.pool.conns[at]
	for c.generation == generation {
		n, more, err := c.read(l.in)
		if err != nil {
			l.lost(at)
			return
		}
		if n > 0 {
			l.received(at, l.in[:n])
		}
		if c.ending && n > 0 {
			continue // until the end has been read, too
		}
		if !more {
			return
		}
	}
}

// received adds bytes to the answer that is coming.
func (l *Loop) received(at int, data []byte) {
	c := &l.pool.conns[at]
	if c.state != busy {
		l.counters.Strays++
		l.pool.drop(at)
		return
	}
	if len(c.in) > 0 {
		c.in = append(c.in, data...)
		data = c.in
	}
	l.answer = Answer{}
	size, state := parse(data, &l.answer)
	switch {
	case state == partial && len(c.in) == 0:
		c.in = append(c.in, data...)
	case state == partial:
	case state == odd || size < len(data):
		l.end(c.flight, Odd)
	default:
		l.answered(at)
	}
}

// answered hands l.answer to the driver. What it points to stays as it is until
// the next read, and nothing is read before the driver returns.
func (l *Loop) answered(at int) {
	c, a := &l.pool.conns[at], &l.answer
	id := c.flight
	f := l.flights.table[id]
	l.deadlines.stop(uint32(id))
	l.flights.release(id)
	a.Sent, a.At = f.sent, l.now
	c.answers++
	perConn := l.engine.options.PerConn
	if a.Closes || c.ending || len(c.out) > 0 || perConn > 0 && c.answers >= perConn {
		l.pool.drop(at)
		l.dialMore(l.now)
	} else {
		c.settle()
		l.ready(at)
	}
	l.counters.Answered++
	label := l.driver.Ended(l, f.Request, a)
	l.record.ended(label, f.Due, a)
}

// lost handles a connection that brings no more.
func (l *Loop) lost(at int) {
	c := &l.pool.conns[at]
	if c.state != busy {
		l.pool.drop(at)
		return
	}
	failure := Broken
	if c.answers > 0 && len(c.in) == 0 {
		failure = Stale
	}
	l.end(c.flight, failure)
}
