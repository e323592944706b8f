//go:build linux

package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"weir/loadtest/stats"
)

const (
	settleWindow = 500 * time.Millisecond // that everybody has to be at rest
	settleShare  = 0.1                    // of one core, which processes at rest may use for their timers
	settleMax    = 2 * time.Minute
)

var errRestless = fmt.Errorf("the servers and the disk have not come to rest for %v", settleMax)

// quiet sees to it that a turn begins when nobody has anything left to do. What
// one server leaves behind, to be written, cleaned up or copied, would be paid
// for by the next one.
type quiet struct {
	waited []float64 // seconds, each time
}

// settle waits until the system has written what it has to write, and the
// processes, with all that they started, are at rest.
func (q *quiet) settle(ctx context.Context, pids ...int) error {
	began := time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, settleMax, errRestless)
	defer cancel()
	written := make(chan struct{})
	go func() { // nothing can stop it on a disk that hangs: it ends with the run, then
		unix.Sync()
		close(written)
	}()
	select {
	case <-written:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	ticks := time.NewTicker(settleWindow)
	defer ticks.Stop()
	before, err := usageOfTrees(pids...)
	for err == nil {
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		var now usage
		now, err = usageOfTrees(pids...)
		if err == nil && float64(now.since(before).cpu) <= settleShare*float64(settleWindow) {
			q.waited = append(q.waited, time.Since(began).Seconds())
			return nil
		}
		before = now
	}
	return fmt.Errorf("wait for rest: %w", err)
}

// String says how long was waited, which was at least once.
func (q *quiet) String() string {
	return fmt.Sprintf("every turn began with all servers at rest and nothing left to be written: for that %.1f s were waited at the median, %.1f s at most",
		stats.Median(q.waited), slices.Max(q.waited))
}
