package wal

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"weir/core"
	"weir/core/event"
)

func TestReopenContinues(t *testing.T) {
	dir := t.TempDir()
	want := event.Seq(0)
	for round := range 4 {
		seen := event.Seq(0)
		l, report, err := Open(dir, small(), expectSamples(&seen), nil)
		if err != nil {
			t.Fatal(err)
		}
		if seen != want || report.LastSeq != want || report.Records != uint64(want) || !report.CleanClose || report.Torn != nil {
			t.Fatalf("round %d: saw %d of %d: %+v", round, seen, want, report)
		}
		if want > 0 && l.NewestTime() != sample(want).At {
			t.Fatalf("clock's floor is %d", l.NewestTime())
		}
		if round != 2 { // an epoch without a record leaves nothing behind
			fill(t, l, 120)
			want += 120
		}
		mustClose(t, l)
		scanned, err := Scan(dir, ScanOptions{}, nil, nil)
		if err != nil || scanned.LastSeq != want || !scanned.CleanClose {
			t.Fatalf("scan: %+v, %v", scanned, err)
		}
	}
	epochs, err := listEpochs(filepath.Join(dir, walName))
	if err != nil || len(epochs) < 3 || len(flatten(epochs)) < 10 {
		t.Fatalf("%d epochs, %d segments: the test does not rotate: %v", len(epochs), len(flatten(epochs)), err)
	}
}

func TestLockKeepsOthersOut(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir, Options{})
	child := func() (string, error) {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "WEIR_TEST_LOCK_DIR="+dir)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	out, err := child()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Fatalf("another process was let in: %s %v", out, err)
	}
	if _, err := Scan(dir, ScanOptions{}, nil, nil); !errors.Is(err, ErrLocked) {
		t.Fatalf("scan beside a server: %v", err)
	}
	if _, err := Scan(dir, ScanOptions{Unlocked: true}, nil, nil); err != nil {
		t.Fatalf("scan without the lock: %v", err)
	}
	mustClose(t, l)
	if out, err := child(); err != nil {
		t.Fatalf("after close: %s %v", out, err)
	}
}

func TestIdentityIsKept(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir, Options{Rehearsal: true, KeyFingerprint: "aa"})
	id := l.Identity()
	mustClose(t, l)
	for name, c := range map[string]struct {
		o    Options
		want error
	}{
		"for real":     {Options{KeyFingerprint: "aa"}, ErrRehearsal},
		"another key":  {Options{Rehearsal: true, KeyFingerprint: "bb"}, ErrKey},
		"the same":     {Options{Rehearsal: true, KeyFingerprint: "aa"}, nil},
		"by a tool":    {Options{AnyIdentity: true, MustExist: true}, nil},
		"out of range": {Options{Rehearsal: true, MinFreeBytes: 1}, nil},
	} {
		l, _, err := Open(dir, c.o, nil, nil)
		if name == "out of range" {
			if err == nil {
				t.Errorf("%s: accepted", name)
			}
			continue
		}
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			if l.Identity() != id {
				t.Errorf("%s: identity %+v, was %+v", name, l.Identity(), id)
			}
			mustClose(t, l)
		}
	}
}

func TestForeignDirectoriesAreRefused(t *testing.T) {
	foreign := t.TempDir()
	copyFile(t, os.Args[0], filepath.Join(foreign, "somebody's file"))
	if _, _, err := Open(foreign, Options{}, nil, nil); !errors.Is(err, ErrForeign) {
		t.Errorf("foreign directory: %v", err)
	}
	none := filepath.Join(t.TempDir(), "none")
	if _, _, err := Open(none, Options{MustExist: true}, nil, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing directory: %v", err)
	}
	if _, err := os.Stat(none); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a directory was made: %v", err)
	}
	if _, _, err := Open(t.TempDir(), Options{MustExist: true}, nil, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("empty directory: %v", err)
	}
	if _, err := Scan(t.TempDir(), ScanOptions{}, nil, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("scan of an empty directory: %v", err)
	}
}

func TestReplayErrorEndsOpen(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir, Options{})
	fill(t, l, 5)
	mustClose(t, l)
	refuse := errors.New("refuse")
	_, _, err := Open(dir, Options{}, func(seq event.Seq, _ *event.Record) error {
		if seq == 3 {
			return refuse
		}
		return nil
	}, nil)
	if !errors.Is(err, refuse) || errors.Is(err, core.ErrCorrupt) {
		t.Fatal(err)
	}
	l = mustOpen(t, dir, Options{}) // and leaves no lock
	mustClose(t, l)
}

// wreck is a way to harm a killed data directory of 100 records, 50 of them in
// an epoch that was closed in good order.
type wreck struct {
	name string
	harm func(t *testing.T, dir string)
	want error // nil: repaired
}

func edit(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, change(data), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
}

func editLast(change func([]byte) []byte) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		segments := allSegments(t, dir)
		edit(t, segments[len(segments)-1].path, change)
	}
}

// newer turns the first envelope of a segment into one of a format to come.
func newer(b []byte) []byte {
	length, n := frameOf(b)
	stored := b[n : n+length]
	stored[8] = 2
	sum := checksum(stored)
	stored[crcOffset], stored[crcOffset+1], stored[crcOffset+2], stored[crcOffset+3] = byte(sum), byte(sum>>8), byte(sum>>16), byte(sum>>24)
	return b
}

var wrecks = []wreck{
	{"cut short", editLast(func(b []byte) []byte { return b[:written(b)-3] }), nil},
	{"torn into its room", editLast(func(b []byte) []byte { clear(b[written(b)-20:]); return b }), nil},
	{"rubbish behind", editLast(func(b []byte) []byte { return append(b, "rubbish"...) }), nil},
	{"flipped in the middle", func(t *testing.T, dir string) {
		edit(t, allSegments(t, dir)[1].path, func(b []byte) []byte { b[200] ^= 4; return b })
	}, core.ErrCorrupt},
	{"middle segment gone", func(t *testing.T, dir string) { remove(t, allSegments(t, dir)[1].path) }, core.ErrCorrupt},
	{"middle segment emptied", func(t *testing.T, dir string) {
		edit(t, allSegments(t, dir)[1].path, func([]byte) []byte { return nil })
	}, core.ErrCorrupt},
	{"first epoch gone", func(t *testing.T, dir string) { remove(t, epochPath(filepath.Join(dir, walName), 1)) }, core.ErrCorrupt},
	{"all epochs gone", func(t *testing.T, dir string) {
		remove(t, epochPath(filepath.Join(dir, walName), 1))
		remove(t, epochPath(filepath.Join(dir, walName), 2))
	}, core.ErrCorrupt},
	{"log gone", func(t *testing.T, dir string) { remove(t, filepath.Join(dir, walName)) }, core.ErrCorrupt},
	{"mark gone", func(t *testing.T, dir string) { remove(t, filepath.Join(dir, walName, markName)) }, core.ErrCorrupt},
	{"mark overwritten", func(t *testing.T, dir string) {
		edit(t, filepath.Join(dir, walName, markName), func(b []byte) []byte { return make([]byte, len(b)) })
	}, core.ErrCorrupt},
	{"of a newer format", func(t *testing.T, dir string) { edit(t, allSegments(t, dir)[2].path, newer) }, ErrFormat},
}

// written is the length of a segment without the room at its end, in bytes.
func written(segment []byte) (n int) {
	for n < len(segment) && segment[n] != 0 {
		length, prefix := frameOf(segment[n:])
		n += prefix + length
	}
	return n
}

func frameOf(b []byte) (length, prefix int) {
	for b[prefix] >= 0x80 {
		length |= int(b[prefix]&0x7F) << (7 * prefix)
		prefix++
	}
	return length | int(b[prefix])<<(7*prefix), prefix + 1
}

func TestWrecks(t *testing.T) {
	dir := t.TempDir()
	o := Options{SegmentSize: 2 << 10}
	l := mustOpen(t, dir, o)
	fill(t, l, 50)
	mustClose(t, l)
	l = mustOpen(t, dir, o)
	fill(t, l, 50)
	copied := killed(t, dir)
	mustClose(t, l)
	for _, w := range wrecks {
		t.Run(w.name, func(t *testing.T) {
			dir := killed(t, copied)
			w.harm(t, dir)
			before := contents(t, dir)
			scanned, scanErr := Scan(dir, ScanOptions{}, nil, nil)
			if !bytes.Equal(before, contents(t, dir)) {
				t.Fatal("scan changed the directory")
			}
			seen := event.Seq(0)
			l, report, err := Open(dir, Options{}, expectSamples(&seen), nil)
			if !errors.Is(err, w.want) || !errors.Is(scanErr, w.want) {
				t.Fatalf("open: %v; scan: %v", err, scanErr)
			}
			if err == nil {
				expectRepaired(t, report, scanned)
			} else if l, seen = acceptLoss(t, dir, w); l == nil {
				return
			}
			fill(t, l, 10)
			mustClose(t, l)
			want := seen + 10
			seen = 0
			l, report, err = Open(dir, Options{}, expectSamples(&seen), nil)
			if err != nil || seen != want || report.Torn != nil || report.Lost != nil {
				t.Fatalf("after repair: read to %d of %d: %+v, %v", seen, want, report, err)
			}
			mustClose(t, l)
		})
	}
}

func expectRepaired(t *testing.T, report, scanned Report) {
	t.Helper()
	if report.Torn == nil || scanned.Torn == nil || report.LastSeq < 50 || report.LastSeq > 100 || scanned.LastSeq != report.LastSeq {
		t.Fatalf("repaired as %+v, scanned as %+v", report, scanned)
	}
	aside, err := os.ReadFile(report.Torn.Quarantine)
	if err != nil || int64(len(aside)) != report.Torn.Bytes {
		t.Fatalf("%d bytes were set aside of %d: %v", len(aside), report.Torn.Bytes, err)
	}
	note, err := os.ReadFile(report.Torn.Quarantine + ".json")
	if err != nil || !strings.Contains(string(note), filepath.Base(report.Torn.Path)) {
		t.Fatalf("note %s: %v", note, err)
	}
}

// acceptLoss opens a refused directory as an operator would who has decided to.
func acceptLoss(t *testing.T, dir string, w wreck) (*Log, event.Seq) {
	t.Helper()
	kept := segmentBytes(t, dir)
	seen := event.Seq(0)
	l, report, err := Open(dir, Options{AcceptLoss: true}, expectSamples(&seen), nil)
	if errors.Is(w.want, ErrFormat) {
		if !errors.Is(err, ErrFormat) {
			t.Fatalf("a newer format was cut off: %v", err)
		}
		return nil, 0
	}
	if err != nil || seen != report.LastSeq || seen > 100 || report.Lost == nil {
		t.Fatalf("read to %d: %+v, %v", seen, report, err)
	}
	if now := segmentBytes(t, dir); now != kept {
		t.Fatalf("%d bytes of segments are there, %d were", now, kept)
	}
	return l, seen
}

// segmentBytes is the length of all that the segments hold, set aside or not.
func segmentBytes(t *testing.T, dir string) (n int64) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(dir, walName), func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || entry.IsDir() || strings.HasSuffix(path, ".json") || entry.Name() == markName {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// contents is every name and byte below dir.
func contents(t *testing.T, dir string) []byte {
	t.Helper()
	var all []byte
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		all = append(all, path...)
		if entry.IsDir() {
			return nil
		}
		data, err := os.ReadFile(path)
		all = append(all, data...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestEndOfACleanLogIsMissed(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir, Options{})
	fill(t, l, 3)
	data, err := os.ReadFile(allSegments(t, dir)[0].path)
	if err != nil {
		t.Fatal(err)
	}
	fill(t, l, 4)
	mustClose(t, l)
	if err := os.Truncate(allSegments(t, dir)[0].path, int64(written(data))); err != nil {
		t.Fatal(err)
	}
	_, _, err = Open(dir, Options{}, nil, nil)
	var d *Damage
	if !errors.As(err, &d) || d.SoundThrough != 3 || d.Acknowledged != 7 || !strings.Contains(err.Error(), "4 to 7") {
		t.Fatal(err)
	}
}

func TestAnotherLogsFilesAreRefused(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	for _, dir := range []string{a, b} {
		l := mustOpen(t, dir, Options{})
		fill(t, l, 3)
		mustClose(t, l)
	}
	copyFile(t, allSegments(t, b)[0].path, allSegments(t, a)[0].path)
	if _, _, err := Open(a, Options{}, nil, nil); !errors.Is(err, core.ErrCorrupt) {
		t.Errorf("another log's segment: %v", err)
	}
	copyFile(t, filepath.Join(b, walName, markName), filepath.Join(a, walName, markName))
	if _, _, err := Open(a, Options{}, nil, nil); !errors.Is(err, ErrForeign) {
		t.Errorf("another log's wal/: %v", err)
	}
	remove(t, filepath.Join(b, identityName))
	if _, _, err := Open(b, Options{}, nil, nil); !errors.Is(err, ErrForeign) {
		t.Errorf("a log without identity: %v", err)
	}
}
