//go:build linux

package reactor

import (
	"net/netip"
	"slices"
	"testing"
	"time"

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
	if l.queued() {
		t.Fatal("somebody is left")
	}
}

// TestBehindForLongTheNewestAreFirst of those set aside, whatever the order in
// which the listener gave them: one may have waited in its queue.
func TestBehindForLongTheNewestAreFirst(t *testing.T) {
	waited := many(3*turnMax, lateAfter+1)
	waited[2*turnMax] = lastingFrom + 1
	l := queue(t, waited...)
	l.pick()
	if len(l.whose()) != turnMax || slices.Contains(l.whose(), 2*turnMax) || l.behind != lastingFrom+1 {
		t.Fatalf("turns of %v, behind %v", l.whose(), l.behind)
	}
	if l.late[0].fd != 2*turnMax {
		t.Fatalf("the oldest set aside is %d", l.late[0].fd)
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
	if closed != 5 || l.open != 0 || l.queued() || l.turn != 0 {
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
