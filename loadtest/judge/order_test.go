package judge

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"pgregory.net/rapid"

	"weir/core/event"
	"weir/loadtest/answers"
)

// end is the last operation of a history in porcupine's eyes: what was found.
type end struct{ found []answers.Booking }

// byPorcupine asks porcupine whether an order of a person's requests explains
// what was answered and found.
func byPorcupine(j *personJudge, h *history) porcupine.CheckResult {
	m := j.model
	model := porcupine.NondeterministicModel{
		Init: func() []any { return []any{state{}} },
		Step: func(s, input, _ any) []any {
			before := s.(state)
			if e, last := input.(end); last {
				if j.agrees(&before, e.found) {
					return []any{before}
				}
				return nil
			}
			var next []any
			for _, after := range m.step(&before, input.(*answers.Answer), nil) {
				next = append(next, after)
			}
			return next
		},
	}
	operations := []porcupine.Operation{{Input: end{h.found}, Call: int64(forever), Return: int64(forever)}}
	for i := range h.asked {
		a := &h.asked[i]
		until := a.Answered
		if a.Outcome == answers.NoAnswer {
			until = forever - 1
		}
		operations = append(operations, porcupine.Operation{Input: a, Call: int64(a.Sent), Return: int64(until)})
	}
	return porcupine.CheckOperationsTimeout(model.ToModel(), operations, 20*time.Second)
}

// TestSearchAgreesWithPorcupine plays short histories of one person, whose
// requests overlap and some of which are lost, spoils one answer of most, and
// wants the search and porcupine to be of one mind.
func TestSearchAgreesWithPorcupine(t *testing.T) {
	sound, unsound := 0, 0
	rapid.Check(t, func(r *rapid.T) {
		seed := rapid.Uint64().Draw(r, "seed")
		s := simulate(t, seed, 1, 200, true, true)
		s.all = s.all[:min(len(s.all), 200)]
		random := rand.New(rand.NewPCG(seed, 2))
		from := random.IntN(len(s.all))
		h := &history{asked: append([]answers.Answer(nil), s.all...)}
		if random.IntN(3) > 0 {
			spoil(&h.asked[from], random)
		}
		has := s.found()
		for _, b := range has.Bookings {
			h.found = append(h.found, b.Booking)
		}
		sortHistory(h)
		h.asked = trim(h.asked)
		rec := newRecord()
		j := &personJudge{
			model:  model{rules: newRules(s.rules), clock: newClock(&answers.Header{Began: runBegan, ClockError: clockErr}), born: bornOf(0)},
			record: rec, exact: true, slots: &slotLog{}, line: &lineLog{},
		}
		want := byPorcupine(j, h)
		if want == porcupine.Unknown {
			return // too much for porcupine
		}
		j.search(h)
		v := &rec.verdict
		if len(v.Undecided) > 0 {
			return
		}
		if (want == porcupine.Ok) != (v.Violations() == 0) {
			r.Fatalf("porcupine: %v; the search: %v", want, v)
		}
		if want == porcupine.Ok {
			sound++
		} else {
			unsound++
		}
	})
	if sound == 0 || unsound == 0 {
		t.Errorf("%d sound histories, %d unsound ones: one kind was never tried", sound, unsound)
	}
}

// trim leaves out the dull beginning, in which nothing was open yet.
func trim(asked []answers.Answer) []answers.Answer {
	var kept []answers.Answer
	for i := range asked {
		if asked[i].Outcome != answers.NotOpen && asked[i].Outcome != answers.LineNotOpen {
			kept = append(kept, asked[i])
		}
	}
	return kept
}

// spoil makes something else of an answer.
func spoil(a *answers.Answer, random *rand.Rand) {
	switch {
	case len(a.Bookings) > 0 && random.IntN(2) == 0:
		a.Bookings = append([]answers.Booking(nil), a.Bookings...)
		a.Bookings[0].Slot = event.SlotID((int(a.Bookings[0].Slot) + 1) % 8)
	case a.Held.Ref != 0:
		a.Held.Ref += 2
	case a.Place.Number != 0:
		a.Place.Number++
	case a.Outcome == answers.NotFound:
		a.Outcome = answers.NoContent
	default:
		a.Outcome, a.Bookings = answers.NotFound, nil
	}
}
