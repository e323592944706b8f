//go:build linux

package reactor

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"weir/core/event"
)

func TestMain(m *testing.M) {
	if l, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		_ = l.Close() // the runtime has the descriptors of its poller now, which openFiles counts
	}
	goleak.VerifyTestMain(m,
		// The HTTP library's clock for Date headers runs for the life of the
		// process.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
	)
}

const (
	bufferBytes = 4096
	lateAnswer  = "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
	lostAnswer  = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
)

var patient = Paces{Read: time.Minute, Write: time.Minute, Idle: time.Minute}

// A stand is a reactor behind a listener on loopback, with an HTTP server whose
// handler does what its requests say, and goroutines for what is handed over.
type stand struct {
	testing.TB
	*Reactor[int]
	http    fasthttp.Server
	journal *journal
	addr    string

	accepted atomic.Int64
	open     atomic.Int64 // of them: that the reactor or the Other has not closed
	handed   atomic.Int64
	left     atomic.Int64
	lost     atomic.Int64

	listener *os.File       // a listening socket, which a net.Listener does not let others accept from
	tasks    sync.WaitGroup // the acceptor and the goroutines of connections handed over
	mu       sync.Mutex
	others   map[net.Conn]bool // handed over and not over yet; guarded by mu
	files    int               // descriptors open before
}

func newStand(t testing.TB, paces Paces, change func(*Config[int])) *stand {
	t.Helper()
	s := &stand{TB: t, journal: newJournal(), others: map[net.Conn]bool{}, files: openFiles(t)}
	s.http = fasthttp.Server{
		Handler: s.handle, ReadBufferSize: bufferBytes, MaxRequestBodySize: 1 << 20, Concurrency: 1 << 30,
		NoDefaultServerHeader: true, NoDefaultDate: true, DisablePreParseMultipartForm: true,
		Logger: silent{}, SecureErrorLogMessage: true,
	}
	config := Config[int]{
		Loops: 2, Paces: paces, Serve: s.http.ServeConn, Other: s.take, Late: func() []byte { return []byte(lateAnswer) },
		Left: func(*int) { s.left.Add(1) },
		Lost: func(*int, error) []byte { s.lost.Add(1); return []byte(lostAnswer) },
	}
	if change != nil {
		change(&config)
	}
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	must(t, err)
	s.addr = listener.Addr().String()
	s.listener, err = listener.File()
	must(t, errors.Join(err, listener.Close()))
	s.Reactor, err = New(config)
	must(t, err)
	s.tasks.Go(s.accept)
	t.Cleanup(s.end)
	return s
}

type silent struct{}

func (silent) Printf(string, ...any) {}

// end stops everything and holds what is left open against what was before.
func (s *stand) end() {
	_ = s.listener.Close()
	s.journal.close()
	s.Stop()
	s.Wait()
	s.mu.Lock()
	for c := range s.others {
		_ = c.Close()
	}
	s.mu.Unlock()
	s.tasks.Wait()
	if n := s.open.Load(); n != 0 {
		s.Errorf("%d sockets were never closed", n)
	}
	for _, l := range s.loops {
		if l.open != 0 || l.unsent != 0 {
			s.Errorf("a loop ended with %d open, %d bytes unsent", l.open, l.unsent)
		}
	}
	if n := openFiles(s); n != s.files {
		s.Errorf("%d descriptors are open, before it were %d", n, s.files)
	}
}

// accept gives the reactor what comes, without the runtime's poller.
func (s *stand) accept() {
	raw, err := s.listener.SyscallConn()
	if err != nil {
		s.Error(err)
		return
	}
	for {
		fd := -1
		err := raw.Read(func(l uintptr) bool {
			var errno error
			fd, _, errno = unix.Accept4(int(l), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
			return !errors.Is(errno, unix.EAGAIN)
		})
		if err != nil {
			return // closed
		}
		if fd < 0 {
			continue // the other side has gone
		}
		s.open.Add(1)
		s.accepted.Add(1)
		s.Add(&testSocket{fd: fd, stand: s})
	}
}

// testSocket counts on its stand what is open.
type testSocket struct {
	fd    int
	stand *stand
}

func (c *testSocket) FD() int { return c.fd }

func (c *testSocket) Remote() netip.AddrPort {
	name, err := unix.Getpeername(c.fd)
	if a, ok := name.(*unix.SockaddrInet4); ok && err == nil {
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	}
	return netip.AddrPort{}
}

func (c *testSocket) Close() error {
	c.stand.open.Add(-1)
	return unix.Close(c.fd)
}

// take serves a connection as it came, in a goroutine.
func (s *stand) take(h Handed) {
	s.handed.Add(1)
	file := os.NewFile(uintptr(h.Socket.FD()), "handed")
	conn, err := net.FileConn(file)
	if err = errors.Join(err, file.Close()); err != nil {
		s.Error(err)
		return
	}
	s.mu.Lock()
	s.others[conn] = true
	s.mu.Unlock()
	s.tasks.Go(func() {
		_ = s.http.ServeConn(&readAhead{conn, h.Read})
		_ = conn.Close()
		s.mu.Lock()
		delete(s.others, conn)
		s.mu.Unlock()
		s.open.Add(-1)
	})
}

type readAhead struct {
	net.Conn
	read []byte
}

func (c *readAhead) Read(b []byte) (int, error) {
	if len(c.read) == 0 {
		return c.Conn.Read(b)
	}
	n := copy(b, c.read)
	c.read = c.read[n:]
	return n, nil
}

// handle answers with the request's Secret and body. /keep keeps the answer
// until its record is durable, /through shows a pass, /large answers with as many bytes as it is told.
func (s *stand) handle(ctx *fasthttp.RequestCtx) {
	lane, looped := ctx.Conn().(*Lane[int])
	if looped {
		if !lane.Whole(max(2, len(ctx.Request.Header.RawHeaders())), len(ctx.Request.Body())) {
			s.Error("a request was read otherwise than framed")
			ctx.SetConnectionClose()
			return
		}
		if lane.Draining() {
			ctx.SetConnectionClose()
		}
	}
	ctx.Response.AppendBody(ctx.Request.Header.Peek("Secret"))
	ctx.Response.AppendBody(ctx.Request.Body())
	switch path := string(ctx.Path()); path {
	case "/keep":
		seq := s.journal.append()
		if looped {
			lane.Keep(s.journal, seq, 0)
		} else if s.journal.Wait(seq) != nil {
			ctx.Error("", fasthttp.StatusServiceUnavailable)
		}
	case "/through":
		lane.Through()
	case "/large":
		n, err := strconv.Atoi(string(ctx.QueryArgs().Peek("bytes")))
		if err != nil {
			ctx.Error(err.Error(), fasthttp.StatusBadRequest)
			return
		}
		ctx.Response.SetBodyRaw(pattern[:n])
	case "/requests":
		ctx.Response.AppendBodyString(fmt.Sprint(lane.Requests(), " ", lane.Remote(), " ", lane.RemoteAddr()))
	}
}

// pattern is what large answers consist of.
var pattern = func() []byte {
	b := make([]byte, 16<<20)
	for i := range b {
		b[i] = byte(i * 2654435761 >> 13)
	}
	return b
}()

// journal is a journal by hand: records become durable when it is told so.
type journal struct {
	mu      sync.Mutex
	changed *sync.Cond
	last    event.Seq // appended; guarded by mu
	durable event.Seq // guarded by mu
	fail    error     // what Wait answers; guarded by mu
	quiet   bool      // Wait does not hear of what becomes durable; guarded by mu
	swift   bool      // Wait makes its record durable; guarded by mu
	closed  bool      // guarded by mu
}

func newJournal() *journal {
	j := &journal{}
	j.changed = sync.NewCond(&j.mu)
	return j
}

func (j *journal) Durable() event.Seq {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.durable
}

func (j *journal) Wait(seq event.Seq) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.swift {
		j.durable = max(j.durable, seq)
	}
	for (j.quiet || j.durable < seq) && j.fail == nil && !j.closed {
		j.changed.Wait()
	}
	if j.durable >= seq {
		return nil
	}
	return errors.Join(j.fail, errors.New("journal closed"))
}

func (j *journal) append() event.Seq {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.last++
	return j.last
}

func (j *journal) appended() event.Seq {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.last
}

// set changes the journal and tells who waits.
func (j *journal) set(change func()) {
	j.mu.Lock()
	defer j.mu.Unlock()
	change()
	j.changed.Broadcast()
}

func (j *journal) close()              { j.set(func() { j.closed = true }) }
func (j *journal) sync(upTo event.Seq) { j.set(func() { j.durable = upTo }) }

// commit makes records durable as a disk would, until the stand ends.
func (s *stand) commit() {
	s.tasks.Go(func() {
		tick := time.NewTicker(300 * time.Microsecond)
		defer tick.Stop()
		for over := false; !over; <-tick.C {
			s.journal.set(func() { s.journal.durable, over = s.journal.last, s.journal.closed })
		}
	})
}

// caller is a client's connection.
type caller struct {
	testing.TB
	*net.TCPConn
	from *bufio.Reader
}

// call connects until the test ends.
func (s *stand) call() *caller { s.Helper(); return s.callTo(s.addr) }

func (s *stand) callTo(addr string) *caller {
	s.Helper()
	conn, err := net.Dial("tcp", addr)
	must(s, err)
	s.Cleanup(func() { _ = conn.Close() })
	must(s, conn.SetDeadline(time.Now().Add(30*time.Second)))
	return &caller{s.TB, conn.(*net.TCPConn), bufio.NewReader(conn)}
}

func (c *caller) send(text string) *caller {
	c.Helper()
	_, err := io.WriteString(c.TCPConn, text)
	must(c, err)
	return c
}

// get sends a plain request.
func (c *caller) get(path, secret string) *caller { c.Helper(); return c.send(getText(path, secret)) }

func getText(path, secret string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: a\r\nSecret: " + secret + "\r\n\r\n"
}

func postText(path, secret, body string) string {
	return "POST " + path + " HTTP/1.1\r\nHost: a\r\nSecret: " + secret + "\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
}

// answer reads the next answer: what it says, and whether it ends the
// connection.
func (c *caller) answer() (status int, body string, err error) {
	for {
		res, err := http.ReadResponse(c.from, nil)
		if err != nil {
			return 0, "", err
		}
		b, err := io.ReadAll(res.Body)
		if res.StatusCode != http.StatusContinue {
			return res.StatusCode, string(b), err
		}
	}
}

// want reads the next answer, which is 200 with the body.
func (c *caller) want(body string) {
	c.Helper()
	status, got, err := c.answer()
	if err != nil || status != 200 || got != body {
		c.Fatalf("answer %d %.60q, %v; want %.60q", status, got, err, body)
	}
}

// raw reads what there is, at least a byte.
func (c *caller) raw() string {
	c.Helper()
	_, err := c.from.Peek(1)
	must(c, err)
	b := make([]byte, c.from.Buffered())
	_, err = io.ReadFull(c.from, b)
	must(c, err)
	return string(b)
}

// wantEnd reads to the connection's end, which comes after the text.
func (c *caller) wantEnd(text string) {
	c.Helper()
	rest, err := io.ReadAll(c.from)
	if string(rest) != text || err != nil && !errors.Is(err, syscall.ECONNRESET) {
		c.Fatalf("%.100q at the end, %v; want %.100q", rest, err, text)
	}
}

// wantNothing sees that nothing comes for a while.
func (c *caller) wantNothing() {
	c.Helper()
	must(c, c.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	if b, err := c.from.Peek(1); !errors.Is(err, os.ErrDeadlineExceeded) {
		c.Fatalf("%q came, %v", b, err)
	}
	must(c, c.SetReadDeadline(time.Now().Add(30*time.Second)))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// waitFor polls a condition that nothing announces, with a deadline.
func waitFor(t testing.TB, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func openFiles(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	return len(entries)
}
