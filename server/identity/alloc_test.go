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

// Refusing what is no token must cost nothing, however much of it comes.
func TestRefusingDoesNotAllocate(t *testing.T) {
	v := open(t, secretIssuer(t))
	for _, tok := range []string{"", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "wt1.AQAAAAH3iKowsTo0LUpIK6KCEejQ", "eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJ4In0.AAAA"} {
		text := []byte(tok)
		if n := testing.AllocsPerRun(500, func() { _, _ = v.Verify(text, testNow) }); n >= 1 {
			t.Errorf("%q: %v allocations", tok, n)
		}
	}
}
