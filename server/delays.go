package server

import (
	"math"
	"time"
)

// DelayBuckets is the number of buckets of Delays.
const DelayBuckets = 24

// Delays is how long the journal takes, counted since it was opened: bucket i
// of a histogram has what took less than 2^i µs and not less than half of that,
// the last one all above.
type Delays struct {
	Queue  [DelayBuckets]uint64 // batches, by how long the first record waited to be taken
	Commit [DelayBuckets]uint64 // batches, by how long they took to become durable from then on
	Oldest time.Duration        // age of the oldest record that is not durable; 0: all are
}

const (
	delayWindow   = time.Second
	delayQuantile = 0.9
)

// recentDelays tells how long the journal took within the last second. It
// belongs to the keeper.
type recentDelays struct {
	samples [int(delayWindow / keepInterval)]Delays // a ring
	next    int
}

// add takes the newest figures and returns the 0.9 quantiles of those that were
// counted within the window. What still waits counts with its age, so that a
// stall shows while it lasts.
func (r *recentDelays) add(now Delays) (queue, commit time.Duration) {
	oldest := &r.samples[r.next]
	queue = max(delayOf(&oldest.Queue, &now.Queue), now.Oldest)
	commit = max(delayOf(&oldest.Commit, &now.Commit), now.Oldest)
	*oldest = now
	r.next = (r.next + 1) % len(r.samples)
	return queue, commit
}

// delayOf returns the quantile of what was counted between two readings, evened
// out within its bucket; 0 where nothing was.
func delayOf(before, after *[DelayBuckets]uint64) time.Duration {
	var total uint64
	for i := range after {
		total += after[i] - before[i]
	}
	rank := delayQuantile * float64(total)
	var below float64
	for i := range after {
		n := float64(after[i] - before[i])
		if n > 0 && below+n >= rank {
			high := math.Ldexp(1, i)
			low := high / 2
			if i == 0 {
				low = 0
			}
			return time.Duration((low + (high-low)*(rank-below)/n) * float64(time.Microsecond))
		}
		below += n
	}
	return 0
}
