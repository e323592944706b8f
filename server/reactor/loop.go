//go:build linux

package reactor

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	eventsMax = 128
	unsentMax = 64 << 20 // bytes of answers that wait for their callers to read, all connections of a loop together
	// servedMax is how many requests a loop serves, in about a millisecond, before
	// it lets others have the processor: the goroutine that writes the log, above
	// all, and on a single processor its commits are of no more than that.
	servedMax = 32
	// pollEvery is how long a loop goes on with what it has before it asks for
	// more, so that it knows how long those who wait have been waiting.
	pollEvery = time.Millisecond
)

// loop owns its share of the sockets. Its fields belong to its goroutine but
// where they say otherwise.
type loop[A any] struct {
	reactor *Reactor[A]
	lane    Lane[A]
	shelf   shelf[A]
	journal Journal // of the kept answers
	waiter  waiter

	guarding
	aside
	rests  restWheel
	now    time.Duration // of the reactor, read now and then
	polled time.Duration // when epoll was asked last

	poll     int             // epoll descriptor, edge-triggered
	parked   syscall.RawConn // of poll, for waiting with the runtime's poller
	file     *os.File        // of poll
	bell     int             // eventfd in poll
	conns    []*conn         // by descriptor
	open     int             // of them
	looked   int             // descriptor that makeRoom looked at last
	enforced int64           // of the reactor's clock: when enforce looked last
	ready    []*conn         // that may have a request, in the order in which they became so
	turn     int             // of ready: they have theirs before the loop looks around again
	taken    int             // ≤ turn: these have had it
	served   int             // requests since others had the processor
	unsent   int             // bytes in conn.out of all; ≤ unsentMax
	events   [eventsMax]unix.EpollEvent
	found    int                // of events, by the last call of look
	look     func(uintptr) bool // asks poll; made once, since passing it to parked allocates

	readable atomic.Pointer[func()] // any goroutine: of watch
	ticked   atomic.Bool            // any goroutine: the clock has moved
	wanted   atomic.Int64           // any goroutine: connections to be closed to make room
	rung     atomic.Bool            // any goroutine: bell has a count

	mu    sync.Mutex
	inbox []Socket // mu: added and not taken yet
	ended bool     // mu: nothing is taken any more, and bell may be another's descriptor

	empty     chan struct{} // closed when the reactor drains or ends and no connection is left
	emptyTold bool
}

func newLoop[A any](r *Reactor[A], index int) (*loop[A], error) {
	l := &loop[A]{reactor: r, bell: -1, waiter: newWaiter(), empty: make(chan struct{})}
	l.lane.loop = l
	if g := r.config.Guard; g != nil {
		l.guarding = guarding{Guard: g, desk: g.Gate.Desk(index)}
		l.redate()
	}
	l.look = func(uintptr) bool {
		l.found = rawPoll(l.poll, l.events[:])
		return l.found > 0
	}
	var err error
	if l.poll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("create epoll: %w", err)
	}
	if err = unix.SetNonblock(l.poll, true); err == nil {
		l.file = os.NewFile(uintptr(l.poll), "epoll")
		l.parked, err = l.file.SyscallConn()
	}
	if err == nil {
		l.bell, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	}
	if err == nil {
		err = unix.EpollCtl(l.poll, unix.EPOLL_CTL_ADD, l.bell, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: int32(l.bell)})
	}
	if err != nil {
		l.free()
		return nil, fmt.Errorf("make a loop: %w", err)
	}
	return l, nil
}

// free gives back what newLoop took.
func (l *loop[A]) free() {
	if l.bell >= 0 {
		_ = unix.Close(l.bell)
	}
	if l.file != nil {
		_ = l.file.Close()
	} else {
		_ = unix.Close(l.poll)
	}
}

// add is Reactor.Add.
func (l *loop[A]) add(s Socket) {
	l.mu.Lock()
	ended := l.ended
	if !ended {
		l.inbox = append(l.inbox, s)
	}
	l.mu.Unlock()
	if ended {
		_ = s.Close() // it was never used
		return
	}
	l.wake()
}

// wake makes the loop look around, unless it has ended. Any goroutine may call
// it.
func (l *loop[A]) wake() {
	if !l.rung.CompareAndSwap(false, true) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ended {
		one := [8]byte{1}
		_, _ = rawWrite(l.bell, one[:]) // full: it rings already
	}
}

// run serves until the reactor is closed.
func (l *loop[A]) run() {
	var waiting sync.WaitGroup
	waiting.Go(func() { l.waiter.run(l.wake) })
	for !l.reactor.stopped.Load() {
		l.lane.asked = false
		_ = l.reactor.config.Serve(&l.lane) // it ended a connection: that is no news
		l.lane.end()
		if !l.lane.asked {
			// A library that does not even ask for a request would not the
			// next moment either. The connections are kept to their paces.
			time.Sleep(l.reactor.config.Paces.tick())
			l.round()
		}
	}
	l.closeAll()
	close(l.waiter.asks)
	waiting.Wait()
	l.free()
}

// next reads the next whole request into b, which must be the library's whole
// buffer, and waits for one. io.EOF says that the reactor was closed. Between
// two looks around each connection has one turn, so that one that sends
// requests without end holds up neither the others nor the kept answers.
func (l *loop[A]) next(b []byte) (int, error) {
	for {
		for l.taken < l.turn {
			l.letOthers()
			c := l.ready[l.taken]
			l.taken++
			c.queued = false
			if n := l.take(c, b); n > 0 {
				return n, nil
			}
		}
		l.ready = slices.Delete(l.ready, 0, l.turn)
		l.taken, l.turn = 0, 0
		if l.reactor.stopped.Load() {
			return 0, io.EOF
		}
		l.round()
		l.pick()
	}
}

// letOthers gives the processor away now and then, and looks afterwards what
// the log's writer has made of it.
func (l *loop[A]) letOthers() {
	if l.served++; l.served < servedMax {
		return
	}
	l.served = 0
	runtime.Gosched()
	l.release()
	l.now = l.reactor.monotonic()
	if l.now-l.polled > pollEvery {
		l.collect()
	}
}

// take reads a request of c into b. It returns 0 where there is none to serve.
func (l *loop[A]) take(c *conn, b []byte) int {
	if c.closed || c.resting || c.doing == waiting || c.doing == writing {
		return 0
	}
	if l.desk != nil && l.now-c.ready > staleAfter { // the process stood still in the middle of a turn
		l.lay(c)
		return 0
	}
	n, extent := l.gather(c, b)
	if n == 0 {
		return 0
	}
	c.store(b[extent.size:n])
	if !l.admit(c, b[:extent.size]) {
		return 0
	}
	l.lane.begin(c, extent)
	return extent.size
}

// gather reads into b until it begins with a whole request, and returns how
// much is in b. Where there is none, it sees to what there is and returns 0.
func (l *loop[A]) gather(c *conn, b []byte) (int, extent) {
	n := copy(b, c.in)
	extent, verdict := frame(b[:n])
	if verdict == partial && c.readable && n < len(b) {
		more, err := c.read(b[n:])
		switch {
		case err == nil:
			n += more
		case n > 0:
			l.hand(c, b[:n]) // the other side ended in the middle of a request
			return 0, extent
		default:
			l.close(c)
			return 0, extent
		}
		extent, verdict = frame(b[:n])
	}
	switch {
	case n == 0, verdict == whole:
		return n, extent
	case verdict == odd || n == len(b) || extent.size > len(b):
		l.hand(c, b[:n])
	default:
		l.await(c, b[:n])
	}
	return 0, extent
}

// await keeps the beginning of a request until the rest is there.
func (l *loop[A]) await(c *conn, b []byte) {
	c.store(b)
	if c.doing == idling {
		l.begin(c, reading)
	}
	l.again(c)
}

// again queues c where there is something to be read.
func (l *loop[A]) again(c *conn) {
	if !c.readable || c.queued || c.resting {
		return
	}
	c.queued = true
	if c.ready = l.polled; c.aged {
		c.ready, c.aged = l.now-dataAge(c.fd), false
		if l.now-c.ready > l.after() {
			l.lay(c)
			return
		}
	}
	l.ready = append(l.ready, c)
}

func (l *loop[A]) begin(c *conn, what doing) { c.doing, c.since = what, l.reactor.clock.Load() }

// send sends b on c, or as much of it as the socket takes for now.
func (l *loop[A]) send(c *conn, b []byte) error {
	if len(c.out) == 0 {
		var err error
		if b, err = c.write(b); err != nil {
			l.close(c)
			return err
		}
		if len(b) == 0 {
			return nil
		}
		l.begin(c, writing)
	}
	if l.unsent+len(b) > unsentMax {
		l.close(c)
		return errUnread
	}
	c.out = append(c.out, b...)
	l.unsent += len(b)
	return nil
}

// flush sends more of c.out.
func (l *loop[A]) flush(c *conn) {
	rest, err := c.write(c.out)
	l.unsent -= len(c.out) - len(rest)
	if c.out = rest; len(rest) == 0 {
		c.out = nil
	}
	if err != nil {
		l.close(c)
		return
	}
	l.answered(c)
}

// answered ends the request of c: its answer is sent, or in c.out.
func (l *loop[A]) answered(c *conn) {
	switch {
	case c.closed || len(c.out) > 0:
	case c.ending || l.reactor.draining.Load():
		l.close(c)
	default:
		l.begin(c, idling)
		if len(c.in) > 0 {
			c.readable = true
		}
		l.again(c)
	}
}

// close closes the connection. A kept answer of it is dropped when its turn
// comes.
func (l *loop[A]) close(c *conn) {
	if c.closed {
		return
	}
	l.forget(c)
	_ = c.socket.Close() // there is nobody to tell
}

// forget takes the connection out of the loop.
func (l *loop[A]) forget(c *conn) {
	c.closed = true
	l.conns[c.fd] = nil
	l.open--
	l.unsent -= len(c.out)
	if l.open == 0 && l.reactor.draining.Load() {
		l.wake() // to tell so
	}
}

// hand gives the connection to the Other.
func (l *loop[A]) hand(c *conn, read []byte) {
	if err := unix.EpollCtl(l.poll, unix.EPOLL_CTL_DEL, c.fd, nil); err != nil {
		l.close(c)
		return
	}
	l.forget(c)
	l.reactor.config.Other(Handed{Socket: c.socket, Read: append([]byte(nil), read...)})
}

// adopt begins to serve a socket.
func (l *loop[A]) adopt(s Socket) {
	fd := s.FD()
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET, Fd: int32(fd)}
	if err := unix.EpollCtl(l.poll, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
		_ = s.Close() // out of memory for it: it is refused
		return
	}
	if fd >= len(l.conns) {
		l.conns = append(l.conns, make([]*conn, fd+1-len(l.conns)+64)...)
	}
	c := &conn{socket: s, fd: fd, aged: l.desk != nil}
	if g := &l.guarding; g.desk != nil && g.Limiter != nil {
		c.proxy = g.Clients.Trusts(s.Remote().Addr())
		c.hash = g.Limiter.Hash(s.Remote().Addr())
		c.own = !c.proxy && s.Remote().Addr().Unmap().IsLoopback()
	}
	l.begin(c, reading)
	l.conns[fd] = c
	l.open++
}

// enforce keeps the connections to their paces.
func (l *loop[A]) enforce() {
	now := l.reactor.clock.Load()
	if time.Duration(now-l.enforced) < l.reactor.config.Paces.tick() {
		return
	}
	l.enforced = now
	if l.desk != nil {
		l.redate()
	}
	p := &l.reactor.config.Paces
	for _, c := range l.conns {
		if c == nil {
			continue
		}
		late := time.Duration(now - c.since)
		if c.aside && c.doing != writing {
			continue // the loop is late, not the caller
		}
		switch {
		case c.doing == reading && late > p.Read:
			_ = l.send(c, l.reactor.config.Late()) // it is closed, whatever comes of it
			l.close(c)
		case c.doing == writing && late > p.Write, c.doing == idling && late > p.Idle:
			l.close(c)
		}
	}
}

// drain closes what has no answer under way, and tells when nothing is left.
func (l *loop[A]) drain() {
	for _, c := range l.conns {
		if c != nil && (c.doing == idling || c.doing == reading) {
			l.close(c)
		}
	}
	if l.open == 0 {
		l.tellEmpty()
	}
}

func (l *loop[A]) tellEmpty() {
	if !l.emptyTold {
		l.emptyTold = true
		close(l.empty)
	}
}

// closeAll ends the loop's connections.
func (l *loop[A]) closeAll() {
	l.mu.Lock()
	l.ended = true
	added := l.inbox
	l.inbox = nil
	l.mu.Unlock()
	for _, s := range added {
		_ = s.Close() // it was never used
	}
	for k := l.shelf.oldest(); k != nil; k = l.shelf.oldest() {
		l.reactor.config.Left(&k.account)
		l.shelf.drop()
	}
	for _, c := range l.conns {
		if c != nil {
			l.close(c)
		}
	}
	l.tellEmpty()
}
