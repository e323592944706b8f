package wal

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weir/core"
	"weir/core/event"
)

// base is a Base that has all records up to from.
func base(from event.Seq) Base {
	return func(Identity, event.Seq, event.Seq) (event.Seq, event.Seq, error) { return from, from, nil }
}

// rolled makes a log of some epochs with ten records each, and returns it open.
func rolled(t testing.TB, dir string, epochs int) *Log {
	t.Helper()
	l := mustOpen(t, dir, Options{})
	for range epochs {
		fill(t, l, 10)
		if err := l.Roll(); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

func epochNumbers(t testing.TB, dir string) (numbers []uint32) {
	t.Helper()
	epochs, err := listEpochs(filepath.Join(dir, walName))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range epochs {
		numbers = append(numbers, e.number)
	}
	return numbers
}

// reopen opens the log from a base and expects the records from+1 to last.
func reopen(t testing.TB, dir string, from, last event.Seq) Report {
	t.Helper()
	count := from
	l, report, err := Open(dir, Options{Base: base(from)}, expectSamples(&count), nil)
	if err != nil {
		t.Fatal(err)
	}
	if count != last || report.LastSeq != last || report.From != from {
		t.Fatalf("read %d to %d of %d: %+v", from, count, last, report)
	}
	mustClose(t, l)
	return report
}

func TestRemoveThrough(t *testing.T) {
	dir := t.TempDir()
	l := rolled(t, dir, 5)
	fill(t, l, 3)
	for _, step := range []struct {
		through event.Seq
		want    []uint32
	}{
		{0, []uint32{1, 2, 3, 4, 5, 6}},
		{9, []uint32{1, 2, 3, 4, 5, 6}},
		{10, []uint32{2, 3, 4, 5, 6}},
		{39, []uint32{4, 5, 6}},
		{1000, []uint32{6}},
	} {
		if _, _, err := l.RemoveThrough(step.through); err != nil {
			t.Fatal(err)
		}
		if got := epochNumbers(t, dir); !slices.Equal(got, step.want) {
			t.Fatalf("through %d: epochs %v are left, not %v", step.through, got, step.want)
		}
	}
	mustClose(t, l)
	if report := reopen(t, dir, 51, 53); report.FirstSeq != 51 {
		t.Errorf("the log begins with record %d", report.FirstSeq)
	}
	_, _, err := Open(dir, Options{Base: base(49)}, nil, nil)
	var d *Damage
	if !errors.As(err, &d) || d.SoundFrom != 51 {
		t.Errorf("a base that the log does not reach: %v", err)
	}
	if _, err := Scan(dir, ScanOptions{}, nil, nil); !errors.As(err, &d) {
		t.Errorf("no base for a log that was cut: %v", err)
	}
	if _, err := Scan(dir, ScanOptions{Base: base(50)}, nil, nil); err != nil {
		t.Error(err)
	}
}

// TestABaseNewerThanTheLog notices by what the base has that the log lost its
// end.
func TestABaseNewerThanTheLog(t *testing.T) {
	dir := t.TempDir()
	mustClose(t, rolled(t, dir, 2))
	newer := func(Identity, event.Seq, event.Seq) (event.Seq, event.Seq, error) { return 15, 21, nil }
	var d *Damage
	if _, _, err := Open(dir, Options{Base: newer}, nil, nil); !errors.As(err, &d) || d.SoundThrough != 20 || d.Acknowledged != 21 {
		t.Errorf("%v", err)
	}
}

// TestRemovedToTheEnd removes all that there is while nothing is written, and
// goes on from there.
func TestRemovedToTheEnd(t *testing.T) {
	dir := t.TempDir()
	l := rolled(t, dir, 2)
	mustClose(t, l)
	for next := event.Seq(20); next < 50; next += 10 {
		count := next
		l, _, err := Open(dir, Options{Base: base(next)}, expectSamples(&count), nil)
		if err != nil {
			t.Fatal(err)
		}
		fill(t, l, 10)
		if _, _, err := l.RemoveThrough(next + 10); err != nil {
			t.Fatal(err)
		}
		mustClose(t, l)
		if n := epochNumbers(t, dir); len(n) != 1 {
			t.Fatalf("epochs %v are left", n)
		}
	}
}

// TestRemovalCutShort fails each file operation of a removal in turn, as a
// crash there would: the log must open from the base and lose nothing, and the
// next removal must finish the work.
func TestRemovalCutShort(t *testing.T) {
	for nth := 1; ; nth++ {
		dir := t.TempDir()
		mustClose(t, rolled(t, dir, 4))
		seen, armed := 0, false
		o := Options{Base: base(35)}
		o.files.before = func(op, _ string) error {
			if armed {
				if seen++; seen >= nth {
					return fmt.Errorf("no %s", op)
				}
			}
			return nil
		}
		l, _, err := Open(dir, o, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		armed = true
		_, _, err = l.RemoveThrough(35)
		armed = false
		copied := killed(t, dir)
		mustClose(t, l)
		reopen(t, copied, 35, 40)
		if got := epochNumbers(t, copied); err == nil && !slices.Equal(got, []uint32{4}) {
			t.Fatalf("epochs %v are left", got)
		}
		if err == nil {
			if nth < 8 {
				t.Fatalf("a removal is only %d operations", nth)
			}
			return
		}
		l, _, err = Open(copied, Options{Base: base(35)}, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := l.RemoveThrough(35); err != nil {
			t.Fatal(err)
		}
		mustClose(t, l)
		if got := epochNumbers(t, copied); !slices.Equal(got, []uint32{4}) {
			t.Fatalf("failed at operation %d: epochs %v are left", nth, got)
		}
		reopen(t, copied, 35, 40)
	}
}

func TestFirstDamaged(t *testing.T) {
	make4 := func(t *testing.T) (dir, path string, data []byte) {
		dir = t.TempDir()
		l := rolled(t, dir, 4)
		if _, _, err := l.RemoveThrough(15); err != nil {
			t.Fatal(err)
		}
		path = filepath.Join(dir, walName, firstName)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := l.RemoveThrough(35); err != nil {
			t.Fatal(err)
		}
		mustClose(t, l)
		return dir, path, data
	}
	for name, harm := range map[string]func(path string, old []byte) error{
		"gone":  func(path string, _ []byte) error { return os.Remove(path) },
		"old":   func(path string, old []byte) error { return os.WriteFile(path, old, 0o600) },
		"short": func(path string, old []byte) error { return os.WriteFile(path, old[:30], 0o600) },
		"a bit": func(path string, _ []byte) error {
			data, err := os.ReadFile(path)
			if err == nil {
				data[40] ^= 1
				err = os.WriteFile(path, data, 0o600)
			}
			return err
		},
	} {
		dir, path, old := make4(t)
		if err := harm(path, old); err != nil {
			t.Fatal(err)
		}
		if _, _, err := Open(dir, Options{Base: base(35)}, nil, nil); !errors.Is(err, core.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAcceptLossBehindABase gives up what lies behind damage and does not begin
// with a state that has more than is left.
func TestAcceptLossBehindABase(t *testing.T) {
	dir := t.TempDir()
	mustClose(t, rolled(t, dir, 4))
	segments := allSegments(t, dir)
	data, err := os.ReadFile(segments[2].path)
	if err != nil {
		t.Fatal(err)
	}
	data[written(data)/2] ^= 1
	if err := os.WriteFile(segments[2].path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	limits := []event.Seq{}
	o := Options{AcceptLoss: true, Base: func(_ Identity, _, limit event.Seq) (event.Seq, event.Seq, error) {
		limits = append(limits, limit)
		return 12, 12, nil
	}}
	count := event.Seq(12)
	l, report, err := Open(dir, o, expectSamples(&count), nil)
	if err != nil {
		t.Fatal(err)
	}
	mustClose(t, l)
	if report.Lost == nil || count < 20 || count >= 30 || !slices.Equal(limits, []event.Seq{0, count}) {
		t.Errorf("%d records are left, limits %v, lost %v", count, limits, report.Lost)
	}
	reopen(t, dir, 0, count)

	// What a base stands for need not be sound.
	dir = t.TempDir()
	mustClose(t, rolled(t, dir, 4))
	if err := os.Truncate(allSegments(t, dir)[0].path, 100); err != nil {
		t.Fatal(err)
	}
	reopen(t, dir, 20, 40)
}

func TestRollBesideAppending(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir, Options{})
	done := make(chan error)
	go func() {
		var err error
		for i := 0; i < 20 && err == nil; i++ {
			err = l.Roll()
		}
		done <- err
	}()
	fill(t, l, 300)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	mustClose(t, l)
	if err := l.Roll(); !errors.Is(err, core.ErrClosed) {
		t.Errorf("roll of a closed log: %v", err)
	}
	reopen(t, dir, 0, 300)
}

func TestFirstGolden(t *testing.T) {
	f := first{epoch: 3, head: head{seq: 0x0102030405060708, time: 1626692400000, epoch: 2, digest: digest{0xAA, 0xBB}}}
	golden, err := os.ReadFile("testdata/first.hex")
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(f.encode(digest{1, 2, 3})); got != strings.TrimSpace(string(golden)) {
		t.Errorf("%s", got)
	}
}
