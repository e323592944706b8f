package server

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	acceptBackoffMin = 2 * time.Millisecond
	acceptBackoffMax = 500 * time.Millisecond
	shedBatch        = 64                    // connections refused with the spare descriptor in one go
	shedWait         = 20 * time.Millisecond // at most, for the next one of a batch
)

// boundListener hands out at most limit connections at a time and does not
// give up when accepting fails for the moment. The HTTP library beneath ends
// the whole server on any error of Accept, so a flood of connections past the
// limit of open files would stop it for good.
//
// When the process is out of descriptors the pending connections cannot even
// be refused. So one descriptor is kept in reserve: it is given up, what is
// pending is accepted with it and closed at once, and it is taken back.
//
// Before either bound is met for good, connections that wait for nothing but
// their callers make room (room.go): who is let in with a pass can always
// connect.
//
// Accept belongs to one goroutine; all else is safe for concurrent use.
type boundListener struct {
	net.Listener
	limit int64
	paces paces
	clock atomic.Int64 // milliseconds since enforce began; written by it

	open    atomic.Int64  // connections handed out and not closed yet; ≤ limit
	refused atomic.Uint64 // closed at once: past the limit, or out of descriptors
	failed  atomic.Uint64 // failed calls of accept
	cleared atomic.Uint64 // connections with a goroutine that made room

	relief func(n int) // has up to n connections of others closed; nil: there are none; set before Accept

	spare *os.File // nil while it could not be taken back; Accept's goroutine

	mu     sync.Mutex
	conns  map[*boundConn]struct{} // open ones; guarded by mu
	cutOff bool                    // closeConns was called; guarded by mu

	closing    chan struct{}
	closeOnce  sync.Once
	closeError error // of the first Close
}

func newBoundListener(inner net.Listener, limit int, p paces) *boundListener {
	l := &boundListener{
		Listener: inner, limit: int64(limit), paces: p,
		conns: make(map[*boundConn]struct{}), closing: make(chan struct{}),
	}
	l.takeSpare()
	return l
}

// Accept returns the next connection that there is room for. It fails only
// when the listener was closed or is beyond help.
func (l *boundListener) Accept() (net.Conn, error) {
	backoff := acceptBackoffMin
	for {
		conn, err := l.Listener.Accept()
		if err == nil {
			if kept := l.keep(conn); kept != nil {
				return kept, nil
			}
			backoff = acceptBackoffMin
			continue
		}
		if !passing(err) {
			l.dropSpare()
			return nil, fmt.Errorf("accept: %w", err)
		}
		l.failed.Add(1)
		if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
			l.makeRoom(roomBatch)
			if backoff > acceptBackoffMin { // there was no room to be made
				l.shed()
			}
		}
		if !l.pause(backoff) {
			l.dropSpare()
			return nil, fmt.Errorf("accept: %w", net.ErrClosed)
		}
		backoff = min(2*backoff, acceptBackoffMax)
	}
}

// Close stops accepting. Connections that are open stay so. Closing again does
// nothing.
func (l *boundListener) Close() error {
	l.closeOnce.Do(func() {
		close(l.closing)
		l.closeError = l.Listener.Close()
	})
	return l.closeError
}

// closeConns closes what is still open, and what a loop hands over from now on,
// for a shutdown past its deadline.
func (l *boundListener) closeConns() {
	l.mu.Lock()
	l.cutOff = true
	open := make([]*boundConn, 0, len(l.conns))
	for c := range l.conns {
		open = append(open, c)
	}
	l.mu.Unlock()
	for _, c := range open {
		_ = c.cut() // it is being given up: its error helps nobody
	}
}

// passing tells an error of accept that concerns one connection, or the
// moment, from one that ends the listener.
func passing(err error) bool {
	for _, errno := range []syscall.Errno{
		syscall.EMFILE, syscall.ENFILE, syscall.ECONNABORTED, syscall.ECONNRESET, syscall.EINTR,
		syscall.EAGAIN, syscall.ENOBUFS, syscall.ENOMEM, syscall.EPROTO, syscall.EPERM,
	} {
		if errors.Is(err, errno) {
			return true
		}
	}
	var netErr net.Error
	return errors.As(err, &netErr) && netErr.Timeout()
}

// keep counts conn as open, or closes it where there is no room.
func (l *boundListener) keep(conn net.Conn) net.Conn {
	open := l.open.Add(1)
	if open > l.limit-l.limit/roomShare {
		l.makeRoom(1)
	}
	if open > l.limit {
		l.open.Add(-1)
		l.refuse(conn)
		return nil
	}
	c := &boundConn{Conn: conn, of: l}
	if _, raw := conn.(*rawConn); !raw { // whose loop looks after it
		l.track(c)
	}
	return c
}

// track has enforce look after the connection, which is at the start of a
// request.
func (l *boundListener) track(c *boundConn) {
	c.act.begin(reading, &l.clock)
	l.mu.Lock()
	l.conns[c] = struct{}{}
	cutOff := l.cutOff
	l.mu.Unlock()
	if cutOff {
		_ = c.cut() // as closeConns does
	}
}

// refuse closes conn with a reset: nothing is left waiting in the kernel.
func (l *boundListener) refuse(conn net.Conn) {
	l.refused.Add(1)
	if tcp, ok := conn.(interface{ SetLinger(seconds int) error }); ok {
		_ = tcp.SetLinger(0) // closing without it works too, only slower
	}
	_ = conn.Close()
}

// shed uses the spare descriptor to refuse what is pending.
func (l *boundListener) shed() {
	deadliner, ok := l.Listener.(interface{ SetDeadline(time.Time) error })
	if !ok || l.spare == nil {
		l.takeSpare()
		return
	}
	l.dropSpare()
	defer l.takeSpare()
	for range shedBatch {
		if deadliner.SetDeadline(time.Now().Add(shedWait)) != nil {
			return
		}
		conn, err := l.Listener.Accept()
		if err != nil {
			break
		}
		l.refuse(conn)
	}
	_ = deadliner.SetDeadline(time.Time{}) // fails only on a closed listener, which Accept reports
}

func (l *boundListener) takeSpare() {
	if l.spare == nil {
		l.spare, _ = os.Open(os.DevNull) // none to be had: tried again at the next shortage
	}
}

func (l *boundListener) dropSpare() {
	if l.spare != nil {
		_ = l.spare.Close()
		l.spare = nil
	}
}

// pause waits for d, or returns false when the listener is closed before.
func (l *boundListener) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-l.closing:
		return false
	}
}

// boundConn gives its room back when it is closed, once, notes what it does
// (pace.go), and writes nothing past its gate (gate.go).
type boundConn struct {
	net.Conn
	act    act
	gate   gate
	of     *boundListener
	idle   atomic.Bool // its goroutine waits for the caller to send
	closed atomic.Bool
}

// FD is the descriptor of a connection that a loop serves.
func (c *boundConn) FD() int { return c.Conn.(*rawConn).fd }

// Remote is the other side's address of a connection that a loop serves.
func (c *boundConn) Remote() netip.AddrPort { return c.Conn.(*rawConn).remote }

// Close closes the connection.
func (c *boundConn) Close() error {
	if c.gate.seq != 0 {
		c.gate.open() // an answer was never written: nobody is there to read it
	}
	return c.cut()
}

// cut closes the connection from outside, whatever its goroutine does.
func (c *boundConn) cut() error {
	if c.closed.CompareAndSwap(false, true) {
		c.of.mu.Lock()
		delete(c.of.conns, c)
		c.of.mu.Unlock()
		c.of.open.Add(-1)
	}
	return c.Conn.Close()
}
