package recovery_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/core"
	"weir/core/event"
	"weir/persist/recovery"
	"weir/persist/snapshot"
	"weir/persist/wal"
)

// errand is what a victim is to do.
type errand struct {
	Do    string        // start, serve, backup or restore
	Dir   string        // data directory, or backup to restore from
	To    string        // of a backup or restore
	Since string        // of a backup
	Until event.Seq     // of a restore; 0: the end
	Books int           // how many people book, twice
	Keep  time.Duration // log that is kept
}

// told is a line of a victim's output.
type told struct {
	Phase  string    // that begins: open, book, snapshot, close
	Seq    event.Seq // with Digest: where the state stands; else: durable up to it
	Digest string
}

// runErrand does it, within the victim.
func runErrand(task string) error {
	var e errand
	if err := errors.Join(json.Unmarshal([]byte(task), &e), expose()); err != nil {
		return err
	}
	ctx, state := context.Background(), core.New()
	switch e.Do {
	case "backup":
		b, err := recovery.MakeBackup(ctx, e.Dir, e.To, e.Since, state)
		return errors.Join(err, tell(told{Phase: "open", Seq: b.Recovered.LastSeq, Digest: state.Digest()}))
	case "restore":
		report, err := recovery.Restore(ctx, e.Dir, e.To, recovery.Until{Seq: e.Until}, state)
		return errors.Join(err, tell(told{Phase: "open", Seq: report.LastSeq, Digest: state.Digest()}))
	}
	return e.serve()
}

func tell(t told) error { return json.NewEncoder(os.Stdout).Encode(t) }

// serve is the life of a server from its start on. Its round of the keeper
// removes log and bases, but none of the log that this life has written: so
// whoever sent it out finds every record there once.
func (e *errand) serve() error {
	s, report, err := start(e.Dir, snapshot.Plan{KeepLog: e.Keep})
	if err != nil {
		return err
	}
	if err := tell(told{Phase: "book", Seq: report.LastSeq, Digest: s.engine.Digest()}); err != nil || e.Do == "start" {
		return errors.Join(err, s.log.Close())
	}
	if err := e.book(s); err != nil {
		return err
	}
	if err := tell(told{Phase: "snapshot"}); err != nil {
		return err
	}
	if r := s.keeper.Once(context.Background()); r.Err != nil {
		return r.Err
	}
	if err := e.book(s); err != nil {
		return err
	}
	return errors.Join(tell(told{Phase: "close"}), s.log.Close())
}

func (e *errand) book(s *server) error {
	for range e.Books {
		seq, err := s.bookOne()
		if err == nil {
			err = tell(told{Phase: "book", Seq: seq})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

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

// TestCrashes kills recovery, repair, snapshots, the removal of log, backups and
// restores at a random file operation, again and again on the same data
// directory. Each time what is left must lead to the state of all records since
// the first, and hold every record that was acknowledged.
func TestCrashes(t *testing.T) {
	const perHistory = 25
	points, seed := crashPoints(t), uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	killed := &tally{in: map[string]int{}}
	t.Run("histories", func(t *testing.T) {
		for n := 0; n*perHistory < points; n++ {
			t.Run(strconv.Itoa(n), func(t *testing.T) {
				t.Parallel()
				h := newChronicle(t, rand.New(rand.NewPCG(seed, uint64(n))), killed)
				for h.crashes < min(perHistory, points-n*perHistory) {
					h.crash()
				}
			})
		}
	})
	t.Logf("%d crashes: %v", killed.sum(), killed.in)
	if points < 200 {
		return
	}
	for _, phase := range []string{"open", "open and repair", "book", "snapshot", "removal of log", "backup", "restore"} {
		if killed.in[phase] == 0 {
			t.Errorf("%s was never hit: %v", phase, killed.in)
		}
	}
}

// tally counts crashes by what was hit.
type tally struct {
	mu sync.Mutex
	in map[string]int // mu
}

func (t *tally) add(what string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.in[what]++
}

func (t *tally) sum() (n int) {
	for _, some := range t.in {
		n += some
	}
	return n
}

// chronicle is one data directory and what is known of it.
type chronicle struct {
	t       *testing.T
	rng     *rand.Rand
	dir     string
	records []event.Record // all that ever were in the log, from the first
	twin    *core.Engine   // they folded, without any file
	span    map[string]int // about how many changes an errand makes
	torn    bool           // the next start has to repair
	backup  string         // a finished one; "": none
	backed  told           // what it holds
	killed  *tally
	crashes int
}

func newChronicle(t *testing.T, rng *rand.Rand, killed *tally) *chronicle {
	h := &chronicle{
		t: t, rng: rng, dir: filepath.Join(t.TempDir(), "data"), twin: core.New(), killed: killed,
		span: map[string]int{"start": 20, "serve": 80, "backup": 40, "restore": 60},
	}
	h.begin()
	h.after(nil)
	return h
}

// begin makes the data directory.
func (h *chronicle) begin() {
	forks.RLock()
	defer forks.RUnlock()
	s, _ := serve(h.t, h.dir, snapshot.Plan{})
	s.book(1 + h.rng.IntN(20))
	s.stop()
}

// crash sends one victim out and looks at what it leaves.
func (h *chronicle) crash() {
	h.t.Helper()
	if h.rng.IntN(3) == 0 {
		h.tear()
	}
	switch n := h.rng.IntN(10); {
	case n == 0:
		h.backUp()
	case n < 3 && h.backup != "":
		h.restore()
	case n < 6:
		h.serve(errand{Do: "start", Dir: h.dir})
	default:
		// A booking is made each second of the log's time.
		h.serve(errand{Do: "serve", Dir: h.dir, Books: h.rng.IntN(6), Keep: time.Duration(h.rng.IntN(3)) * 20 * time.Second})
	}
	if h.rng.IntN(8) == 0 {
		h.verify()
	}
}

// serve lets a server live and compares.
func (h *chronicle) serve(e errand) {
	h.t.Helper()
	lines, killed := h.send(e)
	what := "open"
	switch {
	case len(lines) > 0:
		what = lines[len(lines)-1].Phase
	case h.torn:
		what = "open and repair"
	}
	if what == "snapshot" && h.removing() {
		what = "removal of log"
	}
	if killed {
		h.killed.add(what)
	}
	h.torn = h.torn && len(lines) == 0
	h.after(lines)
}

// removing says whether a removal of log was begun and not ended.
func (h *chronicle) removing() bool {
	h.t.Helper()
	const epochOffset = 12
	below := filepath.Join(h.dir, "wal")
	if _, err := os.Stat(filepath.Join(below, "first.tmp")); err == nil {
		return true
	}
	first, err := os.ReadFile(filepath.Join(below, "first"))
	if errors.Is(err, os.ErrNotExist) {
		return false
	}
	epochs, wrong := filepath.Glob(filepath.Join(below, "epoch-*"))
	if err := errors.Join(err, wrong); err != nil {
		h.t.Fatal(err)
	}
	begins := fmt.Sprintf("epoch-%010d", binary.LittleEndian.Uint32(first[epochOffset:]))
	return len(epochs) > 0 && filepath.Base(slices.Min(epochs)) < begins
}

// send runs an errand up to a random file operation, or to its end.
func (h *chronicle) send(e errand) (lines []told, killed bool) {
	h.t.Helper()
	task, err := json.Marshal(e)
	if err != nil {
		h.t.Fatal(err)
	}
	v := sacrifice(h.t, string(task), 1+h.rng.IntN(h.span[e.Do]))
	for line := range bytes.Lines(v.Out) {
		var t told
		if json.Unmarshal(line, &t) == nil { // else it was killed while it told
			lines = append(lines, t)
		}
	}
	if v.Killed {
		h.crashes++
		h.span[e.Do]++
	} else {
		h.span[e.Do] = max(8, h.span[e.Do]-4)
	}
	return lines, v.Killed
}

// after compares what a server left with all records since the first.
func (h *chronicle) after(lines []told) {
	h.t.Helper()
	forks.RLock()
	defer forks.RUnlock()
	before := event.Seq(len(h.records))
	if len(lines) > 0 && (lines[0].Seq != before || lines[0].Digest != h.twin.Digest()) {
		h.t.Fatalf("a start came to record %d and the state %s, not to %d and %s", lines[0].Seq, lines[0].Digest, before, h.twin.Digest())
	}
	base := func(wal.Identity, event.Seq, event.Seq) (from, newest event.Seq, err error) {
		return before, before, nil
	}
	_, err := wal.Scan(h.dir, wal.ScanOptions{Base: base}, func(seq event.Seq, r *event.Record) error {
		kept := *r
		kept.Definition, kept.Payload = bytes.Clone(r.Definition), bytes.Clone(r.Payload)
		h.records = append(h.records, kept)
		return h.twin.Apply(seq, &kept)
	}, nil)
	if err != nil {
		h.t.Fatalf("records %d to %d were known, %+v: %v", before, len(h.records), lines, err)
	}
	for _, line := range lines {
		if line.Seq > event.Seq(len(h.records)) {
			h.t.Fatalf("record %d was acknowledged, and the log ends with %d", line.Seq, len(h.records))
		}
	}
	got := core.New()
	report, err := recovery.Replay(context.Background(), h.dir, got, nil)
	if err != nil || got.Digest() != h.twin.Digest() || report.LastSeq != event.Seq(len(h.records)) {
		h.t.Fatalf("it leads to another state, %d of %d records: %+v: %v", report.LastSeq, len(h.records), report, err)
	}
	if len(report.Passed) > 0 {
		h.t.Fatalf("a kill made snapshots useless: %+v", report.Passed)
	}
}

// tear leaves half a write at the end of the log, as a crash of the machine
// would: the next start has to repair.
func (h *chronicle) tear() {
	h.t.Helper()
	segments, err := filepath.Glob(filepath.Join(h.dir, "wal", "epoch-*", "*"))
	epochs, wrong := filepath.Glob(filepath.Join(h.dir, "wal", "epoch-*"))
	if err := errors.Join(err, wrong); err != nil || len(segments) == 0 {
		h.t.Fatal(err)
	}
	last := slices.Max(segments)
	if filepath.Dir(last) != slices.Max(epochs) {
		return // the newest epoch has no segment yet, and none before it is written to any more
	}
	file, err := os.OpenFile(last, os.O_RDWR, 0)
	if err != nil {
		h.t.Fatal(err)
	}
	data, err := os.ReadFile(last)
	// Behind where an envelope that ends with zeros ends, too.
	half, at := make([]byte, 1+h.rng.IntN(300)), int64(len(bytes.TrimRight(data, "\x00"))+64)
	for i := range half {
		half[i] = byte(1 + h.rng.IntN(255))
	}
	if err == nil {
		_, err = file.WriteAt(half, at)
	}
	if err := errors.Join(err, file.Close()); err != nil {
		h.t.Fatal(err)
	}
	h.torn = true
}

// verify looks at every way to the state.
func (h *chronicle) verify() {
	h.t.Helper()
	forks.RLock()
	defer forks.RUnlock()
	v := verified(h.t, h.dir)
	if len(v.Findings) > 0 || v.Digest != h.twin.Digest() {
		h.t.Fatalf("not %s: %+v", h.twin.Digest(), v)
	}
}

// backUp makes a backup. One that is cut short is told from a finished one, and
// leaves the data directory as it was.
func (h *chronicle) backUp() {
	h.t.Helper()
	to := filepath.Join(h.t.TempDir(), "backup")
	lines, killed := h.send(errand{Do: "backup", Dir: h.dir, To: to, Since: h.backup})
	h.after(nil)
	want := told{Phase: "open", Seq: event.Seq(len(h.records)), Digest: h.twin.Digest()}
	if killed {
		h.killed.add("backup")
	} else if len(lines) != 1 || lines[0] != want {
		h.t.Fatalf("a backup of %+v holds %+v", want, lines)
	}
	forks.RLock()
	defer forks.RUnlock()
	state := core.New()
	_, err := recovery.Restore(context.Background(), to, filepath.Join(h.t.TempDir(), "restored"), recovery.Until{}, state)
	_, unfinished := os.Stat(filepath.Join(to, "BACKUP"))
	switch {
	case err == nil && state.Digest() != want.Digest:
		h.t.Fatalf("half a backup is restored as if it were whole: finished: %v", unfinished == nil)
	case err != nil && unfinished == nil:
		h.t.Fatalf("a finished backup: %v", err)
	case unfinished == nil:
		h.backup, h.backed = to, want
	}
}

// restore restores the backup. What is there when that is cut short is refused,
// or whole.
func (h *chronicle) restore() {
	h.t.Helper()
	to, until := filepath.Join(h.t.TempDir(), "restored"), event.Seq(0)
	if h.rng.IntN(2) == 0 {
		until = h.backed.Seq // goes another way
	}
	lines, killed := h.send(errand{Do: "restore", Dir: h.backup, To: to, Until: until})
	if killed {
		h.killed.add("restore")
	} else if len(lines) != 1 || lines[0] != h.backed {
		h.t.Fatalf("restored %+v of %+v", lines, h.backed)
	}
	forks.RLock()
	defer forks.RUnlock()
	state := core.New()
	l, report, err := recovery.Open(context.Background(), to, wal.Options{MustExist: true}, state, nil)
	if err != nil && killed {
		return
	}
	if err != nil || state.Digest() != h.backed.Digest {
		h.t.Fatalf("a restore until %d, killed: %v, left something else than record %d: %+v: %v", until, killed, h.backed.Seq, report, err)
	}
	if err := l.Close(); err != nil {
		h.t.Fatal(err)
	}
}

// TestAnUnfinishedRestoreIsRefused by whoever would take it for the whole.
func TestAnUnfinishedRestoreIsRefused(t *testing.T) {
	ctx, dir, to := context.Background(), t.TempDir(), filepath.Join(t.TempDir(), "to")
	rounds(t, dir, 1, snapshot.Plan{})
	if _, err := recovery.Restore(ctx, dir, to, recovery.Until{Seq: 1 << 40}, core.New()); err == nil || !strings.Contains(err.Error(), "the log ends with") {
		t.Fatalf("restored behind the end: %v", err)
	}
	if _, _, err := recovery.Open(ctx, to, wal.Options{}, core.New(), nil); !errors.Is(err, recovery.ErrUnfinished) {
		t.Errorf("open: %v", err)
	}
	if _, err := recovery.Replay(ctx, to, core.New(), nil); !errors.Is(err, recovery.ErrUnfinished) {
		t.Errorf("replay: %v", err)
	}
	if _, err := recovery.MakeBackup(ctx, to, t.TempDir(), "", core.New()); !errors.Is(err, recovery.ErrUnfinished) {
		t.Errorf("backup: %v", err)
	}
}
