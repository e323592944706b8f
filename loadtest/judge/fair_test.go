package judge

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"weir/core/event"
	"weir/core/line"
	"weir/loadtest/answers"
	"weir/loadtest/evidence"
)

// A story of a line that begins with a draw, goes through a pause and shows what
// is free. Times are since opened, 30 s after the opening of the draw.

// early are the persons who come before the opening, in the order of their
// coming; latecomer comes behind it.
var early = []answers.Person{0, 1, 2, 8, 9, 10}

const latecomer = answers.Person(16)

var drawSeed = line.Seed{1, 2, 3}

// drawn is the draw of the story as it is published behind the opening.
func drawn(base event.Number) answers.Draw {
	return answers.Draw{
		Ordinal: 1, Opens: opening, Commitment: drawSeed.Commitment(),
		Drawn: true, Seed: drawSeed, Size: uint32(len(early)), Base: base,
	}
}

// numberOf is the number of the person in that place of early.
func numberOf(i int, base event.Number) event.Number {
	return base + 1 + event.Number(line.Rank(drawSeed, uint32(len(early)), uint32(i)))
}

// newFair is: six join early and are drawn, one comes behind them; all are
// called, and all but person 10 come in. Person 0 holds slot 1; the campaign is
// paused from 5 to 15 s, in which person 1 may not book and person 2 is told so;
// behind it both book, and who looks sees it.
func newFair() *story {
	s := &story{line: true, draw: true, found: Found{Totals: evidence.Totals{Slots: 8, Places: 16}}}
	s.pauses = []Pause{{
		Asked: opened + 5*time.Second, Paused: opened + 5100*time.Millisecond,
		Ending: opened + 15*time.Second, Ended: opened + 15100*time.Millisecond,
	}}
	before := drawn(0)
	before.Drawn, before.Seed, before.Size = false, line.Seed{}, 0
	s.public(-34800*time.Millisecond, 0, 0).Draws = []answers.Draw{before}
	for i, p := range early {
		s.entersAt(-34500*time.Millisecond+time.Duration(i)*400*time.Millisecond, p, event.Index(i+1))
	}
	s.public(-29*time.Second, 6, 0).Draws = []answers.Draw{drawn(0)}
	for i, p := range early {
		s.placed(-28*time.Second+time.Duration(i)*400*time.Millisecond, p, answers.Waiting, i)
	}
	s.joins(-20*time.Second, latecomer, 7, answers.Waiting)
	s.public(-time.Second, 7, 7)
	for i, p := range early[:5] {
		s.placed(time.Duration(i)*100*time.Millisecond, p, answers.Admitted, i)
	}
	s.at(time.Second, latecomer, answers.Admitted, 7)
	a := s.told(2*time.Second, 0, answers.Hold, answers.Created)
	a.AskedSlot, a.Held = 1, answers.Held{Ref: 10, Slot: 1, Expires: atServer(12*time.Second) + 50}
	s.told(8*time.Second, 1, answers.Book, answers.CampaignPaused).AskedSlot = 2
	s.told(9*time.Second, 2, answers.Eligibility, answers.OK).Reason = answers.Paused
	s.public(10*time.Second, 7, 7).Serving.Paused = true
	a = s.books(20*time.Second, 0, 1, 11)
	a.AskedSlot, a.AskedRef, a.Key = event.NoSlot, 10, 7
	s.books(21*time.Second, 1, 2, 12)
	s.shows(25*time.Second, 2, 1, 1, 2, 2, 2, 2, 2)
	return s
}

func atServer(at time.Duration) event.Time {
	return runBegan + event.Time((opened + at).Milliseconds())
}

func (s *story) entersAt(at time.Duration, person answers.Person, index event.Index) *answers.Answer {
	a := s.told(at, person, answers.Join, answers.Created)
	a.Credential, a.Place = answers.Identity, answers.Place{State: answers.Early, Draw: 1, Index: index}
	s.found.Totals.Issued++
	return a
}

// placed tells the place of the person at i of early.
func (s *story) placed(at time.Duration, person answers.Person, state answers.PlaceState, i int) *answers.Answer {
	a := s.at(at, person, state, numberOf(i, 0))
	a.Place.Draw, a.Place.Index = 1, event.Index(i+1)
	return a
}

// shows tells how much the slots from 0 on have left, half a second old.
func (s *story) shows(at time.Duration, left ...uint16) *answers.Answer {
	a := s.told(at, answers.Nobody, answers.Slots, answers.OK)
	a.Shown = answers.Shown{AsOf: atServer(at) - 500, Left: left}
	return a
}

// each changes every answer that yes picks.
func (s *story) each(yes func(*answers.Answer) bool, change func(*answers.Answer)) {
	for i := range s.all {
		if yes(&s.all[i]) {
			change(&s.all[i])
		}
	}
}

func hasDraws(a *answers.Answer) bool { return len(a.Draws) > 0 }
func isDrawn(a *answers.Answer) bool  { return hasDraws(a) && a.Draws[0].Drawn }

// unfair are faults, and variants that are none (nil), of the story of newFair.
var unfair = map[string]struct {
	plant func(s *story)
	want  error
}{
	"nothing wrong": {func(*story) {}, nil},

	"two places of the draw exchanged": {func(s *story) {
		s.each(func(a *answers.Answer) bool { return a.Person < 2 && a.Place.Number != 0 }, func(a *answers.Answer) {
			a.Place.Number = numberOf(1-int(a.Person), 0)
		})
	}, ErrDraw},
	"a seed that was not committed to": {func(s *story) {
		s.each(isDrawn, func(a *answers.Answer) { a.Draws[0].Seed[0]++ })
	}, ErrDraw},
	"another seed and its commitment": {func(s *story) {
		s.each(isDrawn, func(a *answers.Answer) {
			a.Draws[0].Seed[0]++
			a.Draws[0].Commitment = a.Draws[0].Seed.Commitment()
		})
	}, ErrDraw},
	"two seeds": {func(s *story) {
		other := drawn(0)
		other.Base = 1
		s.public(22*time.Second, 7, 7).Draws = []answers.Draw{other}
	}, ErrDraw},
	"a seed that is no longer public": {func(s *story) {
		s.public(22*time.Second, 7, 7).Draws = []answers.Draw{{Ordinal: 1, Opens: opening, Commitment: drawSeed.Commitment()}}
	}, ErrStale},
	"a seed before the opening": {func(s *story) { s.public(-31*time.Second, 0, 0).Draws = []answers.Draw{drawn(0)} }, ErrDraw},
	"a draw for no opening":     {func(s *story) { s.each(hasDraws, func(a *answers.Answer) { a.Draws[0].Opens++ }) }, ErrDraw},
	"a larger draw": {func(s *story) {
		s.each(isDrawn, func(a *answers.Answer) { a.Draws[0].Size++ })
		s.found.Totals.Issued++
	}, ErrDraw},
	"an index beyond the draw": {func(s *story) {
		s.entersAt(-31*time.Second, 17, 7)
		s.found.Totals.Issued--
	}, ErrDraw},
	"one index for two": {func(s *story) { s.entersAt(-31*time.Second, 17, 6) }, ErrDouble},
	"indices against the order": {func(s *story) {
		s.find(answers.Join, 9).Place.Index = 6
		s.find(answers.Join, 10).Place.Index = 5
	}, ErrOrder},
	"another index than before": {func(s *story) { s.find(answers.OwnPlace, 2).Place.Index = 2 }, ErrAltered},
	"a place from no draw, once in one": {func(s *story) {
		p := &s.find(answers.OwnPlace, 2).Place
		p.Draw, p.Index = 0, 0
	}, ErrAltered},
	"early, and in no draw": {func(s *story) { s.find(answers.Join, 2).Place = answers.Place{State: answers.Early} }, ErrAnswer},
	"early behind the draw": {func(s *story) {
		s.entersAt(-25*time.Second, 17, 7)
		s.each(isDrawn, func(a *answers.Answer) { a.Draws[0].Size++ })
	}, ErrStale},
	"a number before the draw": {func(s *story) { s.joins(-32*time.Second, 17, 8, answers.Waiting) }, ErrTurn},
	"a latecomer with a number of the draw": {func(s *story) {
		s.each(func(a *answers.Answer) bool { return a.Person == 2 && a.Place.Number != 0 }, func(a *answers.Answer) { a.Place.Number = 0 })
		s.each(func(a *answers.Answer) bool { return a.Person == latecomer && a.Place.Number != 0 }, func(a *answers.Answer) { a.Place.Number = numberOf(2, 0) })
	}, ErrDraw},
	"a latecomer in front of the draw": {func(s *story) {
		s.each(isDrawn, func(a *answers.Answer) { a.Draws[0].Base = 1 })
		s.each(func(a *answers.Answer) bool { return a.Place.Number != 0 }, func(a *answers.Answer) { a.Place.Number = a.Place.Number%7 + 1 })
	}, ErrOrder},
	"who left before the draw": {func(s *story) {
		s.told(-32*time.Second, 10, answers.Leave, answers.NoContent)
		s.all = slices.DeleteFunc(s.all, func(a answers.Answer) bool { return a.Person == 10 && a.Kind == answers.OwnPlace })
	}, nil},

	"a booking in the pause": {func(s *story) { s.books(9*time.Second, 2, 5, 20) }, ErrPaused},
	"a hold in the pause": {func(s *story) {
		a := s.told(9500*time.Millisecond, 2, answers.Hold, answers.Created)
		a.AskedSlot, a.Held = 5, answers.Held{Ref: 20, Slot: 5, Expires: atServer(19500*time.Millisecond) + 50}
	}, ErrPaused},
	"a change in the pause": {func(s *story) {
		s.books(3*time.Second, 2, 5, 20)
		a := s.told(9500*time.Millisecond, 2, answers.Change, answers.OK)
		row := s.row(20)
		row.Slot, row.Sequence = 6, 21
		a.AskedSlot, a.AskedRef, a.Bookings = 6, 20, []answers.Booking{row.Booking}
		s.find(answers.Eligibility, 2).Reason = answers.AlreadyBooked
	}, ErrPaused},
	"a cancellation in the pause": {func(s *story) {
		s.books(3*time.Second, 2, 5, 8)
		s.cancels(9500*time.Millisecond, 2, 8, 9)
		s.find(answers.Eligibility, 2).Reason = answers.AlreadyBooked
	}, nil},
	"a booking while the pause was asked for": {func(s *story) {
		s.books(5*time.Second, 8, 5, 8)
		s.cancels(22*time.Second, 8, 8, 13)
	}, nil},
	"paused too soon":     {func(s *story) { s.told(4*time.Second, 8, answers.Book, answers.CampaignPaused).AskedSlot = 5 }, ErrUnjustified},
	"paused for too long": {func(s *story) { s.told(16*time.Second, 8, answers.Book, answers.CampaignPaused).AskedSlot = 5 }, ErrUnjustified},
	"paused for a cancellation": {func(s *story) {
		s.books(3*time.Second, 8, 5, 8)
		s.told(9*time.Second, 8, answers.Cancel, answers.CampaignPaused).AskedRef = 8
	}, ErrUnjustified},
	"told to be eligible in the pause": {func(s *story) { s.find(answers.Eligibility, 2).Reason = answers.Eligible }, ErrAnswer},
	"told to be paused behind it": {func(s *story) {
		s.told(17*time.Second, 2, answers.Eligibility, answers.OK).Reason = answers.Paused
	}, ErrAnswer},
	"a line that is not paused in the pause": {func(s *story) { s.public(12*time.Second, 7, 7) }, ErrPaused},
	"a line that is paused behind it":        {func(s *story) { s.public(17*time.Second, 7, 7).Serving.Paused = true }, ErrUnjustified},
	"a mark that rises in the pause":         {func(s *story) { s.public(12*time.Second, 7, 8).Serving.Paused = true }, ErrPaused},
	"a mark that rises behind it":            {func(s *story) { s.public(17*time.Second, 7, 8) }, nil},
	"a pause that never ended": {func(s *story) {
		s.pauses[0].Ending, s.pauses[0].Ended = 0, 0
	}, ErrPaused},

	"a hold that ran out in the pause": {func(s *story) {
		s.told(19*time.Second, 0, answers.Book, answers.HoldExpired).AskedRef = 10
	}, ErrUnjustified},
	"a hold that outlived the pause by more than its length": {func(s *story) {
		a := s.find(answers.Book, 0)
		a.Sent, a.Answered = opened+24*time.Second, opened+24100*time.Millisecond
	}, ErrAnswer},
	"a hold told again, later by the pause": {func(s *story) {
		a := s.told(18*time.Second, 0, answers.Hold, answers.Created)
		a.AskedSlot, a.Held = 1, answers.Held{Ref: 10, Slot: 1, Expires: atServer(22*time.Second) + 50}
	}, nil},
	"a hold told again, not later by the pause": {func(s *story) {
		a := s.told(18*time.Second, 0, answers.Hold, answers.Created)
		a.AskedSlot, a.Held = 1, answers.Held{Ref: 10, Slot: 1, Expires: atServer(12*time.Second) + 50}
	}, ErrAnswer},
	"a pass that ran out in the pause": {func(s *story) { s.expires(20 * time.Second) }, ErrUnjustified},
	"a pass that ran out behind it":    {func(s *story) { s.expires(27 * time.Second) }, nil},

	"called, and turned away": {func(s *story) {
		for i := range turnedAwayMin {
			s.told(time.Duration(26+i)*time.Second, 10, answers.OwnPlace, answers.TooManyRequests)
		}
	}, ErrTurn},
	"called, and turned away while the server was down": {func(s *story) {
		for i := range turnedAwayMin {
			s.told(time.Duration(26+i)*time.Second, 10, answers.OwnPlace, answers.Starting)
		}
		s.downs = []Down{{opened + 26*time.Second, opened + 60*time.Second}}
	}, nil},
	"called, turned away, and let in at last": {func(s *story) {
		for i := range turnedAwayMin {
			s.told(time.Duration(26+i)*time.Second, 10, answers.OwnPlace, answers.TooManyRequests)
		}
		s.placed(40*time.Second, 10, answers.Admitted, 5)
	}, nil},
	"called, and told to wait": {func(s *story) { s.placed(26*time.Second, 10, answers.Waiting, 5) }, ErrTurn},
	"a booking out of turn on two devices": {func(s *story) {
		s.public(-2*time.Second, 7, 3)
		s.told(-10050*time.Millisecond, latecomer, answers.OwnBookings, answers.OK)
		s.books(-10*time.Second, latecomer, 5, 8)
	}, ErrTurn},

	"more left than there can be":                    {func(s *story) { s.shows(26*time.Second, 2, 2) }, ErrShown},
	"fewer left than there can be":                   {func(s *story) { s.shows(26*time.Second, 2, 1, 1, 1) }, ErrShown},
	"more left than a slot has":                      {func(s *story) { s.shows(26*time.Second, 3) }, ErrShown},
	"a hold that stands in the pause, shown as free": {func(s *story) { s.shows(14*time.Second, 2, 2) }, ErrShown},
	"what was shown while it was taken":              {func(s *story) { s.shows(20*time.Second+50*time.Millisecond, 2, 1, 2) }, nil},
	"shown from before":                              {func(s *story) { s.shows(26*time.Second, 2, 1).Shown.AsOf -= 700 }, ErrStale},
	"shown from what is to come":                     {func(s *story) { s.shows(26*time.Second, 2, 1).Shown.AsOf += 700 }, ErrStale},
	"shown from before, when all stood still": {func(s *story) {
		s.shows(30*time.Second, 2, 1).Shown.AsOf -= 3700
		s.public(31*time.Second, 7, 7).Serving.AsOf -= 9000
		s.stalls = []Stall{{opened + 23*time.Second, opened + 29900*time.Millisecond}}
	}, nil},
	"the line from before, when all stood still for less": {func(s *story) {
		s.public(31*time.Second, 7, 7).Serving.AsOf -= 9000
		s.stalls = []Stall{{opened + 27*time.Second, opened + 29900*time.Millisecond}}
	}, ErrStale},
	"sites from before": {func(s *story) {
		a := s.shows(26 * time.Second)
		a.Kind, a.Shown.First = answers.Sites, event.NoSlot
		a.Shown.AsOf -= 700
	}, ErrStale},
}

// expires tells person 8 that a pass has expired that was good from 1 to 16 s,
// and by 10 s longer for the pause.
func (s *story) expires(at time.Duration) {
	a := s.told(at, 8, answers.Book, answers.TokenExpired)
	a.AskedSlot, a.ValidSince, a.ValidUntil = 5, opened+time.Second, atServer(16*time.Second)
}

func TestUnfairness(t *testing.T) {
	for name, c := range unfair {
		t.Run(name, func(t *testing.T) {
			s := newFair()
			c.plant(s)
			v := s.judge(t, t.TempDir(), true)
			if c.want == nil && !v.Sound() || c.want != nil && !hasKind(v, c.want) {
				t.Errorf("want %v, got %v", c.want, v)
			}
		})
	}
}

func TestWhatIsLookedAtInALine(t *testing.T) {
	c := newFair().judge(t, t.TempDir(), true).Checked
	got := fmt.Sprintf("%d numbers, %d lots, %d called, %d in, %d away, %d paused, %d shown", c.Numbers, c.Lots, c.Called, c.CameIn, c.TurnedAway, c.Paused, c.Shown)
	if want := "7 numbers, 6 lots, 7 called, 6 in, 0 away, 1 paused, 8 shown"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestADrawThatNobodySaw is in doubt: what was committed to, and what was drawn.
func TestADrawThatNobodySaw(t *testing.T) {
	for name, unseen := range map[string]func(*answers.Answer) bool{
		"nothing":       hasDraws,
		"no seed":       isDrawn,
		"no commitment": func(a *answers.Answer) bool { return hasDraws(a) && !isDrawn(a) },
	} {
		s := newFair()
		s.each(unseen, func(a *answers.Answer) { a.Draws = nil })
		if v := s.judge(t, t.TempDir(), true); v.Violations() != 0 || len(v.Undecided) != 1 {
			t.Errorf("%s was told: %v", name, v)
		}
	}
}

// TestManyShownAreThinnedOut keeps some slots in full, and of the others nothing.
func TestManyShownAreThinnedOut(t *testing.T) {
	c := &court{record: newRecord(), Case: Case{Seed: 7}}
	a := answers.Answer{Kind: answers.Slots, Outcome: answers.OK, Shown: answers.Shown{Left: make([]uint16, 64)}}
	c.clock.began, c.clock.err, a.Shown.AsOf = runBegan, 2, runBegan
	for range shownMax/64 + 100 {
		c.seeShown(&a)
	}
	bySlot := map[event.SlotID]int{}
	for _, s := range c.slots.shown {
		bySlot[s.slot]++
	}
	if len(bySlot) == 0 || len(bySlot) > 48 || c.shownBits != 1 {
		t.Fatalf("%d slots are left, bits %d", len(bySlot), c.shownBits)
	}
	for slot, n := range bySlot {
		if n != shownMax/64+100 {
			t.Errorf("slot %d: %d of %d kept", slot, n, shownMax/64+100)
		}
	}
}
