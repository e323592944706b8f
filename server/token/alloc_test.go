//go:build !race

// The race detector empties pools at random, so allocations are counted
// without it.

package token

import (
	"bytes"
	"testing"
)

func TestOpenAndAppendDoNotAllocate(t *testing.T) {
	ring := testRing(t, testKey(1, 0), testKey(2, 0))
	c := testClaims(Pass)
	tok := ring.Append(nil, &c)
	forged := bytes.Clone(tok)
	forged[50] ^= 1
	dst := make([]byte, 0, Size)
	for name, run := range map[string]func(){
		"open":        func() { _, _ = ring.Open(tok, testNow) },
		"open forged": func() { _, _ = ring.Open(forged, testNow) },
		"append":      func() { dst = ring.Append(dst[:0], &c) },
	} {
		if n := testing.AllocsPerRun(1000, run); n >= 1 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}
