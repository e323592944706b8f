package server

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// rawListener accepts connections without registering them with the runtime's
// poller: the loops have a poller of their own, and two would both be woken for
// every byte. For the same reason it is a loop that says when there is something
// to accept (Reactor.Watch): busy loops would keep the runtime's poller waiting.
//
// Accept and SetDeadline belong to one goroutine.
type rawListener struct {
	*net.TCPListener
	file     *os.File // the same socket: the listener itself does not let others accept
	conn     syscall.RawConn
	readable chan struct{} // has one where there may be something to accept
	closed   chan struct{}
	once     sync.Once
	deadline time.Time // zero: none
}

// newRawListener takes over l. What it sets on l, accepted connections inherit.
func newRawListener(l *net.TCPListener) (*rawListener, error) {
	file, err := l.File()
	if err != nil {
		return nil, fmt.Errorf("take over listener: %w", err)
	}
	conn, err := file.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("take over listener: %w", errors.Join(err, file.Close()))
	}
	// What is let through is decided once it is here, so a long queue in front
	// of the listener would only make people stale: this one lasts a quarter of
	// a second at the slowest pace of admission. Where it overflows, the kernel
	// drops what comes, and the caller hears nothing for a second or more, or,
	// who believes to be connected and waits, for a minute.
	const backlog = 512
	var set error
	err = conn.Control(func(fd uintptr) {
		set = errors.Join(
			unix.Listen(int(fd), backlog),
			unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NODELAY, 1),
			unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1))
	})
	if err = errors.Join(err, set); err != nil {
		return nil, fmt.Errorf("take over listener: %w", errors.Join(err, file.Close()))
	}
	return &rawListener{
		TCPListener: l, file: file, conn: conn,
		readable: make(chan struct{}, 1), closed: make(chan struct{}),
	}, nil
}

// watched has the loops say when there is something to accept.
func (l *rawListener) watched(by func(fd int, readable func()) error) error {
	var failed error
	err := l.conn.Control(func(fd uintptr) {
		failed = by(int(fd), func() {
			select {
			case l.readable <- struct{}{}:
			default:
			}
		})
	})
	return errors.Join(err, failed)
}

// Close stops accepting.
func (l *rawListener) Close() error {
	err := net.ErrClosed
	l.once.Do(func() {
		close(l.closed)
		err = errors.Join(l.TCPListener.Close(), l.file.Close())
	})
	return err
}

// SetDeadline bounds how long Accept waits.
func (l *rawListener) SetDeadline(t time.Time) error {
	l.deadline = t
	return nil
}

// Accept returns the next connection, a *rawConn.
func (l *rawListener) Accept() (net.Conn, error) {
	c := &rawConn{}
	for {
		var from unix.Sockaddr
		var failed error
		err := l.conn.Control(func(fd uintptr) {
			c.fd, from, failed = unix.Accept4(int(fd), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		})
		switch {
		case err != nil:
			return nil, fmt.Errorf("accept: %w", net.ErrClosed) // it fails for no other reason
		case failed == nil:
			c.remote = addrPort(from)
			return c, nil
		case !errors.Is(failed, unix.EAGAIN):
			return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.Addr(), Err: os.NewSyscallError("accept4", failed)}
		}
		if err := l.wait(); err != nil {
			return nil, err
		}
	}
}

// wait returns when there may be something to accept.
func (l *rawListener) wait() error {
	var late <-chan time.Time
	if !l.deadline.IsZero() {
		timer := time.NewTimer(time.Until(l.deadline))
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-l.readable:
		return nil
	case <-late:
		return fmt.Errorf("accept: %w", os.ErrDeadlineExceeded)
	case <-l.closed:
		return fmt.Errorf("accept: %w", net.ErrClosed)
	}
}

func addrPort(from unix.Sockaddr) netip.AddrPort {
	switch a := from.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), uint16(a.Port))
	}
	return netip.AddrPort{}
}

// rawConn is a connected socket that nobody polls yet. A loop reads and writes
// it by its descriptor.
type rawConn struct {
	fd     int // -1: closed
	remote netip.AddrPort
}

// polled turns the socket into a connection of the runtime's poller. The
// rawConn is closed, whatever the outcome.
func (c *rawConn) polled() (net.Conn, error) {
	file := os.NewFile(uintptr(c.fd), "connection")
	c.fd = -1
	conn, err := net.FileConn(file) // has a descriptor of its own
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, fmt.Errorf("poll connection: %w", err)
	}
	return conn, nil
}

var errRaw = errors.New("connection is not polled")

// Read is for a polled connection.
func (c *rawConn) Read([]byte) (int, error) { return 0, errRaw }

// Write is for a polled connection.
func (c *rawConn) Write([]byte) (int, error) { return 0, errRaw }

// Close closes the descriptor, once: the number may be another's afterwards.
func (c *rawConn) Close() error {
	if c.fd < 0 {
		return net.ErrClosed
	}
	fd := c.fd
	c.fd = -1
	return unix.Close(fd)
}

// SetLinger is that of net.TCPConn.
func (c *rawConn) SetLinger(seconds int) error {
	return unix.SetsockoptLinger(c.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1, Linger: int32(seconds)})
}

// LocalAddr is not known.
func (c *rawConn) LocalAddr() net.Addr { return &net.TCPAddr{} }

// RemoteAddr is the other side's.
func (c *rawConn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.remote) }

// SetDeadline is for a polled connection.
func (c *rawConn) SetDeadline(time.Time) error { return errRaw }

// SetReadDeadline is for a polled connection.
func (c *rawConn) SetReadDeadline(time.Time) error { return errRaw }

// SetWriteDeadline is for a polled connection.
func (c *rawConn) SetWriteDeadline(time.Time) error { return errRaw }
