//go:build linux

package crash

import (
	"fmt"

	"weir/loadtest/evidence"
)

// What the judge can find. Each finding wraps one of them.
var (
	ErrLost     = evidence.ErrLost
	ErrAltered  = evidence.ErrAltered
	ErrInvented = evidence.ErrInvented
	ErrDouble   = evidence.ErrDouble
	ErrOversold = evidence.ErrOversold
	ErrTotals   = evidence.ErrTotals
	ErrAnswer   = evidence.ErrAnswer
)

// World is what was found on disk after a crash.
type World struct {
	Bookings  []Booking      // every booking that stands, and the newest cancelled ones of everybody
	Capacity  map[string]int // places by slot
	PerPerson int            // active bookings that a person may have
	Totals    Totals
}

// Totals are the campaign's figures as `weir state` prints them.
type Totals = evidence.Totals

// Judge compares what people were told with what was found, and returns every
// contradiction:
//
//  1. every acknowledged booking that stays readable is there once, as it was
//     acknowledged or as the person's one unanswered request would have left it;
//  2. every other booking is explained by an unanswered request to book that
//     slot, one request one booking;
//  3. no slot has more bookings than places, no person more than are allowed;
//  4. the totals are the sums of what is there, and places taken are bookings
//     and holds;
//  5. no two people were given the same number in line.
func Judge(people []*Person, w *World) []error {
	j := judgement{found: make(map[string]Booking, len(w.Bookings)), world: w}
	j.index()
	told := j.acknowledged(people)
	j.unexplained(people, told)
	j.limits()
	j.totals(people)
	j.numbers(people)
	return j.faults
}

type judgement struct {
	world  *World
	found  map[string]Booking // by code
	faults []error
}

func (j *judgement) fault(kind error, format string, args ...any) {
	j.faults = append(j.faults, fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), kind))
}

func (j *judgement) index() {
	sequences := make(map[uint64]string, len(j.world.Bookings))
	for _, b := range j.world.Bookings {
		if _, again := j.found[b.Code]; again {
			j.fault(ErrDouble, "booking %s is in the export", b.Code)
		}
		if other, again := sequences[b.Sequence]; again && other != b.Code {
			j.fault(ErrDouble, "sequence number %d, of %s and %s", b.Sequence, other, b.Code)
		}
		j.found[b.Code], sequences[b.Sequence] = b, b.Code
	}
}

// acknowledged checks rule 1 and returns the codes that somebody was told.
func (j *judgement) acknowledged(people []*Person) map[string]bool {
	told := make(map[string]bool)
	for _, p := range people {
		replaceable := -1
		if p.Pending != nil && p.Pending.Kind == Book {
			replaceable = p.forgets()
		}
		for i, b := range p.Bookings {
			if told[b.Code] {
				j.fault(ErrDouble, "booking %s was acknowledged to two people or", b.Code)
			}
			told[b.Code] = true
			switch found, there := j.found[b.Code]; {
			case !there && i == replaceable: // the unanswered booking has come in its place
			case !there:
				j.fault(ErrLost, "%s: booking %s on %s (%s)", p.Subject, b.Code, b.Slot, b.State)
			case !p.allows(b, found):
				j.fault(ErrAltered, "%s: told %+v, found %+v, unanswered %+v", p.Subject, b, found, p.Pending)
			}
		}
	}
	return told
}

// unexplained checks rule 2. Who an unknown booking belongs to is not known
// yet, but every unanswered request explains one booking on its slot at most.
func (j *judgement) unexplained(people []*Person, told map[string]bool) {
	asked := make(map[string]int)
	for _, p := range people {
		if p.Pending != nil && p.Pending.Kind == Book {
			asked[p.Pending.Slot]++
		}
	}
	for _, b := range j.world.Bookings {
		if told[b.Code] {
			continue
		}
		if asked[b.Slot]--; asked[b.Slot] < 0 || b.State != stateBooked {
			j.fault(ErrInvented, "booking %s on %s (%s)", b.Code, b.Slot, b.State)
		}
	}
}

func (j *judgement) limits() {
	bySlot, byPerson := make(map[string]int), make(map[string]int)
	for _, b := range j.found {
		if b.State == stateBooked {
			bySlot[b.Slot]++
			byPerson[b.Person]++
		}
	}
	for slot, n := range bySlot {
		if n > j.world.Capacity[slot] {
			j.fault(ErrOversold, "slot %s: %d bookings for %d places", slot, n, j.world.Capacity[slot])
		}
	}
	for person, n := range byPerson {
		if n > j.world.PerPerson {
			j.fault(ErrOversold, "person %s: %d bookings, %d allowed", person, n, j.world.PerPerson)
		}
	}
}

func (j *judgement) totals(people []*Person) {
	var booked, cancelled, unanswered int64
	for _, b := range j.found {
		if b.State == stateBooked {
			booked++
		}
	}
	for _, p := range people {
		cancelled += int64(p.Cancels)
		if p.Pending != nil && p.Pending.Kind == Cancel {
			unanswered++
		}
	}
	t := j.world.Totals
	if t.Booked != booked {
		j.fault(ErrTotals, "%d booked in the state, %d in the export", t.Booked, booked)
	}
	if t.Cancelled < cancelled || t.Cancelled > cancelled+unanswered {
		j.fault(ErrTotals, "%d cancelled, %d acknowledged and %d unanswered", t.Cancelled, cancelled, unanswered)
	}
	if t.Taken != t.Booked+t.Holds || t.Holds < 0 || t.Taken > t.Places {
		j.fault(ErrTotals, "%d of %d places taken, %d booked, %d held", t.Taken, t.Places, t.Booked, t.Holds)
	}
}

func (j *judgement) numbers(people []*Person) {
	given := make(map[uint64]string)
	for _, p := range people {
		if p.Number == 0 {
			continue
		}
		if other, again := given[p.Number]; again {
			j.fault(ErrDouble, "number %d in line was given to %s and %s", p.Number, other, p.Subject)
		}
		given[p.Number] = p.Subject
	}
}

// JudgeOwn compares what one person was told with what the server says they
// have, as Judge does for all, and returns the booking that the person was not
// told of, where there is one that the unanswered request explains.
func JudgeOwn(p *Person, has []Booking) (untold *Booking, faults []error) {
	j := judgement{found: make(map[string]Booking, len(has)), world: &World{Bookings: has}}
	j.index()
	told := j.acknowledged([]*Person{p})
	for _, b := range has {
		switch {
		case told[b.Code]:
		case untold == nil && p.mayHave(b):
			untold = &b
		default:
			j.fault(ErrInvented, "%s has booking %s on %s (%s)", p.Subject, b.Code, b.Slot, b.State)
		}
	}
	return untold, j.faults
}
