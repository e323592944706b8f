package wal

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"weir/core"
	"weir/core/event"
)

var errInjected = errors.New("injected")

// failing fails the nth file operation, and all that follow it where dead.
func failing(n int64, dead bool) (files, *atomic.Int64) {
	var count atomic.Int64
	return files{before: func(string, string) error {
		if i := count.Add(1); i == n || dead && i > n {
			return errInjected
		}
		return nil
	}}, &count
}

// live opens dir, commits records over rotations and epochs, and closes. It
// returns the newest record acknowledged, and the first error.
func live(t *testing.T, dir string, f files) (acknowledged event.Seq, err error) {
	t.Helper()
	fatal := make(chan error, 9)
	o := Options{SegmentSize: 300, EpochSize: 1000, CommitDeadline: time.Minute, files: f, OnFatal: func(err error) { fatal <- err }}
	l, _, err := Open(dir, o, nil, nil)
	if err != nil {
		return 0, err
	}
	acknowledged = l.Durable()
	for range 15 {
		seq, err := put(l)
		if err == nil {
			err = l.Wait(seq)
		}
		if err != nil {
			expectPoisoned(t, l, err, fatal)
			return acknowledged, err
		}
		acknowledged = seq
	}
	err = l.Close()
	return acknowledged, err
}

func expectPoisoned(t *testing.T, l *Log, err error, fatal chan error) {
	t.Helper()
	if !errors.Is(err, core.ErrFailed) || !errors.Is(err, errInjected) {
		t.Errorf("a waiter got %v", err)
	}
	<-l.stopped
	if got := <-fatal; !errors.Is(got, errInjected) || len(fatal) > 0 {
		t.Errorf("OnFatal got %v and %d more", got, len(fatal))
	}
	durable := l.Durable()
	if err := l.Reserve(1); !errors.Is(err, core.ErrFailed) {
		t.Errorf("reserve after a failure: %v", err)
	}
	if err := l.Wait(durable + 1); !errors.Is(err, core.ErrFailed) {
		t.Errorf("wait after a failure: %v", err)
	}
	if err := l.Close(); !errors.Is(err, core.ErrFailed) || !errors.Is(l.Stats().Failed, errInjected) {
		t.Errorf("close after a failure: %v", err)
	}
	if l.Durable() != durable {
		t.Errorf("durable rose from %d to %d after a failure", durable, l.Durable())
	}
}

// Every file operation of a log's life fails once, or for good: nothing that
// was acknowledged is missing afterwards, and the directory opens.
func TestFailTheNthOperation(t *testing.T) {
	t.Parallel()
	for _, dead := range []bool{false, true} {
		for n, passed := int64(1), false; !passed; n++ {
			dir := t.TempDir()
			acknowledged, err := live(t, dir, files{}) // something is there already
			if err != nil {
				t.Fatal(err)
			}
			f, count := failing(n, dead)
			more, err := live(t, dir, f)
			acknowledged = max(acknowledged, more)
			if passed = count.Load() < n; passed != (err == nil) {
				t.Fatalf("operation %d of %d failed, dead %v: %v", n, count.Load(), dead, err)
			}
			expectWhole(t, dir, acknowledged, fmt.Sprintf("operation %d, dead %v", n, dead))
		}
	}
}

func TestFailTheNthOperationOfANewDirectory(t *testing.T) {
	t.Parallel()
	for n := int64(1); ; n++ {
		dir := t.TempDir()
		f, count := failing(n, true)
		acknowledged, err := live(t, dir, f)
		if count.Load() < n {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
		expectWhole(t, dir, acknowledged, fmt.Sprintf("operation %d", n))
	}
}

// Every file operation of a repair fails for good: the next start repairs.
func TestFailTheNthOperationOfARepair(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := mustOpen(t, dir, small())
	fill(t, l, 40)
	torn := killed(t, dir)
	mustClose(t, l)
	editLast(func(b []byte) []byte { return b[:written(b)-5] })(t, torn)
	for n := int64(1); ; n++ {
		dir := killed(t, torn)
		f, count := failing(n, true)
		acknowledged, err := live(t, dir, f)
		if count.Load() < n {
			if err != nil || acknowledged != 39+15 {
				t.Fatalf("acknowledged %d: %v", acknowledged, err)
			}
			break
		}
		expectWhole(t, dir, max(acknowledged, 39), fmt.Sprintf("operation %d", n))
	}
}

func expectWhole(t *testing.T, dir string, acknowledged event.Seq, when string) {
	t.Helper()
	seen := event.Seq(0)
	l, report, err := Open(dir, Options{}, expectSamples(&seen), nil)
	if err != nil {
		t.Fatalf("%s: %v", when, err)
	}
	if seen < acknowledged {
		t.Fatalf("%s: read to %d, acknowledged %d: %+v", when, seen, acknowledged, report)
	}
	fill(t, l, 1)
	mustClose(t, l)
}
