//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"weir/core"
	"weir/persist/recovery"
	"weir/persist/snapshot"
	"weir/persist/wal"
)

// The state of the recovery section: what an evening leaves, and a minute of
// bookings behind the snapshot at five times the pace of two million an hour.
const (
	waitingShare = 0.6 // places in line, of the bookings
	minuteRate   = 2_800
	minuteShare  = 60 * minuteRate
)

// fillPatience is how long the disk has for a record while data is made.
const fillPatience = time.Minute

// recoveryTask is what the child of the recovery section is told.
type recoveryTask struct {
	Dir string `json:"dir"`
}

// recoveryResult is what it found.
type recoveryResult struct {
	Ready    float64 `json:"ready"`    // seconds
	Snapshot float64 `json:"snapshot"` // of them
	Records  float64 `json:"records"`  // replayed
	Left     float64 `json:"left"`     // bytes resident at that moment
	Resident float64 `json:"resident"` // the same after a collection
	Peak     float64 `json:"peak"`     // at most, until then
	Empty    float64 `json:"empty"`    // before
}

// runRecovery makes two data directories, one without a line, and a Redis
// snapshot of as many keys, and lets each be loaded in turns by a process of its
// own.
func runRecovery(ctx context.Context, o *options, s *Section) error {
	dir, err := os.MkdirTemp(o.dir, "weir-recovery-")
	if err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	all, alone, waiting := filepath.Join(dir, "all"), filepath.Join(dir, "alone"), int(waitingShare*float64(o.bookings))
	if err := errors.Join(fillData(ctx, o, all, waiting), fillData(ctx, o, alone, 0)); err != nil {
		return err
	}
	redis, err := fillRedis(ctx, filepath.Join(dir, "redis"), o.bookings)
	if err != nil {
		return err
	}
	bookings := float64(o.bookings)
	weirs, rediss := s.entry("weir"), s.entry("redis")
	weirs.add("on disk, B a booking", "B", float64(sizeOf(filepath.Join(all, "snapshot", "a")))/bookings)
	rediss.add("on disk, B a booking", "B", float64(sizeOf(redis.dir))/bookings)
	for round := range o.rounds + 1 {
		theirs, memory, err := redis.load(ctx)
		if err != nil {
			return err
		}
		ours, err := recoverIn(ctx, all)
		if err != nil {
			return err
		}
		without, err := recoverIn(ctx, alone)
		if err != nil {
			return err
		}
		if round == 0 {
			continue
		}
		rediss.add("ready in", "s", theirs.Seconds())
		rediss.add("resident, B a booking", "B", memory/bookings)
		weirs.add("ready in", "s", ours.Ready)
		weirs.add("of it, the snapshot", "s", ours.Snapshot)
		weirs.add("records replayed", "", ours.Records)
		weirs.add("of redis", "", ours.Ready/theirs.Seconds())
		taken, bare := ours.Resident-ours.Empty, without.Resident-without.Empty
		weirs.add("resident, B a booking", "B", bare/bookings)
		weirs.add("with the line", "B", taken/bookings)
		weirs.add("a place in line", "B", max(0, taken-bare)/float64(waiting)) // a short line is lost in the rest
		weirs.add("not collected", "B", (ours.Left-ours.Empty)/bookings)
		weirs.add("at most", "B", (ours.Peak-ours.Empty)/bookings)
	}
	s.note("weir: %d bookings by as many people, %d further people in line, %d slots; resident is what it has more than before, after a collection", o.bookings, waiting, o.slots)
	s.note("resident, B a booking: of the same start without anybody in line; with the line: all of it over the bookings; not collected, at most: likewise, as the start leaves it and while it was under way")
	s.note("redis: %d keys of 16 bytes with values of 32, from its own snapshot; resident is all of it", o.bookings)
	return nil
}

// fillData makes a data directory with one snapshot, of all bookings and of so
// many people in line, and a minute of log.
func fillData(ctx context.Context, o *options, dir string, joining int) error {
	rules, err := plan{slots: o.slots, capacity: max(1, 2*o.bookings/o.slots+1)}.definition()
	if err != nil {
		return err
	}
	log, _, err := wal.Open(dir, wal.Options{CommitDeadline: fillPatience}, nil, nil)
	if err != nil {
		return err
	}
	stand, err := newStand(rules, log)
	if err != nil {
		return errors.Join(err, log.Close())
	}
	waiting := uint64(joining)
	_, err = spread(ctx, uint64(o.bookings)+waiting, func(n uint64) error { return stand.fill(log, n, waiting) })
	if err == nil {
		err = takeOne(ctx, dir, log, stand.engine)
	}
	if err == nil {
		first := uint64(o.bookings) + waiting
		_, err = spread(ctx, minuteShare*uint64(o.bookings)/10_000_000, func(n uint64) error { return stand.fill(log, first+n, 0) })
	}
	return errors.Join(err, log.Close())
}

func takeOne(ctx context.Context, dir string, log *wal.Log, source snapshot.Source) error {
	keeper, err := recovery.NewKeeper(dir, log, source, snapshot.Plan{}, nil)
	if err != nil {
		return err
	}
	return keeper.Once(ctx).Err
}

// fill lets person n book or, of the first waiting, join; it waits for the disk
// only where the log is full.
func (s *stand) fill(log *wal.Log, n, waiting uint64) error {
	for attempt := uint64(0); ; attempt++ {
		command := s.command(core.Book, n, s.anySlot(n+attempt<<40))
		if n < waiting {
			command.Op = core.Join
		}
		_, err := s.engine.Do(s.now, &command)
		switch {
		case errors.Is(err, core.SlotFull):
		case errors.Is(err, core.ErrOverloaded):
			if err := log.Wait(log.Durable() + 1); err != nil {
				return err
			}
		default:
			return err
		}
	}
}

// recoverIn recovers dir in a process of its own.
func recoverIn(ctx context.Context, dir string) (r recoveryResult, err error) {
	task, err := json.Marshal(recoveryTask{dir})
	if err != nil {
		return r, fmt.Errorf("start child: %w", err)
	}
	command, err := childCommand(ctx, "recovery")
	if err != nil {
		return r, err
	}
	var out bytes.Buffer
	command.Stdin, command.Stdout, command.Stderr = bytes.NewReader(task), &out, os.Stderr
	if err := command.Run(); err != nil {
		return r, fmt.Errorf("run child: %w", err)
	}
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		return r, fmt.Errorf("read child's answer %q: %w", out.Bytes(), err)
	}
	return r, nil
}

// recoveryChild recovers a data directory as a server does at its start, up to
// the moment at which it could serve.
func recoveryChild(ctx context.Context, in io.Reader, out io.Writer) error {
	var task recoveryTask
	if err := json.NewDecoder(in).Decode(&task); err != nil {
		return fmt.Errorf("read task: %w", err)
	}
	var r recoveryResult
	var err error
	if r.Empty, _, err = resident(); err != nil {
		return err
	}
	engine, began := core.New(), time.Now()
	log, report, err := recovery.Open(ctx, task.Dir, wal.Options{MustExist: true}, engine, nil)
	if err != nil {
		return err
	}
	engine.Start(log)
	r.Ready = time.Since(began).Seconds()
	r.Records = float64(report.LastSeq - report.From)
	if report.Snapshot != nil {
		r.Snapshot = report.Snapshot.Duration.Seconds()
	}
	if r.Left, err = residentNow(); err != nil {
		return err
	}
	if r.Resident, r.Peak, err = resident(); err != nil {
		return err
	}
	if engine.Campaign(campaignID).Totals().Booked == 0 {
		return errors.New("nothing was recovered")
	}
	return errors.Join(json.NewEncoder(out).Encode(&r), log.Close())
}

// residentNow is this process's memory as it is, in bytes.
func residentNow() (float64, error) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, fmt.Errorf("read memory: %w", err)
	}
	kib, err := strconv.ParseFloat(strings.TrimSuffix(procField(text, "VmRSS"), " kB"), 64)
	return kib * 1024, err
}

func sizeOf(dir string) (bytes int64) {
	_ = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			if info, err := entry.Info(); err == nil {
				bytes += info.Size()
			}
		}
		return nil
	})
	return bytes
}
