//go:build linux

package openloop

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestTheOneUsedLastIsTakenFirst: whatever is dropped in between, and the list
// stays as short as there are connections, or twice that.
func TestTheOneUsedLastIsTakenFirst(t *testing.T) {
	const size = 5
	rapid.Check(t, func(t *rapid.T) {
		p := newPool(size)
		var resting []int // as it should be, the one used last at the end
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			switch rapid.IntRange(0, 2).Draw(t, "step") {
			case 0: // a new one has brought its answer
				if n := len(p.free); n > 0 {
					at := int(p.free[n-1])
					p.free = p.free[:n-1]
					p.open++
					p.rest(at)
					resting = append(resting, at)
				}
			case 1: // one is used
				at, ok := p.wakeIdle()
				n := len(resting)
				if ok != (n > 0) || ok && at != resting[n-1] {
					t.Fatalf("%d, %v of %v", at, ok, resting)
				}
				if ok {
					p.rest(at)
				}
			case 2: // the server closes one
				if n := len(resting); n > 0 {
					i := rapid.IntRange(0, n-1).Draw(t, "which")
					p.drop(resting[i])
					resting = slices.Delete(resting, i, i+1)
				}
			}
			if len(p.idle) > 2*size || p.open != len(resting) || len(p.free) != size-len(resting) {
				t.Fatalf("%d listed, %d open, %d free, of %v", len(p.idle), p.open, len(p.free), resting)
			}
		}
	})
}
