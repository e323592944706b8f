//go:build linux

package reactor

import (
	"errors"
	"fmt"
	"testing"

	"weir/core/event"
)

// waitKept waits until n answers rest on records.
func (s *stand) waitKept(n event.Seq) {
	s.Helper()
	waitFor(s, fmt.Sprint(n, " answers to be kept"), func() bool { return s.journal.appended() == n })
}

// TestKeptInOrder pipelines requests whose answers are kept and others: nothing
// leaves before the records are durable, then all answers do, in order.
func TestKeptInOrder(t *testing.T) {
	s := newStand(t, patient, nil)
	c := s.call().send(getText("/keep", "1") + getText("/", "2") + postText("/keep", "3", "!") + getText("/", "4"))
	s.waitKept(1)
	c.wantNothing()
	s.journal.sync(1)
	c.want("1")
	c.want("2")
	s.waitKept(2)
	c.wantNothing()
	s.journal.sync(2)
	c.want("3!")
	c.want("4")
	waitFor(t, "both to be counted", func() bool { return s.left.Load() == 2 })
}

// TestKeptByRecord makes records durable one by one: each lets one answer go,
// on whatever loop it is, while others are served.
func TestKeptByRecord(t *testing.T) {
	const callers = 40
	s := newStand(t, patient, nil)
	var kept []*caller
	for i := range callers {
		kept = append(kept, s.call().get("/keep", fmt.Sprint(i)))
		s.waitKept(event.Seq(i) + 1)
	}
	other := s.call()
	for i, c := range kept {
		if i%8 == 0 {
			c.wantNothing()
			other.get("/", "other").want("other")
		}
		s.journal.sync(event.Seq(i) + 1)
		c.want(fmt.Sprint(i))
		c.get("/", "after").want("after")
	}
}

// TestKeptWithoutWait: a journal whose Wait stands although the record became
// durable holds up nothing for long.
func TestKeptWithoutWait(t *testing.T) {
	s := newStand(t, patient, nil)
	s.journal.set(func() { s.journal.quiet = true })
	c := s.call().get("/keep", "a")
	s.waitKept(1)
	s.journal.sync(1)
	c.want("a")
}

// promising is a journal whose Wait knows sooner than Durable.
type promising struct{ *journal }

func (promising) Wait(event.Seq) error { return nil }

func TestWaitIsBelieved(t *testing.T) {
	l, err := newLoop(&Reactor[int]{config: Config[int]{Left: func(*int) {}}}, 0)
	must(t, err)
	defer l.free()
	l.journal = promising{newJournal()}
	k := l.shelf.put()
	k.to, k.seq = &conn{closed: true}, 5
	l.release() // asks
	w := <-l.waiter.asks
	l.waiter.told <- waitResult{w.seq, w.journal.Wait(w.seq)}
	if l.release(); l.shelf.n != 0 {
		t.Fatal("the answer is kept although Wait answered")
	}
}

// TestLost: whose record is not known to be durable is told so, and its
// connection ends; what is durable by then leaves as it is.
func TestLost(t *testing.T) {
	s := newStand(t, patient, func(c *Config[int]) { c.Loops = 1 })
	durable := s.call().get("/keep", "a")
	s.waitKept(1)
	var lost []*caller
	for i := range 3 {
		lost = append(lost, s.call().send(getText("/keep", "b")+getText("/", "never served")))
		s.waitKept(event.Seq(i) + 2)
	}
	s.journal.set(func() { s.journal.durable, s.journal.fail = 1, errors.New("disk on fire") })
	durable.want("a")
	for _, c := range lost {
		c.wantEnd(lostAnswer)
	}
	waitFor(t, "all to be counted", func() bool { return s.left.Load() == 4 && s.lost.Load() == 3 })
	durable.get("/", "goes on").want("goes on")
}

// TestCallerLeavesKept closes connections in each way while their answers are
// kept.
func TestCallerLeavesKept(t *testing.T) {
	s := newStand(t, patient, nil)
	gone := s.call().get("/keep", "a")
	reset := s.call().get("/keep", "b")
	half := s.call().get("/keep", "c")
	s.waitKept(3)
	must(t, gone.Close())
	must(t, reset.SetLinger(0))
	must(t, reset.Close())
	must(t, half.CloseWrite())
	half.wantNothing()
	s.journal.sync(3)
	half.want("c")
	half.wantEnd("")
	waitFor(t, "all to be over", func() bool { return s.left.Load() == 3 && s.open.Load() == 0 })
}

// TestStopWhileKept: the answers are not sent, and each is counted.
func TestStopWhileKept(t *testing.T) {
	s := newStand(t, patient, nil)
	var kept []*caller
	for range 5 {
		kept = append(kept, s.call().get("/keep", "a"))
	}
	s.waitKept(5)
	s.Stop()
	for _, c := range kept {
		c.wantEnd("")
	}
	waitFor(t, "all to be counted", func() bool { return s.left.Load() == 5 })
}
