package admission

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

const reliefStep = 20 * time.Millisecond

// TestReliefIsProportional closes the loop: refusals go with one over Rest,
// and the share settles near its aim.
func TestReliefIsProportional(t *testing.T) {
	const aim = 0.05
	var r relieving
	share := 0.9
	for i := range 2000 {
		share = min(0.9, 0.9*0.05/max(r.relief.Rest.Seconds(), 1e-3)) // 50 ms of rest bring it down to the most there is
		r = r.next(refusal{now: time.Duration(i) * reliefStep, share: share, aim: aim, restMax: time.Minute, acceptMax: time.Minute})
	}
	if share < aim/2 || share > 2*aim {
		t.Errorf("share %.3f of the time with a rest of %v, the aim is %.3f", share, r.relief.Rest, aim)
	}
}

// TestReliefIsBoundedAndEnds: nothing is ever shut, and without refusals all of
// it is gone within a bounded time.
func TestReliefIsBoundedAndEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var r relieving
		var f refusal
		f.aim, f.restMax, f.acceptMax = 0.05, 2*time.Second, 10*time.Millisecond
		for range rapid.IntRange(1, 500).Draw(t, "intervals") {
			f.now += reliefStep
			f.share = rapid.Float64Range(0, 1).Draw(t, "share")
			f.accepted += uint64(rapid.IntRange(0, 1000).Draw(t, "accepted"))
			f.connections = rapid.Float64Range(0, 1).Draw(t, "connections")
			r = r.next(f)
			if r.relief.Rest < 0 || r.relief.Rest > f.restMax || r.relief.AcceptEvery < 0 || r.relief.AcceptEvery > f.acceptMax {
				t.Fatalf("out of bounds: %+v", r.relief)
			}
			if got := unpackRelief(r.relief.pack()); got.Rest != r.relief.Rest.Truncate(time.Millisecond) ||
				got.Hangup != r.relief.Hangup || got.AcceptEvery != r.relief.AcceptEvery {
				t.Fatalf("%+v comes back as %+v", r.relief, got)
			}
		}
		f.share, f.connections = 0, 0
		for range int(30 * time.Second / reliefStep) {
			f.now += reliefStep
			f.accepted += 20
			r = r.next(f)
		}
		if r.relief != (Relief{}) {
			t.Fatalf("after half a minute without refusals: %+v", r.relief)
		}
	})
}

func TestHangupHasHysteresis(t *testing.T) {
	var r relieving
	for _, step := range []struct {
		connections float64
		want        bool
	}{{0.85, false}, {0.95, true}, {0.85, true}, {0.75, false}, {0.85, false}} {
		r = r.next(refusal{connections: step.connections, aim: 0.05})
		if r.relief.Hangup != step.want {
			t.Errorf("at %v of the connections: %v", step.connections, r.relief.Hangup)
		}
	}
}

func TestRestIsSpread(t *testing.T) {
	r := Relief{Rest: time.Second}
	var quarters [4]int
	const turns = 1000
	for turn := range uint64(turns) {
		rest := r.RestOf(turn)
		if rest < time.Second/2 || rest >= 3*time.Second/2 {
			t.Fatalf("turn %d rests for %v", turn, rest)
		}
		quarters[(rest-time.Second/2)/(time.Second/4)]++
	}
	for i, n := range quarters {
		if n < turns/4-10 || n > turns/4+10 {
			t.Errorf("quarter %d has %d of %d", i, n, turns)
		}
	}
}

func TestAcceptKeepsItsPace(t *testing.T) {
	g := newGate(t, 1)
	for range 1000 {
		if !g.Accept(0) {
			t.Fatal("a connection was left waiting without need")
		}
	}
	g.relief.Store(Relief{AcceptEvery: 2 * time.Millisecond}.pack())
	accepted := 0
	for ms := range 1000 {
		if g.Accept(time.Duration(ms) * time.Millisecond) {
			accepted++
		}
	}
	if accepted < 500 || accepted > 500+acceptBurst {
		t.Errorf("%d in a second, at one every 2 ms", accepted)
	}
}
