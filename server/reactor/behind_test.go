//go:build linux

package reactor

import (
	"net/netip"
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

func TestInOrderUnlessBehind(t *testing.T) {
	l := queue(t, many(3*newestMax, behindFrom-1)...)
	l.pick()
	if l.first != 0 || l.turn != 3*newestMax || l.behind != 0 {
		t.Fatalf("turns from %d to %d, behind %v", l.first, l.turn, l.behind)
	}
}

func TestBehindTheNewestAreFirst(t *testing.T) {
	l := queue(t, append(many(2*newestMax, behindFrom+1), many(newestMax, 0)...)...)
	l.pick()
	if l.first != 2*newestMax || l.taken != l.first || l.turn != 3*newestMax || l.behind != behindFrom+1 {
		t.Fatalf("turns from %d (%d) to %d, behind %v", l.first, l.taken, l.turn, l.behind)
	}
	// It stays behind until the oldest has waited less than behindTo.
	for _, step := range []struct {
		oldest time.Duration
		behind bool
	}{{behindTo + 1, true}, {behindTo, false}, {behindTo + 1, false}, {behindFrom + 1, true}} {
		l.ready[0].ready = l.now - step.oldest
		l.pick()
		if (l.behind > 0) != step.behind {
			t.Fatalf("the oldest has waited %v: behind %v", step.oldest, l.behind)
		}
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
	if closed != 5 || l.open != 0 || len(l.ready) != 0 || l.turn != 0 {
		t.Fatalf("%d of 5 closed, %d open, %d wait", closed, l.open, len(l.ready))
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
