package judge

import (
	"cmp"
	"slices"
	"sort"
	"time"

	"weir/core/event"
	"weir/loadtest/answers"
)

// Whose turn has come gets in. That nobody in front of them is told to wait is
// asked of the line (line.go); here it is asked of each person whether they were
// let in once they asked.

// calls says by when the mark is known to have come to a number: from the
// public state alone, which everybody can see.
type calls struct {
	at   []time.Duration
	mark []event.Number // max until at; ascending
}

func newCalls(public []publicLine) (c calls) {
	told := slices.Clone(public)
	slices.SortFunc(told, func(a, b publicLine) int { return cmp.Compare(a.at, b.at) })
	for i := range told {
		if n := len(c.mark); n == 0 || told[i].Serving.Serving > c.mark[n-1] {
			c.at, c.mark = append(c.at, told[i].at), append(c.mark, told[i].Serving.Serving)
		}
	}
	return c
}

// by is by when the number had been called, forever where nobody knows.
func (c *calls) by(number event.Number) time.Duration {
	i := sort.Search(len(c.mark), func(i int) bool { return c.mark[i] >= number })
	if number == 0 || i == len(c.mark) {
		return forever
	}
	return c.at[i]
}

// turnedAwayMin is how often somebody whose turn has come must have been turned
// away for it to be a fault, with no other answer between. Fewer are counted: a
// crowd that gives up after the first refusal proves nothing.
const turnedAwayMin = 5

// onlyNumber is the number that the person had from their first place on, 0
// where they had none or several.
func (h *history) onlyNumber() (number event.Number) {
	for i := range h.asked {
		a := &h.asked[i]
		if a.Kind == answers.Leave || a.Place.Number != 0 && number != 0 && number != a.Place.Number {
			return 0
		}
		number = max(number, a.Place.Number)
	}
	return number
}

// checkTurn asks whether the person came in, once their number had been called
// and they asked.
func (c *court) checkTurn(h *history) (called, in, away int64) {
	number := h.onlyNumber()
	turn := c.calls.by(number)
	if turn == forever {
		return 0, 0, 0
	}
	asked, refused := 0, 0
	for i := range h.asked {
		a := &h.asked[i]
		if a.Sent <= turn || !asks(a, answers.Join, answers.OwnPlace, answers.Hold, answers.Book) {
			if a.Place.State == answers.Admitted {
				return 1, 1, 0
			}
			continue
		}
		asked++
		switch {
		case a.Outcome == answers.NoAnswer || a.Outcome == answers.NotSent || a.Outcome == answers.OutcomeUnknown:
		case a.Outcome.Refused():
			if !c.wasDown(a) {
				refused++
			}
		default:
			return 1, 1, 0 // what they were told is judged elsewhere
		}
	}
	if asked == 0 {
		return 1, 0, 0
	}
	if refused >= turnedAwayMin {
		c.record.fault(ErrTurn, "person %d with number %d was called by %v, asked %d times from then on and was turned away %d times",
			h.person, number, turn, asked, refused)
	}
	return 1, 0, 1
}

// turns notes what a history tells of turns where the states of the person are
// in doubt: their number is not, if they have had but one.
func (l *lineLog) turns(h *history) {
	number := h.onlyNumber()
	for i := range h.asked {
		l.turn(number, &h.asked[i])
	}
}
