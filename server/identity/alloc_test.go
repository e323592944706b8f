//go:build !race

// The race detector empties pools at random, so allocations are counted
// without it.

package identity

import "testing"

func TestPersonDoesNotAllocate(t *testing.T) {
	h := NewHasher(testPersonKey)
	if n := testing.AllocsPerRun(1000, func() { h.Person("https://id.example", "person-1") }); n >= 1 {
		t.Errorf("allocates %v times", n)
	}
}
