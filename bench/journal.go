//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"weir/core"
	"weir/core/event"
	"weir/persist/wal"
)

const (
	waitMax      = 30 * time.Second // a wait that is longer counts as that
	latencyParts = 16               // histograms that waiters share, so that they rarely meet
)

// latencies are waits, recorded by many goroutines.
type latencies [latencyParts]struct {
	sync.Mutex
	waits *hdrhistogram.Histogram // under the mutex
}

func newLatencies() *latencies {
	var l latencies
	for i := range l {
		l[i].waits = hdrhistogram.New(int64(time.Microsecond), int64(waitMax), 3)
	}
	return &l
}

func (l *latencies) record(who int, wait time.Duration) {
	part := &l[who%latencyParts]
	part.Lock()
	defer part.Unlock()
	_ = part.waits.RecordValue(int64(min(wait, waitMax))) // within its range, so it can't fail
}

func (l *latencies) all() *hdrhistogram.Histogram {
	for i := 1; i < len(l); i++ {
		l[0].waits.Merge(l[i].waits)
	}
	return l[0].waits
}

// withLog opens a new log on the disk to measure, and removes it afterwards.
func withLog(o *options, use func(*wal.Log) error) (err error) {
	dir, err := os.MkdirTemp(o.dir, "weir-bench-")
	if err != nil {
		return fmt.Errorf("make log: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	log, _, err := wal.Open(filepath.Join(dir, "data"), wal.Options{}, nil, nil)
	if err != nil {
		return fmt.Errorf("make log: %w", err)
	}
	return errors.Join(use(log), log.Close())
}

// runJournal appends records of bookings: each waiter one, waits until it is
// durable, then the next.
func runJournal(ctx context.Context, o *options, s *Section) error {
	for round := range o.rounds + 1 {
		for _, waiters := range o.waiters {
			err := withLog(o, func(log *wal.Log) error {
				work := func(n uint64) error { return appendOne(log, n) }
				return s.commits(ctx, o, log, "waiters: "+strconv.Itoa(waiters), waiters, round > 0, work)
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func appendOne(log core.Journal, n uint64) error {
	if err := log.Reserve(event.MaxSize); err != nil {
		return fmt.Errorf("reserve: %w", err)
	}
	seq := log.Append(&event.Record{
		Kind: event.Booked, Version: 1, At: event.Time(n), Person: person(n), Slot: event.SlotID(n), From: event.NoSlot,
	})
	return log.Wait(seq)
}

// runDurable books with the engine and the log, 4,096 people at a time.
func runDurable(ctx context.Context, o *options, s *Section) error {
	rules, err := plan{slots: o.slots, capacity: roomyCapacity}.definition()
	if err != nil {
		return err
	}
	waiters := o.waiters[len(o.waiters)-1]
	for round := range o.rounds + 1 {
		err := withLog(o, func(log *wal.Log) error {
			stand, err := newStand(rules, log)
			if err != nil {
				return err
			}
			return s.commits(ctx, o, log, "bookings, waiters: "+strconv.Itoa(waiters), waiters, round > 0, stand.bookAnywhere)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

const slotTriesMax = 100

// bookAnywhere books a random slot for a new person: another one where the
// first is full.
func (s *stand) bookAnywhere(n uint64) (err error) {
	for try := range uint64(slotTriesMax) {
		err = s.book(n, s.anySlot(n+try<<48))
		if !errors.Is(err, core.SlotFull) {
			break
		}
	}
	return err
}

// commits has many goroutines do work that each waits for the log, and notes
// what the log made of it.
func (s *Section) commits(ctx context.Context, o *options, log *wal.Log, name string, waiters int, counts bool, work func(n uint64) error) error {
	waits := newLatencies()
	before, cpuBefore, err := logAndUsage(log)
	if err != nil {
		return err
	}
	began := time.Now()
	done, err := inParallel(ctx, o.duration, waiters, waits, work)
	took := time.Since(began).Seconds()
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	after, cpuAfter, err := logAndUsage(log)
	if err != nil || !counts {
		return err
	}
	records, syncs := float64(after.Records-before.Records), float64(after.Syncs-before.Syncs)
	cpu := cpuAfter.since(cpuBefore)
	c, latency := s.entry(name), waits.all()
	c.add("durable records", "1/s", float64(done)/took)
	c.add("fsyncs", "1/s", syncs/took)
	c.add("records an fsync", "", records/syncs)
	c.add("fsync, mean", "µs", float64((after.SyncTotal-before.SyncTotal).Microseconds())/syncs)
	c.add("stored", "B/record", float64(after.Bytes-before.Bytes)/records)
	c.add("CPU", "µs/record", float64(cpu.cpu.Microseconds())/float64(done))
	c.add("wait p50", "ms", float64(latency.ValueAtQuantile(50))/1e6)
	c.add("wait p99", "ms", float64(latency.ValueAtQuantile(99))/1e6)
	c.add("wait p99.9", "ms", float64(latency.ValueAtQuantile(99.9))/1e6)
	return nil
}

func logAndUsage(log *wal.Log) (wal.Stats, usage, error) {
	u, err := usageOf(os.Getpid())
	return log.Stats(), u, err
}

// inParallel runs work, closed-loop, until the time is up or one fails.
func inParallel(ctx context.Context, length time.Duration, workers int, waits *latencies, work func(n uint64) error) (done uint64, err error) {
	timed, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	ended := timed.Done()
	var next, finished atomic.Uint64
	failures := make([]error, workers)
	var running sync.WaitGroup
	for w := range workers {
		running.Go(func() {
			for {
				select {
				case <-ended:
					return
				default:
				}
				began := time.Now()
				if failures[w] = work(next.Add(1)); failures[w] != nil {
					cancel()
					return
				}
				waits.record(w, time.Since(began))
				finished.Add(1)
			}
		})
	}
	running.Wait()
	return finished.Load(), errors.Join(append(failures, context.Cause(ctx))...)
}
