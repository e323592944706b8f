package core_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

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

// replay folds records into a new engine and gives each, where it is set, the
// engine after every record, checked.
func replay(t testing.TB, records []event.Record, each func(n int, e *core.Engine)) *core.Engine {
	t.Helper()
	e := core.New()
	for i := range records {
		if err := e.Apply(event.Seq(i+1), &records[i]); err != nil {
			t.Fatalf("replay: %v", err)
		}
		if each != nil {
			mustCheck(t, e)
			each(i+1, e)
		}
	}
	mustCheck(t, e)
	return e
}

// everyPrefix has replay check every prefix and asks no more of it.
func everyPrefix(int, *core.Engine) {}

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
	if again := replay(t, journal.records, everyPrefix); again.Digest() != e.Digest() {
		t.Fatal("the replayed state has another digest")
	}
}

// TestLineRace lets people join, leave and book while draws are drawn, the mark
// rises, and the campaign is paused, resumed and defined anew.
func TestLineRace(t *testing.T) {
	journal := &tape{}
	e, camp := start(t, parse(t, small(2, 1)+byLot), journal)
	others := []*campaign.Definition{
		parse(t, strings.Replace(small(2, 1), "19T20:00", "19T20:10", 1)+byLot), parse(t, small(2, 1)+byLot),
	}
	var clock atomic.Int64
	clock.Store(int64(oldOpens - 10*60_000))
	tick := func() event.Time { return event.Time(clock.Add(200)) }
	var people, keeper sync.WaitGroup
	for g := range 4 {
		people.Go(func() {
			for i := range 2000 {
				c := core.Command{Person: key((g*61 + i*7) % 97), Born: bornOld, Slot: event.SlotID(i % 12)}
				c.Op = []core.Op{core.Join, core.Hold, core.Book, core.Leave}[(i/11+g)%4]
				now := tick()
				if _, err := e.Do(now, &c); errors.Is(err, core.ErrDrawNotOpen) {
					if _, err := e.OpenDraw(now, camp, bornOld, commitmentOf); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	stop := make(chan struct{})
	keeper.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			if err := keep(e, camp, tick(), i, others); err != nil {
				t.Error(err)
			}
		}
	})
	people.Wait()
	close(stop)
	keeper.Wait()
	if err := keep(e, camp, oldOpens+3_600_000, 0, others); err != nil {
		t.Fatal(err)
	}
	mustCheck(t, e)
	if state := camp.Line(); state.Issued == 0 || len(state.Draws) == 0 || !state.Draws[0].Drawn {
		t.Fatalf("nothing was drawn: %+v", state)
	}
	if again := replay(t, journal.records, nil); again.Digest() != e.Digest() {
		t.Fatal("the replayed state has another digest")
	}
}

// keep does the i-th of what a keeper of the line and an operator do.
func keep(e *core.Engine, camp *core.Campaign, now event.Time, i int, definitions []*campaign.Definition) error {
	state := camp.Line()
	var err error
	switch i % 8 {
	case 0, 3:
		for _, draw := range state.DueDraws(nil, now) {
			if _, err := e.Draw(now, camp, draw, seedOf(draw)); err != nil {
				return err
			}
		}
	case 1:
		_, err = e.Resume(now, camp)
	case 2, 5:
		_, err = e.Serve(now, camp, state.Issued+1)
	case 4:
		e.Sweep(now, 10)
	case 6:
		_, _, err = e.Define(now, definitions[i/8%2])
	case 7:
		_, err = e.Pause(now, camp, "")
	}
	return err
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
	replay(t, journal.records, nil)
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
		"no such cohort":      {Kind: event.Joined, Person: who, Number: 1, Cohort: 2},
		"no such draw":        {Kind: event.Entered, Person: who, Draw: 1, Index: 1},
		"no draw":             {Kind: event.Entered, Person: who, Index: 1},
		"draw out of order":   {Kind: event.DrawOpened, Draw: 2, Payload: make([]byte, event.SecretSize)},
		"draw of no cohort":   {Kind: event.DrawOpened, Draw: 1, Cohort: 2, Payload: make([]byte, event.SecretSize)},
		"drawn out of order":  {Kind: event.Drawn, Draw: 1, Payload: make([]byte, event.SecretSize)},
		"mark that falls":     {Kind: event.Served, Number: 0},
		"no pause to end":     {Kind: event.Resumed},
		"no place to give up": {Kind: event.Left, Person: who},
		"number out of order": {Kind: event.Joined, Person: who, Number: 2},
		"no such slot":        {Kind: event.Booked, Person: who, Slot: 1000, From: event.NoSlot},
		"no such hold":        {Kind: event.Expired, Person: who, Slot: 0, Ref: 5},
		"nothing to give":     {Kind: event.Cancelled, Person: who, Slot: 0, Ref: 5},
		"hold it never had":   {Kind: event.Booked, Person: who, Slot: 0, From: 1},
		"version 3":           {Kind: event.Defined, Version: 3, Definition: journal.records[0].Definition},
		"garbage":             {Kind: event.Defined, Version: 1, Definition: []byte("garbage")},
		"no kind":             {},
	} {
		e := replay(t, journal.records, nil)
		if err := e.Apply(2, &r); !errors.Is(err, core.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestApplyRefusesDraws hands records that do not fit a draw that two entered.
func TestApplyRefusesDraws(t *testing.T) {
	journal := &tape{}
	e, camp := start(t, parse(t, small(2, 1)+byLot), journal)
	join(t, e, camp, oldOpens-1, key(1), bornOld)
	join(t, e, camp, oldOpens-1, key(2), bornOld)
	seed := seedOf(1)
	drawn := event.Record{Kind: event.Drawn, Draw: 1, Payload: seed[:]}
	for name, records := range map[string][]event.Record{
		"index given twice": {{Kind: event.Entered, Person: key(3), Draw: 1, Index: 2}},
		"second place":      {{Kind: event.Entered, Person: key(2), Draw: 1, Index: 3}},
		"another seed":      {{Kind: event.Drawn, Draw: 1, Payload: make([]byte, event.SecretSize)}},
		"half a seed":       {{Kind: event.Drawn, Draw: 1, Payload: seed[:16]}},
		"drawn twice":       {drawn, drawn},
		"entered too late":  {drawn, {Kind: event.Entered, Person: key(3), Draw: 1, Index: 3}},
		"a number given":    {drawn, {Kind: event.Joined, Person: key(3), Number: 2}},
		"left as number 1":  {{Kind: event.Left, Person: key(1), Number: 1}},
	} {
		e := replay(t, journal.records, nil)
		seq := event.Seq(len(journal.records))
		for i := range records {
			seq++
			if err := e.Apply(seq, &records[i]); errors.Is(err, core.ErrCorrupt) != (i == len(records)-1) {
				t.Errorf("%s: record %d: %v", name, i, err)
			}
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
