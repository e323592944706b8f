//go:build linux

package loader

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"
)

const (
	eventsMax  = 256
	tickMillis = 20 // between looks at the context and at answers that don't come
)

// thread runs its share of the connections. Everything in it belongs to its
// goroutine, which keeps an operating-system thread to itself so that the CPU
// time of the load can be told from that of everything else in the process.
type thread struct {
	run   *run
	poll  int // epoll descriptor; -1: closed
	conns []*conn
	open  int // connections that still have requests to send or an answer to come

	latency     *hdrhistogram.Histogram
	byStatus    [600]int64
	errorCount  int64
	firstErrors []error
	lastAnswer  time.Duration // since the run's start
	cpu         time.Duration
}

// newThread opens the connections of one thread: every one whose number is
// index modulo the number of threads.
func newThread(r *run, index int) (*thread, error) {
	t := &thread{run: r, poll: -1, latency: newLatency()}
	poll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create epoll: %w", err)
	}
	t.poll = poll
	for id := index; id < r.Connections; id += r.Threads {
		c := &conn{id: id, fd: -1, in: make([]byte, 0, firstBuffer)}
		t.conns = append(t.conns, c)
		if err := t.connect(c); err != nil {
			t.close()
			return nil, err
		}
	}
	t.open = len(t.conns)
	return t, nil
}

func (t *thread) connect(c *conn) (err error) {
	c.fd, err = dial(t.run.target)
	return err
}

func (t *thread) close() {
	for _, c := range t.conns {
		c.close()
	}
	_ = unix.Close(t.poll)
	t.poll, t.open = -1, 0
}

// loop sends, reads and checks until every connection is retired.
func (t *thread) loop(ctx context.Context) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before := threadCPU()
	defer func() { t.cpu = threadCPU() - before }()
	defer t.close()
	for _, c := range t.conns {
		t.next(c, t.now())
	}
	events := make([]unix.EpollEvent, eventsMax)
	looked := t.now()
	for t.open > 0 {
		n, err := unix.EpollWait(t.poll, events, tickMillis)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("wait for answers: %w", err)
		}
		for _, e := range events[:max(n, 0)] {
			t.serve(t.conns[e.Fd], e.Events)
		}
		if now := t.now(); now-looked >= tickMillis*time.Millisecond {
			looked = now
			if err := t.look(ctx, now); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *thread) now() time.Duration { return time.Since(t.run.start) }

// look gives up the run or the answers that don't come.
func (t *thread) look(ctx context.Context, now time.Duration) error {
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("given up: %w", err)
	}
	for _, c := range t.conns {
		if c.busy && now-c.started > t.run.Timeout {
			t.broken(c, fmt.Errorf("%w: none within %v", errOdd, t.run.Timeout))
		}
	}
	if n := t.run.errors.Load(); n > t.run.MaxErrors {
		return fmt.Errorf("%w: %d, first %w", ErrTooManyErrors, n, errors.Join(t.firstErrors...))
	}
	return nil
}

// serve takes one event of a connection.
func (t *thread) serve(c *conn, events uint32) {
	if c.fd < 0 {
		return
	}
	if c.sent < len(c.out) && events&unix.EPOLLOUT != 0 {
		t.flush(c)
	}
	if c.fd < 0 || events&(unix.EPOLLIN|unix.EPOLLHUP|unix.EPOLLERR) == 0 {
		return
	}
	if err := c.read(); err != nil {
		t.broken(c, err)
		return
	}
	answer, whole, err := parse(c.in)
	switch {
	case err != nil:
		t.broken(c, err)
	case whole && len(c.in) > answer.size:
		t.broken(c, fmt.Errorf("%w: %d bytes behind it", errOdd, len(c.in)-answer.size))
	case whole && c.sent < len(c.out):
		t.broken(c, fmt.Errorf("%w: status %d before the request was sent", errOdd, answer.status))
	case whole:
		t.answered(c, &answer)
	}
}

func (t *thread) answered(c *conn, answer *response) {
	now := t.now()
	_ = t.latency.RecordValue(min(int64(now-c.started), int64(latencyMax))) // within its range, so it can't fail
	t.byStatus[answer.status]++
	t.lastAnswer = now
	c.busy = false
	if check := t.run.Check; check != nil {
		if err := check(c.id, answer.status, answer.body); err != nil {
			t.note(fmt.Errorf("connection %d: %w", c.id, err))
		}
	}
	c.in = c.in[:0]
	if answer.closes {
		c.close()
	}
	t.next(c, now)
}

// next sends the connection's next request, or retires it. A connection that
// the server closed in good order is opened again first.
func (t *thread) next(c *conn, now time.Duration) {
	if !t.run.mayBegin(now) {
		t.retire(c)
		return
	}
	if c.out = t.run.Next(c.id, c.out[:0]); len(c.out) == 0 {
		t.retire(c)
		return
	}
	if c.fd < 0 {
		if err := t.connect(c); err != nil {
			t.note(fmt.Errorf("connection %d: %w", c.id, err))
			t.retire(c)
			return
		}
	}
	c.sent, c.busy, c.started = 0, true, now
	t.flush(c)
}

// flush writes what the socket takes and asks epoll for what is needed next.
func (t *thread) flush(c *conn) {
	done, err := c.write()
	if err == nil {
		err = t.ask(c, done)
	}
	if err != nil {
		t.broken(c, err)
	}
}

// ask tells epoll to watch for an answer, and for room where the request is
// not written in full. The usual request changes nothing and costs no call.
func (t *thread) ask(c *conn, written bool) error {
	events := uint32(unix.EPOLLIN)
	if !written {
		events |= unix.EPOLLOUT
	}
	if c.polled == events {
		return nil
	}
	op := unix.EPOLL_CTL_MOD
	if c.polled == 0 {
		op = unix.EPOLL_CTL_ADD
	}
	index := int32(c.id / t.run.Threads)
	if err := unix.EpollCtl(t.poll, op, c.fd, &unix.EpollEvent{Events: events, Fd: index}); err != nil {
		return fmt.Errorf("ask epoll: %w", err)
	}
	c.polled = events
	return nil
}

// broken counts the request under way as an error and goes on with a new
// connection.
func (t *thread) broken(c *conn, err error) {
	t.note(fmt.Errorf("connection %d: %w", c.id, err))
	c.close()
	if t.run.errors.Load() > t.run.MaxErrors {
		return // the next look ends the run
	}
	t.next(c, t.now())
}

func (t *thread) retire(c *conn) {
	c.close()
	t.open--
}

func (t *thread) note(err error) {
	t.errorCount++
	t.run.errors.Add(1)
	if len(t.firstErrors) < firstErrorsMax {
		t.firstErrors = append(t.firstErrors, err)
	}
}

// threadCPU is the calling thread's user and system time. The call can't fail
// with these arguments.
func threadCPU() time.Duration {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
