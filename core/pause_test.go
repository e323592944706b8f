package core_test

import (
	"errors"
	"strings"
	"testing"

	"weir/core"
	"weir/core/campaign"
	"weir/core/event"
)

// TestPause stops a campaign for twenty minutes while one person has a hold and
// another a booking.
func TestPause(t *testing.T) {
	journal := &tape{}
	e, camp := start(t, parse(t, small(2, 1)+byLot), journal)
	for i := range 4 {
		join(t, e, camp, oldOpens, key(i), bornOld)
	}
	done(t)(e.Serve(oldOpens, camp, 10))
	var do doing = func(now event.Time, op core.Op, who int, slot event.SlotID, ref event.Seq) (core.Outcome, error) {
		return e.Do(now, &core.Command{Op: op, Person: key(who), Born: bornOld, Slot: slot, Ref: ref})
	}
	hold, err1 := do(oldOpens, core.Hold, 0, 0, 0)
	booking, err2 := do(oldOpens, core.Book, 2, 2, 0)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}

	const minute = 60_000
	begins, ends := oldOpens+2*minute, oldOpens+22*minute
	paused := done(t)(e.Pause(begins, camp, "one"))
	if seq, err := e.Pause(begins+1, camp, "one"); seq != 0 || err != nil {
		t.Errorf("paused for the same reason again: %d, %v", seq, err)
	}
	done(t)(e.Pause(begins+2, camp, "two"))
	during := begins + 10*minute // past the end of the hold
	duringPause(t, do, during, hold.Hold.Seq, booking.Booking.Seq)
	if seq, err := e.Serve(during, camp, 11); seq != 0 || !errors.Is(err, core.CampaignPaused) {
		t.Errorf("served during the pause: %d, %v", seq, err)
	}
	if n := e.Sweep(during, 100); n != 0 {
		t.Errorf("%d holds ended during the pause", n)
	}
	if line := camp.Line(); !line.Paused || line.Reason != "two" || line.Since != begins || line.Newest <= paused || line.PausedBetween(oldOpens, during) != during-begins {
		t.Errorf("during the pause: %+v", line)
	}
	done(t)(e.Resume(ends, camp))
	if seq, err := e.Resume(ends, camp); seq != 0 || err != nil {
		t.Errorf("resumed again: %d, %v", seq, err)
	}
	if p := camp.Person(key(0), nil); p.Hold.Expires != hold.Hold.Expires+ends-begins {
		t.Errorf("the hold ends at %d, ended at %d before the pause", p.Hold.Expires, hold.Hold.Expires)
	}
	if line := camp.Line(); line.Paused || line.Reason != "" || line.PausedBetween(begins+1, ends+5) != ends-begins-1 || line.PausedBetween(ends, ends+5) != 0 {
		t.Errorf("after the pause: %+v", line)
	}
	left := ends + 3*minute // of the five, two had gone by
	if _, err := do(left, core.Book, 0, 0, hold.Hold.Seq); !errors.Is(err, core.HoldExpired) {
		t.Errorf("book the hold when it has ended: %v", err)
	}
	if _, err := do(left-1, core.Book, 0, 0, hold.Hold.Seq); err != nil {
		t.Errorf("book the hold in its last millisecond: %v", err)
	}
	mustCheck(t, e)
	if replay(t, journal.records, everyPrefix).Digest() != e.Digest() {
		t.Error("the replayed state has another digest")
	}
}

// doing is a command of one person.
type doing func(now event.Time, op core.Op, who int, slot event.SlotID, ref event.Seq) (core.Outcome, error)

// duringPause asks for everything while the campaign is paused, as people of
// whom 0 has a hold on slot 0, 2 a booking of slot 2, and 4 no place in line.
func duringPause(t *testing.T, do doing, during event.Time, hold, booking event.Seq) {
	t.Helper()
	for name, c := range map[string]struct {
		op   core.Op
		who  int
		slot event.SlotID
		ref  event.Seq
		want error
	}{
		"hold":                   {core.Hold, 3, 3, 0, core.CampaignPaused},
		"the hold that stands":   {core.Hold, 0, 0, 0, nil},
		"book":                   {core.Book, 3, 3, 0, core.CampaignPaused},
		"book the hold":          {core.Book, 0, 0, hold, core.CampaignPaused},
		"the booking again":      {core.Book, 2, 2, 0, nil},
		"a second booking":       {core.Book, 2, 3, 0, core.AlreadyBooked},
		"change":                 {core.Change, 2, 3, booking, core.CampaignPaused},
		"change to where it is":  {core.Change, 2, 2, booking, nil},
		"change what is nowhere": {core.Change, 3, 3, booking, core.NotFound},
		"join":                   {core.Join, 4, 0, 0, nil},
		"leave":                  {core.Leave, 3, 0, 0, nil},
	} {
		out, err := do(during, c.op, c.who, c.slot, c.ref)
		if !errors.Is(err, c.want) || (c.want == nil) != (err == nil) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if errors.Is(err, core.CampaignPaused) && out.Decision.Reason != campaign.Paused {
			t.Errorf("%s: the reason is %v", name, out.Decision.Reason)
		}
	}
}

func TestPauseRefusesReasons(t *testing.T) {
	e, camp := start(t, parse(t, small(2, 1)), &tape{})
	for _, reason := range []string{strings.Repeat("x", event.MaxReason+1), "\xff"} {
		if seq, err := e.Pause(0, camp, reason); seq != 0 || !errors.Is(err, core.ErrReason) {
			t.Errorf("%d bytes: %d, %v", len(reason), seq, err)
		}
	}
	done(t)(e.Pause(0, camp, strings.Repeat("x", event.MaxReason)))
}

// TestSteeringPassesTheJournalsRefusalOn sees that a full journal stops who
// steers as well, with nothing changed or left reserved.
func TestSteeringPassesTheJournalsRefusalOn(t *testing.T) {
	journal := &tape{}
	e, camp := start(t, parse(t, small(2, 1)), journal)
	before := e.Digest()
	journal.refuse = core.ErrOverloaded
	if _, err := e.Pause(0, camp, ""); !errors.Is(err, core.ErrOverloaded) {
		t.Error(err)
	}
	if _, err := e.Serve(0, camp, 1); !errors.Is(err, core.ErrOverloaded) {
		t.Error(err)
	}
	journal.refuse = nil
	if _, err := e.Resume(0, camp); err != nil || journal.reserved != 0 || e.Digest() != before {
		t.Errorf("%v; %d bytes stay reserved", err, journal.reserved)
	}
}
