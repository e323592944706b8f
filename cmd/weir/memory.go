package main

import (
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// The state is a few large arrays without pointers: the garbage collector has
// next to nothing to scan in them, so a cycle is cheap however large the heap
// is. Go's default lets the heap double between cycles, which would waste as
// much memory as ten million bookings take. So the slack is kept at a tenth of
// what is live, and never under slackMin, which is what makes cycles rare
// while the heap is small.
const (
	slackMin    = 64 << 20 // bytes
	slackShare  = 10       // of what is live, the part 1/slackShare
	liveMin     = 4 << 20  // bytes; the collector's own least heap
	tunePeriod  = 250 * time.Millisecond
	tuneAtLeast = 10 // percent points: a change stops the world, so small ones are left alone
)

// heapPercent is the GC percentage that leaves the intended slack over live
// bytes, or up to a hundredth of live more.
func heapPercent(live uint64) int {
	live = max(live, liveMin)
	slack := max(slackMin, live/slackShare)
	return int((slack*100 + live - 1) / live)
}

// tuneHeap adjusts the GC percentage as the heap grows, until done is closed.
// Where the operator has set GOGC it leaves that alone.
func tuneHeap(done <-chan struct{}) {
	if os.Getenv("GOGC") != "" {
		return
	}
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	ticker := time.NewTicker(tunePeriod)
	defer ticker.Stop()
	inForce := 100
	for {
		metrics.Read(sample)
		wanted := heapPercent(sample[0].Value.Uint64())
		if off := wanted - inForce; off >= tuneAtLeast || -off >= tuneAtLeast {
			debug.SetGCPercent(wanted)
			inForce = wanted
		}
		select {
		case <-done:
			return
		case <-ticker.C:
		}
	}
}
