package wal

import (
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"weir/core/event"
)

// BenchmarkCommit measures durable appends by a closed loop of waiters on the
// real disk below the test's temporary directory. It leaves out everything that
// a booking does beside its record.
func BenchmarkCommit(b *testing.B) {
	for _, waiters := range []int{1, 4, 16, 64, 1024, 4096} {
		b.Run(fmt.Sprintf("waiters=%d", waiters), func(b *testing.B) { commit(b, waiters, Options{}) })
	}
}

// BenchmarkRoom sets syncs of a file that has room beside syncs of one that
// grows.
func BenchmarkRoom(b *testing.B) {
	for _, size := range []int{256 << 10, 1} {
		b.Run(fmt.Sprintf("room=%d", size), func(b *testing.B) { commit(b, 64, Options{RoomSize: size}) })
	}
}

func commit(b *testing.B, waiters int, o Options) {
	l, _, err := Open(b.TempDir(), o, nil, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	loop(b, l, waiters, b.N)
	b.StopTimer()
	s := l.Stats()
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
	seconds := b.Elapsed().Seconds()
	b.ReportMetric(float64(s.Syncs)/seconds, "fsyncs/s")
	b.ReportMetric(float64(s.Records)/seconds, "records/s")
	b.ReportMetric(float64(s.SyncTotal.Microseconds())/float64(s.Syncs), "µs/fsync")
	b.ReportMetric(float64(s.Bytes)/float64(s.Records), "B/record")
}

// loop commits records, each of the waiters one at a time.
func loop(b *testing.B, l *Log, waiters, records int) {
	var left atomic.Int64
	left.Store(int64(records))
	var wg sync.WaitGroup
	for w := range waiters {
		wg.Go(func() {
			r := event.Record{Kind: event.Booked, Version: 1, From: event.NoSlot, Cohort: 1}
			state := uint64(w)*0x9E3779B97F4A7C15 + 1
			for left.Add(-1) >= 0 {
				state = state*6364136223846793005 + 1442695040888963407
				binary.LittleEndian.PutUint64(r.Person[:], state)
				binary.LittleEndian.PutUint64(r.Person[8:], state*0x9E3779B97F4A7C15)
				r.Slot = event.SlotID(state >> 43)
				r.At = 1626692400000 + event.Time(state>>50)
				if err := l.Reserve(event.MaxSize); err != nil {
					b.Error(err)
					return
				}
				if err := l.Wait(l.Append(&r)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// BenchmarkScan measures verifying and replaying a log of a million records,
// written by 1,024 waiters, out of the page cache.
func BenchmarkScan(b *testing.B) {
	const records = 1_000_000
	dir := b.TempDir()
	l, _, err := Open(dir, Options{}, nil, nil)
	if err != nil {
		b.Fatal(err)
	}
	loop(b, l, 1024, records)
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		var newest event.Time
		report, err := Scan(dir, ScanOptions{}, func(_ event.Seq, r *event.Record) error {
			newest = max(newest, r.At)
			return nil
		}, nil)
		if err != nil || report.Records != records || report.LastTime != newest {
			b.Fatalf("%+v, %v", report, err)
		}
		b.SetBytes(report.Bytes)
	}
	b.ReportMetric(records*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}
