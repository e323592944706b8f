//go:build linux

package overload

import (
	"fmt"
	"slices"

	"weir/loadtest/stats"
)

// Check is a threshold and whether it is kept.
type Check struct {
	What   string  `json:"what"`
	Value  float64 `json:"value"`
	Bound  float64 `json:"bound"`
	Least  bool    `json:"least"` // Bound is the least that passes; otherwise the most
	Known  bool    `json:"known"` // there was something to measure
	Passed bool    `json:"passed"`
}

const (
	goodputAtSurge = 0.9  // of its peak, at ten times the capacity
	p99AtSurge     = 2.0  // times the one at 0.8 times the capacity
	shareRecovered = 0.95 // of what is offered
	refusalCost    = 0.6  // of a booking's CPU
)

func (c Check) String() string {
	verdict, relation := "FAIL", "at most"
	if c.Passed {
		verdict = "pass"
	}
	if c.Least {
		relation = "at least"
	}
	value := "not measured"
	if c.Known {
		value = fmt.Sprintf("%.3f", c.Value)
	}
	return fmt.Sprintf("%s  %s: %s, %s %g", verdict, c.What, value, relation, c.Bound)
}

// Passed tells whether every threshold is kept. Before Run has ended well it is
// false.
func (r *Report) Passed() bool {
	return len(r.Checks) > 0 && !slices.ContainsFunc(r.Checks, func(c Check) bool { return !c.Passed })
}

// check judges the server with admission, or the only one that there is.
func (r *Report) check() {
	arm := r.Arms[len(r.Arms)-1]
	overloaded, normal := arm.at(surge), arm.at(usual)
	r.least("goodput at 10 times the capacity, of its peak", goodputAtSurge, func() (float64, bool) {
		if overloaded == nil || arm.peak() == 0 {
			return 0, false
		}
		return overloaded.OfCapacity / arm.peak(), true
	})
	r.most("p99 of who is booked at 10 times the capacity, of that at 0.8", p99AtSurge, func() (float64, bool) {
		if overloaded == nil || normal == nil || overloaded.P99Millis == 0 || normal.P99Millis == 0 {
			return 0, false
		}
		return overloaded.P99Millis / normal.P99Millis, true
	})
	r.least("goodput 5 s after the load fell back, of what is offered", shareRecovered, func() (float64, bool) {
		return arm.recovered(func(round *Round) Recovery { return round.Fall.Recovery })
	})
	r.least("bookings 5 s after the pulse of a storm of retries, of those who come", shareRecovered, func() (float64, bool) {
		return arm.recovered(func(round *Round) Recovery { return round.Storm.Recovery })
	})
	r.most("server CPU of a refusal, of that of a booking", refusalCost, func() (float64, bool) {
		booking, refusal := r.prices()
		if booking == 0 || refusal == 0 {
			return 0, false
		}
		return refusal / booking, true
	})
	r.most("runs in which the loader was late or short", 0, func() (float64, bool) { return float64(r.invalid()), true })
}

func (r *Report) least(what string, bound float64, measure func() (value float64, known bool)) {
	value, known := measure()
	r.Checks = append(r.Checks, Check{what, value, bound, true, known, known && value >= bound})
}

func (r *Report) most(what string, bound float64, measure func() (value float64, known bool)) {
	value, known := measure()
	r.Checks = append(r.Checks, Check{what, value, bound, false, known, known && value <= bound})
}

// at is the step of that multiple; nil where there is none.
func (a *Arm) at(multiple float64) *Step {
	for _, s := range a.Steps {
		if s.Multiple == multiple {
			return s
		}
	}
	return nil
}

// peak is the highest goodput of all steps, of the capacity.
func (a *Arm) peak() (goodput float64) {
	for _, s := range a.Steps {
		goodput = max(goodput, s.OfCapacity)
	}
	return goodput
}

// recovered is the median of the rounds' shares; not known where one is not.
func (a *Arm) recovered(of func(*Round) Recovery) (share float64, known bool) {
	var shares []float64
	for _, round := range a.Rounds {
		recovery := of(round)
		if !recovery.Known {
			return 0, false
		}
		shares = append(shares, recovery.Share)
	}
	return stats.Median(shares), len(shares) > 0
}

func (r *Report) invalid() (n int) {
	for _, a := range r.Arms {
		n += len(a.invalid())
	}
	return n
}

// invalid says which runs the loader spoilt, and how.
func (a *Arm) invalid() (why []string) {
	add := func(name string, m *Measured) {
		if m.Invalid != "" {
			why = append(why, fmt.Sprintf("%s: %s", name, m.Invalid))
		}
	}
	for n, round := range a.Rounds {
		for _, s := range round.Steps {
			add(fmt.Sprintf("round %d, %gx", n+1, s.Multiple), &s.Measured)
		}
		if round.Fall != nil {
			add(fmt.Sprintf("round %d, surge and fall", n+1), &round.Fall.Measured)
		}
		if round.Storm != nil {
			add(fmt.Sprintf("round %d, storm", n+1), &round.Storm.Measured)
		}
	}
	return why
}
