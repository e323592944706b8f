//go:build linux

package openloop

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	backoffMin = time.Millisecond // between attempts to connect, after one that failed
	backoffMax = 100 * time.Millisecond
	// watched are the events of a connection. They are told once each
	// (edge-triggered), so that epoll is asked once in a connection's life.
	watched = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET
)

// pool is the connections of a loop and the epoll instance that watches them.
type pool struct {
	epoll      int // -1: closed
	conns      []conn
	free       []int32 // places without a connection
	idle       []int32 // the one used last is the last, and taken first; gone: where one was dropped, but never the last
	open       int
	connecting int
	dials      int           // so far
	backoff    time.Duration // before the next attempt; 0: the last one went well
	notBefore  time.Duration // the next attempt
}

func newPool(size int) pool {
	p := pool{epoll: -1, conns: make([]conn, size)}
	for i := range p.conns {
		p.conns[i].fd = -1
		p.free = append(p.free, int32(size-1-i))
	}
	return p
}

func (p *pool) create() error {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return fmt.Errorf("create epoll: %w", err)
	}
	p.epoll = epoll
	return nil
}

func (p *pool) close() {
	for i := range p.conns {
		if p.conns[i].state != closed {
			p.drop(i)
		}
	}
	_ = unix.Close(p.epoll)
	p.epoll = -1
}

// wait waits for events. unix.EpollWait counts in milliseconds, in which fifty
// requests may be due, hence the call by hand.
func (p *pool) wait(events []unix.EpollEvent, longest time.Duration) (n int, err error) {
	timeout := unix.NsecToTimespec(int64(longest))
	r, _, code := unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(p.epoll),
		uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), uintptr(unsafe.Pointer(&timeout)), 0, 0)
	switch code {
	case 0:
		return int(r), nil
	case unix.EINTR:
		return 0, nil
	case unix.ENOSYS: // before Linux 5.11
		n, err = unix.EpollWait(p.epoll, events, int((longest+time.Millisecond-1)/time.Millisecond))
		if errors.Is(err, unix.EINTR) {
			return 0, nil
		}
		return n, err
	}
	return 0, code
}

// dial begins a connection in a free place, of which there must be one. What
// fails puts the next attempt off.
func (p *pool) dial(target netip.AddrPort, source netip.Addr, now time.Duration) bool {
	p.dials++
	fd, err := dial(target, source)
	if err != nil {
		p.failed(now)
		return false
	}
	at := p.free[len(p.free)-1]
	c := &p.conns[at]
	event := unix.EpollEvent{Events: watched, Fd: at, Pad: c.generation}
	if err := unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
		_ = unix.Close(fd)
		p.failed(now)
		return false
	}
	p.free = p.free[:len(p.free)-1]
	c.fd, c.state, c.dialled = fd, connecting, now
	p.open++
	p.connecting++
	return true
}

// failed puts the next attempt to connect off, each time twice as long.
func (p *pool) failed(now time.Duration) {
	p.backoff = min(max(2*p.backoff, backoffMin), backoffMax)
	p.notBefore = now + p.backoff
}

// mayDial tells whether there is room for another connection, and the time to
// try one. After a failure one is tried alone.
func (p *pool) mayDial(now time.Duration) bool {
	return len(p.free) > 0 && (p.backoff == 0 || now >= p.notBefore && p.connecting == 0)
}

// took notes that a connection came about.
func (p *pool) took(c *conn) {
	p.connecting--
	p.backoff = 0
	c.state = busy
}

// gone stands in pool.idle for a connection that was dropped. Filling its place
// with another would bring one up that has not been used for long, which the
// server may be closing just then.
const gone = -1

// rest puts a connection among the idle ones.
func (p *pool) rest(at int) {
	if len(p.idle) >= 2*len(p.conns) {
		p.closeUp()
	}
	c := &p.conns[at]
	c.state, c.idleAt = idle, len(p.idle)
	p.idle = append(p.idle, int32(at))
}

// wakeIdle takes an idle connection; false: there is none.
func (p *pool) wakeIdle() (at int, ok bool) {
	n := len(p.idle)
	if n == 0 {
		return 0, false
	}
	at = int(p.idle[n-1])
	p.idle = p.idle[:n-1]
	p.trim()
	p.conns[at].state = busy
	return at, true
}

// trim makes the last of idle one that is there.
func (p *pool) trim() {
	for n := len(p.idle); n > 0 && p.idle[n-1] == gone; n-- {
		p.idle = p.idle[:n-1]
	}
}

// closeUp takes those that are gone out of idle.
func (p *pool) closeUp() {
	p.idle = slices.DeleteFunc(p.idle, func(at int32) bool { return at == gone })
	for i, at := range p.idle {
		p.conns[at].idleAt = i
	}
}

// drop closes a connection, whatever it does, and frees its place.
func (p *pool) drop(at int) {
	c := &p.conns[at]
	switch c.state {
	case connecting:
		p.connecting--
	case idle:
		p.idle[c.idleAt] = gone
		p.trim()
	}
	_ = unix.Close(c.fd)
	*c = conn{fd: -1, generation: c.generation + 1}
	p.open--
	p.free = append(p.free, int32(at))
}
