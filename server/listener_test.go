package server

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
	"golang.org/x/sys/unix"
)

// scriptListener answers Accept from a script: an error, or nil for a
// connection.
type scriptListener struct {
	script []error
	given  int
	peers  []net.Conn
}

func (l *scriptListener) Accept() (net.Conn, error) {
	if l.given == len(l.script) {
		return nil, net.ErrClosed
	}
	err := l.script[l.given]
	l.given++
	if err != nil {
		return nil, err
	}
	ours, theirs := net.Pipe()
	l.peers = append(l.peers, theirs)
	return ours, nil
}

func (l *scriptListener) Close() error                { return nil }
func (l *scriptListener) Addr() net.Addr              { return &net.TCPAddr{} }
func (l *scriptListener) SetDeadline(time.Time) error { return nil }

func accepting(errno syscall.Errno) error {
	return &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", errno)}
}

func TestListenerOutlivesErrors(t *testing.T) {
	inner := &scriptListener{script: []error{
		accepting(syscall.ECONNABORTED), accepting(syscall.ENOBUFS), accepting(syscall.EMFILE),
		nil,                       // pending: refused with the spare descriptor
		accepting(syscall.ENFILE), // ends the batch
		accepting(syscall.ENFILE), // the next shortage
		accepting(syscall.EAGAIN), // ends its batch
		nil,                       // served
	}}
	l := newBoundListener(inner, 4, paces{time.Hour, time.Hour, time.Hour})
	conn, err := l.Accept()
	must(t, err)
	if l.failed.Load() != 4 || l.refused.Load() != 1 || l.open.Load() != 1 || l.spare == nil {
		t.Fatalf("failed %d, refused %d, open %d, spare %v", l.failed.Load(), l.refused.Load(), l.open.Load(), l.spare)
	}
	must(t, conn.Close())
	_ = conn.Close() // the room is given back once
	if l.open.Load() != 0 || len(l.conns) != 0 {
		t.Fatalf("open %d after close", l.open.Load())
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) || l.spare != nil {
		t.Fatalf("accept on a closed listener: %v, spare %v", err, l.spare)
	}
}

func TestListenerCloseEndsBackoff(t *testing.T) {
	script := make([]error, 1000)
	for i := range script {
		script[i] = accepting(syscall.ENOMEM)
	}
	l := newBoundListener(&scriptListener{script: script}, 1, paces{time.Hour, time.Hour, time.Hour})
	done := make(chan error, 1)
	go func() {
		_, err := l.Accept()
		done <- err
	}()
	must(t, l.Close())
	select {
	case err := <-done:
		if !errors.Is(err, net.ErrClosed) {
			t.Fatal(err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("Accept goes on after Close")
	}
}

func TestListenerBoundsConnections(t *testing.T) {
	s := newStand(t, func(c *Config) { c.Limits.Connections = 3 })
	var open []net.Conn
	for range 3 {
		conn := dial(t, s.public)
		send(t, conn, "GET /v1/campaigns HTTP/1.1\r\nHost: a\r\n\r\n")
		readHead(t, conn)
		open = append(open, conn)
	}
	if !isRefused(t, s.public, 5*time.Second) {
		t.Fatal("the fourth connection was kept")
	}
	must(t, open[0].Close())
	waitFor(t, "room for another", func() bool {
		conn, err := net.Dial("tcp", s.public)
		if err != nil {
			return false
		}
		defer func() { _ = conn.Close() }()
		_, _ = io.WriteString(conn, "GET /v1/campaigns HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
		answer, _ := io.ReadAll(conn)
		return strings.HasPrefix(string(answer), "HTTP/1.1 200")
	})
}

// isRefused connects and tells whether the other side hung up within that time,
// which it may do before the connection is known here to be one.
func isRefused(t testing.TB, addr string, within time.Duration) bool {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return true
	}
	defer func() { _ = conn.Close() }()
	must(t, conn.SetReadDeadline(time.Now().Add(within)))
	_, err = conn.Read(make([]byte, 1))
	var netErr net.Error
	return err != nil && (!errors.As(err, &netErr) || !netErr.Timeout())
}

// waitFor polls a condition that nothing announces, with a deadline.
func waitFor(t testing.TB, what string, condition func() bool) {
	t.Helper()
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// dial connects until the test ends.
func dial(t testing.TB, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	must(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	return conn
}

func send(t testing.TB, conn net.Conn, text string) {
	t.Helper()
	_, err := io.WriteString(conn, text)
	must(t, err)
}

func readHead(t testing.TB, conn net.Conn) string {
	t.Helper()
	b := make([]byte, 4096)
	n, err := conn.Read(b)
	must(t, err)
	return string(b[:n])
}

// A starved server is a process of its own with few file descriptors.
const (
	starvedVariable = "WEIR_TEST_STARVED"
	starvedFiles    = 48
	starvedHold     = "/hold"
)

func serveStarved() int {
	limit := unix.Rlimit{Cur: starvedFiles, Max: starvedFiles}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		report("error", err)
		return 1
	}
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		report("error", err)
		return 1
	}
	l := newBoundListener(inner, 1000, paces{time.Hour, time.Hour, time.Hour})
	report(inner.Addr())
	release := make(chan struct{})
	go func() { // ends with its parent
		_, _ = io.ReadFull(os.Stdin, make([]byte, 1))
		close(release)
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	h := fasthttp.Server{Logger: quietLogger{slog.Default()}, Handler: func(ctx *fasthttp.RequestCtx) {
		if string(ctx.Path()) == starvedHold {
			<-release
		}
		_, _ = fmt.Fprint(ctx, l.failed.Load(), " ", l.refused.Load(), " ", l.cleared.Load())
	}}
	report("error", h.Serve(l))
	return 1
}

// report writes a line to the parent, which has gone when that fails.
func report(what ...any) { _, _ = fmt.Fprintln(os.Stdout, what...) }

// TestListenerStarvedOfDescriptors floods a real process past its limit of
// open files. While requests are under way on all of them, it must refuse what
// it cannot hold, so that its backlog drains; when they are over, those who
// come have room made for them.
func TestListenerStarvedOfDescriptors(t *testing.T) {
	addr, in := startStarved(t)
	for range starvedFiles { // more than it can hold
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			continue
		}
		defer func() { _ = conn.Close() }()
		_, _ = io.WriteString(conn, "GET "+starvedHold+" HTTP/1.1\r\nHost: a\r\n\r\n") // it may be refused already
	}
	for i := range 2 * starvedFiles {
		if !isRefused(t, addr, 10*time.Second) {
			t.Fatalf("connection %d past the limit is neither served nor refused", i)
		}
	}
	_, err := in.Write([]byte{1})
	must(t, err)
	waitFor(t, "the server to serve again", func() bool { return starvedAnswers(t, addr, 0) })
	for range 2 * starvedFiles { // they send nothing, ever
		dial(t, addr)
	}
	for range starvedFiles {
		waitFor(t, "room to be made", func() bool { return starvedAnswers(t, addr, 1) })
	}
}

func startStarved(t *testing.T) (addr string, in io.WriteCloser) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), starvedVariable+"=1")
	in, err := child.StdinPipe()
	must(t, err)
	out, err := child.StdoutPipe()
	must(t, err)
	must(t, child.Start())
	t.Cleanup(func() {
		_ = in.Close()
		if err := child.Wait(); err != nil {
			t.Errorf("the starved server ended: %v", err)
		}
	})
	line := make([]byte, 64)
	n, err := out.Read(line)
	must(t, err)
	return strings.TrimSpace(string(line[:n])), in
}

// starvedAnswers asks the starved server how it went: at least so many must
// have made room.
func starvedAnswers(t *testing.T, addr string, cleared int) bool {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }()
	must(t, conn.SetDeadline(time.Now().Add(5*time.Second)))
	_, _ = io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n")
	answer, _ := io.ReadAll(conn)
	_, body, ok := strings.Cut(string(answer), "\r\n\r\n")
	if !ok {
		return false
	}
	var failed, refused, made int
	_, err = fmt.Sscan(body, &failed, &refused, &made)
	must(t, err)
	if failed == 0 || refused == 0 || made < cleared {
		t.Fatalf("accept failed %d times, %d were refused, %d made room: the test starved nobody", failed, refused, made)
	}
	return true
}
