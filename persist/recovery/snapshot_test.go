package recovery_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/core"
	"weir/core/campaign"
	"weir/core/event"
	"weir/persist/recovery"
	"weir/persist/snapshot"
	"weir/persist/wal"
)

const definition = `
campaign: small
name: {ko: 작은 접종, en: Small campaign}
time_zone: Asia/Seoul
cohorts:
  - {id: all, born: 1960-01-01..1970-12-31}
windows:
  - {cohorts: [all], opens: 2021-07-19T20:00, closes: 2021-07-20T18:00}
products:
  - {id: moderna, name: {ko: 모더나, en: Moderna}}
sites:
  - {id: a, name: A, region: KR-11, address: A, lat: 37.5, lon: 127}
slots:
  - {sites: all, dates: 2021-08-16..2021-08-21, times: 09:00..17:00, every: 30m, capacity: 100, product: moderna}
bookings: {hold: 5m}
`

const opens = event.Time(1626692400000)

// server is what of a server writes to a data directory.
type server struct {
	t      testing.TB
	dir    string
	engine *core.Engine
	log    *wal.Log
	keeper *snapshot.Keeper
	now    event.Time
	people uint64
}

// serve recovers dir, which may be new.
func serve(t testing.TB, dir string, plan snapshot.Plan) (*server, recovery.Report) {
	t.Helper()
	s, report, err := start(dir, plan)
	if err != nil {
		t.Fatal(err)
	}
	s.t = t
	return s, report
}

func start(dir string, plan snapshot.Plan) (*server, recovery.Report, error) {
	s := &server{dir: dir, engine: core.New()}
	l, report, err := recovery.Open(context.Background(), dir, wal.Options{SegmentSize: 4 << 10}, s.engine, nil)
	if err != nil {
		return nil, report, err
	}
	s.log, s.now = l, max(opens, l.NewestTime())
	s.people = uint64(l.Durable()) * 1000
	s.engine.Start(l)
	if s.keeper, err = recovery.NewKeeper(dir, l, s.engine, plan, nil); err != nil || len(s.engine.Campaigns()) > 0 {
		return s, report, err
	}
	d, err := campaign.Parse("test.yaml", []byte(definition), nil)
	if err == nil {
		_, _, err = s.engine.Define(s.now, d)
	}
	return s, report, err
}

// book books n people, a second after each other.
func (s *server) book(n int) {
	s.t.Helper()
	for range n {
		if _, err := s.bookOne(); err != nil {
			s.t.Fatal(err)
		}
	}
}

// bookOne books for somebody new and waits until that is durable.
func (s *server) bookOne() (event.Seq, error) {
	born, err := campaign.ParseDate("1965-05-05")
	if err != nil {
		return 0, err
	}
	s.people++
	s.now += 1000
	var key event.PersonKey
	binary.LittleEndian.PutUint64(key[:], s.people*0x9e3779b97f4a7c15)
	c := core.Command{Op: core.Book, Person: key, Born: born, Slot: event.SlotID(s.people % 96)}
	out, err := s.engine.Do(s.now, &c)
	if err == nil {
		err = s.engine.Wait(out.Seq)
	}
	return out.Seq, err
}

func (s *server) round() {
	s.t.Helper()
	if r := s.keeper.Once(context.Background()); r.Err != nil {
		s.t.Fatal(r.Err)
	}
}

func (s *server) stop() {
	s.t.Helper()
	if err := s.log.Close(); err != nil {
		s.t.Fatal(err)
	}
}

// history makes a data directory from rounds of bookings and snapshots, and
// returns the digest after each round, and the number of its last record.
func rounds(t testing.TB, dir string, n int, plan snapshot.Plan) (digests []string, last []event.Seq) {
	t.Helper()
	s, _ := serve(t, dir, plan)
	for range n {
		s.book(30)
		s.round()
		digests, last = append(digests, s.engine.Digest()), append(last, s.log.Durable())
	}
	s.book(5)
	digests, last = append(digests, s.engine.Digest()), append(last, s.log.Durable())
	s.stop()
	return digests, last
}

func TestStartFromSnapshots(t *testing.T) {
	dir := t.TempDir()
	for start := range 4 {
		s, report := serve(t, dir, snapshot.Plan{})
		if start > 0 && (report.Snapshot == nil || report.From == 0 || report.Records > 60) {
			t.Fatalf("start %d: %+v", start, report)
		}
		s.book(40)
		s.round()
		s.book(40)
		s.round()
		s.book(7)
		want := s.engine.Digest()
		s.stop()
		again := core.New()
		if _, err := recovery.Replay(context.Background(), dir, again, nil); err != nil || again.Digest() != want {
			t.Fatalf("start %d: another state: %v", start, err)
		}
		v := verified(t, dir)
		if len(v.Findings) > 0 || v.Digest != want || len(v.Snapshots) != 2 || v.Full {
			t.Fatalf("start %d: %+v", start, v)
		}
	}
}

func verified(t testing.TB, dir string) recovery.Verified {
	t.Helper()
	v, err := recovery.Verify(context.Background(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestVerifyComparesWithTheFullLog keeps all log, so that the state of the log
// alone is one of the ways.
func TestVerifyComparesWithTheFullLog(t *testing.T) {
	dir := t.TempDir()
	digests, _ := rounds(t, dir, 1, snapshot.Plan{})
	if v := verified(t, dir); !v.Full || len(v.Snapshots) != 1 || !v.Snapshots[0].Sound || v.Digest != digests[1] || len(v.Findings) > 0 {
		t.Errorf("%+v", v)
	}
}

// TestEveryFileDamaged harms each file of a data directory in turn. What weir
// verify says names the file, and a start either refuses or serves the state.
func TestEveryFileDamaged(t *testing.T) {
	whole := t.TempDir()
	digests, _ := rounds(t, whole, 3, snapshot.Plan{KeepLog: time.Hour})
	want := digests[len(digests)-1]
	var files []string
	for _, below := range []string{"wal", "snapshot"} {
		err := filepath.WalkDir(filepath.Join(whole, below), func(path string, entry os.DirEntry, err error) error {
			if err == nil && !entry.IsDir() {
				path, err = filepath.Rel(whole, path)
				files = append(files, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range files {
		for _, harm := range []string{"flip", "truncate", "delete"} {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(whole)); err != nil {
				t.Fatal(err)
			}
			if !hurt(t, filepath.Join(dir, file), harm) {
				continue
			}
			said := findings(dir)
			name := filepath.Base(file)
			sealGone := harm == "delete" && strings.HasSuffix(file, ".seal")
			markOld := name == "mark" && harm != "delete" // one of its two slots is still good
			if !strings.Contains(said, name) && !sealGone && !markOld {
				t.Errorf("%s of %s is not named: %s", harm, file, said)
			}
			e := core.New()
			l, report, err := recovery.Open(context.Background(), dir, wal.Options{MustExist: true}, e, nil)
			if err != nil {
				if !errors.Is(err, core.ErrCorrupt) {
					t.Errorf("%s of %s: start: %v", harm, file, err)
				}
				continue
			}
			if got := e.Digest(); got != want {
				t.Errorf("%s of %s: another state was served as sound: %+v", harm, file, report)
			}
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// findings is all that verify says is wrong.
func findings(dir string) string {
	v, err := recovery.Verify(context.Background(), dir, nil)
	var b strings.Builder
	if err != nil {
		b.WriteString(err.Error())
	}
	for _, f := range v.Findings {
		b.WriteString(f.What)
	}
	return b.String()
}

func hurt(t *testing.T, path, harm string) bool {
	t.Helper()
	data, err := os.ReadFile(path)
	switch {
	case err != nil:
		t.Fatal(err)
	case harm == "delete":
		err = os.Remove(path)
	case len(data) == 0:
		return false
	case harm == "truncate":
		err = os.WriteFile(path, data[:used(path, data)/2], 0o600)
	default:
		data[used(path, data)/2] ^= 4
		err = os.WriteFile(path, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return true
}

// used is the length of a file without the zeros that a segment of the log has
// behind its last envelope: they are room, and nothing is lost with them.
func used(path string, data []byte) int {
	if strings.Contains(path, "epoch-") {
		return len(bytes.TrimRight(data, "\x00"))
	}
	return len(data)
}

func TestVerifyNamesBookings(t *testing.T) {
	dir := t.TempDir()
	rounds(t, dir, 1, snapshot.Plan{})
	tables, err := filepath.Glob(filepath.Join(dir, "snapshot", "a", "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatal(tables, err)
	}
	data, err := os.ReadFile(tables[0])
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/4] ^= 1
	if err := os.WriteFile(tables[0], data, 0o600); err != nil {
		t.Fatal(err)
	}
	v := verified(t, dir)
	if len(v.Findings) == 0 || v.State == nil || v.Findings[0].Remedy == "" {
		t.Fatalf("%+v", v)
	}
}

func TestBackupBesideAServer(t *testing.T) {
	dir, first, second := t.TempDir(), filepath.Join(t.TempDir(), "monday"), filepath.Join(t.TempDir(), "tuesday")
	s, _ := serve(t, dir, snapshot.Plan{})
	s.book(30)
	s.round()
	s.book(10)
	backup := func(to, since string) recovery.Backup {
		e := core.New()
		b, err := recovery.MakeBackup(context.Background(), dir, to, since, e)
		if err != nil || e.Digest() != s.engine.Digest() {
			t.Fatalf("another state: %v", err)
		}
		return b
	}
	backup(first, "")
	at := s.engine.Digest()
	s.book(10)
	if b := backup(second, first); b.LinkedFiles == 0 || b.LinkedFiles >= b.Files {
		t.Errorf("%+v", b)
	}
	s.round()
	s.round()
	s.stop()
	for to, want := range map[string]string{first: at, second: ""} {
		e := core.New()
		restored := t.TempDir()
		if _, err := recovery.Restore(context.Background(), to, restored, recovery.Until{}, e); err != nil {
			t.Fatal(err)
		}
		if want != "" && e.Digest() != want {
			t.Errorf("%s restores to another state", to)
		}
		if v := verified(t, restored); len(v.Findings) > 0 {
			t.Errorf("%+v", v.Findings)
		}
	}
	if _, err := recovery.MakeBackup(context.Background(), dir, first, "", core.New()); err == nil {
		t.Error("a backup into a directory that is not empty")
	}
	segments, _ := filepath.Glob(filepath.Join(first, "wal", "epoch-*", "*"))
	hurt(t, segments[0], "flip")
	if _, err := recovery.Restore(context.Background(), first, t.TempDir(), recovery.Until{}, core.New()); !errors.Is(err, core.ErrCorrupt) {
		t.Errorf("a backup that was damaged: %v", err)
	}
}

// TestRestoreUntil goes back to the end of every round: from a log that is
// whole, and from one that bases and the log behind the oldest of them are left
// of.
func TestRestoreUntil(t *testing.T) {
	for name, keep := range map[string]time.Duration{"whole": 0, "bases": 100 * time.Second} {
		dir := t.TempDir()
		var digests []string
		var last []event.Seq
		if keep == 0 {
			s, _ := serve(t, dir, snapshot.Plan{})
			for range 4 {
				s.book(10)
				digests, last = append(digests, s.engine.Digest()), append(last, s.log.Durable())
			}
			s.stop()
		} else {
			digests, last = rounds(t, dir, 8, snapshot.Plan{KeepLog: keep})
		}
		reached := 0
		for i, seq := range last {
			e := core.New()
			to := t.TempDir()
			report, err := recovery.Restore(context.Background(), dir, to, recovery.Until{Seq: seq}, e)
			if err != nil {
				if keep == 0 || !strings.Contains(err.Error(), "the earliest is record") {
					t.Errorf("%s: to record %d: %v", name, seq, err)
				}
				continue
			}
			reached++
			if e.Digest() != digests[i] || report.LastSeq != seq {
				t.Errorf("%s: to record %d: another state, %+v", name, seq, report)
			}
			if v := verified(t, to); len(v.Findings) > 0 {
				t.Errorf("%s: %+v", name, v.Findings)
			}
			s, _ := serve(t, to, snapshot.Plan{}) // it goes on from there
			s.book(3)
			s.round()
			s.stop()
		}
		if reached < 4 {
			t.Errorf("%s: only %d of %d moments could be restored", name, reached, len(last))
		}
	}
}

func TestRestoreUntilTime(t *testing.T) {
	dir := t.TempDir()
	rounds(t, dir, 1, snapshot.Plan{})
	at, err := recovery.ParseUntil(time.UnixMilli(int64(opens) + 10_500).UTC().Format(time.RFC3339Nano))
	if err != nil {
		t.Fatal(err)
	}
	report, err := recovery.Restore(context.Background(), dir, t.TempDir(), at, core.New())
	if err != nil || report.LastSeq != 11 { // the definition, and a booking each second
		t.Errorf("%+v, %v", report, err)
	}
	for _, text := range []string{"", "0", "yesterday", "2021-07-19T20:00"} {
		if _, err := recovery.ParseUntil(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

func TestScrubBesideAServer(t *testing.T) {
	dir := t.TempDir()
	s, _ := serve(t, dir, snapshot.Plan{})
	s.book(50)
	if err := recovery.Scrub(context.Background(), dir, snapshot.Pace{}); err != nil {
		t.Fatal(err)
	}
	segments, _ := filepath.Glob(filepath.Join(dir, "wal", "epoch-*", "*"))
	hurt(t, segments[0], "flip")
	var damage *wal.Damage
	if err := recovery.Scrub(context.Background(), dir, snapshot.Pace{}); !errors.As(err, &damage) {
		t.Errorf("%v", err)
	}
	s.stop()
}

func TestBallast(t *testing.T) {
	dir := t.TempDir()
	for range 2 {
		if made, err := recovery.Ballast(dir, 1<<20, 0); !made || err != nil {
			t.Fatal(made, err)
		}
	}
	if info, err := os.Stat(filepath.Join(dir, "ballast")); err != nil || info.Size() != 1<<20 {
		t.Fatal(info, err)
	}
	if made, err := recovery.Ballast(t.TempDir(), 1<<20, 1<<60); made || err != nil {
		t.Fatal(made, err)
	}
}
