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
	for _, waiters := range []int{1, 64, 1024, 4096} {
		b.Run(fmt.Sprintf("waiters=%d", waiters), func(b *testing.B) {
			l, _, err := Open(b.TempDir(), Options{}, nil, nil)
			if err != nil {
				b.Fatal(err)
			}
			benchmarkLoop(b, l, waiters)
			s := l.Stats()
			if err := l.Close(); err != nil {
				b.Fatal(err)
			}
			seconds := b.Elapsed().Seconds()
			b.ReportMetric(float64(s.Syncs)/seconds, "fsyncs/s")
			b.ReportMetric(float64(s.Records)/seconds, "records/s")
			b.ReportMetric(float64(s.SyncTotal.Microseconds())/float64(s.Syncs), "µs/fsync")
			b.ReportMetric(float64(s.Bytes)/float64(s.Records), "B/record")
		})
	}
}

func benchmarkLoop(b *testing.B, l *Log, waiters int) {
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
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
	b.StopTimer()
}
