//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"weir/core/campaign"
	"weir/core/people"
	"weir/persist/recovery"
	"weir/persist/snapshot"
	"weir/persist/wal"
)

// snapshotWaiters is how many callers book at a time.
const snapshotWaiters = 1024

// windowMax bounds the time of bookings beside a snapshot, in rounds' durations:
// at full speed they change the state about as fast as it is copied. What is
// left of the snapshot then goes on alone.
const windowMax = 5

// runSnapshots books durably without any snapshot and while one is being taken,
// in turns, from its begin on. Each round has an engine and a log of its
// own, so that the state of one is as large as that of the next.
func runSnapshots(ctx context.Context, o *options, s *Section) error {
	rules, err := plan{slots: o.slots, capacity: roomyCapacity}.definition()
	if err != nil {
		return err
	}
	for round := range o.rounds + 1 {
		section := s
		if round == 0 {
			section = &Section{} // it warms up
		}
		if err := snapshotRound(ctx, o, section, rules); err != nil {
			return err
		}
	}
	s.note("%d callers; %d bookings stood when a round began; snapshots at the pace of a server, with bookings beside them from their begin on for %v at most; of before: of the time just before", snapshotWaiters, o.operations, windowMax*o.duration)
	s.note("a first copy: all of the state into an empty store, twice in a directory's life; a later copy: what was booked since the store was written last")
	return nil
}

// snapshotRound measures some snapshots and the time before each of them.
func snapshotRound(ctx context.Context, o *options, s *Section, rules *campaign.Definition) (err error) {
	dir, err := os.MkdirTemp(o.dir, "weir-snapshots-")
	if err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	log, _, err := wal.Open(dir, wal.Options{}, nil, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	stand, err := newStand(rules, log)
	if err != nil {
		return err
	}
	if _, err := spread(ctx, uint64(o.operations), func(n uint64) error { return stand.fill(log, n, 0) }); err != nil {
		return err
	}
	pace := snapshot.Pace{BytesPerSecond: 32 << 20, Share: 0.2} // a server's
	keeper, err := recovery.NewKeeper(dir, log, stand.engine, snapshot.Plan{Pace: pace}, nil)
	if err != nil {
		return err
	}
	hurried, err := recovery.NewKeeper(dir, log, stand.engine, snapshot.Plan{}, nil)
	if err != nil {
		return err
	}
	crowd := &bookers{stand: stand}
	if err := crowd.compare(ctx, o, s, "a first copy", keeper); err != nil {
		return err
	}
	for range people.Stores { // so that both have what was booked until now
		if r := hurried.Once(ctx); r.Err != nil || ctx.Err() != nil {
			return errors.Join(r.Err, context.Cause(ctx))
		}
	}
	return crowd.compare(ctx, o, s, "a later copy", keeper)
}

// compare books without a snapshot for a round's duration, and then while one
// is taken.
func (b *bookers) compare(ctx context.Context, o *options, s *Section, name string, keeper *snapshot.Keeper) error {
	timed, cancel := context.WithTimeout(ctx, o.duration)
	defer cancel()
	longest := windowMax * o.duration
	rate, p99, err := b.during(ctx, longest, func() error { <-timed.Done(); return nil })
	if err != nil {
		return err
	}
	c := s.entry("before " + name)
	c.add("bookings", "1/s", rate)
	c.add("p99", "ms", p99)
	var taken snapshot.Taken
	rateWith, p99With, err := b.during(ctx, longest, func() error {
		r := keeper.Once(ctx)
		taken = r.Taken
		return errors.Join(r.Err, ctx.Err())
	})
	if err != nil {
		return err
	}
	c = s.entry("during " + name)
	c.add("bookings", "1/s", rateWith)
	c.add("p99", "ms", p99With)
	c.add("of before", "", rateWith/rate)
	c.add("p99, of before", "", p99With/p99)
	c.add("a snapshot", "s", taken.Took.Seconds())
	c.add("of it, reading back", "s", taken.Verified.Seconds())
	c.add("copied", "MB", float64(taken.Copied)/1e6)
	return nil
}

// bookers are callers that book new people, each one after the other.
type bookers struct {
	stand *stand
	next  atomic.Uint64
}

// firstBooker is behind the people who booked before.
const firstBooker = 1 << 40

// during lets them book until work has ended, or for that long at most.
func (b *bookers) during(ctx context.Context, longest time.Duration, work func() error) (rate, p99Millis float64, err error) {
	var over atomic.Bool
	var done atomic.Int64
	waits, failures, began, took := newLatencies(), make([]error, snapshotWaiters), time.Now(), time.Duration(0)
	end := sync.OnceFunc(func() {
		took = time.Since(began)
		over.Store(true)
	})
	late := time.AfterFunc(longest, end)
	defer late.Stop()
	var running sync.WaitGroup
	for w := range failures {
		running.Go(func() {
			for !over.Load() && failures[w] == nil && ctx.Err() == nil {
				asked := time.Now()
				failures[w] = b.stand.bookAnywhere(firstBooker + b.next.Add(1))
				waits.record(w, time.Since(asked))
				done.Add(1)
			}
		})
	}
	err = work()
	end()
	running.Wait()
	rate = float64(done.Load()) / took.Seconds()
	return rate, float64(waits.all().ValueAtQuantile(99)) / 1e6, errors.Join(append(failures, err)...)
}
