package judge

import (
	"errors"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"weir/core/event"
	"weir/loadtest/answers"
	"weir/loadtest/evidence"
)

// story is a run told by hand: answers and what was found, sound until a fault
// is planted.
type story struct {
	all    []answers.Answer
	found  Found
	line   bool
	draw   bool // the order of the line
	downs  []Down
	pauses []Pause
	stalls []Stall
}

// opened is when the windows of both cohorts are open, since the run began.
const opened = 40 * time.Second

// told adds an answer of a request that took a tenth of a second.
func (s *story) told(at time.Duration, person answers.Person, kind answers.Kind, outcome answers.Outcome) *answers.Answer {
	s.all = append(s.all, answers.Answer{
		Person: person, Kind: kind, Outcome: outcome, Credential: answers.Pass, AskedSlot: event.NoSlot,
		Sent: opened + at, Answered: opened + at + 100*time.Millisecond,
	})
	return &s.all[len(s.all)-1]
}

func (s *story) joins(at time.Duration, person answers.Person, number event.Number, state answers.PlaceState) {
	a := s.told(at, person, answers.Join, answers.Created)
	a.Credential, a.Place = answers.Identity, answers.Place{State: state, Number: number}
	s.found.Totals.Issued++
}

func (s *story) books(at time.Duration, person answers.Person, slot event.SlotID, ref event.Seq) *answers.Answer {
	a := s.told(at, person, answers.Book, answers.Created)
	b := answers.Booking{Ref: ref, Slot: slot, Sequence: ref}
	a.AskedSlot, a.Bookings = slot, []answers.Booking{b}
	s.found.Bookings = append(s.found.Bookings, FoundBooking{b, keyOf(person)})
	s.found.Totals.Booked++
	s.found.Totals.Taken++
	return a
}

func (s *story) cancels(at time.Duration, person answers.Person, ref, sequence event.Seq) {
	a := s.told(at, person, answers.Cancel, answers.OK)
	row := s.row(ref)
	row.Cancelled, row.Sequence = true, sequence
	a.AskedRef, a.Bookings = ref, []answers.Booking{row.Booking}
	s.found.Totals.Booked--
	s.found.Totals.Taken--
	s.found.Totals.Cancelled++
}

func (s *story) row(ref event.Seq) *FoundBooking {
	return &s.found.Bookings[slices.IndexFunc(s.found.Bookings, func(b FoundBooking) bool { return b.Ref == ref })]
}

// lose takes a booking out of what was found, totals and all.
func (s *story) lose(ref event.Seq) {
	s.found.Bookings = slices.DeleteFunc(s.found.Bookings, func(b FoundBooking) bool { return b.Ref == ref })
	s.found.Totals.Booked--
	s.found.Totals.Taken--
}

// newStory is: person 0 joins, holds slot 1 and books it; person 1 joins, books
// slot 2, moves to slot 3 and looks; person 3 books slot 1, too, and cancels;
// person 4 books slot 0. Person 6 may not book and is told so. Persons 0 to 5
// may, by bornOf.
func newStory() *story {
	s := &story{found: Found{Totals: evidence.Totals{Slots: 8, Places: 16}}}
	s.joins(0, 0, 1, answers.Admitted)
	s.joins(time.Second, 1, 2, answers.Admitted)
	a := s.told(2*time.Second, 0, answers.Hold, answers.Created)
	a.AskedSlot = 1
	a.Held = answers.Held{Ref: 10, Slot: 1, Expires: runBegan + event.Time((opened + 12*time.Second).Milliseconds()) + 50}
	a = s.books(3*time.Second, 0, 1, 11)
	a.AskedSlot, a.AskedRef, a.Key = event.NoSlot, 10, 7
	s.books(4*time.Second, 1, 2, 12)
	a = s.told(5*time.Second, 1, answers.Change, answers.OK)
	row := s.row(12)
	row.Slot, row.Sequence = 3, 13
	a.AskedSlot, a.AskedRef, a.Bookings = 3, 12, []answers.Booking{row.Booking}
	s.told(6*time.Second, 1, answers.OwnBookings, answers.OK).Bookings = []answers.Booking{row.Booking}
	s.books(7*time.Second, 3, 1, 14)
	s.told(8*time.Second, 4, answers.Hold, answers.SlotFull).AskedSlot = 1
	s.cancels(9*time.Second, 3, 14, 15)
	s.books(10*time.Second, 4, 0, 16)
	a = s.told(11*time.Second, 6, answers.Join, answers.NotEligible)
	a.Reason = answers.NotInAnyCohort
	s.told(12*time.Second, 0, answers.OwnPlace, answers.OK).Place = answers.Place{State: answers.Admitted, Number: 1}
	s.told(13*time.Second, 0, answers.OwnBookings, answers.OK).Bookings = []answers.Booking{s.row(11).Booking}
	return s
}

func (s *story) judge(t rapid.TB, dir string, withKeys bool) *Verdict {
	order := "arrival"
	if s.draw {
		order = "draw"
	}
	rules := definitionBy(t, s.line, order)
	return verdictOf(t, dir, Case{Rules: rules, Found: &s.found, Downs: s.downs, Pauses: s.pauses, Stalls: s.stalls}, s.all, withKeys)
}

func (s *story) find(kind answers.Kind, person answers.Person) *answers.Answer {
	return &s.all[slices.IndexFunc(s.all, func(a answers.Answer) bool { return a.Kind == kind && a.Person == person })]
}

func hasKind(v *Verdict, kind error) bool {
	return slices.ContainsFunc(v.Findings, func(f Finding) bool { return errors.Is(f, kind) })
}

func TestSoundStory(t *testing.T) {
	for _, withKeys := range []bool{false, true} {
		v := newStory().judge(t, t.TempDir(), withKeys)
		if !v.Sound() {
			t.Errorf("keys known: %v: %v", withKeys, v)
		}
		if c := v.Checked; c.Answers != 14 || c.People != 5 || c.Bookings != 4 || c.Slots != 4 || c.SlotFull != 1 || c.Linearized != 2 || c.Numbers != 2 {
			t.Errorf("looked at %+v", c)
		}
	}
}

// refused replaces what somebody was told with a refusal, and takes what it had
// brought out of what was found.
func refused(kind answers.Kind, person answers.Person, outcome answers.Outcome) func(*story) {
	return func(s *story) {
		a := s.told(20*time.Second, person, kind, outcome)
		switch kind {
		case answers.Hold, answers.Book:
			a.AskedSlot = 5
		case answers.Change:
			a.AskedSlot, a.AskedRef = 5, 12
		case answers.Cancel:
			a.AskedRef = 12
		}
	}
}

var faults = map[string]struct {
	plant func(s *story)
	want  error
}{
	"a lost booking":           {func(s *story) { s.lose(16) }, ErrLost},
	"a lost cancelled booking": {func(s *story) { s.found.Bookings = slices.Delete(s.found.Bookings, 2, 3) }, ErrLost},
	"a lost cancellation": {func(s *story) {
		s.row(14).Cancelled = false
		s.found.Totals.Booked++
		s.found.Totals.Taken++
	}, ErrAltered},
	"a lost cancellation that the total knows too": {func(s *story) { s.found.Totals.Cancelled-- }, ErrTotals},
	"a lost change":           {func(s *story) { s.row(12).Slot, s.row(12).Sequence = 2, 12 }, ErrAltered},
	"another sequence number": {func(s *story) { s.row(16).Sequence = 99 }, ErrAltered},
	"a booking in the export twice": {func(s *story) {
		s.found.Bookings = append(s.found.Bookings, *s.row(16))
	}, ErrDouble},
	"one sequence number for two bookings": {func(s *story) { s.row(11).Sequence = 16 }, ErrDouble},
	"one booking for two people": {func(s *story) {
		a := s.books(20*time.Second, 5, 0, 16)
		a.Bookings[0] = s.row(16).Booking
	}, ErrDouble},
	"somebody else's booking": {func(s *story) { s.row(16).Person = keyOf(5) }, ErrAltered},
	"a person with two bookings": {func(s *story) {
		s.books(20*time.Second, 4, 5, 20)
	}, ErrOversold},
	"a person with two bookings, one of them untold": {func(s *story) {
		s.books(20*time.Second, 4, 5, 20)
		s.all = s.all[:len(s.all)-1]
	}, ErrOversold},
	"an oversold slot": {func(s *story) {
		s.books(20*time.Second, 2, 0, 20)
		s.books(21*time.Second, 5, 0, 21)
	}, ErrOversold},
	"a slot that was oversold for a while": {func(s *story) {
		s.books(20*time.Second, 2, 0, 20)
		s.books(21*time.Second, 5, 0, 21)
		s.cancels(22*time.Second, 5, 21, 22)
	}, ErrOversold},
	"a slot that does not exist": {func(s *story) { s.books(20*time.Second, 2, 8, 20) }, ErrOversold},
	"an invented booking": {func(s *story) {
		s.books(20*time.Second, 2, 5, 20)
		s.all = s.all[:len(s.all)-1]
	}, ErrInvented},
	"an invented booking of somebody who had a cancelled one": {func(s *story) {
		s.books(20*time.Second, 3, 5, 20)
		s.all = s.all[:len(s.all)-1]
	}, ErrInvented},
	"an invented booking beside an unanswered request for another slot": {func(s *story) {
		s.books(20*time.Second, 2, 5, 20)
		a := &s.all[len(s.all)-1]
		a.Outcome, a.AskedSlot, a.Bookings = answers.NoAnswer, 6, nil
	}, ErrInvented},
	"an unanswered booking that came twice": {func(s *story) {
		s.books(20*time.Second, 2, 5, 20)
		s.books(21*time.Second, 5, 5, 21)
		s.all = s.all[:len(s.all)-1]
		a := &s.all[len(s.all)-1]
		a.Outcome, a.Bookings = answers.NoAnswer, nil
	}, ErrInvented},
	"the same request booked twice": {func(s *story) {
		s.cancels(20*time.Second, 0, 11, 20)
		s.books(21*time.Second, 0, 1, 21).Key = 7
	}, ErrDouble},
	"a stale list of bookings": {func(s *story) { s.find(answers.OwnBookings, 0).Bookings = nil }, ErrStale},
	"a list from before a change": {func(s *story) {
		s.find(answers.OwnBookings, 1).Bookings[0] = answers.Booking{Ref: 12, Slot: 2, Sequence: 12}
	}, ErrStale},
	"an older sequence number":   {func(s *story) { s.books(20*time.Second, 2, 5, 20); s.cancels(21*time.Second, 2, 20, 19) }, ErrStale},
	"another number than before": {func(s *story) { s.find(answers.OwnPlace, 0).Place.Number = 3 }, ErrAltered},
	"a second place":             {func(s *story) { s.joins(20*time.Second, 0, 3, answers.Admitted) }, ErrDouble},
	"one number for two":         {func(s *story) { s.joins(20*time.Second, 2, 2, answers.Admitted) }, ErrDouble},
	"numbers against the order":  {func(s *story) { s.find(answers.Join, 0).Place.Number = 3; s.find(answers.OwnPlace, 0).Place.Number = 3 }, ErrOrder},
	"more numbers than told":     {func(s *story) { s.found.Totals.Issued++ }, ErrTotals},
	"fewer numbers than told":    {func(s *story) { s.found.Totals.Issued-- }, ErrTotals},
	"a place that disappeared": {func(s *story) {
		s.find(answers.OwnPlace, 0).Outcome = answers.NotFound
		s.find(answers.OwnPlace, 0).Place = answers.Place{}
	}, ErrUnjustified},
	"waiting where there is no line": {func(s *story) { s.find(answers.OwnPlace, 0).Place.State = answers.Waiting }, ErrAnswer},
	"a booking for who may not":      {func(s *story) { s.books(20*time.Second, 6, 5, 20) }, ErrIneligible},
	"a hold for who may not": {func(s *story) {
		a := s.told(20*time.Second, 6, answers.Hold, answers.Created)
		a.AskedSlot, a.Held = 5, answers.Held{Ref: 20, Slot: 5, Expires: runBegan + event.Time((opened + 30*time.Second).Milliseconds()) + 50}
		s.found.Totals.Holds, s.found.Totals.Taken = 1, s.found.Totals.Taken+1
	}, ErrIneligible},
	"a place for who may not":     {func(s *story) { s.joins(20*time.Second, 6, 3, answers.Admitted) }, ErrIneligible},
	"a booking before the window": {func(s *story) { s.books(-35*time.Second, 2, 5, 5) }, ErrIneligible},
	"a booking of another slot":   {func(s *story) { s.find(answers.Book, 4).AskedSlot = 6 }, ErrAnswer},
	"a hold that is too short":    {func(s *story) { s.find(answers.Hold, 0).Held.Expires -= 2000 }, ErrAnswer},
	"booked by an expired hold": {func(s *story) {
		a := s.find(answers.Book, 0)
		a.Sent, a.Answered = opened+14*time.Second, opened+15*time.Second
		s.find(answers.OwnBookings, 0).Sent, s.find(answers.OwnBookings, 0).Answered = opened+16*time.Second, opened+17*time.Second
	}, ErrAnswer},
	"a forged credential that was taken": {func(s *story) { s.find(answers.Book, 4).Credential = answers.Bad }, ErrAnswer},
	"an odd answer":                      {func(s *story) { s.told(20*time.Second, 5, answers.OwnBookings, answers.Odd) }, ErrAnswer},

	"full with a place left":               {refused(answers.Hold, 2, answers.SlotFull), ErrUnjustified},
	"full for a booking with a place left": {refused(answers.Book, 2, answers.SlotFull), ErrUnjustified},
	"full for a change with a place left":  {refused(answers.Change, 1, answers.SlotFull), ErrUnjustified},
	"booked already without a booking":     {refused(answers.Book, 2, answers.BookedAlready), ErrUnjustified},
	"not eligible, and is":                 {refused(answers.Join, 2, answers.NotEligible), ErrUnjustified},
	"not open, and is":                     {refused(answers.Book, 2, answers.NotOpen), ErrUnjustified},
	"closed, and is open":                  {refused(answers.Hold, 2, answers.Closed), ErrUnjustified},
	"the line not open, and is":            {refused(answers.Join, 2, answers.LineNotOpen), ErrUnjustified},
	"no line, and not the turn":            {refused(answers.Book, 2, answers.NotYourTurn), ErrUnjustified},
	"a booking not found":                  {refused(answers.Cancel, 1, answers.NotFound), ErrUnjustified},
	"a changed booking not found":          {refused(answers.Change, 1, answers.NotFound), ErrUnjustified},
	"too late, weeks before":               {refused(answers.Cancel, 1, answers.TooLateToChange), ErrUnjustified},
	"a slot closed, weeks before":          {refused(answers.Book, 2, answers.SlotClosed), ErrUnjustified},
	"unauthenticated with a good token":    {refused(answers.OwnBookings, 2, answers.Unauthenticated), ErrUnjustified},
	"expired with a good token": {func(s *story) {
		refused(answers.OwnBookings, 2, answers.TokenExpired)(s)
		s.all[len(s.all)-1].Credential = answers.Identity
	}, ErrUnjustified},
	"a bad request that was in order":    {refused(answers.Book, 2, answers.BadRequest), ErrUnjustified},
	"a failure of the server":            {refused(answers.Book, 2, answers.Internal), ErrUnjustified},
	"starting, and it was up":            {refused(answers.Book, 2, answers.Starting), ErrUnjustified},
	"a key reused that was not":          {refused(answers.Book, 2, answers.KeyReused), ErrUnjustified},
	"paused, and is not":                 {refused(answers.Book, 2, answers.CampaignPaused), ErrUnjustified},
	"of another campaign":                {refused(answers.Book, 2, answers.WrongCampaign), ErrUnjustified},
	"a refusal of what is for everybody": {refused(answers.Slots, answers.Nobody, answers.NotFound), ErrUnjustified},
	"booked already with another's booking": {func(s *story) {
		refused(answers.Book, 4, answers.BookedAlready)(s)
		s.all[len(s.all)-1].Bookings = []answers.Booking{s.row(11).Booking}
	}, ErrUnjustified},
	"full, and one's own hold is there": {func(s *story) {
		a := s.told(2500*time.Millisecond, 0, answers.Hold, answers.SlotFull)
		a.AskedSlot = 1
	}, ErrUnjustified},
	"a hold expired that stands": {func(s *story) {
		a := s.told(2500*time.Millisecond, 0, answers.Book, answers.HoldExpired)
		a.AskedRef = 10
	}, ErrUnjustified},

	"booked total off":         {func(s *story) { s.found.Totals.Booked++; s.found.Totals.Taken++ }, ErrTotals},
	"cancelled total off":      {func(s *story) { s.found.Totals.Cancelled++ }, ErrTotals},
	"taken total off":          {func(s *story) { s.found.Totals.Taken++ }, ErrTotals},
	"more taken than there is": {func(s *story) { s.found.Totals.Holds, s.found.Totals.Taken = 20, 23 }, ErrTotals},
	"other places":             {func(s *story) { s.found.Totals.Places++ }, ErrTotals},

	"a slot that was full and was not": {func(s *story) {
		// Each answer is possible by itself. But told full at 20.3, the slot
		// of two places had both of 5 and 2, so there was none for 7 until
		// 5 or 2 gave theirs back, which was later.
		long := s.books(20*time.Second, 5, 5, 20)
		long.Answered = opened + 30*time.Second
		s.books(19*time.Second, 2, 5, 19)
		s.told(20300*time.Millisecond, 8, answers.Book, answers.SlotFull).AskedSlot = 5
		s.books(22*time.Second, 9, 5, 21)
		s.cancels(24*time.Second, 9, 21, 22)
		s.cancels(31*time.Second, 5, 20, 23)
	}, ErrHistory},
	"requests at once that fit no order": {func(s *story) {
		// A list without the booking was asked for and told while the booking
		// was being cancelled, and another with it still standing behind it.
		s.books(20*time.Second, 2, 5, 20)
		s.cancels(21*time.Second, 2, 20, 21)
		s.all[len(s.all)-1].Answered = opened + 25*time.Second
		s.told(22*time.Second, 2, answers.OwnBookings, answers.OK).Bookings = []answers.Booking{s.row(20).Booking}
		s.told(23*time.Second, 2, answers.OwnBookings, answers.OK).Bookings = []answers.Booking{{Ref: 20, Slot: 5, Sequence: 20}}
	}, ErrStale},
}

// TestPlantedFaults plants each fault into a sound story: the judge must name
// it, whether or not it knows the keys of the export.
func TestPlantedFaults(t *testing.T) {
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			for _, withKeys := range []bool{false, true} {
				if name == "somebody else's booking" && !withKeys {
					continue // only the keys tell
				}
				s := newStory()
				fault.plant(s)
				if v := s.judge(t, t.TempDir(), withKeys); !hasKind(v, fault.want) {
					t.Errorf("keys known: %v: want %q, got %v", withKeys, fault.want, v)
				}
			}
		})
	}
}

// soundVariants are no faults: they must not be called so.
var soundVariants = map[string]func(s *story){
	"an unanswered booking that came": func(s *story) {
		s.books(20*time.Second, 2, 5, 20)
		a := &s.all[len(s.all)-1]
		a.Outcome, a.Bookings = answers.NoAnswer, nil
	},
	"an unanswered booking that did not come": func(s *story) {
		s.told(20*time.Second, 2, answers.Book, answers.NoAnswer).AskedSlot = 5
	},
	"an unanswered booking that came late": func(s *story) {
		s.books(20*time.Second, 2, 5, 20)
		a := &s.all[len(s.all)-1]
		told := a.Bookings
		a.Outcome, a.Bookings = answers.NoAnswer, nil
		s.told(21*time.Second, 2, answers.OwnBookings, answers.OK)
		s.told(22*time.Second, 2, answers.OwnBookings, answers.OK).Bookings = told
	},
	"an unknown outcome that came": func(s *story) {
		s.books(20*time.Second, 2, 5, 20)
		a := &s.all[len(s.all)-1]
		told := a.Bookings
		a.Outcome, a.Bookings = answers.OutcomeUnknown, nil
		again := s.told(21*time.Second, 2, answers.Book, answers.OK)
		again.AskedSlot, again.Bookings = 5, told
	},
	"an unanswered cancellation that came": func(s *story) {
		s.cancels(20*time.Second, 4, 16, 20)
		a := &s.all[len(s.all)-1]
		a.Outcome, a.Bookings = answers.NoAnswer, nil
	},
	"an unanswered change that came": func(s *story) {
		a := s.told(20*time.Second, 4, answers.Change, answers.NoAnswer)
		a.AskedSlot, a.AskedRef = 5, 16
		s.row(16).Slot, s.row(16).Sequence = 5, 20
	},
	"an unanswered join that came": func(s *story) {
		s.told(20*time.Second, 2, answers.Join, answers.NoAnswer)
		s.found.Totals.Issued++
	},
	"refusals for want of room": func(s *story) {
		refused(answers.Book, 2, answers.Overloaded)(s)
		refused(answers.Join, 5, answers.TooManyRequests)(s)
	},
	"starting, and it was down": func(s *story) {
		refused(answers.Book, 2, answers.Starting)(s)
		s.downs = []Down{{opened + 19*time.Second, opened + 20*time.Second + 50*time.Millisecond}}
	},
	"nobody there": func(s *story) { refused(answers.Book, 2, answers.NotSent)(s) },
	"an expired token": func(s *story) {
		a := s.told(20*time.Second, 2, answers.Book, answers.TokenExpired)
		a.AskedSlot, a.ValidUntil = 5, runBegan+event.Time((opened+20*time.Second).Milliseconds())
	},
	"a forged token refused": func(s *story) {
		refused(answers.Book, 2, answers.Unauthenticated)(s)
		s.all[len(s.all)-1].Credential = answers.Bad
	},
	"the same request again": func(s *story) {
		a := s.told(20*time.Second, 0, answers.Book, answers.OK)
		a.AskedRef, a.Key, a.Bookings = 10, 7, []answers.Booking{s.row(11).Booking}
	},
}

func TestWhatIsNoFault(t *testing.T) {
	for name, plant := range soundVariants {
		t.Run(name, func(t *testing.T) {
			for _, withKeys := range []bool{false, true} {
				s := newStory()
				plant(s)
				if v := s.judge(t, t.TempDir(), withKeys); !v.Sound() {
					t.Errorf("keys known: %v: %v", withKeys, v)
				}
			}
		})
	}
}

// TestRestartEndsWhatWasUnderWay wants a request that a killed server never
// answered to be over with it: it cannot take effect in the next one.
func TestRestartEndsWhatWasUnderWay(t *testing.T) {
	for _, killed := range []bool{false, true} {
		s := newStory()
		s.books(20*time.Second, 2, 5, 20)
		a := &s.all[len(s.all)-1]
		told := a.Bookings
		a.Outcome, a.Bookings = answers.NoAnswer, nil
		s.told(25*time.Second, 2, answers.OwnBookings, answers.OK) // still nothing
		s.told(26*time.Second, 2, answers.OwnBookings, answers.OK).Bookings = told
		if killed {
			s.downs = []Down{{opened + 20*time.Second, opened + 21*time.Second}}
		}
		if v := s.judge(t, t.TempDir(), true); v.Sound() == killed {
			t.Errorf("killed: %v: %v", killed, v)
		}
	}
}

// TestLostIsAlwaysFound takes any one booking away from the end of any crowd's
// run, or gives one that nobody asked for. Without the export's keys a request
// that nobody answered would explain it.
func TestLostIsAlwaysFound(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(r *rapid.T) {
		overlap, lossy := rapid.Bool().Draw(r, "overlap"), rapid.Bool().Draw(r, "lossy")
		s := simulate(t, rapid.Uint64().Draw(r, "seed"), 12, 300, overlap, lossy)
		found := s.found()
		if len(found.Bookings) == 0 {
			return
		}
		i := rapid.IntRange(0, len(found.Bookings)-1).Draw(r, "booking")
		kinds := []string{"lost", "invented"}
		if !lossy { // a request that nobody answered may explain the others
			kinds = append(kinds, "moved", "revived")
		}
		plant := rapid.SampledFrom(kinds).Draw(r, "fault")
		b := &found.Bookings[i]
		switch plant {
		case "lost":
			if !b.Cancelled {
				found.Totals.Booked--
				found.Totals.Taken--
			}
			found.Bookings = slices.Delete(found.Bookings, i, i+1)
		case "moved":
			b.Slot = (b.Slot + 1) % 8
		case "revived":
			b.Cancelled = !b.Cancelled
		case "invented":
			found.Bookings = append(found.Bookings, FoundBooking{answers.Booking{Ref: 9999, Slot: b.Slot, Sequence: 9999}, keyOf(77)})
			found.Totals.Booked++
			found.Totals.Taken++
		}
		if v := verdict(r, dir, s.rules, s.all, found, plant == "invented" || rapid.Bool().Draw(r, "keys")); v.Violations() == 0 {
			r.Fatalf("%s %+v: nothing found\n%v", plant, *b, v)
		}
	})
}
