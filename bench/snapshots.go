//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"weir/core"
	"weir/persist/recovery"
	"weir/persist/snapshot"
	"weir/persist/wal"
)

// runSnapshots books durably with snapshots being taken without a pause and
// without any, in turns, on one engine and log.
func runSnapshots(ctx context.Context, o *options, s *Section) error {
	dir, err := os.MkdirTemp(o.dir, "weir-snapshots-")
	if err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	rules, err := plan{slots: o.slots, capacity: roomyCapacity}.definition()
	if err != nil {
		return err
	}
	log, _, err := wal.Open(dir, wal.Options{}, nil, nil)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	stand, err := newStand(rules, log)
	if err != nil {
		return err
	}
	period := uint64(0)
	for round := range o.rounds + 1 {
		var without float64
		for _, name := range []string{"without snapshots", "with snapshots"} {
			var taking func()
			taken := 0
			if name == "with snapshots" {
				if taking, err = keepTaking(ctx, dir, log, stand.engine, &taken); err != nil {
					return err
				}
			}
			period++
			rate, p99, err := stand.bookFor(ctx, o, period<<40)
			if taking != nil {
				taking()
			}
			if err != nil {
				return err
			}
			if round == 0 {
				continue
			}
			c := s.entry(name)
			c.add("bookings", "1/s", rate)
			c.add("p99", "ms", p99)
			if taking == nil {
				without = rate
				continue
			}
			c.add("of without", "", rate/without)
			c.add("snapshots", "", float64(taken))
		}
	}
	return nil
}

// keepTaking takes one snapshot after the other, at the pace of a server, until
// the function that it returns is called.
func keepTaking(ctx context.Context, dir string, log *wal.Log, engine *core.Engine, taken *int) (stop func(), err error) {
	keeper, err := recovery.NewKeeper(dir, log, engine, snapshot.Plan{Pace: snapshot.Pace{BytesPerSecond: 32 << 20, Share: 0.2}}, nil)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			if keeper.Once(ctx).Taken.Seal != nil {
				*taken++
			}
		}
	}()
	return func() { cancel(); <-ended }, nil
}

// snapshotWaiters is how many callers book at a time.
const snapshotWaiters = 1024

// bookFor lets callers book new people, numbered from first on, for a round's
// duration.
func (s *stand) bookFor(ctx context.Context, o *options, first uint64) (rate, p99Millis float64, err error) {
	waits, began := newLatencies(), time.Now()
	done, err := inParallel(ctx, o.duration, snapshotWaiters, waits, func(n uint64) error { return s.bookAnywhere(first + n) })
	return float64(done) / time.Since(began).Seconds(), float64(waits.all().ValueAtQuantile(99)) / 1e6, err
}
