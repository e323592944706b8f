package judge

import (
	"math"
	"time"

	"weir/core/campaign"
	"weir/core/event"
	"weir/loadtest/answers"
)

// The model of one person: what they have, and what each answer makes of it.
// It is a state machine that can be in several states, since a request that
// nobody answered may have been carried out or not.

const (
	bookingsMax   = 8 // of one person that the model keeps
	cancelledKept = 3 // a new booking takes the place of the oldest where there are as many
	perPersonMax  = bookingsMax - cancelledKept

	// unknown stands for the sequence number of something that was made by a
	// request that nobody answered.
	unknown = event.Seq(math.MaxInt64)
)

// booking is one that the person has, and what it came of.
type booking struct {
	answers.Booking
	key  uint32    // of the request, 0: none
	hold event.Seq // 0: none
}

// is says whether the booking may be the one that was told.
func (b *booking) is(told *answers.Booking) bool {
	if b.Ref == unknown {
		return b.Slot == told.Slot && b.Cancelled == told.Cancelled
	}
	return b.Ref == told.Ref && b.Slot == told.Slot && b.Cancelled == told.Cancelled &&
		(b.Sequence == told.Sequence || b.Sequence == unknown)
}

// hold is one that the person has, and when they were told of it.
type hold struct {
	answers.Held
	sent, told time.Duration // of the request that its answer told
}

// state is what one person has. It is comparable.
type state struct {
	joined, early, admitted bool
	number                  event.Number // 0: drawn later, or not known
	draw                    event.Draw   // and index: the place's in its draw; 0: none, or not known
	index                   event.Index

	hold     hold // Ref 0: none; it may have expired
	bookings [bookingsMax]booking
	count    uint8     // of bookings, the newest first
	newest   event.Seq // the highest sequence number that is known
}

func (s *state) active() *booking {
	for i := range s.bookings[:s.count] {
		if !s.bookings[i].Cancelled {
			return &s.bookings[i]
		}
	}
	return nil
}

func (s *state) activeCount() (n int) {
	for i := range s.bookings[:s.count] {
		if !s.bookings[i].Cancelled {
			n++
		}
	}
	return n
}

func (s *state) find(ref event.Seq) *booking {
	for i := range s.bookings[:s.count] {
		if s.bookings[i].Ref == ref {
			return &s.bookings[i]
		}
	}
	return nil
}

// add makes a booking. It ends the person's hold.
func (s *state) add(b booking) {
	cancelled, oldest := 0, -1
	for i := range s.bookings[:s.count] {
		if s.bookings[i].Cancelled {
			cancelled, oldest = cancelled+1, i
		}
	}
	if cancelled >= cancelledKept {
		copy(s.bookings[oldest:], s.bookings[oldest+1:s.count])
		s.count--
	}
	copy(s.bookings[1:], s.bookings[:s.count])
	s.bookings[0] = b
	s.count++
	s.hold = hold{}
	s.saw(b.Sequence)
}

func (s *state) saw(seq event.Seq) {
	if seq != unknown {
		s.newest = max(s.newest, seq)
	}
}

// model steps one person's states. It belongs to one goroutine.
type model struct {
	rules  *rules
	clock  clock
	pauses pauses
	born   campaign.Date

	// Why the newest step was impossible.
	kind error
	why  string
}

// no says that a step is impossible.
func (m *model) no(kind error, why string) []state {
	m.kind, m.why = kind, why
	return nil
}

// step appends the states in which the person may be once a was answered as it
// was, having been in s before. Where it appends none, kind and why say why
// that cannot be. A request that got no answer may have been carried out.
func (m *model) step(s *state, a *answers.Answer, to []state) []state {
	var next []state
	switch {
	case a.Outcome.Refused() || a.Outcome == answers.NotSent:
		return append(to, *s)
	case a.Outcome == answers.OutcomeUnknown && !a.Kind.Changes():
		return append(to, *s)
	case a.Outcome == answers.NoAnswer || a.Outcome == answers.OutcomeUnknown:
		return m.perhaps(s, a, append(to, *s))
	case a.Outcome == answers.Odd:
		m.no(ErrAnswer, "an answer that the surface does not have")
	case a.Outcome.Success():
		next = m.success(s, a)
	default:
		next = m.refusal(s, a)
	}
	return append(to, next...)
}

func (m *model) success(s *state, a *answers.Answer) []state {
	if a.Credential == answers.Bad {
		return m.no(ErrAnswer, "a credential that nobody gave out was taken")
	}
	if !m.fits(a) {
		return m.no(ErrAnswer, "another status than such a request has")
	}
	switch a.Kind {
	case answers.Join:
		return m.join(s, a)
	case answers.OwnPlace:
		if !s.joined {
			return m.no(ErrAnswer, "a place that nobody asked for")
		}
		return m.place(s, a)
	case answers.Leave:
		return m.leave(s)
	case answers.Hold:
		return m.holds(s, a)
	case answers.Release:
		return m.release(s, a)
	case answers.Book:
		return m.book(s, a)
	case answers.Change, answers.Cancel:
		return m.alter(s, a)
	case answers.OwnBookings:
		return m.own(s, a.Bookings, ErrStale)
	case answers.Eligibility:
		return m.eligibility(s, a)
	}
	return []state{*s}
}

// fits says whether a success has the status, and tells what it must.
func (m *model) fits(a *answers.Answer) bool {
	switch a.Kind {
	case answers.Join:
		return (a.Outcome == answers.Created || a.Outcome == answers.OK) && a.Place.State != answers.NoPlace
	case answers.OwnPlace:
		return a.Outcome == answers.OK && a.Place.State != answers.NoPlace
	case answers.Leave, answers.Release:
		return a.Outcome == answers.NoContent
	case answers.Hold:
		return a.Outcome == answers.Created && a.Held.Ref != 0
	case answers.Book:
		return (a.Outcome == answers.Created || a.Outcome == answers.OK) && len(a.Bookings) == 1
	case answers.Change, answers.Cancel:
		return a.Outcome == answers.OK && len(a.Bookings) == 1
	case answers.Eligibility:
		return a.Outcome == answers.OK && a.Reason != answers.NoReason
	}
	return a.Outcome == answers.OK || a.Outcome == answers.NotModified
}

func (m *model) join(s *state, a *answers.Answer) []state {
	if a.Outcome == answers.OK {
		if !s.joined {
			return m.no(ErrAnswer, "told to have joined before")
		}
		return m.place(s, a)
	}
	if s.joined {
		return m.no(ErrDouble, "a second place in line")
	}
	if !m.mayJoin(s, a) {
		return m.no(ErrIneligible, "a place in line")
	}
	next := *s
	next.leave()
	next.joined = true
	if m.byLot() && a.Place.State != answers.Early && s.active() == nil &&
		!m.rules.any(m.born, m.clock.span(a), func(at standing) bool { return at.reason == answers.Eligible }) {
		return m.no(ErrTurn, "a number before the draw")
	}
	return m.place(&next, a)
}

// byLot says whether the places of those who come early are drawn.
func (m *model) byLot() bool { return m.rules.Line.Enabled && m.rules.Line.Order == campaign.Draw }

// leave takes the place away.
func (s *state) leave() {
	s.joined, s.early, s.admitted, s.number, s.draw, s.index = false, false, false, 0, 0, 0
}

// mayJoin says whether the rules can have let the person join.
func (m *model) mayJoin(s *state, a *answers.Answer) bool {
	return m.rules.any(m.born, m.clock.span(a), func(at standing) bool {
		return at.reason == answers.Eligible || at.lineOpen || at.reason != answers.NotInAnyCohort && s.active() != nil
	})
}

func (m *model) place(s *state, a *answers.Answer) []state {
	p, next := &a.Place, *s
	if !m.rules.Line.Enabled && p.State != answers.Admitted {
		return m.no(ErrAnswer, "told to wait, and there is no line")
	}
	if s.index != 0 && (p.Draw != s.draw || p.Index != s.index) {
		return m.no(ErrAltered, "another place in the draw than before")
	}
	if p.State == answers.Early {
		switch {
		case s.number != 0 || s.admitted:
			return m.no(ErrStale, "told to be early again")
		case m.byLot() && (p.Draw == 0 || p.Index == 0):
			return m.no(ErrAnswer, "early, and in no draw")
		}
		next.early, next.draw, next.index = true, p.Draw, p.Index
		return []state{next}
	}
	switch {
	case p.Number == 0:
		return m.no(ErrAnswer, "a place without a number")
	case s.number != 0 && s.number != p.Number:
		return m.no(ErrAltered, "another number in line than before")
	case s.admitted && p.State == answers.Waiting:
		return m.no(ErrTurn, "told to wait, once admitted")
	}
	next.early, next.number, next.admitted = false, p.Number, s.admitted || p.State == answers.Admitted
	next.draw, next.index = p.Draw, p.Index
	return []state{next}
}

func (m *model) leave(s *state) []state {
	if !s.joined {
		return m.no(ErrAnswer, "left without a place")
	}
	next := *s
	next.leave()
	return []state{next}
}

// own compares the bookings that the person has with those that were told, and
// returns the state with what is known by them. kind is what a difference is.
func (m *model) own(s *state, told []answers.Booking, kind error) []state {
	if len(told) != int(s.count) {
		return m.no(kind, "other bookings than the person has")
	}
	next := *s
	for i := range told {
		b := &next.bookings[i]
		if !b.is(&told[i]) {
			return m.no(kind, "another booking than the person has")
		}
		b.Booking = told[i]
		next.saw(told[i].Sequence)
	}
	return []state{next}
}

func (m *model) eligibility(s *state, a *answers.Answer) []state {
	full := s.activeCount() >= m.rules.Bookings.PerPerson
	ok := m.rules.any(m.born, m.clock.span(a), func(at standing) bool {
		switch {
		case at.reason == answers.Eligible && full:
			return a.Reason == answers.AlreadyBooked
		case at.reason == answers.Eligible && m.pauses.certain(a):
			return a.Reason == answers.Paused
		case at.reason == answers.Eligible && a.Reason == answers.Paused:
			return m.pauses.possible(a)
		}
		return a.Reason == at.reason
	})
	if !ok {
		return m.no(ErrAnswer, "told to be "+a.Reason.String())
	}
	return []state{*s}
}
