package judge

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"weir/loadtest/answers"
)

// statesMax bounds the states that one person can be in at once.
const statesMax = 4096

// forever is later than any answer.
const forever = time.Duration(1<<62 - 1)

// history is what one person asked and was told, by when it was sent, and what
// the export has of them in the end.
type history struct {
	person answers.Person
	asked  []answers.Answer
	found  []answers.Booking // the newest first
}

// overlaps says whether the requests did not come one after the other: two were
// under way at once, or one that changes something got no answer and may be
// carried out at any time later.
func (h *history) overlaps() bool {
	var answered time.Duration
	for i := range h.asked {
		a := &h.asked[i]
		if a.Sent < answered || a.Outcome == answers.NoAnswer && a.Kind.Changes() {
			return true
		}
		answered = max(answered, a.Answered)
	}
	return false
}

// personJudge judges people one after the other. It belongs to one goroutine.
type personJudge struct {
	model  model
	record *record
	slots  *slotLog
	line   *lineLog

	// exact says that the export tells whose bookings are, even where nobody
	// was told their codes.
	exact        bool
	states, next []state
}

// judge asks for an order in which every answer is right, and which ends in
// what was found.
func (j *personJudge) judge(h *history) {
	if h.overlaps() {
		j.record.count(func(c *Checked) { c.Overlapping++ })
		j.search(h)
		j.slots.bounds(h)
		j.line.turns(h)
		return
	}
	track := tracker{log: j.slots, model: &j.model}
	j.states = append(j.states[:0], state{})
	for i := range h.asked {
		a := &h.asked[i]
		before := j.states[0]
		if !j.advance(a) {
			j.blame(h, a, j.model.kind, j.model.why)
			j.slots.bounds(h)
			return
		}
		if len(j.states) > statesMax {
			j.record.undecided("person %d: more than %d states after %d requests", h.person, statesMax, i+1)
			j.slots.bounds(h)
			return
		}
		if len(j.states) > 1 {
			track.lost = true
			continue
		}
		track.step(&before, &j.states[0], a)
		j.line.turn(j.states[0].number, a)
	}
	j.settle(h)
	if track.lost {
		j.slots.bounds(h)
		j.line.turns(h)
		return
	}
	track.end(&j.states[0])
}

// advance moves every state on by a, and is false where none is possible.
func (j *personJudge) advance(a *answers.Answer) bool {
	j.next = j.next[:0]
	for i := range j.states {
		j.next = j.model.step(&j.states[i], a, j.next)
	}
	if len(j.next) > 1 {
		j.next = unique(j.next)
	}
	j.states, j.next = j.next, j.states
	return len(j.states) > 0
}

func unique(states []state) []state {
	kept := states[:0]
	for i := range states {
		if !slices.Contains(kept, states[i]) {
			kept = append(kept, states[i])
		}
	}
	return kept
}

// settle asks whether one of the states is what was found.
func (j *personJudge) settle(h *history) {
	for i := range j.states {
		if j.agrees(&j.states[i], h.found) {
			return
		}
	}
	why, kind := j.difference(&j.states[0], h.found)
	j.blame(h, nil, kind, why)
}

// agrees says whether the state is what was found. A booking whose code nobody
// was told may be somebody else's in the export's eyes, where that does not say
// whose it is.
func (j *personJudge) agrees(s *state, found []answers.Booking) bool {
	left := s.count
	for i, f := 0, 0; i < int(s.count); i++ {
		b := &s.bookings[i]
		switch {
		case f < len(found) && b.is(&found[f]):
			f++
		case b.Ref != unknown || j.exact:
			return false
		default:
			left--
		}
	}
	return int(left) == len(found)
}

// difference names the first thing in which the state is not what was found.
func (j *personJudge) difference(s *state, found []answers.Booking) (why string, kind error) {
	for i := range s.bookings[:s.count] {
		b := &s.bookings[i]
		at := slices.IndexFunc(found, func(f answers.Booking) bool { return f.Ref == b.Ref })
		if at < 0 && b.Ref != unknown {
			return fmt.Sprintf("booking %d on slot %d", b.Ref, b.Slot), ErrLost
		}
		if at >= 0 && !b.is(&found[at]) {
			return fmt.Sprintf("booking %d: told %+v, found %+v", b.Ref, b.Booking, found[at]), ErrAltered
		}
	}
	for i := range found {
		if s.find(found[i].Ref) == nil {
			return fmt.Sprintf("booking %d on slot %d", found[i].Ref, found[i].Slot), ErrInvented
		}
	}
	return fmt.Sprintf("told %+v, found %+v", s.bookings[:s.count], found), ErrAltered
}

// missing says in which way the end of a history that is possible in itself is
// not what was found.
func (h *history) missing() (why string, kind error) {
	for i := range h.found {
		if !h.askedFor(&h.found[i]) {
			return fmt.Sprintf("booking %d on slot %d", h.found[i].Ref, h.found[i].Slot), ErrInvented
		}
	}
	for i := len(h.asked) - 1; i >= 0; i-- {
		for _, told := range h.asked[i].Bookings {
			if !slices.ContainsFunc(h.found, func(f answers.Booking) bool { return f.Ref == told.Ref }) && !told.Cancelled {
				return fmt.Sprintf("booking %d on slot %d", told.Ref, told.Slot), ErrLost
			}
		}
	}
	return fmt.Sprintf("found %+v", h.found), ErrAltered
}

// askedFor says whether the person was told of the booking, or has asked for
// that slot without an answer.
func (h *history) askedFor(b *answers.Booking) bool {
	for i := range h.asked {
		a := &h.asked[i]
		if slices.ContainsFunc(a.Bookings, func(told answers.Booking) bool { return told.Ref == b.Ref }) {
			return true
		}
		if asks(a, answers.Book, answers.Change) && a.Outcome.Unsure() && h.slotOf(a) == b.Slot {
			return true
		}
	}
	return false
}

// blame writes a finding down, with the person's last requests up to a; all of
// them where a is nil.
func (j *personJudge) blame(h *history, a *answers.Answer, kind error, why string) {
	const most = 12
	var last []string
	for i := range h.asked {
		one := &h.asked[i]
		last = append(last, describe(one))
		if a != nil && one.Sent == a.Sent && one.Kind == a.Kind && one.Answered == a.Answered {
			break
		}
	}
	last = last[max(0, len(last)-most):]
	j.record.fault(kind, "person %d: %s; asked: %s; found: %+v", h.person, why, strings.Join(last, ", "), h.found)
}

// describe is an answer for people to read.
func describe(a *answers.Answer) string {
	text := fmt.Sprintf("%v→%v %v", a.Sent.Round(time.Microsecond), a.Answered.Round(time.Microsecond), a.Kind)
	if a.Kind == answers.Hold || a.Kind == answers.Book || a.Kind == answers.Change {
		text += fmt.Sprintf(" slot %d", a.AskedSlot)
	}
	if a.AskedRef != 0 {
		text += fmt.Sprintf(" of %d", a.AskedRef)
	}
	text += " " + a.Outcome.String()
	if a.Place.State != answers.NoPlace {
		text += fmt.Sprintf(" place %+v", a.Place)
	}
	if a.Held.Ref != 0 {
		text += fmt.Sprintf(" held %+v", a.Held)
	}
	if len(a.Bookings) > 0 {
		text += fmt.Sprintf(" told %+v", a.Bookings)
	}
	return text
}
