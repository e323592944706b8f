//go:build linux && !race

package reactor

import (
	"io"
	"testing"
)

// The race detector allocates too, so this counts without it.

// TestRequestsAllocateNothing is the guard of the hot path: a request over a
// socket and its answer, kept or not, with the HTTP library and all.
func TestRequestsAllocateNothing(t *testing.T) {
	s := newStand(t, patient, func(c *Config[int]) { c.Loops = 1 })
	s.journal.set(func() { s.journal.swift = true })
	c := s.call()
	for _, path := range []string{"/", "/keep"} {
		request := []byte(postText(path, "secret", "a body of some length"))
		answer := make([]byte, len(c.send(string(request)).raw()))
		allocs := testing.AllocsPerRun(300, func() {
			if _, err := c.Write(request); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(c.from, answer); err != nil {
				t.Fatal(err)
			}
		})
		if allocs != 0 {
			t.Errorf("%s: %v allocations a request", path, allocs)
		}
	}
}
