package judge

import (
	"slices"
	"time"

	"weir/core/event"
	"weir/loadtest/answers"
)

// tracker follows the places of a person whose every state is known.
type tracker struct {
	log   *slotLog
	model *model
	lost  bool // a state was in doubt

	stays    []stay
	hold     int // index into stays, plus one
	bookings map[event.Seq]int
	refusals []refusal
}

// step notes what a made of the person's places.
func (t *tracker) step(before, after *state, a *answers.Answer) {
	if t.lost {
		return
	}
	if a.Outcome == answers.SlotFull {
		t.refuse(before, a)
		return
	}
	if !a.Outcome.Success() {
		return
	}
	switch a.Kind {
	case answers.Hold:
		if before.hold.Ref != after.hold.Ref {
			t.endHold(before, a)
			t.hold = t.take(after.hold.Slot, a) + 1
		}
	case answers.Release:
		t.endHold(before, a)
	case answers.Book:
		if before.count != after.count || before.bookings[0].Ref != after.bookings[0].Ref {
			t.book(before, after, a)
		}
	case answers.Change, answers.Cancel:
		t.alter(before, after, a)
	}
}

func (t *tracker) refuse(before *state, a *answers.Answer) {
	slot := a.AskedSlot
	if a.AskedRef != 0 && a.Kind == answers.Book {
		slot = before.hold.Slot
	}
	if slot != event.NoSlot {
		t.refusals = append(t.refusals, refusal{slot: slot, person: a.Person, sent: a.Sent, at: a.Answered})
	}
}

func (t *tracker) take(slot event.SlotID, a *answers.Answer) int {
	t.stays = append(t.stays, stay{
		slot: slot, exact: true, takenFrom: a.Sent, takenTo: a.Answered, givenFrom: forever, givenTo: forever,
	})
	return len(t.stays) - 1
}

// endHold notes that the hold ends with a, or has ended by its time before.
func (t *tracker) endHold(before *state, a *answers.Answer) {
	if t.hold == 0 {
		return
	}
	s := &t.stays[t.hold-1]
	t.hold = 0
	s.givenFrom, s.givenTo = a.Sent, a.Answered
	if !t.model.stands(before, a) { // its time may have passed first
		earliest, latest := t.log.ends.holdEnd(&before.hold)
		s.givenFrom = min(s.givenFrom, earliest)
		s.givenTo = min(s.givenTo, t.log.ends.by(latest))
	}
}

func (t *tracker) book(before, after *state, a *answers.Answer) {
	made := &after.bookings[0]
	at := -1
	if t.hold != 0 && before.hold.Slot == made.Slot && (t.model.stands(before, a) || a.AskedRef != 0) {
		at, t.hold = t.hold-1, 0 // the hold becomes the booking
	}
	if at < 0 {
		t.endHold(before, a)
		at = t.take(made.Slot, a)
	}
	if t.bookings == nil {
		t.bookings = map[event.Seq]int{}
	}
	t.bookings[made.Ref] = at
}

func (t *tracker) alter(before, after *state, a *answers.Answer) {
	old, now := before.find(a.AskedRef), after.find(a.AskedRef)
	if old == nil || now == nil || old.Booking == now.Booking {
		return
	}
	s := &t.stays[t.bookings[a.AskedRef]]
	s.givenFrom, s.givenTo = a.Sent, a.Answered
	if a.Kind == answers.Change {
		t.bookings[a.AskedRef] = t.take(now.Slot, a)
	}
}

// end hands over what was noted. A hold that still stands ends at its time.
func (t *tracker) end(last *state) {
	if t.hold != 0 {
		s := &t.stays[t.hold-1]
		earliest, latest := t.log.ends.holdEnd(&last.hold)
		s.givenFrom = max(s.takenFrom, earliest)
		s.givenTo = max(s.takenTo, t.log.ends.by(latest))
	}
	t.log.stays = append(t.log.stays, t.stays...)
	t.log.refusals = append(t.log.refusals, t.refusals...)
}

// bounds notes what is certain and what is possible of the places of a person
// whose requests overlapped or got no answer.
func (l *slotLog) bounds(h *history) {
	for i := range h.asked {
		a := &h.asked[i]
		if a.Outcome == answers.SlotFull {
			if slot := h.slotOf(a); slot != event.NoSlot {
				l.refusals = append(l.refusals, refusal{slot: slot, person: a.Person, sent: a.Sent, at: a.Answered})
			}
		}
		if slot := h.slotOf(a); a.Outcome.Unsure() && slot != event.NoSlot {
			l.stays = append(l.stays, stay{slot: slot, takenFrom: a.Sent, takenTo: forever, givenFrom: 0, givenTo: forever})
		}
	}
	l.boundHolds(h)
	l.boundBookings(h)
}

// slotOf is the slot that a asks a place of, NoSlot where it asks for none.
func (h *history) slotOf(a *answers.Answer) event.SlotID {
	if a.Kind != answers.Book || a.AskedRef == 0 {
		return a.AskedSlot
	}
	for i := range h.asked {
		if h.asked[i].Held.Ref == a.AskedRef {
			return h.asked[i].Held.Slot
		}
	}
	return event.NoSlot
}

// boundHolds notes every hold that was told. It is certain until something is
// sent that may end it, and possible until its time has passed.
func (l *slotLog) boundHolds(h *history) {
	seen := map[event.Seq]bool{}
	for i := range h.asked {
		told := &h.asked[i]
		if told.Held.Ref == 0 || seen[told.Held.Ref] {
			continue
		}
		seen[told.Held.Ref] = true
		earliest, latest := l.ends.holdEnd(&hold{told.Held, told.Sent, told.Answered})
		s := stay{
			slot: told.Held.Slot, takenFrom: h.firstAsked(told.Held.Slot), takenTo: told.Answered,
			givenFrom: earliest, givenTo: l.ends.by(latest),
		}
		for n := range h.asked {
			if a := &h.asked[n]; n != i && asks(a, answers.Hold, answers.Release, answers.Book) && h.until(a) > told.Sent && a.Held.Ref != told.Held.Ref {
				s.givenFrom = min(s.givenFrom, a.Sent)
			}
		}
		l.stays = append(l.stays, s)
	}
}

// until is when a request has been decided at the latest.
func (h *history) until(a *answers.Answer) time.Duration {
	if a.Outcome == answers.NoAnswer {
		return forever
	}
	return a.Answered
}

// firstAsked is when the person first asked for a place of the slot.
func (h *history) firstAsked(slot event.SlotID) time.Duration {
	for i := range h.asked {
		if h.slotOf(&h.asked[i]) == slot {
			return h.asked[i].Sent
		}
	}
	return 0
}

// boundBookings notes every booking that was told, on each slot that it was
// told on. It is certain until something is sent that may move or end it, and
// possible until an answer shows it elsewhere or cancelled.
func (l *slotLog) boundBookings(h *history) {
	var seen []answers.Booking // as they were told, one for each slot that each was on
	for i := range h.asked {
		for _, told := range h.asked[i].Bookings {
			same := func(b answers.Booking) bool { return b.Ref == told.Ref && b.Slot == told.Slot }
			if told.Cancelled || slices.ContainsFunc(seen, same) {
				continue
			}
			seen = append(seen, told)
			s := stay{
				slot: told.Slot, takenFrom: h.firstAsked(told.Slot), takenTo: h.asked[i].Answered,
				givenFrom: forever, givenTo: h.goneBy(&told),
			}
			for n := range h.asked {
				if a := &h.asked[n]; asks(a, answers.Change, answers.Cancel) && a.AskedRef == told.Ref && h.until(a) > h.asked[i].Sent && n != i {
					s.givenFrom = min(s.givenFrom, a.Sent)
				}
			}
			l.stays = append(l.stays, s)
		}
	}
}

// goneBy is when a booking is surely no longer where it was told to be; forever
// where it came back there.
func (h *history) goneBy(told *answers.Booking) time.Duration {
	gone := forever
	for i := range h.asked {
		for _, b := range h.asked[i].Bookings {
			if b.Ref != told.Ref || b.Sequence <= told.Sequence {
				continue
			}
			if b.Slot == told.Slot && !b.Cancelled {
				return forever
			}
			gone = min(gone, h.asked[i].Answered)
		}
	}
	return gone
}
