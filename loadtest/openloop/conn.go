//go:build linux

package openloop

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"weir/loadtest/socket"

	"golang.org/x/sys/unix"
)

// conn is one connection of a loop's pool, or a free place for one.
type conn struct {
	fd         int
	generation int32 // of the place: an event of a former connection is not taken for one of this
	state      connState
	ending     bool          // the server sends no more
	flight     flightID      // under way on it, where busy
	answers    int           // that it has brought
	dialled    time.Duration // when that was begun
	idleAt     int           // index in the list of idle ones, where idle
	in         []byte        // of an answer that has come in part
	out        []byte        // of a request that is not written yet
}

type connState uint8

const (
	closed connState = iota
	connecting
	idle
	busy
)

// partKeep is how much memory for a part of an answer or request a connection
// keeps between two of them.
const partKeep = 16 << 10

// dial begins to connect a non-blocking socket. source is the address to come
// from; the zero value leaves it to the system.
func dial(target netip.AddrPort, source netip.Addr) (fd int, err error) {
	family, address := sockaddr(target)
	fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_TCP)
	if err != nil {
		return -1, fmt.Errorf("make socket: %w", err)
	}
	err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if err == nil && source.IsValid() {
		err = bind(fd, source)
	}
	if err == nil {
		err = unix.Connect(fd, address)
	}
	if err != nil && !errors.Is(err, unix.EINPROGRESS) && !errors.Is(err, unix.EINTR) {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("connect: %w", err)
	}
	return fd, nil
}

// bind chooses the address and leaves the port to connect, which may then use
// a port again that is in use towards another target.
func bind(fd int, source netip.Addr) error {
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
		return err
	}
	return unix.Bind(fd, &unix.SockaddrInet4{Addr: source.As4()})
}

func sockaddr(target netip.AddrPort) (family int, address unix.Sockaddr) {
	ip, port := target.Addr().Unmap(), int(target.Port())
	if ip.Is4() {
		return unix.AF_INET, &unix.SockaddrInet4{Port: port, Addr: ip.As4()}
	}
	return unix.AF_INET6, &unix.SockaddrInet6{Port: port, Addr: ip.As16()}
}

// connected tells whether a dialled socket is.
func (c *conn) connected() bool {
	code, err := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	return err == nil && code == 0
}

// write sends what the socket takes and returns how much that was.
func (c *conn) write(b []byte) (n int, err error) {
	for n < len(b) {
		m, errno := socket.Send(c.fd, b[n:])
		switch errno {
		case 0:
			n += m
		case unix.EINTR:
		case unix.EAGAIN:
			return n, nil
		default:
			return n, errno
		}
	}
	return n, nil
}

// read takes what has come, once. more: the buffer is full and there may be
// more. An error is the end of the connection, in good order or not.
func (c *conn) read(b []byte) (n int, more bool, err error) {
	for {
		n, errno := socket.Recv(c.fd, b)
		switch {
		case errno == 0 && n > 0:
			return n, n == len(b), nil
		case errno == 0:
			return 0, false, errClosed
		case errno == unix.EINTR:
		case errno == unix.EAGAIN:
			return 0, false, nil
		default:
			return 0, false, errno
		}
	}
}

var errClosed = errors.New("closed by the server")

// settle forgets what the last answer left in the buffers. What they hold may
// still be looked at until they are used again.
func (c *conn) settle() {
	if c.in = c.in[:0]; cap(c.in) > partKeep {
		c.in = nil
	}
	if c.out = c.out[:0]; cap(c.out) > partKeep {
		c.out = nil
	}
}
