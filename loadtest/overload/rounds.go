//go:build linux

package overload

import (
	"slices"

	"weir/loadtest/stats"
)

// summarize makes the steps of each arm of those of its rounds.
func (r *Report) summarize() {
	for _, a := range r.Arms {
		a.Steps = nil
		if len(a.Rounds) == 0 {
			continue
		}
		for _, s := range a.Rounds[0].Steps {
			if a.at(s.Multiple) == nil {
				a.Steps = append(a.Steps, summary(a.all(s.Multiple)))
			}
		}
	}
}

// all are the steps of that multiple, of each round that has come to it.
func (a *Arm) all(multiple float64) (steps []*Step) {
	for _, round := range a.Rounds {
		for _, s := range round.Steps {
			if s.Multiple == multiple {
				steps = append(steps, s)
			}
		}
	}
	return steps
}

// spread is the least and the most of something, of the steps of that multiple.
func (a *Arm) spread(multiple float64, of func(*Step) float64) (least, most float64) {
	values := each(a.all(multiple), of)
	return slices.Min(values), slices.Max(values)
}

// summary is of one or more steps under one load.
func summary(steps []*Step) *Step {
	sum := &Step{
		Multiple:   steps[0].Multiple,
		Offered:    stats.Median(each(steps, func(s *Step) float64 { return s.Offered })),
		Goodput:    stats.Median(each(steps, func(s *Step) float64 { return s.Goodput })),
		OfCapacity: stats.Median(each(steps, func(s *Step) float64 { return s.OfCapacity })),
		P50Millis:  stats.Median(each(steps, func(s *Step) float64 { return s.P50Millis })),
		P99Millis:  stats.Median(each(steps, func(s *Step) float64 { return s.P99Millis })),
		Outcomes:   map[string]int64{},
	}
	for _, s := range steps {
		sum.Booked += s.Booked
		sum.Seconds += s.Seconds
		sum.ServerCPUSeconds += s.ServerCPUSeconds
		sum.LoaderCPUSeconds += s.LoaderCPUSeconds
		sum.LatenessP99Millis = max(sum.LatenessP99Millis, s.LatenessP99Millis)
		sum.ConnectionsPeak = max(sum.ConnectionsPeak, s.ConnectionsPeak)
		for name, n := range s.Outcomes {
			sum.Outcomes[name] += n
		}
	}
	return sum
}

// capacity is the median of the rounds'.
func (r *Report) capacity() (perSecond float64) {
	var of []float64
	for _, c := range r.Closed {
		of = append(of, c.Bookings)
	}
	return stats.Median(of)
}

// prices are the medians of what a booking and a refusal cost the server, in
// microseconds; 0 where that was not measured.
func (r *Report) prices() (booking, refusal float64) {
	var bookings, refusals []float64
	for _, c := range r.Closed {
		bookings, refusals = append(bookings, c.BookingMicros), append(refusals, c.RefusalMicros)
	}
	return stats.Median(bookings), stats.Median(refusals)
}

func each(steps []*Step, of func(*Step) float64) []float64 {
	values := make([]float64, len(steps))
	for i, s := range steps {
		values[i] = of(s)
	}
	return values
}
