package campaign

import (
	"math"
	"slices"

	"weir/core/event"
)

// Reason says why a person may or may not book now.
type Reason uint8

// The reasons. Decide gives the first four; HasBooking and Paused are for who
// knows the state: the rules of a definition alone cannot say them.
const (
	Eligible       Reason = iota
	NotInAnyCohort        // born outside every cohort that a window names
	WindowNotOpen         // none of the person's windows has opened yet
	WindowClosed          // none is open, and one at least has closed; Decision.Next says whether another comes
	HasBooking            // already has as many bookings as one person may have
)

// Paused is a Reason and a State alike: an operator has stopped the campaign
// for the time being.
const Paused = 5

var reasonNames = [...]string{
	Eligible: "eligible", NotInAnyCohort: "not_in_any_cohort", WindowNotOpen: "window_not_open",
	WindowClosed: "window_closed", HasBooking: "already_booked", Paused: "paused",
}

// String gives the reason's name on the public surface.
func (r Reason) String() string {
	if int(r) < len(reasonNames) {
		return reasonNames[r]
	}
	return "unknown"
}

// Decision is what the rules say of one person at one moment. Cohort, Window
// and Next are indices into the definition, -1 for none.
type Decision struct {
	Reason Reason
	// Cohort is the person's first cohort of Window if Eligible, else their
	// first cohort in the file's order.
	Cohort int
	// Window is the open window if Eligible (the first in the file's order
	// where several are), and the last of theirs to close if WindowClosed.
	Window int
	// Next is the first to open of the person's windows that have not opened
	// yet. There may be one whatever the Reason, NotInAnyCohort apart.
	Next int
}

// Decide says whether a person born on that day may book at now, as far as the
// definition goes. A window is open from its opening, included to the
// millisecond, to its closing, excluded. A cohort that no window names allows
// nobody, and being born in it counts for nothing.
//
// It runs under a lock at every booking, so all answers are made when the
// definition is: two short binary searches find the right one. It allocates
// nothing.
func (d *Definition) Decide(born Date, now event.Time) Decision {
	return d.answers.find(born, now)
}

// CohortOf returns the first of a window's cohorts, in the window's order, that
// somebody born on that day is in, or -1: by which they wait for the window.
func (d *Definition) CohortOf(born Date, window int) int {
	for _, c := range d.Windows[window].Cohorts {
		if born >= d.Cohorts[c].From && born <= d.Cohorts[c].To {
			return c
		}
	}
	return -1
}

// decisionTable holds every answer that Decide can give. An answer changes only
// at the births on which a cohort begins or has ended and at the times at which
// a window opens or closes.
//
// Invariants: births and times are strictly ascending;
// len(answers) = (len(births)+1) * (len(times)+1).
type decisionTable struct {
	births  []Date
	times   []event.Time
	answers []answer // by birth, then time
}

// answer is a Decision in small.
type answer struct {
	reason               Reason
	cohort, window, next int16
}

func (t *decisionTable) find(born Date, now event.Time) Decision {
	row := countUpTo(t.births, born)
	a := t.answers[row*(len(t.times)+1)+countUpTo(t.times, now)]
	return Decision{Reason: a.reason, Cohort: int(a.cohort), Window: int(a.window), Next: int(a.next)}
}

// countUpTo returns how many of the ascending marks are at or before v.
func countUpTo[T Date | event.Time](marks []T, v T) int {
	low, high := 0, len(marks)
	for low < high {
		middle := int(uint(low+high) / 2)
		if marks[middle] <= v {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low
}

func newDecisionTable(cohorts []Cohort, windows []Window) decisionTable {
	var t decisionTable
	for _, c := range cohorts {
		t.births = append(t.births, c.From, c.To+1)
	}
	for _, w := range windows {
		t.times = append(t.times, w.Opens, w.Closes)
	}
	slices.Sort(t.births)
	t.births = slices.Compact(t.births)
	slices.Sort(t.times)
	t.times = slices.Compact(t.times)
	t.answers = make([]answer, 0, (len(t.births)+1)*(len(t.times)+1))
	for row := range len(t.births) + 1 {
		own := noClaims
		if row > 0 {
			own = claimsOf(t.births[row-1], cohorts, windows)
		}
		t.answers = append(t.answers, own.decide(windows, math.MinInt64))
		for _, now := range t.times {
			t.answers = append(t.answers, own.decide(windows, now))
		}
	}
	return t
}

// claims are the windows that somebody may use, whatever the time.
type claims struct {
	cohort  int16   // first in the file's order, -1: none
	windows []claim // in the file's order
}

type claim struct{ window, cohort int16 }

var noClaims = claims{cohort: -1}

func claimsOf(born Date, cohorts []Cohort, windows []Window) claims {
	own := noClaims
	for i, w := range windows {
		first := int16(-1)
		for _, c := range w.Cohorts {
			if born < cohorts[c].From || born > cohorts[c].To {
				continue
			}
			if first < 0 {
				first = int16(c)
			}
			if own.cohort < 0 || int16(c) < own.cohort {
				own.cohort = int16(c)
			}
		}
		if first >= 0 {
			own.windows = append(own.windows, claim{window: int16(i), cohort: first})
		}
	}
	return own
}

// decide is Decide, worked out in full.
func (own claims) decide(windows []Window, now event.Time) answer {
	open, closed, next := claim{-1, -1}, int16(-1), int16(-1)
	for _, c := range own.windows {
		w := windows[c.window]
		switch {
		case now < w.Opens:
			if next < 0 || w.Opens < windows[next].Opens {
				next = c.window
			}
		case now >= w.Closes:
			if closed < 0 || w.Closes > windows[closed].Closes {
				closed = c.window
			}
		case open.window < 0:
			open = c
		}
	}
	switch {
	case own.cohort < 0:
		return answer{reason: NotInAnyCohort, cohort: -1, window: -1, next: -1}
	case open.window >= 0:
		return answer{reason: Eligible, cohort: open.cohort, window: open.window, next: next}
	case closed >= 0:
		return answer{reason: WindowClosed, cohort: own.cohort, window: closed, next: next}
	}
	return answer{reason: WindowNotOpen, cohort: own.cohort, window: -1, next: next}
}
