package main

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"time"

	"weir/persist/recovery"
	"weir/persist/snapshot"
	"weir/persist/wal"
)

// Snapshots and scrubbing may take this share of the processors, and of no more
// than two. What is left is the bookings'.
const snapshotShare = 0.1

// replayedMany is how many records a start may have to replay, some tenths of a
// second, before a snapshot is taken at once.
const replayedMany = 200_000

// scrubEvery is how often everything on disk is read, whether or not it has
// changed.
const scrubEvery = 24 * time.Hour

// keeping is what keeps the data directory small and sound behind the server's
// back.
type keeping struct {
	keeper   atomic.Pointer[snapshot.Keeper]
	alarms   atomic.Int64 // errors found in the background
	scrubs   atomic.Int64 // readings of the whole log that found it sound
	unsound  atomic.Bool  // the newest reading of the log found damage
	removing atomic.Int64 // bytes of old log removed
}

// keepSnapshots begins to take snapshots and to read what is on disk again,
// until in.ended is closed. A journal that keeps nothing needs neither.
func (in *instance) keepSnapshots() error {
	log := in.wal.Load()
	if log == nil {
		return nil
	}
	pace := snapshot.Pace{BytesPerSecond: in.config.snapshotRate, Share: snapshotShare * float64(min(runtime.GOMAXPROCS(0), 2))}
	keeper, err := recovery.NewKeeper(in.config.data, log, in.engine, snapshot.Plan{
		Every: in.config.snapshotEvery, AtStart: replayedMany, KeepLog: in.config.keepLog, VerifyEvery: scrubEvery,
		MinFreeBytes: in.config.resumeFree, Pace: pace, Report: in.reportRound,
	}, func(err error) {
		in.snapshots.alarms.Add(1)
		in.log.Error("the store of snapshots", "error", err)
	})
	if err != nil {
		return err
	}
	in.snapshots.keeper.Store(keeper)
	made, err := recovery.Ballast(in.config.data, in.config.ballast, in.config.resumeFree)
	if !made {
		in.log.Warn("there is no room for the ballast, a file that may be deleted when the disk is full", "bytes", in.config.ballast, "error", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	in.workers.Go(func() {
		<-in.ended
		cancel()
	})
	in.workers.Go(func() { keeper.Run(ctx) })
	in.workers.Go(func() { in.scrub(ctx, pace) })
	return nil
}

func (in *instance) reportRound(r snapshot.Round) {
	in.snapshots.removing.Add(r.BytesRemoved)
	if r.Err != nil {
		in.log.Error("no snapshot could be taken; bookings go on, and old log stays until one can",
			"store", r.Store, "set_aside", r.SetAside, "error", r.Err)
		return
	}
	if s := r.Taken.Seal; s != nil {
		in.log.Debug("snapshot", "store", r.Store, "through", uint64(s.From), "written", r.Taken.Written,
			"took", r.Taken.Took.Round(time.Millisecond), "log_removed", r.BytesRemoved)
	}
}

// scrub reads the whole log every now and then.
func (in *instance) scrub(ctx context.Context, pace snapshot.Pace) {
	ticker := time.NewTicker(scrubEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			in.scrubOnce(ctx, pace)
		}
	}
}

func (in *instance) scrubOnce(ctx context.Context, pace snapshot.Pace) {
	err := recovery.Scrub(ctx, in.config.data, pace)
	var damage *wal.Damage
	switch {
	case err == nil:
		in.snapshots.scrubs.Add(1)
		in.snapshots.unsound.Store(false)
	case errors.As(err, &damage):
		in.snapshots.unsound.Store(true)
		in.log.Error("the log on disk is damaged; what is in memory is not. Make a backup now, then see persist/RUNBOOK.md", "error", err)
	case ctx.Err() == nil:
		in.log.Warn("the log could not be read to its end", "error", err)
	}
}

func (k *keeping) gauges(emit func(name string, value float64)) {
	emit("weir_snapshot_alarms_total", float64(k.alarms.Load()))
	emit("weir_scrubs_total", float64(k.scrubs.Load()))
	emit("weir_log_unsound", figure(k.unsound.Load()))
	emit("weir_log_removed_bytes_total", float64(k.removing.Load()))
	keeper := k.keeper.Load()
	if keeper == nil {
		return
	}
	s := keeper.Stats()
	emit("weir_snapshot_rounds_total", float64(s.Rounds))
	emit("weir_snapshot_failures_total", float64(s.Failures))
	emit("weir_snapshot_failed", figure(s.Err != nil))
	emit("weir_snapshot_sequence", float64(s.From))
	emit("weir_log_first_sequence", float64(s.LogFrom+1))
	emit("weir_snapshot_seconds", s.Last.Took.Seconds())
	emit("weir_snapshot_written_bytes", float64(s.Last.Written))
	emit("weir_snapshot_pause_seconds_max", s.Last.PauseMax.Seconds())
}
