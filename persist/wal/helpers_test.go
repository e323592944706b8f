package wal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"weir/core/event"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("WEIR_TEST_LOCK_DIR"); dir != "" {
		os.Exit(openAsChild(dir))
	}
	// A log that failed leaves its segment's file to the garbage collector.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("runtime.runFinalizers"))
}

// sample is a record of every kind in turn, told from its neighbours.
func sample(seq event.Seq) event.Record {
	r := event.Record{
		Kind: event.Kind(1 + seq%9), Campaign: event.CampaignID(seq % 3), Version: event.Version(seq),
		At: 1626692400000 + event.Time(seq),
	}
	if r.Kind == event.Defined {
		r.Definition = fmt.Appendf(nil, "definition %d", seq)
		return r
	}
	binary.BigEndian.PutUint64(r.Person[4:], uint64(seq)*7919)
	switch r.Kind {
	case event.Joined, event.Left:
		r.Number = event.Number(seq)
		if r.Kind == event.Joined {
			r.Cohort = 3
		}
		return r
	}
	r.Slot = event.SlotID(seq * 3)
	switch r.Kind {
	case event.Held:
		r.From, r.Until, r.Cohort = event.NoSlot, r.At+300000, 1
	case event.Booked:
		r.From, r.Ref, r.Request, r.Cohort = event.NoSlot, seq-1, uint64(seq)<<20, 2
	case event.Changed:
		r.From, r.Ref = 5, seq-2
	default:
		r.Ref = seq - 3
	}
	return r
}

func same(a, b *event.Record) bool {
	return bytes.Equal(a.Definition, b.Definition) && bytes.Equal(event.Append(nil, a), event.Append(nil, b))
}

// small are options that rotate and roll often.
func small() Options {
	return Options{SegmentSize: 2 << 10, EpochSize: 16 << 10}
}

func mustOpen(t testing.TB, dir string, o Options) *Log {
	t.Helper()
	l, _, err := Open(dir, o, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func mustClose(t testing.TB, l *Log) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// put appends the next sample and returns its number.
func put(l *Log) (event.Seq, error) {
	if err := l.Reserve(event.MaxSize); err != nil {
		return 0, err
	}
	r := sample(event.Seq(l.appended.Load()) + 1)
	return l.Append(&r), nil
}

// fill commits n samples, each in an envelope of its own.
func fill(t testing.TB, l *Log, n int) {
	t.Helper()
	for range n {
		seq, err := put(l)
		if err == nil {
			err = l.Wait(seq)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// expectSamples returns a replay that fails at the first record that is not the
// sample of its number, and counts them.
func expectSamples(count *event.Seq) Replay {
	return func(seq event.Seq, r *event.Record) error {
		want := sample(seq)
		if seq != *count+1 || !same(r, &want) {
			return fmt.Errorf("after %d records: record %d is %+v, not %+v", *count, seq, *r, want)
		}
		*count = seq
		return nil
	}
}

// killed copies a directory as a kill would leave it: the mark first, which
// falls behind the log and never runs ahead.
func killed(t testing.TB, dir string) string {
	t.Helper()
	to := t.TempDir()
	copyFile(t, filepath.Join(dir, walName, markName), filepath.Join(to, walName, markName))
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || entry.Name() == markName || entry.Name() == lockName {
			return err
		}
		relative, err := filepath.Rel(dir, path)
		if err == nil {
			copyFile(t, path, filepath.Join(to, relative))
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return to
}

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(to), 0o755)
	}
	if err == nil {
		err = os.WriteFile(to, data, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// allSegments lists the segments of a data directory that hold something.
func allSegments(t testing.TB, dir string) []segment {
	t.Helper()
	epochs, err := listEpochs(filepath.Join(dir, walName))
	if err != nil {
		t.Fatal(err)
	}
	var filled []segment
	for _, s := range flatten(epochs) {
		if s.size > 0 {
			filled = append(filled, s)
		}
	}
	return filled
}

func openAsChild(dir string) int {
	l, _, err := Open(dir, Options{}, nil, nil)
	switch {
	case errors.Is(err, ErrLocked):
		fmt.Fprintln(os.Stderr, err)
		return 3
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := l.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
