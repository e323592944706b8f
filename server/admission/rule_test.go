package admission

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func drawOffered(t *rapid.T) (offered [Classes]float64) {
	for c := range Classes {
		offered[c] = float64(rapid.IntRange(0, 100_000).Draw(t, c.String()))
	}
	return offered
}

// TestCutForIsTheInverseOfAdmitted: a cut for an amount admits that amount, to
// within the size of a cohort, and no less than the least.
func TestCutForIsTheInverseOfAdmitted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := observation{offered: drawOffered(t)}
		all := o.admitted(0)
		amount := all * rapid.Float64Range(0, 1.5).Draw(t, "share")
		got := o.admitted(o.cutFor(amount))
		want := min(max(amount, all*admittedLeast), all)
		if math.Abs(got-want) > 1+all/cohorts {
			t.Fatalf("asked for %v, admitted %v of %v", want, got, all)
		}
	})
}

// TestRuleIsMonotonous: over the target nobody more is let through, under it
// nobody less.
func TestRuleIsMonotonous(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const target = time.Millisecond
		var s cutState
		for range rapid.IntRange(1, 200).Draw(t, "intervals") {
			o := observation{
				offered: drawOffered(t),
				delay:   time.Duration(rapid.IntRange(0, 100_000).Draw(t, "delay")) * time.Microsecond,
				growth:  rapid.Float64Range(-2, 2).Draw(t, "growth"),
				target:  target,
				length:  time.Duration(rapid.IntRange(1, 200).Draw(t, "length")) * time.Millisecond,
				busy:    rapid.Float64Range(0, 1).Draw(t, "busy"),
				futile:  rapid.Bool().Draw(t, "futile"),
			}
			next := s.next(o)
			if o.delay > target && next.cut < s.cut || o.delay <= target && next.cut > s.cut {
				t.Fatalf("delay %v moved the cut from %d to %d", o.delay, s.cut, next.cut)
			}
			if next.cut >= NewLevel(Classes, 0) {
				t.Fatalf("cut %d is above every class", next.cut)
			}
			s = next
		}
	})
}

// recoverMax is how many calm intervals it takes at most until everybody is
// let through, whatever happened before.
const recoverMax = 150

func TestRuleRecovers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := cutState{
			cut:   Level(rapid.Uint32Range(0, uint32(Classes)<<cohortBits-1).Draw(t, "cut")),
			over:  rapid.IntRange(0, 1000).Draw(t, "over"),
			since: rapid.IntRange(0, 50).Draw(t, "since"),
			depth: rapid.Float64Range(depthMin, depthMax).Draw(t, "depth"),
		}
		o := observation{offered: drawOffered(t), target: time.Millisecond, length: 20 * time.Millisecond}
		for range recoverMax {
			s = s.next(o)
		}
		if s != (cutState{}) {
			t.Fatalf("after %d calm intervals: %+v", recoverMax, s)
		}
	})
}

// TestRuleIsQuickToShed: a flood of twenty times the capacity is cut to its
// size within four intervals.
func TestRuleIsQuickToShed(t *testing.T) {
	o := observation{target: time.Millisecond, length: 20 * time.Millisecond}
	for c := range Classes {
		o.offered[c] = 1000
	}
	var s cutState
	for i := range 4 {
		o.delay = time.Duration(i+1) * 19 * time.Millisecond
		o.growth = 0.95
		s = s.next(o)
	}
	if share := o.admitted(s.cut) / o.admitted(0); share > 0.06 {
		t.Errorf("%.3f is still let through", share)
	}
	if share := o.admitted(s.cut) / o.admitted(0); share < admittedLeast/2 {
		t.Errorf("only %.5f is let through", share)
	}
}
