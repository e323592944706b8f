package wal

import (
	"errors"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"weir/core"
	"weir/core/event"
)

var _ core.Journal = (*Log)(nil)

// Many writers, a kill in their midst and a close at the end: what was
// acknowledged before is there after, and nothing is there that was not sent.
func TestAcknowledgedIsThereAfterKillAndClose(t *testing.T) {
	dir := t.TempDir()
	o := Options{SegmentSize: 8 << 10, EpochSize: 64 << 10, MaxPendingRecords: 24}
	l := mustOpen(t, dir, o)
	const writers, each = 32, 150
	var acknowledged atomic.Uint64 // newest
	var order sync.Mutex           // makes the record agree with its number
	var wg sync.WaitGroup
	half := make(chan struct{})
	var done atomic.Int64
	for range writers {
		wg.Go(func() {
			for n := 0; n < each; {
				order.Lock()
				seq, err := put(l)
				order.Unlock()
				if errors.Is(err, core.ErrOverloaded) {
					seq = l.Durable() + 1 // full: wait for what is pending
					err = l.Wait(min(seq, event.Seq(l.appended.Load())))
					if err != nil {
						t.Error(err)
						return
					}
					continue
				}
				if err == nil {
					err = l.Wait(seq)
				}
				if err != nil || l.Durable() < seq {
					t.Errorf("record %d: durable %d, %v", seq, l.Durable(), err)
					return
				}
				for old := acknowledged.Load(); old < uint64(seq) && !acknowledged.CompareAndSwap(old, uint64(seq)); {
					old = acknowledged.Load()
				}
				n++
				if done.Add(1) == writers*each/2 {
					close(half)
				}
			}
		})
	}
	<-half
	before := event.Seq(acknowledged.Load())
	copied := killed(t, dir)
	wg.Wait()
	mustClose(t, l)
	if s := l.Stats(); s.PendingRecords != 0 || s.PendingBytes != 0 || s.Records != writers*each || s.Durable != s.Appended {
		t.Errorf("idle and closed: %+v", s)
	}
	for path, least := range map[string]event.Seq{copied: before, dir: writers * each} {
		seen := event.Seq(0)
		l, report, err := Open(path, o, expectSamples(&seen), nil)
		if err != nil || seen < least || seen > writers*each {
			t.Fatalf("read to %d, acknowledged %d: %+v, %v", seen, least, report, err)
		}
		mustClose(t, l)
	}
}

func TestReserveHasBounds(t *testing.T) {
	l := mustOpen(t, t.TempDir(), Options{MaxPendingRecords: 3, CommitDeadline: time.Minute}) // the largest definition takes its time under the race detector
	for range 3 {
		if err := l.Reserve(event.MaxSize); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Reserve(1); !errors.Is(err, core.ErrOverloaded) {
		t.Errorf("a fourth of three: %v", err)
	}
	for range 3 {
		l.Release(event.MaxSize)
	}
	big := event.Record{Kind: event.Defined, Definition: make([]byte, event.MaxDefinition)}
	if err := l.Reserve(event.MaxSize); err != nil {
		t.Fatal(err)
	}
	if err := l.Reserve(big.Size()); !errors.Is(err, core.ErrOverloaded) {
		t.Errorf("the largest definition beside another record: %v", err)
	}
	l.Release(event.MaxSize)
	if err := l.Reserve(big.Size()); err != nil {
		t.Fatalf("the largest definition alone: %v", err)
	}
	if err := l.Reserve(1); !errors.Is(err, core.ErrOverloaded) {
		t.Errorf("a record beside the largest definition: %v", err)
	}
	if err := l.Wait(l.Append(&big)); err != nil {
		t.Fatal(err)
	}
	if err := l.Reserve(maxRecord + 1); !errors.Is(err, core.ErrOverloaded) {
		t.Errorf("a record larger than any: %v", err)
	}
	if s := l.Stats(); s.PendingRecords != 0 || s.PendingBytes != 0 {
		t.Errorf("pending when idle: %+v", s)
	}
	mustClose(t, l)
}

func TestCloseWritesWhatIsPending(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir, Options{})
	if err := l.Reserve(event.MaxSize); err != nil {
		t.Fatal(err)
	}
	closed := make(chan error, 1)
	go func() { closed <- l.Close() }()
	<-l.closing // Close waits for the room that is reserved
	if err := l.Reserve(1); !errors.Is(err, core.ErrClosed) {
		t.Errorf("reserve while closing: %v", err)
	}
	r := sample(1)
	if err := l.Wait(l.Append(&r)); err != nil {
		t.Errorf("append into room reserved before: %v", err)
	}
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
	r = sample(2)
	if err := l.Wait(l.Append(&r)); !errors.Is(err, core.ErrClosed) {
		t.Errorf("append after close: %v", err)
	}
	if err := l.Wait(99); !errors.Is(err, core.ErrOutcomeUnknown) {
		t.Errorf("wait for what was never appended: %v", err)
	}
	report, err := Scan(dir, ScanOptions{}, nil, nil)
	if err != nil || report.LastSeq != 1 || !report.CleanClose {
		t.Fatalf("%+v, %v", report, err)
	}
}

// hold makes the operation op wait until the function returned is called.
func hold(op string) (files, *atomic.Bool, func()) {
	gate := make(chan struct{})
	var armed atomic.Bool
	return files{before: func(o, _ string) error {
		if o == op && armed.Load() {
			<-gate
		}
		return nil
	}}, &armed, func() { close(gate) }
}

func TestCommitDeadline(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f, armed, letGo := hold("sync segment")
		l, _, err := Open(dir, Options{files: f}, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		armed.Store(true)
		start := time.Now()
		seq, err := put(l)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Wait(seq); !errors.Is(err, core.ErrOutcomeUnknown) {
			t.Errorf("past the deadline: %v", err)
		}
		if took := time.Since(start); took < 2*time.Second || took > 2*time.Second+2*time.Second/watchSteps {
			t.Errorf("waited for %v", took)
		}
		if err := l.Reserve(1); !errors.Is(err, core.ErrOverloaded) || !l.Stats().Stalled {
			t.Errorf("reserve beside a stalled disk: %v", err)
		}
		armed.Store(false)
		letGo()
		synctest.Wait()
		if err := l.Wait(seq); err != nil || l.Durable() != seq {
			t.Errorf("when the disk is back: %v", err)
		}
		if _, err := put(l); err != nil || l.Stats().Stalled {
			t.Errorf("reserve when the disk is back: %v", err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	if report, err := Scan(dir, ScanOptions{}, nil, nil); err != nil || report.LastSeq != 2 {
		t.Errorf("%+v, %v", report, err)
	}
}

func TestCloseDoesNotWaitForEver(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f, armed, letGo := hold("sync segment")
		l, _, err := Open(dir, Options{files: f}, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		armed.Store(true)
		if _, err := put(l); err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); !errors.Is(err, core.ErrOutcomeUnknown) {
			t.Errorf("close of a stalled log: %v", err)
		}
		letGo() // so that the test's goroutines end
		<-l.stopped
		if err := errors.Join(l.writer.log.Close(), l.mark.file.Close(), l.lock.Close()); err != nil {
			t.Error(err)
		}
	})
}

func TestWatermarks(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var free atomic.Int64
		free.Store(1 << 30)
		l, _, err := Open(dir, Options{files: files{free: func(string) (int64, error) { return free.Load(), nil }}}, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		step := func(n int64, readOnly bool) {
			t.Helper()
			free.Store(n)
			time.Sleep(2 * restEvery) // the keeper looks within
			synctest.Wait()
			err := l.Reserve(1)
			if readOnly != errors.Is(err, core.ErrReadOnly) || l.Stats().ReadOnly != readOnly {
				t.Errorf("%d bytes free: %v", n, err)
			}
			if err == nil {
				l.Release(1)
			}
		}
		step(300<<20, false)
		step(255<<20, true)
		step(511<<20, true) // not yet
		step(512<<20, false)
		step(0, true)
		step(1<<40, false)
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestBytesWrittenCountBetweenMeasurements(t *testing.T) {
	f := files{free: func(string) (int64, error) { return 256<<20 + 1000, nil }}
	l := mustOpen(t, t.TempDir(), Options{files: f, CommitDeadline: time.Minute})
	noise := make([]byte, 4000)
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	r := event.Record{Kind: event.Defined, Definition: noise}
	if err := l.Reserve(r.Size()); err != nil {
		t.Fatal(err)
	}
	before := l.space.free.Load()
	if err := l.Wait(l.Append(&r)); err != nil {
		t.Fatal(err)
	}
	if l.space.written.Load() < 4000 || before != 256<<20+1000 {
		t.Errorf("%d bytes accounted for", l.space.written.Load())
	}
	mustClose(t, l)
}

func TestTheMarkFollowsABusyLog(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		l, _, err := Open(dir, Options{}, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := put(l); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * restEvery)
		synctest.Wait()
		m, err := readMark(filepath.Join(dir, walName, markName))
		if err != nil || m.head.seq != 1 || m.clean {
			t.Errorf("%+v, %v", m, err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestHotPathDoesNotAllocate(t *testing.T) {
	l := mustOpen(t, t.TempDir(), Options{CommitDeadline: time.Minute})
	defer mustClose(t, l)
	r := sample(6)
	fill(t, l, 1)
	// One batch for all of it: what the committer allocates once a batch (a
	// gate and its channel) is not the callers'.
	n := testing.AllocsPerRun(2000, func() {
		if l.Reserve(event.MaxSize) != nil || l.Wait(1) != nil {
			panic("refused")
		}
		l.Append(&r)
	})
	if n != 0 {
		t.Errorf("%v allocations a record", n)
	}
}
