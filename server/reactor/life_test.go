//go:build linux

package reactor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestHandedOver sends what a loop leaves to others, and more behind it on the
// same connection.
func TestHandedOver(t *testing.T) {
	s := newStand(t, patient, nil)
	s.commit()
	for i, k := range requestKinds {
		if k.fate != goesOn {
			continue
		}
		c := s.call()
		for range 3 {
			c.send(k.text("s", "body"))
			if status, body, err := c.answer(); err != nil || status != 200 || !strings.HasPrefix(body, "s") {
				t.Fatalf("%s: %d %q, %v", requestKinds[i].name, status, body, err)
			}
			c.get("/", "plain").want("plain")
		}
	}
}

// TestHalfClosed: who has sent all it will is answered all the same.
func TestHalfClosed(t *testing.T) {
	s := newStand(t, patient, nil)
	c := s.call().send(getText("/", "1") + getText("/", "2"))
	must(t, c.CloseWrite())
	c.want("1")
	c.want("2")
	c.wantEnd("")
	if n := s.handed.Load(); n != 0 {
		t.Fatalf("%d handed over", n)
	}
}

// TestOneTurnEach floods a loop from one connection with requests that are
// never all read: the others are served, and kept answers leave.
func TestOneTurnEach(t *testing.T) {
	s := newStand(t, patient, func(c *Config[int]) { c.Loops = 1 })
	flood := s.call()
	var sides sync.WaitGroup
	defer sides.Wait()
	defer func() { _ = flood.Close() }()
	sides.Go(func() {
		text := strings.Repeat(getText("/", "flood"), 1000)
		for {
			if _, err := io.WriteString(flood.TCPConn, text); err != nil {
				return
			}
		}
	})
	flood.want("flood")
	sides.Go(func() { _, _ = io.Copy(io.Discard, flood.from) })
	kept, other := s.call(), s.call()
	for i := range 100 {
		other.get("/", "a").want("a")
		kept.get("/keep", "b")
		waitFor(t, "an answer to be kept", func() bool { return int(s.journal.appended()) == i+1 })
		s.journal.sync(s.journal.appended())
		kept.want("b")
	}
	s.Stop()
	s.Wait()
	if l := s.loops[0]; cap(l.ready) > 64 {
		t.Errorf("the queue of three connections has room for %d", cap(l.ready))
	}
}

// TestRequests: the lane tells what the handler may want to know.
func TestRequests(t *testing.T) {
	s := newStand(t, patient, nil)
	c := s.call()
	for i := range 3 {
		c.get("/requests", "").want(fmt.Sprint(i+1, " ", c.LocalAddr(), " ", c.LocalAddr()))
	}
}

// TestChurn connects and leaves in all ways, many at a time.
func TestChurn(t *testing.T) {
	s := newStand(t, patient, nil)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(i)))
			for range 100 {
				if err := s.comeAndGo(random); err != nil {
					t.Errorf("seed %d: %v", seed, err)
					return
				}
			}
		})
	}
	all.Wait()
	waitFor(t, "all to be closed", func() bool { return s.open.Load() == 0 })
}

func (s *stand) comeAndGo(random *rand.Rand) error {
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	text := getText("/", "a")
	if random.IntN(8) == 0 {
		text = "\r\n" + text // to be handed over
	}
	whole := random.IntN(4) > 0
	if !whole {
		text = text[:random.IntN(len(text))]
	}
	text = strings.Repeat(text, 1+random.IntN(3))
	if _, err := io.WriteString(conn, text); err != nil {
		return err
	}
	if whole && random.IntN(2) == 0 {
		if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			return err
		}
		if _, err := conn.Read(make([]byte, 100)); err != nil {
			return fmt.Errorf("answer to %q: %w", text, err)
		}
	}
	if random.IntN(2) == 0 {
		return conn.(*net.TCPConn).SetLinger(0)
	}
	return nil
}

// TestDrain has connections in every state: what has no request under way is
// closed, what has is answered first.
func TestDrain(t *testing.T) {
	s := newStand(t, patient, nil)
	idle, fresh, begun := s.call(), s.call(), s.call().send("GET / HT")
	idle.get("/", "a").want("a")
	kept := s.call().get("/keep", "kept")
	s.waitKept(1)
	writing := s.call().get("/large?bytes=16777216", "")
	waitFor(t, "all to be accepted", func() bool { return s.open.Load() == 5 })
	if status, err := writing.from.Peek(12); err != nil {
		t.Fatalf("%s, %v", status, err)
	}
	drained := make(chan error, 1)
	go func() { drained <- s.Drain(t.Context()) }()
	for _, c := range []*caller{idle, fresh, begun} {
		c.wantEnd("")
	}
	late := s.call()
	late.wantEnd("")
	if !s.Draining() || s.open.Load() != 2 {
		t.Fatalf("%d open", s.open.Load())
	}
	s.journal.sync(1)
	kept.want("kept")
	kept.wantEnd("")
	select {
	case err := <-drained:
		t.Fatalf("drained before the large answer had left: %v", err)
	default:
	}
	writing.want(string(pattern))
	writing.wantEnd("")
	must(t, <-drained)
}

func TestDrainPastItsDeadline(t *testing.T) {
	s := newStand(t, patient, nil)
	kept := s.call().get("/keep", "kept")
	s.waitKept(1)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := s.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	drained := make(chan error, 1)
	go func() { drained <- s.Drain(t.Context()) }()
	s.Stop()
	must(t, <-drained)
	kept.wantEnd("")
}

// TestStop ends a reactor with connections in every state; what is added later
// is closed.
func TestStop(t *testing.T) {
	s := newStand(t, patient, nil)
	all := []*caller{s.call(), s.call().send("GET"), s.call().get("/keep", ""), s.call().get("/large?bytes=16777216", "")}
	s.waitKept(1)
	if _, err := all[3].from.Peek(1); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "all to be accepted", func() bool { return s.open.Load() == 4 })
	s.Stop()
	s.journal.close()
	s.Wait()
	for _, c := range all {
		_, _ = io.Copy(io.Discard, c.from) // ends
	}
	s.call().wantEnd("")
}

// TestNoBellAfterTheEnd gives the number of an ended loop's bell to a pipe:
// whoever still wakes the loop writes nothing into it.
func TestNoBellAfterTheEnd(t *testing.T) {
	r, err := New(Config[int]{
		Loops: 1, Paces: patient, Serve: func(lane net.Conn) error { _, err := lane.Read(make([]byte, 10)); return err },
	})
	must(t, err)
	r.Stop()
	r.Wait()
	var pipe [2]int
	must(t, unix.Pipe2(pipe[:], unix.O_NONBLOCK|unix.O_CLOEXEC))
	l := r.loops[0]
	if pipe[0] != l.bell && pipe[1] != l.bell {
		must(t, unix.Dup3(pipe[1], l.bell, unix.O_CLOEXEC))
		defer func() { must(t, unix.Close(l.bell)) }()
	}
	defer func() { must(t, errors.Join(unix.Close(pipe[0]), unix.Close(pipe[1]))) }()
	l.rung.Store(false)
	l.wake()
	if n, err := unix.Read(pipe[0], make([]byte, 8)); !errors.Is(err, unix.EAGAIN) {
		t.Fatalf("%d bytes were written, %v", n, err)
	}
}

// TestLibraryThatServesNothing does not make the loop spin, and the reactor
// ends all the same.
func TestLibraryThatServesNothing(t *testing.T) {
	var calls atomic.Int32
	called := make(chan struct{}, 64)
	s := newStand(t, Paces{Read: 200 * time.Millisecond, Write: time.Minute, Idle: time.Minute}, func(c *Config[int]) {
		c.Loops = 1
		c.Serve = func(net.Conn) error {
			if calls.Add(1) <= 64 {
				called <- struct{}{}
			}
			return errors.New("no room")
		}
	})
	began := time.Now()
	c := s.call().get("/", "a")
	for range 5 {
		<-called
	}
	if took, tick := time.Since(began), 50*time.Millisecond; took < 3*tick {
		t.Errorf("five calls within %v", took)
	}
	c.wantEnd(lateAnswer) // deadlines are kept meanwhile
}

func TestNewWithoutLoops(t *testing.T) {
	if _, err := New(Config[int]{Paces: patient}); err == nil {
		t.Fatal("a reactor of no loops")
	}
}
