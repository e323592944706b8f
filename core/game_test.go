package core_test

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"weir/core"
	"weir/core/campaign"
	"weir/core/event"
)

// versions are definitions of the small campaign that may follow each other in
// any order: without a line, by lot, by arrival, with openings moved, with
// cohorts renamed and in another order, with a window that all share.
func versions(t testing.TB) (list []*campaign.Definition) {
	const byLot = "line: {enabled: true, opens_before: 2h, order: draw}\n"
	moved := strings.NewReplacer("opens: 2021-07-19T20:00", "opens: 2021-07-19T21:00", "opens: 2021-07-20T12:00", "opens: 2021-07-19T21:00")
	recast := strings.NewReplacer(
		"  - {id: old, born: 1960-01-01..1965-12-31}\n  - {id: young, born: 1965-06-01..1970-12-31}\n",
		"  - {id: young, born: 1965-01-01..1970-12-31}\n  - {id: all, born: 1959-01-01..1970-12-31}\n  - {id: old, born: 1960-01-01..1965-12-31}\n",
		"windows:\n", "windows:\n  - {cohorts: [all], opens: 2021-07-20T18:00, closes: 2021-07-21T23:00}\n")
	for _, text := range []string{
		small(2, 1), small(1, 2), small(2, 1) + byLot, small(1, 2) + byLot,
		moved.Replace(small(2, 1)) + byLot, recast.Replace(small(2, 1)) + byLot,
		small(2, 1) + "line: {enabled: true, opens_before: 2h, order: arrival}\n",
	} {
		list = append(list, parse(t, text))
	}
	return list
}

// TestTwin plays the same random commands on the engine and on a slow, obvious
// twin, compares every answer and the whole state, and replays the log.
func TestTwin(t *testing.T) {
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
		digests := map[int]string{}
		for range rapid.IntRange(1, 120).Draw(rt, "commands") {
			play.now = drawTime(rt, play.now, moments)
			play.steer(definitions)
			play.command(d)
			digests[len(journal.records)] = e.Digest()
		}
		comparePeople(rt, camp, play.slow)
		compareLines(rt, camp, play.slow, play.now)
		if err := e.Check(); err != nil {
			rt.Fatal(err)
		}
		if journal.reserved != 0 {
			rt.Fatalf("%d bytes of the journal stay reserved", journal.reserved)
		}
		replay(t, journal.records, func(n int, again *core.Engine) {
			if digest, known := digests[n]; known && again.Digest() != digest {
				rt.Fatalf("after %d records the replayed state has another digest", n)
			}
		})
	})
}

// game is one round of engine against twin.
type game struct {
	rt   *rapid.T
	e    *core.Engine
	camp *core.Campaign
	slow *twin
	now  event.Time
	refs []event.Seq
}

// command gives both one random command. Where a draw has to be opened first it
// does what the server would.
func (g *game) command(d *campaign.Definition) {
	c := drawCommand(g.rt, d, g.slow, g.refs)
	for {
		got, gotErr := g.e.Do(g.now, &c)
		want, wantErr := g.slow.do(g.now, &c)
		compareOutcomes(g.rt, &c, got, gotErr, want, wantErr)
		if got.Done && (c.Op == core.Hold || c.Op == core.Book) {
			g.refs = append(g.refs, got.Seq)
		}
		if !errors.Is(gotErr, core.ErrDrawNotOpen) {
			return
		}
		seq, err := g.e.OpenDraw(g.now, g.camp, c.Born, commitmentOf)
		g.agree("open draw", seq, err, g.slow.openDraw(g.now, c.Born), nil)
	}
}

// steer does, now and then, what no single person asks for.
func (g *game) steer(definitions []*campaign.Definition) {
	switch rapid.IntRange(0, 29).Draw(g.rt, "between") {
	case 0, 1, 2:
		if fast, want := g.e.Sweep(g.now, 1000), g.slow.sweep(g.now); fast != want {
			g.rt.Fatalf("sweep ended %d holds, the twin %d", fast, want)
		}
	case 3:
		next := rapid.SampledFrom(definitions).Draw(g.rt, "next definition")
		if next == g.slow.rules {
			return
		}
		g.slow.define(next)
		_, seq, err := g.e.Define(g.now, next)
		g.agree("define", seq, err, g.slow.seq, nil)
	case 4, 5, 6:
		draw := event.Draw(rapid.IntRange(0, len(g.slow.line.draws)+1).Draw(g.rt, "draw"))
		seq, err := g.e.Draw(g.now, g.camp, draw, seedOf(draw))
		want, wantErr := g.slow.draw(g.now, draw)
		g.agree("draw", seq, err, want, wantErr)
	case 7, 8, 9, 10:
		upTo := event.Number(rapid.IntRange(0, int(g.slow.line.issued)+2).Draw(g.rt, "up to"))
		seq, err := g.e.Serve(g.now, g.camp, upTo)
		want, wantErr := g.slow.serve(upTo)
		g.agree("serve", seq, err, want, wantErr)
	case 11:
		reason := rapid.SampledFrom([]string{"", "서버를 늘립니다"}).Draw(g.rt, "reason")
		seq, err := g.e.Pause(g.now, g.camp, reason)
		g.agree("pause", seq, err, g.slow.pause(g.now, reason), nil)
	case 12, 13:
		seq, err := g.e.Resume(g.now, g.camp)
		g.agree("resume", seq, err, g.slow.resume(g.now), nil)
	case 14:
		compareLines(g.rt, g.camp, g.slow, g.now)
	}
}

func (g *game) agree(what string, seq event.Seq, err error, want event.Seq, wantErr error) {
	if seq != want || !errors.Is(err, wantErr) || !errors.Is(wantErr, err) {
		g.rt.Fatalf("%s: record %d, %v; the twin says %d, %v", what, seq, err, want, wantErr)
	}
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
		if got.Place != want.place.shown() || len(got.Bookings) != len(want.bookings) {
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
