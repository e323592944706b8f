//go:build linux

// Package crowd plays the people of a scenario over the open-loop client
// (loadtest/openloop): each comes at a time of the arrival curve, signs in,
// joins, waits and polls as told or sooner, looks at sites near home, picks,
// holds, books, sometimes changes or cancels; some may not book, some are bots.
// What each was answered goes into a file of answers (loadtest/answers), for the
// judge.
//
// # A person's evening
//
//  1. Their timer wakes them at their time of the curve (people.go).
//  2. They take the next step: one request, or two at once from two devices
//     (behave.go), composed when a connection is there (compose.go).
//  3. The answer is read strictly (read.go); what it tells is written down and
//     decides the next step and its time (react.go).
//  4. A request that nobody answered is sent again as it was. Whoever gives up
//     with one open asks what they have, in the end.
//
// Who drops out does so in one of these ways: they leave the line, and some
// join again later; they never come when their number is called, or late; they
// hold a place and never book it; they lose what they were given, and sign in
// again; they give up after so many tries.
//
// A person is 24 bytes, and 12 more in the client's timers. Who they are, where
// they live and every choice they make follow from the seed and their number,
// so the same seed gives the same people; what they are answered and when
// differs from run to run.
//
// # Not protected against
//
// The crowd shares connections as people behind one proxy do. It is as patient
// as the scenario says and learns nothing: nobody tells their friends.
package crowd

import (
	"fmt"
	"sync/atomic"
	"time"

	"weir/core/campaign"
	"weir/loadtest/answers"
	"weir/loadtest/openloop"
	"weir/loadtest/scenario"
)

// Plan is what a crowd needs to know. All fields but Grace must be given.
type Plan struct {
	Scenario *scenario.Scenario
	Rules    *campaign.Definition
	Issuer   Issuer
	Seed     uint64
	Loops    int
	Host     string // of the Host field
	File     *answers.File
	// Lead is how long after the start of the client the first people come.
	Lead time.Duration
	// Grace is how long those who are not done yet may go on after the last
	// have come; then they only find out what they have. 30 s where 0.
	Grace time.Duration
	// Expires is the end of all identity tokens.
	Expires time.Time
}

// Live are figures of a run that goes on. They may be read by anybody.
type Live struct {
	Came, Gone, Joined, Admitted, Booked, Cancelled, Ineligible, Full, Refused atomic.Int64

	LineIssued, LineServing atomic.Int64 // as told last

	Latencies, LatencySum atomic.Int64 // of the answers, from when each was due; nanoseconds
}

// Crowd is the people of one run.
type Crowd struct {
	plan    Plan
	Live    Live
	drivers []*driver
	curve   *openloop.Curve
	eligible,
	others [2]campaign.Date // births, from the first to the last
}

// Labels are what results are told apart by: a kind of request each, and
// bookings that were made.
func Labels() []string {
	labels := make([]string, answers.Kinds)
	for k := answers.Kind(1); int(k) < answers.Kinds; k++ {
		labels[k-1] = k.String()
	}
	labels[Booked] = "booked"
	return labels
}

// Booked is the label of a booking that was made.
const Booked = openloop.Label(answers.Kinds - 1)

func labelOf(k answers.Kind) openloop.Label { return openloop.Label(k - 1) }

// New makes the people. It takes 24 bytes each, and what the plan's curve needs.
func New(p Plan) (*Crowd, error) {
	if p.Grace == 0 {
		p.Grace = 30 * time.Second
	}
	c := &Crowd{plan: p}
	var err error
	if c.curve, err = curveOf(p.Scenario, p.Lead); err != nil {
		return nil, fmt.Errorf("crowd: %w", err)
	}
	if err := c.readCohorts(); err != nil {
		return nil, fmt.Errorf("crowd: %w", err)
	}
	for i := range p.Loops {
		c.drivers = append(c.drivers, newDriver(c, i))
	}
	return c, nil
}

func (c *Crowd) readCohorts() (err error) {
	if c.eligible[0], c.eligible[1], err = dates(scenario.EligibleBorn); err != nil {
		return err
	}
	c.others[0], c.others[1], err = dates(scenario.OthersBorn)
	return err
}

// BornOf is who was born when in a crowd of that seed, of whom that share may
// book.
func BornOf(seed uint64, eligible float64) (func(answers.Person) campaign.Date, error) {
	c := &Crowd{plan: Plan{Seed: seed, Scenario: &scenario.Scenario{Eligible: eligible}}}
	if err := c.readCohorts(); err != nil {
		return nil, fmt.Errorf("crowd: %w", err)
	}
	return c.Born, nil
}

// curveOf is the scenario's curve with as many arrivals as there are people.
func curveOf(s *scenario.Scenario, lead time.Duration) (*openloop.Curve, error) {
	var area float64
	for i := 1; i < len(s.Curve); i++ {
		area += (s.Curve[i].At - s.Curve[i-1].At).Of().Seconds() * (s.Curve[i].Rate + s.Curve[i-1].Rate) / 2
	}
	points := make([]openloop.Point, len(s.Curve))
	for i, p := range s.Curve {
		points[i] = openloop.Point{At: lead + p.At.Of(), PerSecond: p.Rate * float64(s.People) / area}
	}
	return openloop.NewCurve(points...)
}

// Driver returns the driver of one loop of the client.
func (c *Crowd) Driver(loop int) openloop.Driver { return c.drivers[loop] }

// Clients is how many clients each loop of the client needs.
func (c *Crowd) Clients() int { return c.share(0) }

// share is how many of the people belong to a loop.
func (c *Crowd) share(loop int) int {
	return (c.plan.Scenario.People - loop + c.plan.Loops - 1) / c.plan.Loops
}

// closing is when everybody stops but to find out what they have.
func (c *Crowd) closing() time.Duration {
	return c.plan.Lead + c.plan.Scenario.Duration.Of() + c.plan.Grace
}

// Counts are how often each kind of request ended in each outcome.
type Counts [answers.Kinds][answers.Outcomes]int64

// Counts sums up the run. It must be over.
func (c *Crowd) Counts() *Counts {
	var sum Counts
	for _, d := range c.drivers {
		for k := range sum {
			for o := range sum[k] {
				sum[k][o] += d.counts[k][o]
			}
		}
	}
	return &sum
}

// Err is the first error of a recorder. The run must be over.
func (c *Crowd) Err() error {
	for _, d := range c.drivers {
		if d.err != nil {
			return d.err
		}
	}
	return nil
}

// Eligible is how many of the people may book.
func (c *Crowd) Eligible() (n int) {
	for p := range c.plan.Scenario.People {
		if c.mayBook(answers.Person(p)) {
			n++
		}
	}
	return n
}
