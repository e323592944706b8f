package snapshot_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/zeebo/xxh3"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"weir/core"
	"weir/core/campaign"
	"weir/core/event"
	"weir/persist/snapshot"
)

// TestMain looks for goroutines left behind, Pebble's too.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tape is a journal that keeps its records, durable at once.
type tape struct {
	mu      sync.Mutex
	records []event.Record // mu
	broken  error          // what Wait answers
}

func (t *tape) Reserve(int) error { return nil }
func (t *tape) Release(int)       {}

func (t *tape) Append(r *event.Record) event.Seq {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.records = append(t.records, *r)
	return event.Seq(len(t.records))
}

func (t *tape) Wait(event.Seq) error   { return t.broken }
func (t *tape) NewestTime() event.Time { return 1 }

func (t *tape) Durable() event.Seq {
	t.mu.Lock()
	defer t.mu.Unlock()
	return event.Seq(len(t.records))
}

const definition = `
campaign: %s
name: {ko: 접종, en: Campaign}
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
  - {sites: all, dates: 2021-08-16..2021-08-21, times: 09:00..17:00, every: 30m, capacity: %d, product: moderna}
bookings: {hold: 5m}
`

func parse(t testing.TB, id string, capacity int) *campaign.Definition {
	t.Helper()
	d, err := campaign.Parse("test.yaml", fmt.Appendf(nil, definition, id, capacity), nil)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func person(n int) (key event.PersonKey) {
	h := xxh3.Hash128(binary.LittleEndian.AppendUint64(nil, uint64(n)))
	binary.LittleEndian.PutUint64(key[:], h.Lo)
	binary.LittleEndian.PutUint64(key[8:], h.Hi)
	return key
}

// stand is an engine that people book at.
type stand struct {
	journal *tape
	engine  *core.Engine
	born    campaign.Date
	now     event.Time
	people  int
}

func newStand(t testing.TB) *stand {
	t.Helper()
	born, err := campaign.ParseDate("1965-05-05")
	if err != nil {
		t.Fatal(err)
	}
	s := &stand{journal: &tape{}, engine: core.New(), born: born, now: 1626692400000}
	s.engine.Start(s.journal)
	return s
}

func (s *stand) define(t testing.TB, id string, capacity int) {
	t.Helper()
	if _, _, err := s.engine.Define(s.now, parse(t, id, capacity)); err != nil {
		t.Fatal(err)
	}
}

// work lets n people do this and that.
func (s *stand) work(t testing.TB, n int) {
	t.Helper()
	list := s.engine.Campaigns()
	for range n {
		s.people++
		camp := list[s.people%len(list)]
		c := core.Command{Campaign: camp.ID(), Person: person(s.people), Born: s.born, Slot: event.SlotID(s.people % camp.Totals().Slots)}
		for _, op := range []core.Op{core.Join, core.Hold, core.Book} {
			c.Op = op
			if _, err := s.engine.Do(s.now, &c); err != nil {
				t.Fatal(err)
			}
		}
		c.Person, c.Op = person(s.people/2+1), core.Cancel
		if p := list[(s.people/2+1)%len(list)].Person(c.Person, nil); len(p.Bookings) > 0 {
			c.Campaign, c.Ref = list[(s.people/2+1)%len(list)].ID(), p.Bookings[0].Seq
			_, _ = s.engine.Do(s.now, &c) // it may be cancelled already
		}
	}
}

var identity = [16]byte{1, 2, 3}

func at(fs vfs.FS) *snapshot.Dir { return snapshot.At(fs, "/data/snapshot", identity, nil) }

// recovered loads a store and replays the records behind it.
func recovered(t testing.TB, d *snapshot.Dir, store int, records []event.Record) *core.Engine {
	t.Helper()
	e := core.New()
	seal, ahead, err := d.Load(context.Background(), [2]string{"a", "b"}[store], e, nil)
	if err != nil {
		t.Fatal(err)
	}
	if int(ahead) > len(records) {
		t.Fatalf("the store holds record %d, and %d were written", ahead, len(records))
	}
	for i := seal.From; int(i) < len(records); i++ {
		if err := e.Apply(i+1, &records[i]); err != nil {
			t.Fatal(err)
		}
	}
	e.Settle()
	if err := e.Check(); err != nil {
		t.Fatal(err)
	}
	return e
}

func take(t testing.TB, d *snapshot.Dir, store int, generation uint64, s *stand) snapshot.Taken {
	t.Helper()
	taken, err := d.Take(context.Background(), store, generation, s.engine, s.journal, snapshot.Pace{})
	if err != nil {
		t.Fatal(err)
	}
	return taken
}

// TestTakeAndLoad takes snapshots in turn while the state goes on, and expects
// from each, with the records behind it, the state as it is.
func TestTakeAndLoad(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		s, fs := newStand(t), vfs.NewMem()
		d := at(fs)
		s.define(t, "first", 300)
		sealed := map[int]bool{}
		for generation := range uint64(rapid.IntRange(1, 5).Draw(rt, "snapshots")) {
			s.work(t, rapid.IntRange(0, 200).Draw(rt, "people"))
			if rapid.IntRange(0, 3).Draw(rt, "define") == 0 {
				s.define(t, rapid.SampledFrom([]string{"first", "second"}).Draw(rt, "campaign"), rapid.IntRange(200, 400).Draw(rt, "capacity"))
			}
			store := rapid.IntRange(0, 1).Draw(rt, "store")
			take(t, d, store, generation+1, s)
			sealed[store] = true
		}
		s.work(t, rapid.IntRange(0, 100).Draw(rt, "people at last"))
		for store := range sealed {
			if got := recovered(t, d, store, s.journal.records); got.Digest() != s.engine.Digest() {
				rt.Fatalf("store %d gives another state", store)
			}
			if _, err := d.Verify(context.Background(), [2]string{"a", "b"}[store], snapshot.Pace{}); err != nil {
				rt.Fatal(err)
			}
		}
	})
}

// TestASecondSnapshotIsSmall sees that only what changed is written, also after
// a start, when everything is looked at.
func TestASecondSnapshotIsSmall(t *testing.T) {
	t.Parallel()
	s, d := newStand(t), at(vfs.NewMem())
	s.define(t, "first", 1000)
	s.work(t, 20_000)
	whole := take(t, d, 0, 1, s)
	s.people++
	c := core.Command{Op: core.Join, Person: person(1 << 20), Born: s.born}
	if _, err := s.engine.Do(s.now, &c); err != nil {
		t.Fatal(err)
	}
	few := take(t, d, 0, 2, s)
	if few.Copied > 100_000 || few.Written > few.Copied || whole.Written < 1_000_000 {
		t.Errorf("%d bytes at first, then %d were copied and %d written", whole.Written, few.Copied, few.Written)
	}
	if few.Seal.Bytes < whole.Seal.Bytes || few.Seal.Pages < whole.Seal.Pages {
		t.Errorf("%+v after %+v", few.Seal, whole.Seal)
	}
	again := &stand{journal: s.journal, engine: recovered(t, d, 0, s.journal.records)}
	third := take(t, d, 0, 3, again)
	if third.Copied < whole.Copied/2 || third.Written != 0 {
		t.Errorf("after a start %d bytes were copied and %d written", third.Copied, third.Written)
	}
}

func TestTakeWaitsForTheJournal(t *testing.T) {
	t.Parallel()
	s, d := newStand(t), at(vfs.NewMem())
	s.define(t, "first", 1000)
	s.journal.broken = core.ErrOutcomeUnknown
	if _, err := d.Take(context.Background(), 0, 1, s.engine, s.journal, snapshot.Pace{}); !errors.Is(err, core.ErrOutcomeUnknown) {
		t.Fatalf("a snapshot of records that are not durable: %v", err)
	}
	s.journal.broken = nil
	take(t, d, 0, 2, s)
	if got := recovered(t, d, 0, s.journal.records); got.Digest() != s.engine.Digest() {
		t.Error("another state after a snapshot that was given up")
	}
}

func TestTakeEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s, d := newStand(t), at(vfs.NewMem())
	s.define(t, "first", 1000)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := d.Take(ctx, 0, 1, s.engine, s.journal, snapshot.Pace{BytesPerSecond: 1}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
