//go:build linux

package loader

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"weir/loadtest/socket"

	"golang.org/x/sys/unix"
)

const (
	connectTimeout = 5 * time.Second
	firstBuffer    = 4 << 10
)

// conn is one connection, owned by the thread that it belongs to.
type conn struct {
	id      int           // over all threads, as Next and Check see it
	fd      int           // -1: closed
	in      []byte        // received and not yet parsed
	out     []byte        // the request under way
	sent    int           // bytes of out that are written
	busy    bool          // an answer is awaited
	polled  uint32        // events that epoll is asked for
	started time.Duration // when the request under way was begun, since the run's start
}

// dial connects and then makes the socket non-blocking. On loopback this takes
// microseconds, so a thread may do it in its loop.
func dial(target netip.AddrPort) (fd int, err error) {
	family, address := sockaddr(target)
	fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		return -1, fmt.Errorf("make socket: %w", err)
	}
	timeout := unix.NsecToTimeval(int64(connectTimeout))
	err = errors.Join(
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &timeout),
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1),
	)
	if err == nil {
		err = connect(fd, address)
	}
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("connect: %w", err)
	}
	return fd, nil
}

// connect connects a blocking socket. Where a signal interrupts it, the kernel
// goes on by itself and only the end has to be waited for.
func connect(fd int, address unix.Sockaddr) error {
	err := unix.Connect(fd, address)
	if !errors.Is(err, unix.EINTR) {
		return err
	}
	for deadline := time.Now().Add(connectTimeout); time.Now().Before(deadline); {
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
		n, err := unix.Poll(poll, int(time.Until(deadline).Milliseconds())+1)
		if errors.Is(err, unix.EINTR) || err == nil && n == 0 {
			continue
		}
		if err != nil {
			return err
		}
		code, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
		if err == nil && code != 0 {
			err = unix.Errno(code)
		}
		return err
	}
	return unix.ETIMEDOUT
}

func sockaddr(target netip.AddrPort) (family int, address unix.Sockaddr) {
	ip, port := target.Addr().Unmap(), int(target.Port())
	if ip.Is4() {
		return unix.AF_INET, &unix.SockaddrInet4{Port: port, Addr: ip.As4()}
	}
	return unix.AF_INET6, &unix.SockaddrInet6{Port: port, Addr: ip.As16()}
}

// write sends what is left of the request; false: the socket is full.
func (c *conn) write() (done bool, err error) {
	for c.sent < len(c.out) {
		n, errno := socket.Send(c.fd, c.out[c.sent:])
		switch errno {
		case 0:
			c.sent += n
		case unix.EINTR:
		case unix.EAGAIN:
			return false, nil
		default:
			return false, fmt.Errorf("write: %w", errno)
		}
	}
	return true, nil
}

// read takes what has come, once: epoll says so again where there is more.
func (c *conn) read() error {
	if len(c.in) == cap(c.in) {
		c.in = append(make([]byte, 0, max(2*cap(c.in), firstBuffer)), c.in...)
	}
	n, errno := socket.Recv(c.fd, c.in[len(c.in):cap(c.in)])
	switch {
	case errno == unix.EAGAIN, errno == unix.EINTR:
		return nil
	case errno != 0:
		return fmt.Errorf("read: %w", errno)
	case n == 0:
		return fmt.Errorf("%w: the server closed the connection behind %d bytes of an answer", errOdd, len(c.in))
	}
	c.in = c.in[:len(c.in)+n]
	return nil
}

func (c *conn) close() {
	if c.fd >= 0 {
		_ = unix.Close(c.fd)
		c.fd = -1
	}
	c.in, c.busy, c.polled = c.in[:0], false, 0
}
