//go:build linux

package reactor

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// TestWhoMakesRoom has connections in every state: strangers go first, who has
// waited longest before the others. Who showed a pass not long ago, a request
// under way and an answer that is not read stay.
func TestWhoMakesRoom(t *testing.T) {
	s := newStand(t, patient, func(c *Config[int]) { c.Loops = 1 })
	pass := s.call().get("/through", "a")
	pass.want("a")
	var strangers []*caller
	for _, beginning := range []string{getText("/", "a"), "", "GET / HT", postText("/", "a", "body")[:60]} {
		s.passTicks(2)
		n := s.accepted.Load()
		c := s.call().send(beginning)
		waitFor(t, "it to be accepted", func() bool { return s.accepted.Load() == n+1 })
		strangers = append(strangers, c)
	}
	strangers[0].want("a")
	s.passTicks(2)
	strangers[0].get("/", "a").want("a") // now it is the one that began to wait last
	strangers = append(strangers[1:], strangers[0])
	kept := s.call().get("/keep", "k")
	waitFor(t, "an answer to be kept", func() bool { return s.journal.appended() == 1 })
	deaf := s.call().get(fmt.Sprint("/large?bytes=", len(pattern)), "")
	deaf.raw() // it has begun, and is far from done

	for i, c := range strangers {
		s.MakeRoom(1)
		waitFor(t, "somebody to make room", func() bool { return s.Displaced() == uint64(i+1) })
		c.wantEnd("")
	}
	s.MakeRoom(100)
	s.passTicks(2) // it was done
	if n := s.Displaced(); n != 4 || s.open.Load() != 3 {
		t.Errorf("%d made room, %d are open", n, s.open.Load())
	}
	s.journal.sync(1)
	kept.want("k")
	pass.get("/", "a").want("a")
	s.call().get("/", "a").want("a")
}

// passTicks waits until the loops have looked at the clock so many times.
func (s *stand) passTicks(n int64) {
	s.Helper()
	until := s.clock.Load() + n*int64(restTick)
	waitFor(s, "the clock", func() bool { return s.clock.Load() >= until && !s.loops[0].ticked.Load() })
}

// TestRoomIsMadeWhileOthersAreServed has some ask without a pause while those
// who wait have to go: nobody of the former is cut off.
func TestRoomIsMadeWhileOthersAreServed(t *testing.T) {
	s := newStand(t, patient, nil)
	s.commit()
	const strangers = 200
	for range strangers {
		s.call()
	}
	s.passTicks(20) // longer than a caller of this process may be kept from asking
	var all sync.WaitGroup
	done := make(chan struct{})
	for range 4 {
		c := s.call()
		all.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if status, body, err := c.get("/keep", "a").answer(); err != nil || status != 200 || body != "a" {
					t.Errorf("status %d, %q, %v", status, body, err)
					return
				}
			}
		})
	}
	for n := uint64(10); n <= strangers*3/4; n += 10 {
		s.MakeRoom(10)
		waitFor(t, "room to be made", func() bool { return s.Displaced() == n })
	}
	close(done)
	all.Wait()
}

// TestNobodyIsClosedUnheard: bytes that have come, and of which epoll has not
// told yet, are a request as any other.
func TestNobodyIsClosedUnheard(t *testing.T) {
	l, err := newLoop(&Reactor[int]{config: Config[int]{Paces: patient}}, 0)
	must(t, err)
	defer l.free()
	var theirs []int
	for range 2 {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		must(t, err)
		defer func() { _ = unix.Close(pair[1]) }()
		l.adopt(plainSocket(pair[0]))
		theirs = append(theirs, pair[1])
	}
	_, err = unix.Write(theirs[0], []byte("G"))
	must(t, err)
	l.makeRoom(10)
	if l.open != 1 || len(l.ready) != 1 || l.reactor.Displaced() != 1 {
		t.Errorf("%d open, %d to be read, %d displaced", l.open, len(l.ready), l.reactor.Displaced())
	}
	if _, err := unix.Read(theirs[0], make([]byte, 1)); !errors.Is(err, unix.EAGAIN) {
		t.Errorf("who has sent something hears %v", err)
	}
	l.closeAll()
}

type plainSocket int

func (s plainSocket) FD() int              { return int(s) }
func (plainSocket) Remote() netip.AddrPort { return netip.AddrPort{} }
func (s plainSocket) Close() error         { return unix.Close(int(s)) }

// TestTheIdlestIsLookedForInTurn: the look is bounded, goes on where it ended,
// and finds the one that has waited longest of those it sees.
func TestTheIdlestIsLookedForInTurn(t *testing.T) {
	const idle = 1000
	l := &loop[int]{conns: make([]*conn, 8*roomLooks), reactor: &Reactor[int]{config: Config[int]{Paces: Paces{Idle: idle * knownShare}}}}
	if l.idlest() != nil {
		t.Error("found somebody where nobody is")
	}
	far := &conn{fd: 3 * roomLooks, since: 7}
	l.conns[far.fd] = far
	for i := range roomLooks / 2 { // each of whom would have to go, were it not for what it is at
		c := &conn{fd: far.fd + 1 + i}
		l.conns[c.fd] = c
		switch i % 4 {
		case 0:
			c.doing = waiting
		case 1:
			c.doing = writing
		case 2:
			c.readable = true
		case 3:
			c.through = true
		}
	}
	looks := 0
	for l.looked = 0; l.idlest() != far; looks++ {
		if looks > len(l.conns)/roomLooks {
			t.Fatal("never found")
		}
	}
	older := &conn{fd: far.fd + roomSample/2, since: 3}
	younger := &conn{fd: far.fd + roomSample/2 + 1, since: 5}
	l.conns[older.fd], l.conns[younger.fd], l.looked = older, younger, far.fd-1
	if got := l.idlest(); got != older {
		t.Errorf("found %+v", got)
	}
	for fd := range roomLooks {
		l.conns[fd] = &conn{fd: fd, since: int64(roomLooks - fd), doing: idling, through: true}
	}
	l.looked = len(l.conns) - 1
	if got := l.idlest(); got != nil {
		t.Errorf("who showed a pass a moment ago goes: %+v", got)
	}
	l.reactor.clock.Store(idle + roomLooks)
	l.looked = len(l.conns) - 1
	if got := l.idlest(); got == nil || got.fd != roomLooks-1 {
		t.Errorf("where only people with a pass are, %+v goes", got)
	}
}
