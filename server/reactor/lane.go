//go:build linux

package reactor

import (
	"io"
	"net"
	"net/netip"
	"time"

	"weir/core/event"
)

// Lane is what the HTTP library takes for one connection: all sockets of a
// loop, one request at a time. Its methods are for the library and, while it
// serves a request, for the handler; they run in the loop's goroutine.
type Lane[A any] struct {
	loop    *loop[A]
	current *conn // whose request is being served; nil: nobody's
	extent  extent
	wrote   bool // something of the answer was written
	keeping bool // the answer is kept: in the shelf's newest entry
	asked   bool // the library has read since it began to serve
}

// Read gives the library the next whole request.
func (l *Lane[A]) Read(b []byte) (int, error) {
	l.asked = true
	if l.current != nil {
		if !l.wrote {
			return 0, io.ErrUnexpectedEOF // for more of this request: there is none
		}
		l.finish()
	}
	return l.loop.next(b)
}

// Write takes what the library answers.
func (l *Lane[A]) Write(b []byte) (int, error) {
	c := l.current
	if c == nil || c.closed {
		return 0, net.ErrClosed
	}
	l.wrote = true
	if l.keeping {
		k := l.loop.shelf.newest()
		k.bytes = append(k.bytes, b...)
		return len(b), nil
	}
	if err := l.loop.send(c, b); err != nil {
		return 0, err
	}
	return len(b), nil
}

// begin starts a request of c.
func (l *Lane[A]) begin(c *conn, e extent) {
	l.current, l.extent, l.wrote, l.keeping = c, e, false, false
	c.doing = waiting
	c.requests++
}

// finish ends a request whose answer is written or kept.
func (l *Lane[A]) finish() {
	c := l.current
	l.current = nil
	if !l.keeping {
		l.loop.answered(c)
	}
}

// end is called when the library has ended the connection that it was serving.
func (l *Lane[A]) end() {
	if c := l.current; c != nil {
		c.ending = true
		l.finish()
	}
}

// Whole tells whether the library read the request as the loop did: headers are
// the bytes of its header lines, with the empty line at their end, body those
// of its body. Where it says no, nothing of the request may be acted on, and
// the answer must end the connection.
func (l *Lane[A]) Whole(headers, body int) bool {
	return l.extent.head-l.extent.line == headers && l.extent.size-l.extent.head == body
}

// Keep has the answer that is written next wait until the record is durable in
// j, which is the same for all answers of a reactor. It is called once a request
// at most, before the answer is written.
func (l *Lane[A]) Keep(j Journal, seq event.Seq, account A) {
	l.keeping = true
	l.loop.journal = j
	k := l.loop.shelf.put()
	k.to, k.seq, k.account, k.bytes = l.current, seq, account, k.bytes[:0]
}

// Requests is how many requests came on the socket, with this one.
func (l *Lane[A]) Requests() int { return l.current.requests }

// Through says that a valid pass came with the request: what else comes over
// the connection is refused last.
func (l *Lane[A]) Through() { l.current.through = !l.current.proxy }

// Draining tells whether the answer should end the connection.
func (l *Lane[A]) Draining() bool { return l.loop.reactor.Draining() }

// Remote is the address of the other side.
func (l *Lane[A]) Remote() netip.AddrPort {
	if l.current == nil {
		return netip.AddrPort{}
	}
	return l.current.socket.Remote()
}

// RemoteAddr is Remote for the library.
func (l *Lane[A]) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(l.Remote()) }

// LocalAddr is none: the lane has no end of its own.
func (l *Lane[A]) LocalAddr() net.Addr { return &net.TCPAddr{} }

// Close does nothing: when the library ends a connection, that is for the loop
// to see to.
func (l *Lane[A]) Close() error { return nil }

// The loop keeps the deadlines.

// SetDeadline does nothing.
func (l *Lane[A]) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing.
func (l *Lane[A]) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing.
func (l *Lane[A]) SetWriteDeadline(time.Time) error { return nil }
