package server

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// rawListener accepts connections without registering them with the runtime's
// poller: the loops have a poller of their own, and two would both be woken for
// every byte.
type rawListener struct {
	*net.TCPListener
	file *os.File // the same socket: the listener itself does not let others accept
	conn syscall.RawConn
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
	// of the listener would only make people stale.
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
	return &rawListener{TCPListener: l, file: file, conn: conn}, nil
}

// Close stops accepting.
func (l *rawListener) Close() error { return errors.Join(l.TCPListener.Close(), l.file.Close()) }

// SetDeadline bounds how long Accept waits.
func (l *rawListener) SetDeadline(t time.Time) error { return l.file.SetDeadline(t) }

// Accept returns the next connection, a *rawConn.
func (l *rawListener) Accept() (net.Conn, error) {
	c := &rawConn{}
	var failed error
	err := l.conn.Read(func(fd uintptr) bool {
		var from unix.Sockaddr
		c.fd, from, failed = unix.Accept4(int(fd), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if errors.Is(failed, unix.EAGAIN) {
			return false
		}
		c.remote = addrPort(from)
		return true
	})
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("accept: %w", net.ErrClosed) // waiting fails for no other reason
	}
	if failed != nil {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.Addr(), Err: os.NewSyscallError("accept4", failed)}
	}
	return c, nil
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
