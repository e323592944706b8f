package judge

import (
	"weir/core/event"
	"weir/loadtest/answers"
)

// fact says whether a refusal can be right, given what the person had.
type fact func(m *model, s *state, a *answers.Answer) bool

// justified is the table of what each problem code may rest on. A code that is
// not in it is never right: what the crowd sends is in order. Those that the
// server gives for its own sake (Outcome.Refused) do not come here.
var justified = [answers.Outcomes]fact{
	answers.Unauthenticated: func(_ *model, _ *state, a *answers.Answer) bool {
		return a.Credential == answers.Bad || a.Credential == answers.NoCredential
	},
	answers.TokenExpired: func(m *model, _ *state, a *answers.Answer) bool {
		if a.ValidUntil == 0 {
			return a.Credential == answers.Pass || a.Credential == answers.Ticket // which of theirs was sent is not known
		}
		stood := m.pauses.between(a.ValidSince, a.Sent)
		return m.clock.span(a).to >= a.ValidUntil+event.Time(stood.Milliseconds())
	},
	answers.NotEligible:   notEligible,
	answers.NotYourTurn:   notYourTurn,
	answers.NotFound:      notFound,
	answers.BookedAlready: bookedAlready,
	answers.SlotFull:      slotFull,
	answers.HoldExpired:   holdExpired,
	answers.CampaignPaused: func(m *model, _ *state, a *answers.Answer) bool {
		return asks(a, answers.Hold, answers.Book, answers.Change) && m.pauses.possible(a)
	},
	answers.LineNotOpen:     lineNotOpen,
	answers.NotOpen:         byRules(answers.WindowNotOpen),
	answers.Closed:          byRules(answers.WindowClosed),
	answers.SlotClosed:      slotClosed,
	answers.TooLateToChange: tooLate,
	answers.KeyReused: func(_ *model, s *state, a *answers.Answer) bool {
		for i := range s.bookings[:s.count] {
			b := &s.bookings[i]
			if a.Key != 0 && b.key == a.Key && (b.Slot != a.AskedSlot || b.hold != a.AskedRef) {
				return true
			}
		}
		return false
	},
}

func (m *model) refusal(s *state, a *answers.Answer) []state {
	reason := justified[a.Outcome]
	if reason == nil || !reason(m, s, a) {
		return m.no(ErrUnjustified, "refused with "+a.Outcome.String())
	}
	if a.Outcome == answers.BookedAlready { // tells what the person has
		return []state{s.learn(s.active(), &a.Bookings[0])}
	}
	return []state{*s}
}

// asks says whether a is one of kinds.
func asks(a *answers.Answer, kinds ...answers.Kind) bool {
	for _, k := range kinds {
		if a.Kind == k {
			return true
		}
	}
	return false
}

// byRules is the fact that the rules gave the reason at some moment.
func byRules(reason answers.Reason) fact {
	return func(m *model, _ *state, a *answers.Answer) bool {
		return asks(a, answers.Hold, answers.Book) &&
			m.rules.any(m.born, m.clock.span(a), func(at standing) bool { return at.reason == reason })
	}
}

// notEligible is right where the rules say so, with the reason that they give;
// for a place in line also of somebody whose window is not near.
func notEligible(m *model, s *state, a *answers.Answer) bool {
	at := m.clock.span(a)
	told := func(reason answers.Reason) bool { return a.Reason == answers.NoReason || a.Reason == reason }
	switch {
	case asks(a, answers.Hold, answers.Book, answers.Change):
		return told(answers.NotInAnyCohort) &&
			m.rules.any(m.born, at, func(at standing) bool { return at.reason == answers.NotInAnyCohort })
	case !asks(a, answers.Join) || s.joined:
		return false
	}
	return m.rules.any(m.born, at, func(at standing) bool {
		return at.reason != answers.Eligible && !at.lineOpen && told(at.reason) &&
			(at.reason == answers.NotInAnyCohort || s.active() == nil && (at.anyLine || !at.hasNext))
	})
}

func lineNotOpen(m *model, s *state, a *answers.Answer) bool {
	return asks(a, answers.Join) && !s.joined && s.active() == nil &&
		m.rules.any(m.born, m.clock.span(a), func(at standing) bool {
			return at.reason != answers.Eligible && at.hasNext && !at.anyLine
		})
}

// notYourTurn is right where there is a line and the person has not been let
// in. Whether others were let in before is asked of the line as a whole.
func notYourTurn(m *model, s *state, a *answers.Answer) bool {
	if a.Credential == answers.Ticket {
		return asks(a, answers.Hold, answers.Release, answers.Book, answers.Change)
	}
	return m.rules.Line.Enabled && !s.admitted && asks(a, answers.Hold, answers.Book, answers.Change)
}

func notFound(m *model, s *state, a *answers.Answer) bool {
	switch a.Kind {
	case answers.OwnPlace, answers.Leave:
		return !s.joined
	case answers.Release:
		return s.hold.Ref != a.AskedRef || !m.stands(s, a)
	case answers.Change:
		b := s.find(a.AskedRef)
		return b == nil || b.Cancelled
	case answers.Cancel:
		return s.find(a.AskedRef) == nil
	}
	return false
}

// bookedAlready is right where the person has what they may have, and it is
// what was told.
func bookedAlready(m *model, s *state, a *answers.Answer) bool {
	b := s.active()
	if b == nil || len(a.Bookings) != 1 || !b.is(&a.Bookings[0]) {
		return false
	}
	switch a.Kind {
	case answers.Change:
		return b.Slot == a.AskedSlot
	case answers.Book:
		return s.activeCount() >= m.rules.Bookings.PerPerson && m.same(s, a) == nil
	}
	return a.Kind == answers.Hold && s.activeCount() >= m.rules.Bookings.PerPerson
}

// slotFull is right where the person does not have a place there already.
// Whether the slot can have been full is asked of the slot.
func slotFull(m *model, s *state, a *answers.Answer) bool {
	if a.Kind == answers.Change {
		b := s.find(a.AskedRef)
		return b != nil && !b.Cancelled && b.Slot != a.AskedSlot
	}
	if !asks(a, answers.Hold, answers.Book) || s.activeCount() >= m.rules.Bookings.PerPerson {
		return false
	}
	asked := a.AskedSlot
	if a.AskedRef != 0 {
		asked = s.hold.Slot
	}
	return !m.stands(s, a) || s.hold.Slot != asked
}

func holdExpired(m *model, s *state, a *answers.Answer) bool {
	return a.Kind == answers.Book && a.AskedRef != 0 && m.same(s, a) == nil &&
		(s.hold.Ref != a.AskedRef || !m.stands(s, a))
}

func slotClosed(m *model, _ *state, a *answers.Answer) bool {
	return asks(a, answers.Hold, answers.Book, answers.Change) && a.AskedSlot < event.SlotID(m.rules.SlotCount()) &&
		m.clock.span(a).to >= m.rules.SlotStarts(a.AskedSlot)
}

func tooLate(m *model, s *state, a *answers.Answer) bool {
	b := s.find(a.AskedRef)
	if b == nil || b.Cancelled || !asks(a, answers.Change, answers.Cancel) {
		return false
	}
	before := m.rules.Bookings.CancelBefore
	if a.Kind == answers.Change {
		before = m.rules.Bookings.ChangeBefore
	}
	return m.clock.span(a).to > m.rules.SlotStarts(b.Slot)-event.Time(before.Milliseconds())
}
