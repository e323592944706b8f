package snapshot_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"weir/core"
	"weir/core/event"
	"weir/persist/snapshot"
)

// crashPoints is how many crashes the test goes through: WEIR_CRASH_POINTS, or
// enough for every run of the suite.
func crashPoints(t *testing.T) int {
	text := os.Getenv("WEIR_CRASH_POINTS")
	if text == "" {
		return standardPoints
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("WEIR_CRASH_POINTS: %v", err)
	}
	return n
}

// oldLog is a log of which old records can go: what a keeper needs of it.
type oldLog struct {
	*tape
	removed *atomic.Uint64 // records up to it are gone
}

func (l *oldLog) Roll() error { return nil }

func (l *oldLog) RemoveThrough(seq event.Seq) (int, int64, error) {
	if uint64(seq) > l.removed.Load() {
		l.removed.Store(uint64(seq))
	}
	return 0, 0, nil
}

// power is a file system whose power fails at a given operation.
type power struct {
	fs      *vfs.MemFS
	rng     *rand.Rand
	left    atomic.Int64 // operations until it fails
	removed *atomic.Uint64
	records func() int

	off  atomic.Bool
	lost struct { // what is there after the failure
		fs      *vfs.MemFS
		removed event.Seq
		records int
	}
}

// MaybeError counts operations; the one at which the power fails leaves what
// was synced, and some of the rest.
func (p *power) MaybeError(op errorfs.Op) error {
	if p.off.Load() {
		return nil // whatever is done from here on is on no disk
	}
	if op.Kind.ReadOrWrite() == errorfs.OpIsRead || p.left.Add(-1) != 0 {
		return nil
	}
	// In this order: a record that a store has was durable before, and log is
	// removed after the stores that replace it are.
	p.lost.removed = event.Seq(p.removed.Load())
	p.lost.fs = p.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: p.rng.IntN(101), RNG: p.rng})
	p.lost.records = p.records()
	p.off.Store(true)
	return nil
}

// String is for errorfs.
func (p *power) String() string { return "power" }

// TestCrashes lets the power fail at a random operation of a keeper's rounds,
// recovers from what is left, goes on from there, and so on. Each time every
// snapshot that is sealed must lead to the state of the whole log, and there
// must be one wherever log was removed.
func TestCrashes(t *testing.T) {
	t.Parallel()
	const perState = 20
	points, seed := crashPoints(t), uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	for n := 0; n*perState < points; n++ {
		t.Run(strconv.Itoa(n), func(t *testing.T) {
			t.Parallel()
			crashes(t, rand.New(rand.NewPCG(seed, uint64(n))), min(perState, points-n*perState))
		})
	}
}

// crashes takes one state through that many crashes.
func crashes(t *testing.T, rng *rand.Rand, count int) {
	s, fs := newStand(t), vfs.NewCrashableMem()
	s.define(t, "first", 300)
	root, err := fs.OpenDir("/")
	if err = errors.Join(err, fs.MkdirAll("/data", 0o755), root.Sync(), root.Close()); err != nil {
		t.Fatal(err) // whoever makes a data directory makes its name durable
	}
	removed := &atomic.Uint64{}
	for range count {
		p := &power{fs: fs, rng: rng, removed: removed, records: func() int { return int(s.journal.Durable()) }}
		p.left.Store(1 + rng.Int64N(400))
		d := at(errorfs.Wrap(fs, p))
		keeper := snapshot.NewKeeper(d, s.engine, &oldLog{s.journal, removed}, snapshot.Plan{
			KeepLog: time.Duration(rng.IntN(3)) * time.Millisecond,
		})
		for round := 0; !p.off.Load(); round++ {
			s.work(t, rng.IntN(10))
			keeper.Once(context.Background())
			if round > 200 {
				t.Fatal("the power never fails")
			}
		}
		fs = p.lost.fs
		s.journal.records = s.journal.records[:p.lost.records]
		e := afterCrash(t, fs, p.lost.removed, s.journal.records)
		if t.Failed() {
			return
		}
		removed = &atomic.Uint64{}
		removed.Store(uint64(p.lost.removed))
		s.engine = e
		s.engine.Start(s.journal)
	}
}

// afterCrash recovers from every snapshot there is and returns the state of the
// whole log. The store that was being written may be of no use, because some
// names in its directory reached the disk and others did not; no other may.
func afterCrash(t *testing.T, fs vfs.FS, removed event.Seq, records []event.Record) *core.Engine {
	t.Helper()
	d := at(fs)
	want := core.New()
	for i := range records {
		if err := want.Apply(event.Seq(i+1), &records[i]); err != nil {
			t.Fatal(err)
		}
	}
	found, err := d.List()
	if err != nil {
		t.Fatal(err)
	}
	usable := 0
	for _, f := range found {
		if f.Err != nil {
			t.Errorf("%s: %v", f.Name, f.Err)
			continue
		}
		if f.Seal.From < removed {
			t.Errorf("%s needs the log behind %d, and it is gone up to %d", f.Name, f.Seal.From, removed)
			continue
		}
		got := core.New()
		seal, ahead, err := d.Load(context.Background(), f.Name, got, nil)
		if _, writing := fs.Stat("/data/snapshot/" + f.Name + ".writing"); writing == nil && errors.Is(err, core.ErrCorrupt) {
			continue
		}
		if err != nil || int(ahead) > len(records) {
			t.Errorf("%s: ahead %d of %d: %v", f.Name, ahead, len(records), err)
			continue
		}
		for i := seal.From; int(i) < len(records); i++ {
			if err := got.Apply(i+1, &records[i]); err != nil {
				t.Errorf("%s: %v", f.Name, err)
			}
		}
		got.Settle()
		if got.Digest() != want.Digest() {
			t.Errorf("%s from %d leads to another state", f.Name, f.Seal.From)
		}
		usable++
	}
	if removed > 0 && usable < 1 {
		t.Errorf("log is gone up to %d, and %d snapshots are left", removed, usable)
	}
	return want
}

// TestFailuresNeverRemoveLog fails one operation after the other, once, as a
// full or failing disk would: the keeper goes on, no log goes in a round that
// failed, and afterwards all is well.
func TestFailuresNeverRemoveLog(t *testing.T) {
	t.Parallel()
	for nth := int64(1); nth < 300; nth += 7 {
		s, fs := newStand(t), vfs.NewMem()
		s.define(t, "first", 300)
		removed, left := &atomic.Uint64{}, atomic.Int64{}
		failing := errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && left.Add(-1) == 0 {
				return errors.New("no space left on device")
			}
			return nil
		}))
		var alarms atomic.Int64
		d := snapshot.At(failing, "/data/snapshot", identity, func(error) { alarms.Add(1) })
		keeper := snapshot.NewKeeper(d, s.engine, &oldLog{s.journal, removed}, snapshot.Plan{})
		left.Store(nth)
		failures := 0
		for after := 0; after < 3; { // rounds behind the failure
			s.work(t, 5)
			if left.Load() < 0 {
				after++
			}
			before := removed.Load()
			if r := keeper.Once(context.Background()); r.Err != nil {
				failures++
				if removed.Load() != before {
					t.Fatalf("operation %d failed: log was removed in a round that failed: %v", nth, r.Err)
				}
			}
		}
		if left.Load() < 0 && failures > 1 {
			t.Errorf("operation %d failed once, and %d rounds did", nth, failures)
		}
		if s := keeper.Stats(); s.Err != nil || s.Failures != uint64(failures) {
			t.Errorf("operation %d failed: the keeper stands at %+v", nth, s)
		}
		if removed.Load() == 0 {
			t.Errorf("operation %d failed, and no log was ever removed again", nth)
		}
		afterCrash(t, fs, event.Seq(removed.Load()), s.journal.records)
		if t.Failed() {
			return
		}
	}
}

// TestAFullDisk lets every write fail for a while: rounds end in good time, with
// an error and without removing log, and once the disk takes writes again a
// snapshot succeeds.
func TestAFullDisk(t *testing.T) {
	t.Parallel()
	s, fs := newStand(t), vfs.NewMem()
	s.define(t, "first", 300)
	var full atomic.Bool
	failing := errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if full.Load() && op.Kind.ReadOrWrite() == errorfs.OpIsWrite && strings.HasSuffix(op.Path, ".sst") {
			return errors.New("no space left on device")
		}
		return nil
	}))
	var alarms atomic.Int64
	d := snapshot.At(failing, "/data/snapshot", identity, func(error) { alarms.Add(1) })
	removed := &atomic.Uint64{}
	keeper := snapshot.NewKeeper(d, s.engine, &oldLog{s.journal, removed}, snapshot.Plan{})
	for range 2 {
		s.work(t, 20)
		if r := keeper.Once(context.Background()); r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	before := removed.Load()
	full.Store(true)
	for range 3 {
		s.work(t, 20)
		if r := keeper.Once(context.Background()); r.Err == nil {
			t.Fatal("a snapshot on a full disk succeeded")
		}
	}
	if removed.Load() != before || alarms.Load() == 0 {
		t.Errorf("log removed up to %d, then %d; %d alarms", before, removed.Load(), alarms.Load())
	}
	full.Store(false)
	deadline := time.Now().Add(10 * time.Second)
	for keeper.Once(context.Background()).Err != nil {
		if time.Now().After(deadline) {
			t.Fatal("no snapshot succeeds any more")
		}
	}
	keeper.Once(context.Background())
	afterCrash(t, fs, event.Seq(removed.Load()), s.journal.records)
}

// TestDamageOfEveryFile flips a bit of, cuts and deletes each file of a
// snapshot in turn: Verify names it, and Load either notices or restores
// nothing but the state that it is.
func TestDamageOfEveryFile(t *testing.T) {
	t.Parallel()
	build := func() (*stand, *vfs.MemFS, *snapshot.Dir) {
		s, fs := newStand(t), vfs.NewMem()
		s.define(t, "first", 300)
		s.work(t, 100)
		take(t, at(fs), 0, 1, s)
		s.work(t, 20)
		take(t, at(fs), 0, 2, s)
		return s, fs, at(fs)
	}
	_, fs, _ := build()
	files := []string{"/data/snapshot/a.seal"}
	names, err := fs.List("/data/snapshot/a")
	if err != nil || len(names) < 5 {
		t.Fatalf("%v, %v", names, err)
	}
	for _, name := range names {
		files = append(files, "/data/snapshot/a/"+name)
	}
	rng := rand.New(rand.NewPCG(7, 7))
	harmed := 0
	defer func() {
		if harmed < 3*len(files) {
			t.Errorf("only %d files were harmed of %d", harmed, len(files))
		}
	}()
	for _, file := range files {
		for _, harm := range []string{"flip", "flip", "flip", "flip", "truncate", "delete"} {
			s, fs, d := build()
			if _, err := fs.Stat(file); errors.Is(err, os.ErrNotExist) {
				continue // Pebble's work in the background gave this one other numbers
			}
			harmed++
			if !damage(t, fs, file, harm, rng) {
				continue // an empty file
			}
			_, err := d.Verify(context.Background(), "a", snapshot.Pace{})
			name := file[strings.LastIndex(file, "/")+1:]
			switch {
			case strings.HasSuffix(file, ".seal") && harm == "delete":
				if found, err := d.List(); err != nil || len(found) != 0 {
					t.Errorf("a store without its seal counts as a snapshot: %+v, %v", found, err)
				}
				continue
			case !errors.Is(err, core.ErrCorrupt):
				t.Errorf("%s of %s: %v", harm, file, err)
			case !strings.Contains(err.Error(), name):
				t.Errorf("%s of %s is not named: %v", harm, file, err)
			}
			e := core.New()
			seal, _, err := d.Load(context.Background(), "a", e, nil)
			if err != nil {
				if !errors.Is(err, core.ErrCorrupt) {
					t.Errorf("%s of %s: load: %v", harm, file, err)
				}
				continue
			}
			for i := seal.From; int(i) < len(s.journal.records); i++ {
				if err := e.Apply(i+1, &s.journal.records[i]); err != nil {
					t.Fatal(err)
				}
			}
			if e.Settle(); e.Digest() != s.engine.Digest() {
				t.Errorf("%s of %s: another state was served as sound", harm, file)
			}
		}
	}
}

// damage harms a file, and answers false where there is nothing to harm.
func damage(t *testing.T, fs *vfs.MemFS, file, harm string, rng *rand.Rand) bool {
	t.Helper()
	if harm == "delete" {
		if err := fs.Remove(file); err != nil {
			t.Fatal(err)
		}
		return true
	}
	f, err := fs.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	data := make([]byte, info.Size())
	if len(data) == 0 {
		return false
	}
	if _, err := f.ReadAt(data, 0); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	if harm == "truncate" {
		data = data[:rng.IntN(len(data))]
	} else {
		data[rng.IntN(len(data))] ^= 1 << rng.IntN(8)
	}
	w, err := fs.Create(file, vfs.WriteCategoryUnspecified)
	if err == nil {
		_, err = w.Write(data)
	}
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return true
}

// TestOldFilesAreNoticed puts back the files of an earlier snapshot under a
// newer seal, all of them and each alone.
func TestOldFilesAreNoticed(t *testing.T) {
	t.Parallel()
	s, fs := newStand(t), vfs.NewMem()
	s.define(t, "first", 300)
	s.work(t, 50)
	d := at(fs)
	take(t, d, 0, 1, s)
	if ok, err := vfs.Clone(fs, fs, "/data/snapshot/a", "/data/old"); !ok || err != nil {
		t.Fatal(ok, err)
	}
	s.work(t, 50)
	take(t, d, 0, 2, s)
	if err := fs.RemoveAll("/data/snapshot/a"); err != nil {
		t.Fatal(err)
	}
	if ok, err := vfs.Clone(fs, fs, "/data/old", "/data/snapshot/a"); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if _, _, err := d.Load(context.Background(), "a", core.New(), nil); !errors.Is(err, core.ErrCorrupt) || !strings.Contains(err.Error(), "old") {
		t.Errorf("load: %v", err)
	}
}
