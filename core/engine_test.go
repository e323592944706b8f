package core_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"weir/core"
	"weir/core/campaign"
	"weir/core/event"
)

const smallCampaign = `
campaign: small
name: {ko: 작은 접종, en: Small campaign}
time_zone: Asia/Seoul
cohorts:
  - {id: old, born: 1960-01-01..1965-12-31}
  - {id: young, born: 1965-06-01..1970-12-31}
windows:
  - {cohorts: [old], opens: 2021-07-19T20:00, closes: 2021-07-20T18:00}
  - {cohorts: [young], opens: 2021-07-20T12:00, closes: 2021-07-21T18:00}
products:
  - {id: moderna, name: {ko: 모더나, en: Moderna}}
sites:
  - {id: a, name: A, region: KR-11, address: A, lat: 37.5, lon: 127}
  - {id: b, name: B, region: KR-11, address: B, lat: 37.6, lon: 127}
slots:
  - {sites: all, dates: 2021-07-21..2021-07-22, times: 09:00..10:30, every: 30m, capacity: %d, product: moderna}
bookings: {hold: 5m, cancel_before: 24h, change_before: 12h, per_person: %d}
`

// small is the small campaign with that many places a slot and bookings a
// person.
func small(capacity, perPerson int) string { return fmt.Sprintf(smallCampaign, capacity, perPerson) }

func parse(t testing.TB, text string) *campaign.Definition {
	t.Helper()
	d, err := campaign.Parse("test.yaml", []byte(text), func(string) ([]byte, error) { return nil, errors.New("no such file") })
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func at(text string) event.Time {
	v, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return event.Time(v.UnixMilli())
}

func start(t testing.TB, d *campaign.Definition, j core.Journal) (*core.Engine, *core.Campaign) {
	t.Helper()
	e := core.New()
	e.Start(j)
	camp, _, err := e.Define(at("2021-07-01T00:00:00+09:00"), d)
	if err != nil {
		t.Fatal(err)
	}
	return e, camp
}

func mustCheck(t testing.TB, e *core.Engine) {
	t.Helper()
	if err := e.Check(); err != nil {
		t.Fatal(err)
	}
}

// replay folds records into a new engine, checking every prefix where each is
// set.
func replay(t testing.TB, records []event.Record, each bool) *core.Engine {
	t.Helper()
	e := core.New()
	for i := range records {
		if err := e.Apply(event.Seq(i+1), &records[i]); err != nil {
			t.Fatalf("replay: %v", err)
		}
		if each {
			mustCheck(t, e)
		}
	}
	mustCheck(t, e)
	return e
}

// TestTwin plays the same random commands on the engine and on a slow, obvious
// twin, compares every answer and the whole state, and replays the log.
func TestTwin(t *testing.T) {
	var definitions []*campaign.Definition
	for n := 1; n <= 2; n++ {
		definitions = append(definitions, parse(t, small(3-n, n)))
	}
	moments := edges(definitions[0])
	rapid.Check(t, func(rt *rapid.T) {
		d := rapid.SampledFrom(definitions).Draw(rt, "definition")
		journal := &tape{}
		e, camp := start(t, d, journal)
		slow := newTwin(d)
		now := at("2021-07-19T19:50:00+09:00")
		var refs []event.Seq
		for range rapid.IntRange(1, 120).Draw(rt, "commands") {
			now = drawTime(rt, now, moments)
			switch rapid.IntRange(0, 29).Draw(rt, "between") {
			case 0, 1, 2:
				if fast, want := e.Sweep(now, 1000), slow.sweep(now); fast != want {
					rt.Fatalf("sweep ended %d holds, the twin %d", fast, want)
				}
			case 3:
				next := definitions[0]
				if next == slow.rules {
					next = definitions[1]
				}
				if _, seq, err := e.Define(now, next); err != nil || seq != slow.next() {
					rt.Fatalf("define: record %d, %v", seq, err)
				}
				slow.rules, slow.version = next, slow.version+1
			}
			c := drawCommand(rt, d, slow, refs)
			got, gotErr := e.Do(now, &c)
			want, wantErr := slow.do(now, &c)
			compareOutcomes(rt, &c, got, gotErr, want, wantErr)
			if got.Done && (c.Op == core.Hold || c.Op == core.Book) {
				refs = append(refs, got.Seq)
			}
		}
		comparePeople(rt, camp, slow)
		if err := e.Check(); err != nil {
			rt.Fatal(err)
		}
		if journal.reserved != 0 {
			rt.Fatalf("%d bytes of the journal stay reserved", journal.reserved)
		}
		if again := replay(t, journal.records, true); again.Digest() != e.Digest() {
			rt.Fatal("the replayed state has another digest")
		}
	})
}

// edges are the moments at which a rule begins or ceases to hold.
func edges(d *campaign.Definition) (moments []event.Time) {
	for i, w := range d.Windows {
		moments = append(moments, w.Opens, w.Closes, d.LineOpens(i))
	}
	for s := range d.SlotCount() {
		starts := d.SlotStarts(event.SlotID(s))
		moments = append(moments, starts,
			starts-event.Time(d.Bookings.CancelBefore.Milliseconds()),
			starts-event.Time(d.Bookings.ChangeBefore.Milliseconds()))
	}
	return moments
}

// drawTime goes on a little, or to one of the moments or a millisecond beside
// it, and never back.
func drawTime(rt *rapid.T, now event.Time, moments []event.Time) event.Time {
	if rapid.IntRange(0, 19).Draw(rt, "to a moment") == 0 {
		moment := rapid.SampledFrom(moments).Draw(rt, "moment")
		return max(now, moment+event.Time(rapid.IntRange(-1, 1).Draw(rt, "beside it")))
	}
	return now + event.Time(rapid.SampledFrom([]int{0, 1, 1000, 60_000, 300_000, 3_600_000}).Draw(rt, "pause"))
}

func drawCommand(rt *rapid.T, d *campaign.Definition, slow *twin, refs []event.Seq) core.Command {
	born := rapid.SampledFrom([]string{"1959-12-31", "1960-01-01", "1965-06-01", "1965-12-31", "1970-12-31", "1971-01-01"}).Draw(rt, "born")
	date, err := campaign.ParseDate(born)
	if err != nil {
		rt.Fatal(err)
	}
	ref := event.Seq(rapid.IntRange(0, 40).Draw(rt, "ref"))
	if len(refs) > 0 && rapid.IntRange(0, 4).Draw(rt, "known ref") > 0 {
		ref = rapid.SampledFrom(refs).Draw(rt, "ref of")
	}
	c := core.Command{
		Op:     rapid.SampledFrom([]core.Op{core.Join, core.Leave, core.Hold, core.Hold, core.Release, core.Book, core.Book, core.Book, core.Change, core.Cancel}).Draw(rt, "op"),
		Person: event.PersonKey{byte(rapid.IntRange(1, 6).Draw(rt, "person"))},
		Born:   date,
		Slot:   event.SlotID(rapid.IntRange(0, d.SlotCount()).Draw(rt, "slot")),
		Ref:    ref,
	}
	if c.Op == core.Book {
		switch p := slow.people[c.Person]; {
		case rapid.Bool().Draw(rt, "by slot"):
			c.Ref = 0
		case p != nil && p.hold != nil && rapid.Bool().Draw(rt, "by own hold"):
			c.Ref = p.hold.Seq
		}
		if rapid.Bool().Draw(rt, "with key") {
			c.Request = core.Fingerprint([]byte{byte(rapid.IntRange(1, 3).Draw(rt, "key"))}, []byte{byte(c.Slot), byte(c.Ref)})
		}
	}
	return c
}

func compareOutcomes(rt *rapid.T, c *core.Command, got core.Outcome, gotErr error, want core.Outcome, wantErr error) {
	if !errors.Is(gotErr, wantErr) || !errors.Is(wantErr, gotErr) {
		rt.Fatalf("%+v: engine says %v, the twin %v", *c, gotErr, wantErr)
	}
	if !want.Done {
		got.Seq, want.Seq = 0, 0
	}
	if got != want {
		rt.Fatalf("%+v:\nengine %+v\ntwin   %+v", *c, got, want)
	}
}

func comparePeople(rt *rapid.T, camp *core.Campaign, slow *twin) {
	for key, want := range slow.people {
		got := camp.Person(key, nil)
		if got.Place.Number != want.number || len(got.Bookings) != len(want.bookings) {
			rt.Fatalf("person %x: engine has %+v, the twin %+v", key, got, *want)
		}
		for i, b := range got.Bookings {
			if twin := want.bookings[len(want.bookings)-1-i]; b != twin.Booking {
				rt.Fatalf("person %x: engine has %+v, the twin %+v", key, b, twin.Booking)
			}
		}
		if (got.Hold.Seq != 0) != (want.hold != nil) || want.hold != nil && got.Hold != *want.hold {
			rt.Fatalf("person %x: engine holds %+v, the twin %+v", key, got.Hold, want.hold)
		}
	}
	for s := range slow.rules.SlotCount() {
		if taken, _ := camp.Slot(event.SlotID(s)); int(taken) != slow.taken(event.SlotID(s)) {
			rt.Fatalf("slot %d: engine counts %d, the twin %d", s, taken, slow.taken(event.SlotID(s)))
		}
	}
}

// TestRace lets many goroutines fight over few slots; the log that they leave
// has to be a valid state at every prefix and fold to the same state.
func TestRace(t *testing.T) {
	journal := &tape{}
	e, camp := start(t, parse(t, small(2, 1)), journal)
	born, _ := campaign.ParseDate("1965-07-01")
	now := at("2021-07-20T12:00:00+09:00")
	var group sync.WaitGroup
	for g := range 8 {
		group.Go(func() {
			var mine [16]event.Seq
			for i := range 400 {
				who := (g*7 + i) % len(mine)
				op := []core.Op{core.Hold, core.Book, core.Change, core.Cancel, core.Join, core.Book, core.Leave, core.Release}[(i/3+g)%8]
				c := core.Command{Op: op, Person: event.PersonKey{byte(who), 1}, Born: born, Slot: event.SlotID((i*5 + g) % 12), Ref: mine[who]}
				if op == core.Book && i%2 == 0 {
					c.Ref = 0
				}
				out, err := e.Do(now+event.Time(i*10), &c)
				if err == nil && out.Booking.Seq != 0 {
					mine[who] = out.Booking.Seq
				} else if err == nil && out.Hold.Seq != 0 {
					mine[who] = out.Hold.Seq
				}
				if i%16 == 0 {
					camp.Totals()
				}
			}
		})
	}
	group.Wait()
	mustCheck(t, e)
	if len(journal.records) < 100 {
		t.Fatalf("only %d records were made", len(journal.records))
	}
	if again := replay(t, journal.records, true); again.Digest() != e.Digest() {
		t.Fatal("the replayed state has another digest")
	}
}

// TestSweepIsBounded makes many holds end at one moment and sees that each call
// logs no more than it was asked for, and that all end.
func TestSweepIsBounded(t *testing.T) {
	journal := &tape{}
	e, camp := start(t, parse(t, bigCampaign(40, 100)), journal)
	born, _ := campaign.ParseDate("1967-01-01")
	now := at("2021-07-19T20:00:00+09:00")
	for i := range 1000 {
		c := core.Command{Op: core.Hold, Person: key(i), Born: born, Slot: event.SlotID(i % camp.Totals().Slots)}
		if _, err := e.Do(now, &c); err != nil {
			t.Fatal(err)
		}
	}
	if n := e.Sweep(now+299_999, 5000); n != 0 {
		t.Fatalf("%d holds ended before their time", n)
	}
	for ended := 0; ended < 1000; {
		n := e.Sweep(now+300_000, 64)
		if n == 0 || n > 64 {
			t.Fatalf("a sweep for at most 64 ended %d, after %d", n, ended)
		}
		ended += n
	}
	if totals := camp.Totals(); totals.Holds != 0 || totals.Taken != 0 {
		t.Fatalf("after the sweep: %+v", totals)
	}
	mustCheck(t, e)
}

// TestJoin asks for a place in line around each edge, with a line that opens
// half an hour early and without one.
func TestJoin(t *testing.T) {
	without := small(2, 1)
	with := without + "line: {enabled: true, opens_before: 30m, order: arrival}\n"
	const old, young, nobody = "1960-01-01", "1970-01-01", "1990-01-01"
	for _, c := range []struct {
		definition, born, now string
		want                  error
	}{
		{without, old, "2021-07-19T19:59:59.999+09:00", core.LineNotOpen},
		{without, old, "2021-07-19T20:00:00+09:00", nil},
		{without, old, "2021-07-20T17:59:59.999+09:00", nil},
		{without, old, "2021-07-20T18:00:00+09:00", core.NotEligible},
		{without, young, "2021-07-19T19:00:00+09:00", core.LineNotOpen},
		{without, young, "2021-07-19T20:00:00+09:00", core.NotEligible}, // the window of others is open
		{without, nobody, "2021-07-19T19:00:00+09:00", core.NotEligible},
		{with, old, "2021-07-19T19:29:59.999+09:00", core.LineNotOpen},
		{with, old, "2021-07-19T19:30:00+09:00", nil},
		{with, young, "2021-07-19T19:30:00+09:00", core.NotEligible},
		{with, young, "2021-07-20T11:30:00+09:00", nil},
	} {
		e, _ := start(t, parse(t, c.definition), &tape{})
		born, err := campaign.ParseDate(c.born)
		if err != nil {
			t.Fatal(err)
		}
		out, err := e.Do(at(c.now), &core.Command{Op: core.Join, Person: event.PersonKey{1}, Born: born})
		if !errors.Is(err, c.want) || (err == nil) != (out.Place.Number == 1) {
			t.Errorf("born %s at %s: number %d, %v; want %v", c.born, c.now, out.Place.Number, err, c.want)
		}
		if errors.Is(err, core.LineNotOpen) && out.Decision.Next < 0 {
			t.Errorf("born %s at %s: no window is named", c.born, c.now)
		}
	}
}

// TestDeadlines moves and cancels a booking a millisecond around the last
// moment at which it may be.
func TestDeadlines(t *testing.T) {
	e, _ := start(t, parse(t, small(2, 1)), &tape{})
	if _, _, err := e.Define(0, parse(t, small(2, 2))); err != nil {
		t.Fatal(err)
	}
	born, _ := campaign.ParseDate("1960-01-01")
	book := func(person byte) core.Command {
		c := core.Command{Op: core.Book, Person: event.PersonKey{person}, Born: born, Slot: 0}
		out, err := e.Do(at("2021-07-19T20:00:00+09:00"), &c)
		if err != nil || out.Booking.Version != 2 {
			t.Fatalf("book: %+v, %v", out, err)
		}
		c.Ref, c.Slot = out.Booking.Seq, 3
		return c
	}
	first, second := book(1), book(2)
	starts := at("2021-07-21T09:00:00+09:00")
	for _, step := range []struct {
		op   core.Op
		c    core.Command
		now  event.Time
		want error
	}{
		{core.Cancel, first, starts - 24*3_600_000 + 1, core.TooLateToChange},
		{core.Cancel, first, starts - 24*3_600_000, nil},
		{core.Change, second, starts - 12*3_600_000 + 1, core.TooLateToChange},
		{core.Change, second, starts - 12*3_600_000, nil},
	} {
		step.c.Op = step.op
		if _, err := e.Do(step.now, &step.c); !errors.Is(err, step.want) {
			t.Errorf("op %d at %d: %v, want %v", step.op, step.now, err, step.want)
		}
	}
	mustCheck(t, e)
}

func TestDefine(t *testing.T) {
	journal := &tape{}
	first := parse(t, small(2, 1))
	e, camp := start(t, first, journal)
	if again, seq, err := e.Define(0, first); again != camp || seq != 0 || err != nil {
		t.Fatalf("the same definition again: %v, %d, %v", again, seq, err)
	}
	if _, seq, err := e.Define(0, parse(t, small(2, 2))); seq != 2 || err != nil {
		t.Fatalf("the next version: %d, %v", seq, err)
	}
	if d, version := camp.Definition(); version != 2 || d.Bookings.PerPerson != 2 {
		t.Fatalf("in force is version %d with %d a person", version, d.Bookings.PerPerson)
	}
	if _, _, err := e.Define(0, parse(t, bigCampaign(3, 5))); err != nil {
		t.Fatalf("a second campaign: %v", err)
	}
	if n := len(e.Campaigns()); n != 2 || e.Campaign("big").ID() != 1 {
		t.Fatalf("%d campaigns", n)
	}
	replay(t, journal.records, false)
}

func TestDefineRefusesOtherSlots(t *testing.T) {
	e, _ := start(t, parse(t, bigCampaign(3, 5)), &tape{})
	if _, _, err := e.Define(0, parse(t, bigCampaign(4, 5))); !errors.Is(err, core.ErrIncompatible) {
		t.Fatalf("other sites under the same id: %v", err)
	}
}

// TestApplyRefuses hands records that cannot follow from any command.
func TestApplyRefuses(t *testing.T) {
	journal := &tape{}
	start(t, parse(t, small(2, 1)), journal)
	who := event.PersonKey{1}
	for name, r := range map[string]event.Record{
		"no such campaign":    {Kind: event.Joined, Campaign: 7, Person: who, Number: 1},
		"number out of order": {Kind: event.Joined, Person: who, Number: 2},
		"no such slot":        {Kind: event.Booked, Person: who, Slot: 1000, From: event.NoSlot},
		"no such hold":        {Kind: event.Expired, Person: who, Slot: 0, Ref: 5},
		"nothing to give":     {Kind: event.Cancelled, Person: who, Slot: 0, Ref: 5},
		"hold it never had":   {Kind: event.Booked, Person: who, Slot: 0, From: 1},
		"version 3":           {Kind: event.Defined, Version: 3, Definition: journal.records[0].Definition},
		"garbage":             {Kind: event.Defined, Version: 1, Definition: []byte("garbage")},
		"no kind":             {},
	} {
		e := replay(t, journal.records, false)
		if err := e.Apply(2, &r); !errors.Is(err, core.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDoPassesTheJournalsRefusalOn(t *testing.T) {
	journal := &tape{}
	e, camp := start(t, parse(t, small(2, 1)), journal)
	before := e.Digest()
	journal.refuse = core.ErrOverloaded
	born, _ := campaign.ParseDate("1960-01-01")
	c := core.Command{Op: core.Book, Person: event.PersonKey{1}, Born: born}
	if _, err := e.Do(at("2021-07-19T20:00:00+09:00"), &c); !errors.Is(err, core.ErrOverloaded) {
		t.Fatal(err)
	}
	if camp.Totals().People != 0 || e.Digest() != before {
		t.Fatal("a refused command left something behind")
	}
}
