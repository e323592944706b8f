package core_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"weir/core"
	"weir/core/campaign"
	"weir/core/event"
	"weir/core/line"
)

const byLot = "line: {enabled: true, opens_before: 30m, order: draw}\n"

var (
	bornOld, _   = campaign.ParseDate("1960-01-01")
	bornYoung, _ = campaign.ParseDate("1970-01-01")
	oldOpens     = at("2021-07-19T20:00:00+09:00")
)

// join joins as a server does: it has the draw opened where there is none.
func join(t testing.TB, e *core.Engine, camp *core.Campaign, now event.Time, who event.PersonKey, born campaign.Date) core.Place {
	t.Helper()
	c := core.Command{Op: core.Join, Campaign: camp.ID(), Person: who, Born: born}
	out, err := e.Do(now, &c)
	if errors.Is(err, core.ErrDrawNotOpen) {
		if _, err := e.OpenDraw(now, camp, born, commitmentOf); err != nil {
			t.Fatal(err)
		}
		out, err = e.Do(now, &c)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Place
}

// done takes the answer of a steering method that has to change something.
func done(t testing.TB) func(event.Seq, error) event.Seq {
	return func(seq event.Seq, err error) event.Seq {
		t.Helper()
		if seq == 0 || err != nil {
			t.Fatalf("record %d, %v", seq, err)
		}
		return seq
	}
}

// TestFairness has people join before and after the opening, some of them
// leaving, and then holds the engine, before and after a replay, to what is
// public: everybody's number is the one that anybody can recompute, each number
// is one person's, and in comes who is at or below the mark and nobody else.
func TestFairness(t *testing.T) {
	d := parse(t, small(65535, 1)+byLot)
	rapid.Check(t, func(rt *rapid.T) {
		journal := &tape{}
		e, camp := start(t, d, journal)
		count, late := rapid.IntRange(1, 300).Draw(rt, "early"), rapid.IntRange(0, 30).Draw(rt, "late")
		leaves := rapid.SliceOfN(rapid.IntRange(0, 9), count, count).Draw(rt, "leaves if 0")
		present := map[event.PersonKey]core.Place{}
		for i := range count {
			place := join(t, e, camp, oldOpens-1000, key(i), bornOld)
			if !place.Early() || int(place.Index) != i+1 {
				rt.Fatalf("person %d has place %+v", i, place)
			}
			if leaves[i] == 0 {
				if _, err := e.Do(oldOpens-1000, &core.Command{Op: core.Leave, Person: key(i)}); err != nil {
					rt.Fatal(err)
				}
				continue
			}
			present[key(i)] = place
		}
		done(t)(e.Draw(oldOpens, camp, 1, seedOf(1)))
		for i := count; i < count+late; i++ {
			present[key(i)] = join(t, e, camp, oldOpens+1, key(i), bornOld)
		}
		mark := event.Number(rapid.IntRange(1, count+late+5).Draw(rt, "mark"))
		done(t)(e.Serve(oldOpens+2, camp, mark))
		for _, engine := range []*core.Engine{replay(t, journal.records, nil), e} {
			engine.Start(journal)
			fair(rt, engine, present, mark)
		}
	})
}

// fair lets everybody try to come in.
func fair(rt *rapid.T, e *core.Engine, present map[event.PersonKey]core.Place, mark event.Number) {
	camp := e.Campaign("small")
	public := camp.Line().Draws[0]
	if public.Seed.Commitment() != public.Commitment {
		rt.Fatal("the seed is not the one committed to")
	}
	given := map[event.Number]bool{}
	for who, place := range present {
		number := place.Number
		if place.Early() {
			var err error
			if number, err = core.DrawnNumber(public.Seed, public.Size, public.Base, place.Index); err != nil {
				rt.Fatal(err)
			}
		}
		if now := camp.Person(who, nil).Place; now.Number != number || given[number] || number > camp.Issued() {
			rt.Fatalf("%x has place %+v; public is number %d", who, now, number)
		}
		given[number] = true
		for _, op := range []core.Op{core.Hold, core.Book} {
			_, err := e.Do(oldOpens+3, &core.Command{Op: op, Person: who, Born: bornOld})
			if want := number <= mark; (err == nil) != want || !want && !errors.Is(err, core.NotYourTurn) {
				rt.Fatalf("number %d, mark %d: op %d: %v", number, mark, op, err)
			}
		}
	}
	if err := e.Check(); err != nil {
		rt.Fatal(err)
	}
}

// TestDrawEdges asks for a draw too early, with another seed, of another number
// and again, and joins between its opening and its record.
func TestDrawEdges(t *testing.T) {
	e, camp := start(t, parse(t, small(2, 1)+byLot), &tape{})
	join(t, e, camp, oldOpens-1, key(1), bornOld)
	if seq, err := e.OpenDraw(oldOpens-1, camp, bornOld, commitmentOf); seq != 0 || err != nil {
		t.Errorf("a second draw for one opening: %d, %v", seq, err)
	}
	if seq, err := e.OpenDraw(oldOpens, camp, bornOld, commitmentOf); seq != 0 || err != nil {
		t.Errorf("a draw for nobody who is early: %d, %v", seq, err)
	}
	state := camp.Line()
	if opens, found := state.NextOpening(); opens != oldOpens || !found || len(state.DueDraws(nil, oldOpens-1)) != 0 {
		t.Errorf("the draw waits for %d, %v", opens, found)
	}
	if due := state.DueDraws(nil, oldOpens); !slices.Equal(due, []event.Draw{1}) {
		t.Errorf("due are %v", due)
	}
	for _, c := range []struct {
		now  event.Time
		draw event.Draw
		seed line.Seed
		want error
	}{
		{oldOpens - 1, 1, seedOf(1), core.ErrDrawNotDue},
		{oldOpens, 1, seedOf(2), core.ErrSeed},
		{oldOpens, 0, seedOf(1), core.NotFound},
		{oldOpens, 2, seedOf(1), core.NotFound},
	} {
		if seq, err := e.Draw(c.now, camp, c.draw, c.seed); seq != 0 || !errors.Is(err, c.want) {
			t.Errorf("draw %d at %d: %d, %v; want %v", c.draw, c.now, seq, err, c.want)
		}
	}
	if place := join(t, e, camp, oldOpens+5, key(2), bornOld); !place.Early() || place.Index != 2 {
		t.Errorf("who comes before the draw is drawn has %+v", place)
	}
	drawn := done(t)(e.Draw(oldOpens+6, camp, 1, seedOf(1)))
	if seq, err := e.Draw(oldOpens+7, camp, 1, seedOf(1)); seq != 0 || err != nil {
		t.Errorf("drawn again: %d, %v", seq, err)
	}
	if place := join(t, e, camp, oldOpens+8, key(3), bornOld); place.Number != 3 || place.Draw != 0 {
		t.Errorf("who comes after the draw has %+v", place)
	}
	state = camp.Line()
	if p := camp.Person(key(1), nil); p.Newest < drawn || state.Newest < drawn || state.Number(p.Place) != p.Place.Number {
		t.Errorf("the number of %+v rests on record %d, the line on %d; the draw is record %d", p.Place, p.Newest, state.Newest, drawn)
	}
	if _, found := state.NextOpening(); found || state.Early != 0 || state.Issued != 3 {
		t.Errorf("after the draw: %+v", state)
	}
	if _, err := core.DrawnNumber(seedOf(1), 2, 0, 3); err == nil {
		t.Error("index 3 of a draw of 2 has a number")
	}
}

// TestMovedOpenings changes the windows under a draw that both cohorts of a
// shared opening, or the young alone, entered.
func TestMovedOpenings(t *testing.T) {
	const (
		shared = "  - {cohorts: [old], opens: 2021-07-19T20:00, closes: 2021-07-20T18:00}\n  - {cohorts: [young], opens: 2021-07-19T20:00, closes: 2021-07-21T18:00}\n"
		first  = "  - {cohorts: [old], opens: 2021-07-19T20:00, closes: 2021-07-20T18:00}\n"
		second = "  - {cohorts: [young], opens: 2021-07-20T12:00, closes: 2021-07-21T18:00}\n"
		makeUp = "  - {cohorts: [old, young], opens: 2021-07-21T20:00, closes: 2021-07-21T22:00}\n"
	)
	for name, c := range map[string]struct {
		before, joins string // the windows, and when old (and young, where they share) join
		after, opens  string
	}{
		"nothing moves":          {first + second, "2021-07-19T19:45", first + second, "2021-07-19T20:00"},
		"an hour later":          {first + second, "2021-07-19T19:45", strings.Replace(first, "19T20:00", "19T21:00", 1) + second, "2021-07-19T21:00"},
		"an hour earlier":        {first + second, "2021-07-19T19:45", strings.Replace(first, "19T20:00", "19T19:00", 1) + second, "2021-07-19T19:00"},
		"a window before it":     {first + second, "2021-07-19T19:45", makeUp + first + "  - {cohorts: [old], opens: 2021-07-19T19:50, closes: 2021-07-19T19:55}\n", "2021-07-19T19:50"},
		"its window is gone":     {first + second, "2021-07-19T19:45", second, "2021-07-19T20:00"},
		"one of two moves":       {shared, "2021-07-19T19:45", strings.Replace(shared, "19T20:00", "19T21:00", 1), "2021-07-19T20:00"},
		"the other one moves":    {shared, "2021-07-19T19:45", strings.Replace(shared, "[young], opens: 2021-07-19T20:00", "[young], opens: 2021-07-19T22:00", 1), "2021-07-19T20:00"},
		"both move":              {shared, "2021-07-19T19:45", strings.ReplaceAll(shared, "19T20:00", "19T21:00"), "2021-07-19T21:00"},
		"a second one, unmoved":  {first + makeUp, "2021-07-21T19:45", first + makeUp, "2021-07-21T20:00"},
		"a second one, moved":    {first + makeUp, "2021-07-21T19:45", first + strings.Replace(makeUp, "21T20:00", "21T21:00", 1), "2021-07-21T21:00"},
		"the closed one reopens": {first + makeUp, "2021-07-21T19:45", strings.Replace(first, "20T18:00", "21T22:00", 1) + makeUp, "2021-07-19T20:00"},
	} {
		definition := func(windows, hold string) *campaign.Definition {
			text := strings.Replace(small(2, 1), "hold: 5m", "hold: "+hold, 1)
			from, to := strings.Index(text, "windows:\n")+len("windows:\n"), strings.Index(text, "products:")
			return parse(t, text[:from]+windows+text[to:]+byLot)
		}
		e, camp := start(t, definition(c.before, "5m"), &tape{})
		now := at(c.joins + ":00+09:00")
		join(t, e, camp, now, key(1), bornOld)
		if c.before == shared {
			join(t, e, camp, now, key(2), bornYoung)
		}
		if _, _, err := e.Define(now, definition(c.after, "6m")); err != nil {
			t.Fatal(err)
		}
		if draws := camp.Line().Draws; len(draws) != 1 || draws[0].Opens != at(c.opens+":00+09:00") {
			t.Errorf("%s: %+v", name, draws)
		}
	}
}

// TestCohortsKeepTheirNames lets the next version name its cohorts in another
// order: places, bookings and counts stay with the cohort that they came by.
func TestCohortsKeepTheirNames(t *testing.T) {
	journal := &tape{}
	e, camp := start(t, parse(t, small(2, 1)), journal)
	join(t, e, camp, oldOpens, key(1), bornOld)
	if _, err := e.Do(oldOpens, &core.Command{Op: core.Book, Person: key(1), Born: bornOld}); err != nil {
		t.Fatal(err)
	}
	other := strings.Replace(small(2, 1), "cohorts:\n", "cohorts:\n  - {id: eldest, born: 1930-01-01..1959-12-31}\n", 1)
	if _, _, err := e.Define(oldOpens, parse(t, other)); err != nil {
		t.Fatal(err)
	}
	join(t, e, camp, at("2021-07-20T12:00:00+09:00"), key(2), bornYoung)
	for _, camp := range []*core.Campaign{camp, replay(t, journal.records, nil).Campaign("small")} {
		old, young := camp.Person(key(1), nil), camp.Person(key(2), nil)
		if camp.CohortID(old.Place.Cohort) != "old" || camp.CohortID(old.Bookings[0].Cohort) != "old" || camp.CohortID(young.Place.Cohort) != "young" {
			t.Errorf("places %+v and %+v, booking %+v", old.Place, young.Place, old.Bookings[0])
		}
		want := []core.CohortTotals{{ID: "old", Joined: 1, InLine: 1, Booked: 1}, {ID: "young", Joined: 1, InLine: 1}, {ID: "eldest"}}
		if got := camp.Cohorts(); !slices.Equal(got, want) {
			t.Errorf("cohorts %+v, want %+v", got, want)
		}
	}
	if camp.CohortID(3) != "" {
		t.Error("a fourth cohort has an id")
	}
}
