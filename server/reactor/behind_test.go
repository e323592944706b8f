//go:build linux

package reactor

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"weir/server/admission"
)

// queue makes a loop whose connections have waited that long, the oldest first.
func queue(t *testing.T, waited ...time.Duration) *loop[int] {
	t.Helper()
	gate, err := admission.NewGate(admission.DefaultSettings(), 1)
	must(t, err)
	l := &loop[int]{reactor: &Reactor[int]{}, now: time.Hour}
	l.guarding = guarding{Guard: &Guard{Gate: gate}, desk: gate.Desk(0)}
	for i, w := range waited {
		l.ready = append(l.ready, &conn{fd: i, ready: l.now - w, queued: true})
	}
	return l
}

func many(n int, waited time.Duration) []time.Duration {
	all := make([]time.Duration, n)
	for i := range all {
		all[i] = waited
	}
	return all
}

// whose are the descriptors of those who have a turn.
func (l *loop[A]) whose() (fds []int) {
	for _, c := range l.ready[:l.turn] {
		fds = append(fds, c.fd)
	}
	return fds
}

func numbers(from, to int) (all []int) {
	for n := from; n < to; n++ {
		all = append(all, n)
	}
	return all
}

func TestInOrderUnlessBehind(t *testing.T) {
	l := queue(t, many(3*turnMax, lateAfter)...)
	l.pick()
	if !slices.Equal(l.whose(), numbers(0, 3*turnMax)) || l.behind != 0 {
		t.Fatalf("turns of %v, behind %v", l.whose(), l.behind)
	}
}

// TestWhoWaitedTooLongIsSetAside: those behind them are served in good time,
// and they themselves, in their order, when nobody else is there.
func TestWhoWaitedTooLongIsSetAside(t *testing.T) {
	l := queue(t, append(many(2*turnMax, lateAfter+1), many(2*turnMax, 0)...)...)
	for turn, want := range [][]int{
		numbers(2*turnMax, 3*turnMax), numbers(3*turnMax, 4*turnMax), numbers(0, turnMax), numbers(turnMax, 2*turnMax), nil,
	} {
		l.pick()
		if !slices.Equal(l.whose(), want) || (l.behind > 0) != (turn < 3) {
			t.Fatalf("turn %d is of %v, not %v; behind %v", turn, l.whose(), want, l.behind)
		}
		l.ready = slices.Delete(l.ready, 0, l.turn)
	}
	if l.waits() {
		t.Fatal("somebody is left")
	}
}

// TestOrderAside: those set aside stand in the order of how long they waited,
// whatever the order in which the listener gave them: one may have waited in its
// queue.
func TestOrderAside(t *testing.T) {
	waited := many(5, lateAfter+1)
	waited[2], waited[4] = lastingFrom+1, lateAfter+2
	l := queue(t, append(waited, 0)...)
	l.pick()
	var order []int
	for _, c := range l.late {
		order = append(order, c.fd)
	}
	if !slices.Equal(order, []int{2, 4, 0, 1, 3}) || l.behind != lastingFrom+1 || !slices.Equal(l.whose(), []int{5}) {
		t.Fatalf("aside are %v, behind %v, turns of %v", order, l.behind, l.whose())
	}
}

// TestBehindForLong: who has been aside without a break makes it so, and nobody
// aside ends it.
func TestBehindForLong(t *testing.T) {
	l := queue(t, lateAfter+1, 0)
	for step, want := range []bool{false, false, true} {
		l.pick()
		if l.lasting != want {
			t.Fatalf("step %d: lasting is %v", step, l.lasting)
		}
		l.now += lastingFrom/2 + 1
		l.ready = append(l.ready[:0], &conn{ready: l.now}) // somebody new, so that nobody aside has a turn
	}
	l.pick()
	l.late = nil
	l.pick()
	if l.lasting {
		t.Fatal("nobody is aside, and it lasts")
	}
	l.ready = append(l.ready[:0], &conn{ready: l.now - lateAfter - 1}, &conn{ready: l.now})
	l.pick()
	if l.lasting {
		t.Fatal("who is set aside first makes it last")
	}
}

// TestHandsFull: behind for long, a loop keeps turnMax in hand however long they
// have waited, and sets aside whom it can't serve next.
func TestHandsFull(t *testing.T) {
	l := queue(t, append(many(turnMax+2, lastingAfter+1), 0)...)
	l.lasting = true
	l.pick()
	if len(l.late) != 3 || !slices.Equal(l.whose(), numbers(3, turnMax+3)) {
		t.Fatalf("%d aside, turns of %v", len(l.late), l.whose())
	}
}

// TestTimeToSpareBehindForLong: those aside have a turn where on average fewer
// than calmMax are in hand, the newest first, and no more of them than that it
// stays so. Until then the loop rests.
func TestTimeToSpareBehindForLong(t *testing.T) {
	const kept = 10
	l := queue(t, many(2*turnMax, newestMax)...)
	l.late, l.ready = l.ready, nil
	l.lasting = true
	l.hands = hands{average: calmMax, held: turnMax, looked: l.now}
	for range kept {
		l.shelf.put()
	}
	l.pick()
	if l.turn != 0 || l.waits() {
		t.Fatalf("turns of %v, or the loop turns for nothing", l.whose())
	}
	l.now += averageOver / 10
	l.pick()
	if want := numbers(2*turnMax-(turnMax-1-kept), 2*turnMax); !slices.Equal(l.whose(), want) || len(l.late) != 2*turnMax-len(want) {
		t.Fatalf("%d aside, turns of %v, not %v", len(l.late), l.whose(), want)
	}
	if l.ready = nil; !l.waits() {
		t.Fatal("whoever had a turn from aside makes it crowded")
	}
	for l.inHand() < turnMax {
		l.shelf.put()
	}
	if l.pick(); l.turn != 0 || l.waits() {
		t.Fatalf("full hands, and turns of %v", l.whose())
	}
}

// TestHandsOnAverage: a moment of full or empty hands says nothing, and how long
// they were so counts, not how often that was looked at.
func TestHandsOnAverage(t *testing.T) {
	var h hands
	now := time.Hour
	full, empty := 2*turnMax, 0
	for range 10 {
		h.weigh(now, full, empty)
		now += 4 * averageOver / 5
		h.weigh(now, empty, full) // behind a commit
		h.weigh(now, empty, full)
		now += averageOver / 5
	}
	if h.average < 1.5*turnMax {
		t.Fatalf("full hands but for moments are %g on average", h.average)
	}
	if h.calm() {
		t.Fatalf("%g idle connections on average make it calm", h.idlers)
	}
	for range 10 {
		h.weigh(now, empty, full)
		now += 4 * averageOver / 5
		h.weigh(now, full, empty)
		now += averageOver / 5
	}
	if h.average > 0.5*turnMax {
		t.Fatalf("empty hands but for moments are %g on average", h.average)
	}
	if !h.calm() {
		t.Fatal("empty hands, and it is not calm")
	}
}

// TestIdleConnectionsMakeItCalm: full hands are no overload while more
// connections are idle. Who rests or is aside is not idle.
func TestIdleConnectionsMakeItCalm(t *testing.T) {
	const rests = 2 * turnMax
	for _, want := range []bool{false, true} {
		l := queue(t, many(rests, newestMax)...)
		l.late, l.ready = l.ready, nil
		l.lasting = true
		for range turnMax / 2 {
			l.shelf.put()
		}
		for range rests {
			l.rest(&conn{}, restTick)
		}
		l.open = rests + len(l.late) + turnMax/2
		if want {
			l.open += 2*calmMax + 1
		}
		l.hands = hands{average: 2 * calmMax, held: 2 * calmMax, idled: l.unasked(), looked: l.now - averageOver}
		if l.pick(); (l.turn > 0) != want {
			t.Errorf("%d idle, %g of them on average; turns of %v", l.unasked(), l.idlers, l.whose())
		}
	}
}

// TestSetAsideByAHiccup: whoever has not been aside for long has a turn as soon
// as nobody else waits.
func TestSetAsideByAHiccup(t *testing.T) {
	l := queue(t, newestMax, newestMax, newestMax-1, lastingAfter)
	l.late, l.ready = l.ready, nil
	l.lasting = true
	l.hands = hands{average: calmMax, held: turnMax, looked: l.now}
	if !l.waits() {
		t.Fatal("the loop rests while it has time to spare")
	}
	l.pick()
	if !slices.Equal(l.whose(), []int{2, 3}) || len(l.late) != 2 {
		t.Fatalf("%d aside, turns of %v", len(l.late), l.whose())
	}
	if l.ready = nil; l.waits() {
		t.Fatal("the loop turns for nothing")
	}
}

// TestStaleAreToldToComeBack: the oldest first, a few a turn, and nobody else.
func TestStaleAreToldToComeBack(t *testing.T) {
	l := queue(t)
	l.conns = make([]*conn, 1<<16)
	refusals, err := admission.NewRefusals(admission.Bodies{{[]byte("busy"), []byte("busy")}, {[]byte("busy"), []byte("busy")}})
	must(t, err)
	l.Refusals, l.lasting = refusals, true
	l.reactor.began = time.Now().Add(-l.now)
	var peers []int
	for i := range staleMax + 2 {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
		must(t, err)
		t.Cleanup(func() { must(t, errors.Join(unix.Close(pair[0]), unix.Close(pair[1]))) })
		_, err = unix.Write(pair[1], []byte(getText("/", "")))
		must(t, err)
		peers = append(peers, pair[1])
		waited := staleAfter
		if i == staleMax+1 {
			waited /= 2 // the newest
		}
		l.late = append(l.late, &conn{fd: pair[0], ready: l.now - waited, queued: true, readable: true, proxy: true})
	}
	l.hands = hands{average: 2 * turnMax, held: turnMax, looked: l.now}
	answer := make([]byte, 1024)
	for turn, told := range []int{staleMax, staleMax + 1} {
		l.pick()
		if len(l.late) != len(peers)-told || l.turn != 0 {
			t.Fatalf("turn %d: %d are left aside, turns of %v", turn, len(l.late), l.whose())
		}
	}
	for i, peer := range peers {
		n, err := unix.Read(peer, answer)
		if i == staleMax+1 {
			if !errors.Is(err, unix.EAGAIN) {
				t.Errorf("who waits got %q, %v", answer[:max(n, 0)], err)
			}
			continue
		}
		if err != nil || !bytes.HasPrefix(answer[:n], []byte("HTTP/1.1 503 ")) || !bytes.Contains(answer[:n], []byte("\r\nRetry-After: ")) {
			t.Errorf("caller %d got %q, %v", i, answer[:max(n, 0)], err)
		}
	}
}

// TestAsideIsNotLate: a caller whose request waits for the loop is not closed
// for it, and one who does not read its answer is.
func TestAsideIsNotLate(t *testing.T) {
	l := queue(t)
	l.desk = nil
	l.reactor.config.Paces = Paces{Read: time.Second, Write: time.Second, Idle: time.Second}
	l.reactor.clock.Store(int64(time.Minute))
	closed := 0
	for fd, doing := range []doing{reading, idling, writing} {
		l.conns = append(l.conns, &conn{fd: fd, doing: doing, queued: true, aside: true, socket: closing{&closed}})
	}
	l.open = len(l.conns)
	l.enforce()
	if closed != 1 || l.conns[2] != nil {
		t.Errorf("%d closed, left are %v", closed, l.conns)
	}
}

// TestRestedTooLong: whose request has lain unread where nobody looked, since
// the connection rested or was not accepted yet, is set aside and not served
// before those who came later.
func TestRestedTooLong(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer func() { must(t, listener.Close()) }()
	caller, err := net.Dial("tcp", listener.Addr().String())
	must(t, err)
	defer func() { must(t, caller.Close()) }()
	accepted, err := listener.Accept()
	must(t, err)
	defer func() { must(t, accepted.Close()) }()
	file, err := accepted.(*net.TCPConn).File()
	must(t, err)
	defer func() { must(t, file.Close()) }()
	_, err = caller.Write([]byte("G"))
	must(t, err)
	fd := int(file.Fd())
	waitFor(t, "the byte to lie there for long", func() bool { return dataAge(fd) > lastingAfter })

	l := queue(t, 0)
	l.lasting = true
	rested, fresh := &conn{fd: fd, readable: true, aged: true}, &conn{fd: fd, readable: true}
	l.again(rested)
	l.again(fresh)
	if !slices.Equal(l.late, []*conn{rested}) || !rested.queued || !slices.Contains(l.ready, fresh) {
		t.Fatalf("aside %v, ready %v", l.late, l.ready)
	}
}

// TestStaleInTheMiddleOfATurn: whoever has become stale since the turn was
// given, while the process stood still, is not served any more.
func TestStaleInTheMiddleOfATurn(t *testing.T) {
	l := queue(t, 0)
	l.pick()
	l.now += staleAfter + 1
	c := l.ready[0]
	c.queued = false
	if n := l.take(c, make([]byte, 64)); n != 0 || !slices.Equal(l.late, []*conn{c}) || !c.queued {
		t.Fatalf("%d bytes read, aside %v", n, l.late)
	}
}

// TestThoseWhoLeftAreClosed: among those who have waited too long, whoever has
// hung up costs no answer.
func TestThoseWhoLeftAreClosed(t *testing.T) {
	l := queue(t, many(5, 2*staleAfter)...)
	l.conns = make([]*conn, 5)
	closed := 0
	for i, c := range l.ready {
		c.last, c.socket, l.conns[i] = true, closing{&closed}, c
	}
	l.open = 5
	l.pick()
	if closed != 5 || l.open != 0 || l.waits() || l.turn != 0 {
		t.Fatalf("%d of 5 closed, %d open, %d wait", closed, l.open, len(l.ready)+len(l.late))
	}
}

// closing is a socket that counts its closing.
type closing struct{ n *int }

func (c closing) FD() int                { return -1 }
func (c closing) Remote() netip.AddrPort { return netip.AddrPort{} }
func (c closing) Close() error {
	*c.n++
	return nil
}
