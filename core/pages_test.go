package core_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"weir/core"
	"weir/core/campaign"
	"weir/core/event"
)

// shelf is a store of copies in memory.
type shelf struct {
	parts map[core.Part]*shelved
	from  event.Seq // every part is true at it or behind it
}

type shelved struct {
	newest event.Seq
	header []byte
	pages  map[shelfPage][]byte
}

type shelfPage struct {
	kind core.PageKind
	page int
}

func (s *shelf) put(t testing.TB, c *core.Copy) {
	t.Helper()
	if s.parts == nil {
		s.parts = map[core.Part]*shelved{}
	}
	part := s.parts[c.Part]
	if part == nil {
		part = &shelved{pages: map[shelfPage][]byte{}}
		s.parts[c.Part] = part
	}
	part.newest, part.header = c.Newest, bytes.Clone(c.Header)
	_, err := c.Each(nil, func(kind core.PageKind, page int, data []byte) error {
		part.pages[shelfPage{kind, page}] = bytes.Clone(data)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// copyPart copies one part, limit pages at a time.
func (s *shelf) copyPart(t testing.TB, e *core.Engine, part core.Part, store, limit int) {
	t.Helper()
	var c core.Copy
	c.Begin(part)
	for whole := false; !whole; {
		whole = e.Copy(&c, store, limit)
	}
	s.put(t, &c)
}

// load restores the shelf's parts, those of the campaigns there are, and
// replays the records behind its from.
func (s *shelf) load(t testing.TB, campaigns int, records []event.Record) *core.Engine {
	t.Helper()
	e := core.New()
	ahead := s.from
	for _, own := range []bool{true, false} {
		for part, kept := range s.parts {
			if (part.Shard == 0) != own || int(part.Campaign) >= campaigns {
				continue
			}
			r, err := e.Restore(part, kept.header)
			if err != nil {
				t.Fatal(err)
			}
			for p, data := range kept.pages {
				if err := r.Page(p.kind, p.page, data); err != nil {
					t.Fatal(err)
				}
			}
			if err := r.Done(); err != nil {
				t.Fatal(err)
			}
			ahead = max(ahead, kept.newest)
		}
	}
	e.Restored(ahead)
	for i := s.from; int(i) < len(records); i++ {
		if err := e.Apply(i+1, &records[i]); err != nil {
			t.Fatalf("replay behind the copies: %v", err)
		}
	}
	e.Settle()
	mustCheck(t, e)
	return e
}

// round is a snapshot on its way: its parts are copied at different times, in
// any order, while the state goes on.
type round struct {
	shelf *shelf
	store int
	from  event.Seq
	left  []int // shards still to copy, the campaign's own part among them
}

// step copies some parts. Some rounds are never finished, as in a crash: only a
// whole one moves the record behind which the log is needed.
func (r *round) step(t testing.TB, rt *rapid.T, e *core.Engine, journal *tape) {
	if len(r.left) == 0 || rapid.IntRange(0, 9).Draw(rt, "give up") == 0 {
		r.from = journal.Durable()
		r.left = rapid.Permutation([]int{0, 1, 2, 3, 4, 5, 6, 7}).Draw(rt, "order")
		for shard := len(r.left); shard < core.PartsPerCampaign; shard++ { // nobody is in them
			r.shelf.copyPart(t, e, core.Part{Shard: uint16(shard)}, r.store, 1)
		}
	}
	for range rapid.IntRange(1, len(r.left)).Draw(rt, "parts") {
		r.shelf.copyPart(t, e, core.Part{Shard: uint16(r.left[0])}, r.store, rapid.IntRange(1, 3).Draw(rt, "pages"))
		r.left = r.left[1:]
	}
	if len(r.left) == 0 {
		r.shelf.from = r.from
	}
}

// TestCopiesAgreeWithTheLog plays random commands and what steers the campaign,
// copies parts for two stores in between, and restores from each with the
// records behind it: the state must be that of the whole log.
func TestCopiesAgreeWithTheLog(t *testing.T) {
	definitions := versions(t)
	var moments []event.Time
	for _, d := range definitions {
		moments = append(moments, edges(d)...)
	}
	rapid.Check(t, func(rt *rapid.T) {
		d := rapid.SampledFrom(definitions).Draw(rt, "definition")
		journal := &tape{}
		e, camp := start(t, d, journal)
		play := &game{rt: rt, e: e, camp: camp, slow: newTwin(d), now: at("2021-07-19T17:50:00+09:00")}
		rounds := [2]round{{shelf: &shelf{}}, {shelf: &shelf{}, store: 1}}
		for range rapid.IntRange(1, 150).Draw(rt, "commands") {
			play.now = drawTime(rt, play.now, moments)
			play.steer(definitions)
			play.command(d)
			if rapid.IntRange(0, 3).Draw(rt, "copy") == 0 {
				rounds[rapid.IntRange(0, 1).Draw(rt, "store")].step(t, rt, e, journal)
			}
		}
		want := e.Digest()
		if again := replay(t, journal.records, nil); again.Digest() != want {
			rt.Fatal("the replayed state has another digest")
		}
		for store, r := range rounds {
			campaigns := 0
			if r.shelf.from > 0 {
				campaigns = 1
			}
			got := r.shelf.load(t, campaigns, journal.records)
			if got.Digest() != want || got.Campaigns()[0].Totals() != camp.Totals() {
				rt.Fatalf("store %d from record %d: the restored state has another digest", store, r.shelf.from)
			}
		}
	})
}

// TestCopyWhileBooking copies for both stores while goroutines book, hold,
// change and cancel, and expects of what came of it the state of the log.
func TestCopyWhileBooking(t *testing.T) {
	journal := &tape{}
	e, camp := start(t, parse(t, bigCampaign(10, 50)), journal)
	born, _ := campaign.ParseDate("1967-05-05")
	now := at("2021-07-19T20:00:00+09:00")
	var bookers, copiers sync.WaitGroup
	done := make(chan struct{})
	for g := range 4 {
		bookers.Go(func() {
			for i := range 4_000 {
				who := key(i/4*4 + g)
				c := core.Command{Op: []core.Op{core.Join, core.Hold, core.Book, core.Cancel}[i%4], Person: who, Born: born, Slot: event.SlotID((i*7 + g) % camp.Totals().Slots)}
				if c.Op == core.Cancel && i%8 > 3 {
					c.Op = core.Change
				}
				if held := camp.Person(who, nil); c.Op >= core.Change && len(held.Bookings) > 0 {
					c.Ref = held.Bookings[0].Seq
				}
				_, _ = e.Do(now, &c)
			}
		})
	}
	var shelves [2]shelf
	for store := range shelves {
		copiers.Go(func() {
			for ended := false; !ended; {
				select {
				case <-done:
					ended = true
				default:
				}
				from := journal.Durable()
				for i := range core.PartsPerCampaign {
					shelves[store].copyPart(t, e, core.Part{Shard: uint16(i)}, store, 2)
				}
				shelves[store].from = from
			}
		})
	}
	bookers.Wait()
	close(done)
	copiers.Wait()
	for i := range shelves {
		if got := shelves[i].load(t, 1, journal.records); got.Digest() != e.Digest() {
			t.Errorf("store %d: the restored state has another digest", i)
		}
	}
}

// TestACopyHoldsOnlyWhatChanged sees that a second copy is small, that each
// store has marks of its own, and that Recopy marks everything.
func TestACopyHoldsOnlyWhatChanged(t *testing.T) {
	journal := &tape{}
	e, camp := start(t, parse(t, bigCampaign(10, 5000)), journal)
	born, _ := campaign.ParseDate("1967-05-05")
	now := at("2021-07-19T20:00:00+09:00")
	book := func(i int) {
		c := core.Command{Op: core.Book, Person: key(i), Born: born, Slot: event.SlotID(i % camp.Totals().Slots)}
		if _, err := e.Do(now, &c); err != nil {
			t.Fatal(err)
		}
	}
	pages := func(store int) (n int) {
		for i := range core.PartsPerCampaign {
			var c core.Copy
			c.Begin(core.Part{Shard: uint16(i)})
			for whole := false; !whole; {
				whole = e.Copy(&c, store, 3)
			}
			n += c.Pages()
		}
		return n
	}
	for i := range 200_000 {
		book(i)
	}
	all := pages(0)
	if again := pages(0); again != 0 || all < 2*200_000/256 {
		t.Fatalf("%d pages, and %d when nothing had changed", all, again)
	}
	for i := range 10 {
		book(200_000 + i)
	}
	if few := pages(0); few < 2 || few > 20 {
		t.Errorf("%d pages for ten bookings", few)
	}
	if other := pages(1); other < all {
		t.Errorf("%d pages for the other store, %d for the first", other, all)
	}
	e.Recopy(1)
	if again := pages(1); again < all || pages(0) != 0 {
		t.Errorf("%d pages marked again", again)
	}
}

func TestRestoreRefusesWhatDoesNotFit(t *testing.T) {
	journal := &tape{}
	e, _ := start(t, parse(t, small(2, 1)), journal)
	var s shelf
	for i := range core.PartsPerCampaign {
		s.copyPart(t, e, core.Part{Shard: uint16(i)}, 0, 100)
	}
	own, shard := s.parts[core.Part{}], s.parts[core.Part{Shard: 1}]
	restoreOwn := func(e *core.Engine, bundle []byte) error {
		r, err := e.Restore(core.Part{}, own.header)
		if err == nil && bundle != nil {
			err = r.Page(core.DefinitionPage, 0, bundle)
		}
		return errors.Join(err, r.Done())
	}
	bundle := own.pages[shelfPage{core.DefinitionPage, 0}]
	for name, attempt := range map[string]func(e *core.Engine) error{
		"people before their campaign": func(e *core.Engine) error { _, err := e.Restore(core.Part{Shard: 1}, shard.header); return err },
		"header cut short":             func(e *core.Engine) error { _, err := e.Restore(core.Part{}, own.header[:5]); return err },
		"no definition":                func(e *core.Engine) error { return restoreOwn(e, nil) },
		"broken definition":            func(e *core.Engine) error { return restoreOwn(e, bundle[:20]) },
		"page without rows": func(e *core.Engine) error {
			if err := restoreOwn(e, bundle); err != nil {
				return fmt.Errorf("not expected: %s", err.Error())
			}
			r, err := e.Restore(core.Part{Shard: 1}, shard.header)
			if err != nil {
				return fmt.Errorf("not expected: %s", err.Error())
			}
			return r.Page(1, 0, make([]byte, 32))
		},
	} {
		if err := attempt(core.New()); !errors.Is(err, core.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestPartsFarApart restores the campaign's own part as it stood after any
// record of a history with something of everything, and its people as they
// stood after any other.
func TestPartsFarApart(t *testing.T) {
	list := versions(t)
	byLot, recast := list[2], list[5]
	journal := &tape{}
	e, camp := start(t, byLot, journal)
	do := func(now event.Time, op core.Op, who int, slot event.SlotID) {
		t.Helper()
		c := core.Command{Op: op, Person: event.PersonKey{byte(who)}, Born: bornOld, Slot: slot}
		if op == core.Cancel || op == core.Change {
			c.Ref = camp.Person(c.Person, nil).Bookings[0].Seq
		}
		if _, err := e.Do(now, &c); err != nil {
			t.Fatal(err)
		}
	}
	must := func(_ event.Seq, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	early, open := oldOpens-1000, oldOpens
	var own, people []shelf
	history := []func(){
		func() {},
		func() { join(t, e, camp, early, event.PersonKey{1}, bornOld) }, // opens the draw
		func() { join(t, e, camp, early, event.PersonKey{2}, bornOld) },
		func() { do(early, core.Leave, 2, 0) },
		func() { _, seq, err := e.Define(early, recast); must(seq, err) },
		func() { join(t, e, camp, early, event.PersonKey{3}, bornOld) },
		func() { must(e.Draw(open, camp, 1, seedOf(1))) },
		func() { do(open, core.Leave, 3, 0) },
		func() { must(e.Serve(open, camp, 100)) },
		func() { join(t, e, camp, open, event.PersonKey{4}, bornOld) },
		func() { do(open, core.Hold, 1, 3) },
		func() { do(open, core.Hold, 4, 4) },
		func() { must(e.Pause(open+1, camp, "서버를 늘립니다")) },
		func() { must(e.Resume(open+60_000, camp)) },
		func() { do(open+60_001, core.Book, 1, 3) },
		func() { do(open+60_002, core.Change, 1, 5) },
		func() { _, seq, err := e.Define(open+60_003, byLot); must(seq, err) },
		func() { do(open+60_004, core.Cancel, 1, 0) },
		func() { do(open+60_005, core.Book, 1, 3) },
	}
	for _, step := range history {
		step()
		var o, p shelf
		e.Recopy(0)
		o.copyPart(t, e, core.Part{}, 0, 100)
		for shard := 1; shard < core.PartsPerCampaign; shard++ {
			p.copyPart(t, e, core.Part{Shard: uint16(shard)}, 0, 100)
		}
		o.from, p.from = journal.Durable(), journal.Durable()
		own, people = append(own, o), append(people, p)
	}
	for i := range own {
		for j := range people {
			mixed := shelf{parts: maps.Clone(people[j].parts), from: min(own[i].from, people[j].from)}
			mixed.parts[core.Part{}] = own[i].parts[core.Part{}]
			if got := mixed.load(t, 1, journal.records); got.Digest() != e.Digest() {
				t.Errorf("the campaign after record %d and its people after %d: another state", own[i].from, people[j].from)
			}
		}
	}
}
