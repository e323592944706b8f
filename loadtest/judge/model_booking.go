package judge

import (
	"weir/core/event"
	"weir/loadtest/answers"
)

// What the answers about holds and bookings make of a person's state.

// stands says whether the person's hold must have stood when a was decided.
func (m *model) stands(s *state, a *answers.Answer) bool {
	if s.hold.Ref == 0 || s.hold.Ref == unknown {
		return false
	}
	least, _ := m.pauses.delay(&s.hold, a.Answered)
	return m.clock.span(a).to < s.hold.Expires+event.Time(least.Milliseconds())
}

// expired says whether it cannot have.
func (m *model) expired(s *state, a *answers.Answer) bool {
	if s.hold.Ref == unknown {
		return false
	}
	_, most := m.pauses.delay(&s.hold, a.Sent)
	return m.clock.span(a).from >= s.hold.Expires+event.Time(most.Milliseconds())
}

// mayBook says whether the rules can have allowed a hold or a booking, apart
// from the slot.
func (m *model) mayBook(s *state, a *answers.Answer) bool {
	return m.rules.any(m.born, m.clock.span(a), func(at standing) bool { return at.reason == answers.Eligible }) &&
		(s.joined || !m.rules.Line.Enabled) && !s.early
}

func (m *model) holds(s *state, a *answers.Answer) []state {
	h, at, next := &a.Held, m.clock.span(a), *s
	if h.Slot != a.AskedSlot {
		return m.no(ErrAnswer, "a hold of another slot than was asked for")
	}
	if s.hold.Ref == h.Ref {
		if s.hold.Slot != h.Slot || !m.pauses.retold(&s.hold, a) || m.expired(s, a) {
			return m.no(ErrAnswer, "the hold is not as it was")
		}
		return []state{next}
	}
	next.hold = hold{*h, a.Sent, a.Answered}
	next.saw(h.Ref)
	length := event.Time(m.rules.Bookings.Hold.Milliseconds())
	switch {
	case s.hold.Ref == unknown && s.hold.Slot == h.Slot:
		return []state{next}
	case m.pauses.certain(a):
		return m.no(ErrPaused, "a hold")
	case s.activeCount() >= m.rules.Bookings.PerPerson:
		return m.no(ErrOversold, "a hold for somebody who has what they may have")
	case !m.mayBook(s, a):
		return m.no(ErrIneligible, "a hold")
	case h.Ref <= s.newest:
		return m.no(ErrStale, "a hold older than what came before it")
	case s.hold.Slot == h.Slot && m.stands(s, a):
		return m.no(ErrDouble, "a second hold of the same slot")
	case h.Expires < at.from+length || h.Expires > at.to+length:
		return m.no(ErrAnswer, "a hold of another length than the campaign's")
	}
	return []state{next}
}

func (m *model) release(s *state, a *answers.Answer) []state {
	if s.hold.Ref == 0 || s.hold.Ref != a.AskedRef && s.hold.Ref != unknown {
		return m.no(ErrAnswer, "a hold was released that the person has not")
	}
	next := *s
	next.hold = hold{}
	return []state{next}
}

func (m *model) book(s *state, a *answers.Answer) []state {
	told := &a.Bookings[0]
	if a.Outcome == answers.OK {
		return m.bookedBefore(s, a)
	}
	slot := a.AskedSlot
	if a.AskedRef != 0 {
		if s.hold.Ref != a.AskedRef || m.expired(s, a) {
			return m.no(ErrAnswer, "booked by a hold that does not stand")
		}
		slot = s.hold.Slot
	}
	switch {
	case told.Slot != slot || told.Cancelled || told.Sequence != told.Ref:
		return m.no(ErrAnswer, "another booking than was asked for")
	case m.pauses.certain(a):
		return m.no(ErrPaused, "a booking")
	case m.same(s, a) != nil:
		return m.no(ErrDouble, "the same request booked again")
	case s.activeCount() >= m.rules.Bookings.PerPerson:
		return m.no(ErrOversold, "booked by somebody who has what they may have")
	case !m.mayBook(s, a):
		return m.no(ErrIneligible, "a booking")
	case told.Ref <= s.newest:
		return m.no(ErrStale, "a booking older than what came before it")
	}
	return m.made(s, a, *told, nil)
}

// made appends the states with a new booking. It remembers the hold of its slot
// that it came of, also where it was asked for by the slot; whether there still
// was one is not always known.
func (m *model) made(s *state, a *answers.Answer, b answers.Booking, to []state) []state {
	if s.hold.Ref != 0 && s.hold.Slot == b.Slot {
		next := *s
		next.add(booking{Booking: b, key: a.Key, hold: s.hold.Ref})
		if to = append(to, next); a.AskedRef != 0 || m.stands(s, a) {
			return to
		}
	}
	next := *s
	next.add(booking{Booking: b, key: a.Key})
	return append(to, next)
}

// same returns the booking that the same request has made before.
func (m *model) same(s *state, a *answers.Answer) *booking {
	for i := range s.bookings[:s.count] {
		b := &s.bookings[i]
		switch {
		case a.Key != 0 && b.key == a.Key:
			return b
		case b.Cancelled:
		case a.AskedRef != 0 && b.hold == a.AskedRef, a.AskedRef == 0 && b.Slot == a.AskedSlot:
			return b
		}
	}
	return nil
}

func (m *model) bookedBefore(s *state, a *answers.Answer) []state {
	told, same := &a.Bookings[0], m.same(s, a)
	if same == nil || !same.is(told) {
		return m.no(ErrStale, "told of a booking that the request did not make")
	}
	return []state{s.learn(same, told)}
}

// learn is the state with what was told of one of its bookings.
func (s *state) learn(b *booking, told *answers.Booking) state {
	next := *s
	for i := range next.bookings[:next.count] {
		if b == &s.bookings[i] {
			next.bookings[i].Booking = *told
		}
	}
	next.saw(told.Sequence)
	return next
}

// alter takes the answers to Change and Cancel.
func (m *model) alter(s *state, a *answers.Answer) []state {
	told, b := &a.Bookings[0], s.find(a.AskedRef)
	if b == nil || a.Kind == answers.Change && b.Cancelled {
		return m.no(ErrAnswer, "a booking was altered that does not stand")
	}
	want := b.Booking
	if a.Kind == answers.Cancel {
		want.Cancelled = true
	} else {
		want.Slot = a.AskedSlot
	}
	changed := want.Slot != b.Slot || want.Cancelled != b.Cancelled
	switch {
	case told.Ref != want.Ref || told.Slot != want.Slot || told.Cancelled != want.Cancelled:
		return m.no(ErrAnswer, "not what was asked for")
	case changed && a.Kind == answers.Change && m.pauses.certain(a):
		return m.no(ErrPaused, "a change")
	case changed && told.Sequence <= s.newest:
		return m.no(ErrStale, "a change older than what came before it")
	case !changed && b.Sequence != unknown && told.Sequence != b.Sequence:
		return m.no(ErrAnswer, "changed where nothing was to change")
	}
	if a.Kind == answers.Change && changed && !m.rules.any(m.born, m.clock.span(a), inCohort) {
		return m.no(ErrIneligible, "a change")
	}
	return []state{s.learn(b, told)}
}

func inCohort(at standing) bool { return at.reason != answers.NotInAnyCohort }

// perhaps appends the states in which the person is if a request that got no
// answer was carried out.
func (m *model) perhaps(s *state, a *answers.Answer, to []state) []state {
	next := *s
	switch a.Kind {
	case answers.Join:
		if s.joined || !m.mayJoin(s, a) {
			return to
		}
		next.joined = true
	case answers.Leave:
		if !s.joined {
			return to
		}
		next.leave()
	case answers.Hold:
		if s.activeCount() >= m.rules.Bookings.PerPerson {
			return to
		}
		next.hold = hold{Held: answers.Held{Ref: unknown, Slot: a.AskedSlot}}
	case answers.Release:
		if s.hold.Ref != a.AskedRef {
			return to
		}
		next.hold = hold{}
	case answers.Book:
		return m.perhapsBook(s, a, to)
	case answers.Change, answers.Cancel:
		b := next.find(a.AskedRef)
		if b == nil || b.Cancelled {
			return to
		}
		if a.Kind == answers.Cancel {
			b.Cancelled = true
		} else {
			b.Slot = a.AskedSlot
		}
		b.Sequence = unknown
	default:
		return to
	}
	return append(to, next)
}

// perhapsBook appends the states with the booking that a may have made.
func (m *model) perhapsBook(s *state, a *answers.Answer, to []state) []state {
	slot := a.AskedSlot
	if a.AskedRef != 0 {
		if s.hold.Ref != a.AskedRef {
			return to
		}
		slot = s.hold.Slot
	}
	if m.same(s, a) != nil || s.activeCount() >= m.rules.Bookings.PerPerson {
		return to
	}
	return m.made(s, a, answers.Booking{Ref: unknown, Slot: slot, Sequence: unknown}, to)
}
