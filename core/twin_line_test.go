package core_test

import (
	"slices"

	"pgregory.net/rapid"

	"weir/core"
	"weir/core/campaign"
	"weir/core/event"
	"weir/core/line"
)

// twinLine is the waiting line of the twin. It writes every number down as soon
// as it is given, where the engine computes it.
type twinLine struct {
	issued  event.Number
	serving event.Number
	draws   []*twinDraw
	cohorts []core.CohortTotals

	paused bool
	reason string
	since  event.Time
	pauses [][2]event.Time
}

type twinPlace struct {
	number event.Number
	draw   event.Draw
	index  event.Index
	cohort uint16
}

type twinDraw struct {
	opens   event.Time
	places  []*twinPlace          // by index, also of who left
	cohorts map[string]event.Time // by which people entered, the first of them since
	drawn   bool
	base    event.Number
}

func seedOf(draw event.Draw) line.Seed { return line.Seed{byte(draw), 0xC0, 0xFF, 0xEE} }

func commitmentOf(draw event.Draw) line.Commitment { return seedOf(draw).Commitment() }

func (t *twin) define(d *campaign.Definition) {
	t.rules, t.version = d, t.version+1
	t.next()
	for _, c := range d.Cohorts {
		if !slices.ContainsFunc(t.line.cohorts, func(known core.CohortTotals) bool { return known.ID == c.ID }) {
			t.line.cohorts = append(t.line.cohorts, core.CohortTotals{ID: c.ID})
		}
	}
	for _, draw := range t.line.draws {
		if !draw.drawn {
			draw.move(d)
		}
	}
}

// move finds the first opening of all windows that a cohort of the draw has not
// missed.
func (draw *twinDraw) move(d *campaign.Definition) {
	var openings []event.Time
	for id, since := range draw.cohorts {
		for _, w := range d.Windows {
			for _, c := range w.Cohorts {
				if d.Cohorts[c].ID == id && w.Closes > since {
					openings = append(openings, w.Opens)
				}
			}
		}
	}
	if len(openings) > 0 {
		draw.opens = slices.Min(openings)
	}
}

func (t *twin) cohort(id string) uint16 {
	return uint16(slices.IndexFunc(t.line.cohorts, func(c core.CohortTotals) bool { return c.ID == id }))
}

func (t *twin) count(cohort uint16) *core.CohortTotals { return &t.line.cohorts[cohort] }

func (t *twin) holdTime(now event.Time) event.Time {
	if t.line.paused {
		return t.line.since
	}
	return now
}

func (p *twinPlace) shown() core.Place {
	if p == nil {
		return core.Place{}
	}
	return core.Place{Number: p.number, Draw: p.draw, Index: p.index, Cohort: p.cohort}
}

func (t *twin) mayComeIn(v campaign.Decision, p *twinPerson) (core.Outcome, error) {
	if t.line.paused {
		v.Reason = campaign.Paused
		return core.Outcome{Decision: v}, core.CampaignPaused
	}
	if t.rules.Line.Enabled && (p.place == nil || p.place.number == 0 || p.place.number > t.line.serving) {
		return core.Outcome{}, core.NotYourTurn
	}
	return core.Outcome{}, nil
}

func (t *twin) mayJoin(now event.Time, v campaign.Decision, p *twinPerson) error {
	switch {
	case v.Reason == campaign.NotInAnyCohort:
		return core.NotEligible
	case v.Reason == campaign.Eligible, len(p.standing()) > 0, v.Next >= 0 && now >= t.rules.LineOpens(v.Next):
		return nil
	case v.Next >= 0 && !t.rules.LineOpen(now):
		return core.LineNotOpen
	}
	return core.NotEligible
}

func (t *twin) join(now event.Time, c *core.Command, p *twinPerson) (core.Outcome, error) {
	if p.place != nil {
		return core.Outcome{Place: p.place.shown()}, nil
	}
	v := t.rules.Decide(c.Born, now)
	if err := t.mayJoin(now, v, p); err != nil {
		return core.Outcome{Decision: v}, err
	}
	early := v.Reason != campaign.Eligible && v.Next >= 0 && now >= t.rules.LineOpens(v.Next)
	window, id := v.Window, t.rules.Cohorts[v.Cohort].ID
	if early {
		window = v.Next
		id = t.waitsBy(c.Born, window)
	}
	place := &twinPlace{cohort: t.cohort(id)}
	if early || v.Reason == campaign.Eligible {
		for i, draw := range t.line.draws {
			if !draw.drawn && draw.opens == t.rules.Windows[window].Opens && place.draw == 0 {
				place.draw = event.Draw(i + 1)
			}
		}
	}
	switch {
	case place.draw != 0:
		draw := t.line.draws[place.draw-1]
		draw.places = append(draw.places, place)
		place.index = event.Index(len(draw.places))
		if _, known := draw.cohorts[id]; !known {
			draw.cohorts[id] = now
		}
	case early && t.rules.Line.Enabled && t.rules.Line.Order == campaign.Draw:
		return core.Outcome{Decision: v}, core.ErrDrawNotOpen
	default:
		t.line.issued++
		place.number = t.line.issued
	}
	p.place = place
	t.count(place.cohort).Joined++
	return core.Outcome{Seq: t.next(), Done: true, Place: place.shown()}, nil
}

func (t *twin) waitsBy(born campaign.Date, window int) string {
	for _, i := range t.rules.Windows[window].Cohorts {
		if c := t.rules.Cohorts[i]; c.From <= born && born <= c.To {
			return c.ID
		}
	}
	return ""
}

// openDraw is Engine.OpenDraw for somebody whom join told that there is no draw.
func (t *twin) openDraw(now event.Time, born campaign.Date) event.Seq {
	window := t.rules.Decide(born, now).Next
	draw := &twinDraw{opens: t.rules.Windows[window].Opens, cohorts: map[string]event.Time{t.waitsBy(born, window): now}}
	t.line.draws = append(t.line.draws, draw)
	return t.next()
}

func (t *twin) draw(now event.Time, ordinal event.Draw) (event.Seq, error) {
	if ordinal == 0 || int(ordinal) > len(t.line.draws) {
		return 0, core.NotFound
	}
	draw := t.line.draws[ordinal-1]
	switch {
	case draw.drawn:
		return 0, nil
	case now < draw.opens:
		return 0, core.ErrDrawNotDue
	}
	draw.drawn, draw.base = true, t.line.issued
	size := uint32(len(draw.places))
	for i, place := range draw.places {
		place.number = draw.base + 1 + event.Number(line.Rank(seedOf(ordinal), size, uint32(i)))
	}
	t.line.issued += event.Number(size)
	return t.next(), nil
}

func (t *twin) serve(upTo event.Number) (event.Seq, error) {
	if upTo <= t.line.serving {
		return 0, nil
	}
	if t.line.paused {
		return 0, core.CampaignPaused
	}
	t.line.serving = upTo
	return t.next(), nil
}

func (t *twin) pause(now event.Time, reason string) event.Seq {
	if t.line.paused && t.line.reason == reason {
		return 0
	}
	if !t.line.paused {
		t.line.paused, t.line.since = true, now
	}
	t.line.reason = reason
	return t.next()
}

func (t *twin) resume(now event.Time) event.Seq {
	if !t.line.paused {
		return 0
	}
	for _, p := range t.people {
		if p.hold != nil {
			p.hold.Expires += now - t.line.since
		}
	}
	t.line.pauses = append(t.line.pauses, [2]event.Time{t.line.since, now})
	t.line.paused, t.line.reason, t.line.since = false, "", 0
	return t.next()
}

// compareLines compares all that the line tells, and how long it was paused
// after each of some times.
func compareLines(rt *rapid.T, camp *core.Campaign, slow *twin, now event.Time) {
	got, want := camp.Line(), &slow.line
	early := 0
	for _, draw := range want.draws {
		if !draw.drawn {
			early += len(draw.places)
		}
	}
	if got.Issued != want.issued || got.Serving != want.serving || int(got.Early) != early || len(got.Draws) != len(want.draws) ||
		got.Paused != want.paused || got.Reason != want.reason || got.Since != want.since {
		rt.Fatalf("the line is\n%+v, the twin's\n%+v, early %d", got, *want, early)
	}
	for i, draw := range want.draws {
		seen, ordinal := got.Draws[i], event.Draw(i+1)
		if seen.Opens != draw.opens || seen.Drawn != draw.drawn || seen.Commitment != commitmentOf(ordinal) || seen.Base != draw.base ||
			draw.drawn && (seen.Seed != seedOf(ordinal) || int(seen.Size) != len(draw.places)) || !draw.drawn && seen.Seed != (line.Seed{}) {
			rt.Fatalf("draw %d is %+v, the twin's %+v", ordinal, seen, *draw)
		}
	}
	for back := event.Time(1); back < 1<<40; back *= 7 {
		from, paused := now-back, event.Time(0)
		for _, p := range want.pauses {
			paused += max(0, p[1]-max(from, p[0]))
		}
		if want.paused {
			paused += now - max(from, want.since)
		}
		if between := got.PausedBetween(from, now); between != paused {
			rt.Fatalf("%d ms before the last %d were paused, the twin says %d", between, back, paused)
		}
	}
	compareCohorts(rt, camp, want.cohorts)
}

func compareCohorts(rt *rapid.T, camp *core.Campaign, want []core.CohortTotals) {
	got := camp.Cohorts()
	if len(got) != len(want) {
		rt.Fatalf("cohorts %+v, the twin's %+v", got, want)
	}
	for i, w := range want {
		w.InLine = w.Joined - w.Left
		if got[i] != w || camp.CohortID(uint16(i)) != w.ID {
			rt.Fatalf("cohort %d: %+v, the twin's %+v", i, got[i], w)
		}
	}
}
