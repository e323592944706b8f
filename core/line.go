package core

import (
	"math"
	"sync"
	"sync/atomic"

	"weir/core/event"
	"weir/core/people"
)

// waitingLine is a campaign's line: who joins gets a number, or an index in a
// draw that turns it into one later, and whose number the serving mark has
// reached may come in.
//
// Invariants, which Check verifies with the people's rows at hand:
//
//  1. every number from 1 to issued was given once: to who joined, or to an
//     index of a draw that is drawn (base+1 … base+size)
//  2. every index of a draw was given once, from 1 to its size
//  3. early = sum of the sizes of the draws that are not drawn
//  4. the serving mark never falls
//
// Rejected: a sorted list of who waits. Nothing needs it: a place in line is
// compared with the mark where its owner's row is at hand anyway, so that six
// million people in line cost their rows and nothing else.
type waitingLine struct {
	sync.Mutex               // taken after a person's shard
	issued     atomic.Uint32 // numbers given; changed under Mutex
	early      atomic.Uint32 // indices given in draws that are not drawn; changed under Mutex
	newest     event.Seq     // of the newest record that gave a number or an index; Mutex
	lists      []*drawList   // by event.Draw, from 1; changed with all shards of people locked

	state atomic.Pointer[LineState] // replaced with all shards of people locked
}

// LineState is a campaign's line, as it stood when it was read. What is in it
// may not be durable yet: nothing of it may be told to anybody before
// Engine.Wait(Newest) has returned nil.
type LineState struct {
	Newest  event.Seq    // no record behind it has changed what stands here, Issued and Early apart
	Issued  event.Number // numbers given, also to people who left
	Early   uint32       // people who entered a draw that is not drawn yet, also who left
	Serving event.Number // whose number is at or below it may come in; may be ahead of Issued
	Draws   []DrawState  // by event.Draw, from 1; not to be changed

	Paused bool
	Reason string     // of the pause
	Since  event.Time // when it began

	pauses []span // that have ended, in order
}

// next completes the record of somebody who joins with the next number, or the
// next index of the draw that it names. Line and person are locked. It answers
// false where all numbers are given.
func (l *waitingLine) next(r *event.Record) bool {
	issued := l.issued.Load()
	if issued+l.early.Load() == math.MaxUint32 {
		return false
	}
	if r.Kind == event.Entered {
		r.Index = event.Index(l.lists[r.Draw-1].size + 1)
	} else {
		r.Number = event.Number(issued + 1)
	}
	return true
}

// Line returns the state of the line. It takes no lock and allocates nothing.
func (c *Campaign) Line() LineState {
	state := *c.line.state.Load()
	state.Issued = event.Number(c.line.issued.Load())
	state.Early = c.line.early.Load()
	return state
}

// Number returns the number of a place: its own, or the one that its draw gave
// it, and 0 where there is none yet.
func (s *LineState) Number(p Place) event.Number {
	if p.Draw == 0 {
		return p.Number
	}
	return s.Draws[p.Draw-1].number(p.Index)
}

// Called says whether that number's turn has come.
func (s *LineState) Called(number event.Number) bool { return number != 0 && number <= s.Serving }

// Place is a place in line. The zero Place is none.
type Place struct {
	Number event.Number // 0: none, or not drawn yet
	Draw   event.Draw   // that it comes from; 0: the number was final from the first
	Index  event.Index  // in that draw
	Cohort uint16       // that allowed it, see Campaign.CohortID
}

// None says that there is no place.
func (p Place) None() bool { return p == Place{} }

// Early says that the place waits for its draw.
func (p Place) Early() bool { return p.Draw != 0 && p.Number == 0 }

// place returns the place of that person.
func (s *LineState) place(person *people.Person) Place {
	if person.Draw == 0 {
		return Place{Number: event.Number(person.Place), Cohort: person.Cohort}
	}
	p := Place{Draw: person.Draw, Index: event.Index(person.Place), Cohort: person.Cohort}
	p.Number = s.Number(p)
	return p
}

// Serve raises the serving mark: from the record on, who has a number up to
// upTo may hold and book. A mark that stands there or higher stays, and the
// answer is 0. Errors: CampaignPaused, and those of Journal.Reserve.
func (e *Engine) Serve(now event.Time, c *Campaign, upTo event.Number) (event.Seq, error) {
	r := event.Record{Kind: event.Served, At: now, Number: upTo}
	return e.steer(c, &r, func(state *LineState) (bool, error) {
		if upTo > state.Serving && state.Paused {
			return false, CampaignPaused
		}
		return upTo > state.Serving, nil
	})
}
