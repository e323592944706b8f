package server

import (
	"testing"
	"time"
)

func TestRecentDelays(t *testing.T) {
	var r recentDelays
	var d Delays
	d.Queue[20] = 1_000_000 // long ago
	for range len(r.samples) {
		r.add(d)
	}
	if queue, commit := r.add(d); queue != 0 || commit != 0 {
		t.Fatalf("of an idle journal: %v, %v", queue, commit)
	}
	d.Queue[8] += 100  // 128 to 256 µs
	d.Commit[10] += 90 // 512 µs to about 1 ms
	d.Commit[14] += 10
	queue, commit := r.add(d)
	if queue < 230*time.Microsecond || queue > 256*time.Microsecond || commit != 1024*time.Microsecond {
		t.Fatalf("%v, %v", queue, commit)
	}
	d.Oldest = time.Second
	if queue, commit = r.add(d); queue != time.Second || commit != time.Second {
		t.Fatalf("while it stalls: %v, %v", queue, commit)
	}
	d.Oldest = 0
	for range len(r.samples) {
		queue, commit = r.add(d)
	}
	if queue != 0 || commit != 0 {
		t.Fatalf("a second later: %v, %v", queue, commit)
	}
}
