//go:build linux

package flood

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Kind is how an attacker holds a connection.
type Kind int

// The kinds.
const (
	Silent Kind = iota // sends nothing
	Idle               // is answered once, and sends nothing more
	Slow               // sends a byte of a request now and then
	Half               // sends half a request
	Odd                // sends the beginning of one that event loops hand to a goroutine
	Deaf               // asks, and reads nothing of the answers
	Kinds              // how many there are
)

var kindNames = [Kinds]string{"silent", "idle", "slow", "half", "odd", "deaf"}

// String returns the kind's name.
func (k Kind) String() string { return kindNames[k] }

// waits tells whether such a connection may have to make room.
func (k Kind) waits() bool { return k != Deaf }

// Order is what one attacking process is to do.
type Order struct {
	Addr        string // of the server
	From        string // address that it comes from, in 127.0.0.0/8
	Ways        []Kind // of its connections, as many of each
	Connections int    // that it holds at a time
	PerSecond   int    // that it opens, at most
}

const (
	dialTimeout = 5 * time.Second // a connection that is not there by then hangs
	askTimeout  = 5 * time.Second // an answer likewise
	drip        = time.Second
	deafBuffer  = 4 << 10 // bytes that a deaf caller's kernel takes
	deafSegment = 1400    // bytes: as on a network, or the server's kernel would take megabytes
	deafEvery   = 500 * time.Millisecond
)

// Tally is what became of the connections of one kind.
type Tally struct {
	Opened  int
	Refused int           // closed before anything could be sent or answered, or not accepted
	Hung    int           // neither connected nor refused, or neither answered nor closed, in time
	Closed  int           // by the server, after a while
	Longest time.Duration // that one of the closed was held
	Oldest  time.Duration // that one was held which was never closed
}

func (t *Tally) add(o Tally) {
	t.Opened += o.Opened
	t.Refused += o.Refused
	t.Hung += o.Hung
	t.Closed += o.Closed
	t.Longest = max(t.Longest, o.Longest)
	t.Oldest = max(t.Oldest, o.Oldest)
}

// Attack carries out an order until ctx ends.
func Attack(ctx context.Context, o Order) ([Kinds]Tally, error) {
	from := net.ParseIP(o.From)
	if from == nil || len(o.Ways) == 0 || o.Connections < 1 || o.PerSecond < 1 {
		return [Kinds]Tally{}, fmt.Errorf("attack: an order of %+v cannot be carried out", o)
	}
	a := &attacker{Order: o, starts: make(chan struct{})}
	a.local = &net.TCPAddr{IP: from}
	var all sync.WaitGroup
	for i := range o.Connections {
		all.Go(func() {
			for a.mayStart(ctx) {
				a.hold(ctx, o.Ways[i%len(o.Ways)])
			}
		})
	}
	a.pace(ctx)
	all.Wait()
	return a.tallies, nil
}

// AttackOn is Attack for a process that was started to do nothing else: the
// order is JSON, and it ends when its input does. Its tallies go to out.
func AttackOn(order string, in io.Reader, out io.Writer) error {
	var o Order
	if err := json.Unmarshal([]byte(order), &o); err != nil {
		return fmt.Errorf("attack: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, in) // its end is all that counts
		cancel()
	}()
	tallies, err := Attack(ctx, o)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(tallies)
}

type attacker struct {
	Order
	local  *net.TCPAddr
	starts chan struct{} // one for each connection that may be opened now

	mu      sync.Mutex
	tallies [Kinds]Tally // guarded by mu
}

// pace hands out starts, so many a second, until ctx ends. What the process
// could not start in time is not made up for: that would be a burst that no
// order asks for.
func (a *attacker) pace(ctx context.Context) {
	const every = 10 * time.Millisecond
	tick := time.NewTicker(every)
	defer tick.Stop()
	last, due := time.Now(), 0.0
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			due += min(now.Sub(last), 2*every).Seconds() * float64(a.PerSecond)
			last = now
		}
		for ; due >= 1; due-- {
			select {
			case a.starts <- struct{}{}:
			default: // all are held
			}
		}
	}
}

func (a *attacker) mayStart(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-a.starts:
		return true
	}
}

func (a *attacker) note(k Kind, t Tally) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.tallies[k].add(t)
}

// hold opens one connection and holds it until the server closes it.
func (a *attacker) hold(ctx context.Context, k Kind) {
	dialer := net.Dialer{Timeout: dialTimeout, LocalAddr: a.local, KeepAlive: -1, Control: control(k)}
	conn, err := dialer.DialContext(ctx, "tcp", a.Addr)
	began := time.Now()
	switch {
	case ctx.Err() != nil:
		if err == nil {
			_ = conn.Close()
		}
		return
	case timedOut(err):
		a.note(k, Tally{Hung: 1})
		return
	case err != nil:
		a.note(k, Tally{Refused: 1})
		return
	}
	release := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer func() {
		release()
		_ = conn.Close()
	}()
	t := Tally{Opened: 1}
	err = a.begin(conn, k)
	if err == nil {
		err = a.stay(conn, k)
	}
	held := time.Since(began)
	switch {
	case ctx.Err() != nil:
		t.Oldest = held
	case timedOut(err):
		t.Hung = 1
	case errors.Is(err, errRefused):
		t.Refused = 1
	default:
		t.Closed, t.Longest = 1, held
	}
	a.note(k, t)
}

func timedOut(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, unix.ETIMEDOUT) || isTimeout(err)
}

func isTimeout(err error) bool {
	var e net.Error
	return errors.As(err, &e) && e.Timeout()
}

// control makes a deaf caller's socket small before it connects.
func control(k Kind) func(network, address string, c syscall.RawConn) error {
	if k != Deaf {
		return nil
	}
	return func(_, _ string, c syscall.RawConn) error {
		var failed error
		err := c.Control(func(fd uintptr) {
			failed = errors.Join(
				unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, deafBuffer),
				unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_MAXSEG, deafSegment))
		})
		return errors.Join(err, failed)
	}
}

const (
	campaignsRequest = "GET /v1/campaigns HTTP/1.1\r\nHost: a\r\n\r\n"
	halfRequest      = "POST " + bookingsPath + " HTTP/1.1\r\nHost: a\r\nContent-Length: 400\r\n\r\n{\"slot\":"
	oddRequest       = "\r\nGET /v1/campaigns HTTP/1.1\r\nHost: a\r\n"
	deafRequest      = "GET /openapi.yaml HTTP/1.1\r\nHost: a\r\n\r\n"
	slowRequest      = "GET /v1/campaigns HTTP/1.1\r\nHost: a\r\nSlow: "
)

var errRefused = errors.New("closed before it was answered")

// begin sends what the kind begins with.
func (a *attacker) begin(conn net.Conn, k Kind) error {
	text := [Kinds]string{Idle: campaignsRequest, Half: halfRequest, Odd: oddRequest, Deaf: deafRequest}[k]
	if text == "" {
		return nil
	}
	if _, err := io.WriteString(conn, text); err != nil {
		return errRefused
	}
	if k != Idle {
		return nil
	}
	if err := conn.SetReadDeadline(time.Now().Add(askTimeout)); err != nil {
		return err
	}
	_, err := conn.Read(make([]byte, 4<<10))
	switch {
	case err == nil:
		return conn.SetReadDeadline(time.Time{})
	case isTimeout(err):
		return err
	}
	return errRefused
}

// stay holds the connection until the server closes it. Its error is never a
// timeout.
func (a *attacker) stay(conn net.Conn, k Kind) error {
	switch k {
	case Slow:
		return stayFor(conn, drip, slowRequest+strings.Repeat("x", 4<<10))
	case Deaf:
		return stayDeaf(conn)
	default:
		_, err := io.Copy(io.Discard, conn)
		return err
	}
}

// stayFor sends the text byte by byte, until something comes back: all that can
// is a refusal.
func stayFor(conn net.Conn, every time.Duration, text string) error {
	b := make([]byte, 1)
	for i := range len(text) {
		if _, err := io.WriteString(conn, text[i:i+1]); err != nil {
			return io.EOF // reset
		}
		if err := conn.SetReadDeadline(time.Now().Add(every)); err != nil {
			return err
		}
		if _, err := conn.Read(b); !isTimeout(err) {
			return io.EOF
		}
	}
	return errors.New("the server took a request that never ends")
}

// stayDeaf asks on and on, so that it notices when it is closed.
func stayDeaf(conn net.Conn) error {
	tick := time.NewTicker(deafEvery)
	defer tick.Stop()
	for range tick.C {
		if err := conn.SetWriteDeadline(time.Now().Add(deafEvery)); err != nil {
			return err
		}
		if _, err := io.WriteString(conn, deafRequest); err != nil && !isTimeout(err) {
			return io.EOF
		}
	}
	return nil
}
