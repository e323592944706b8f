//go:build linux

package reactor

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// round sends what has become durable and waits until there is something to do.
func (l *loop[A]) round() {
	l.release()
	l.now = l.reactor.monotonic()
	l.adjust()
	if l.collect() || l.waits() {
		runtime.Gosched()
		return
	}
	if l.shelf.n > 0 {
		// Others have work to do on this processor before a kept answer can
		// leave: the log's writer above all.
		runtime.Gosched()
		l.release()
		if l.collect() || l.waits() {
			return
		}
	}
	l.park()
}

// collect takes what epoll has by now, and tells whether that was anything.
func (l *loop[A]) collect() bool {
	n := rawPoll(l.poll, l.events[:])
	l.handle(n)
	return n > 0
}

// park waits until epoll has something.
func (l *loop[A]) park() {
	l.found = 0
	err := l.parked.Read(l.look)
	if err != nil && !errors.Is(err, os.ErrClosed) {
		panic(fmt.Errorf("reactor: wait for epoll: %w", err)) // a descriptor of our own: a defect
	}
	woke := l.reactor.monotonic()
	l.idle += woke - l.now
	l.now, l.polled = woke, woke
	l.handle(l.found)
}

// handle handles n events, and all that there are more.
func (l *loop[A]) handle(n int) {
	for {
		for i := range l.events[:n] {
			l.event(&l.events[i])
		}
		if n < len(l.events) {
			break
		}
		n = rawPoll(l.poll, l.events[:])
	}
	l.polled = l.now
}

// watchedEvent stands for the descriptor of watch.
const watchedEvent = -1

func (l *loop[A]) watch(fd int, readable func()) error {
	l.readable.Store(&readable)
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: watchedEvent}
	if err := unix.EpollCtl(l.poll, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
		return fmt.Errorf("watch listener: %w", err)
	}
	return nil
}

// event takes what epoll says of one descriptor.
func (l *loop[A]) event(e *unix.EpollEvent) {
	if e.Fd == watchedEvent {
		if readable := l.readable.Load(); readable != nil {
			(*readable)()
		}
		return
	}
	if int(e.Fd) == l.bell {
		l.answerBell()
		return
	}
	if int(e.Fd) >= len(l.conns) || l.conns[e.Fd] == nil {
		return // closed meanwhile
	}
	c := l.conns[e.Fd]
	if c.doing == writing && e.Events&unix.EPOLLOUT != 0 {
		l.flush(c)
	}
	if e.Events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 && !c.closed {
		c.readable = true
		c.last = c.last || e.Events&^uint32(unix.EPOLLIN|unix.EPOLLOUT) != 0
		l.again(c)
	}
}

// answerBell does what other goroutines asked for.
func (l *loop[A]) answerBell() {
	var count [8]byte
	_, _ = rawRead(l.bell, count[:]) // empty: it was answered before
	l.rung.Store(false)
	l.mu.Lock()
	added := l.inbox
	l.inbox = nil
	l.mu.Unlock()
	for _, s := range added {
		l.adopt(s)
	}
	l.makeRoom(l.wanted.Swap(0))
	if l.ticked.Swap(false) {
		l.rouse()
		l.enforce()
	}
	if l.reactor.draining.Load() {
		l.drain()
	}
}
