package server

import (
	"sync"
	"sync/atomic"

	"weir/core"
	"weir/core/campaign"
	"weir/core/event"
	"weir/server/sketch"
)

// The door counts who came to a campaign, who was refused, and why, per cohort:
// what the operators of July 2021 could not tell when four times as many people
// waited as were eligible. It counts since the server started.

// outcomes of asking for a place in line, next to the refusals by fault.
const (
	joinedNow = iota // took a place
	joinedYet        // had one already
	joinRefused
)

// doorCounts are the figures of one cohort.
type doorCounts struct {
	asked      [joinRefused + int(faultEnd)]atomic.Int64 // for a place in line, by outcome
	ineligible [campaign.Paused + 1]atomic.Int64         // of the refused as not eligible, by reason
	came       sketch.Sketch                             // different people who asked
	refused    sketch.Sketch                             // different people who were refused
}

// door counts one campaign's. All methods are safe for concurrent use.
type door struct {
	all     doorCounts
	outside doorCounts // people of no cohort

	mu      sync.Mutex
	known   map[string]*doorCounts      // by cohort id; guarded by mu
	current atomic.Pointer[doorCohorts] // of the definition asked for last
}

// doorCohorts are the counts by the indices of one definition.
type doorCohorts struct {
	rules  *campaign.Definition
	counts []*doorCounts
}

// asked counts that the person asked for a place in line, and what came of it.
func (d *door) asked(rules *campaign.Definition, person event.PersonKey, born campaign.Date, now event.Time, refusal error, out *core.Outcome) {
	counts := &d.outside
	if verdict := rules.Decide(born, now); verdict.Cohort >= 0 {
		counts = d.cohorts(rules).counts[verdict.Cohort]
	}
	for _, c := range [2]*doorCounts{&d.all, counts} {
		c.came.Add(person)
		switch {
		case refusal == nil && out.Done:
			c.asked[joinedNow].Add(1)
		case refusal == nil:
			c.asked[joinedYet].Add(1)
		default:
			c.turnAway(person, faultOf(refusal), out.Decision.Reason)
		}
	}
}

func (c *doorCounts) turnAway(person event.PersonKey, f fault, reason campaign.Reason) {
	c.asked[joinRefused+int(f)].Add(1)
	if f == faultNotEligible {
		c.ineligible[reason].Add(1)
	}
	c.refused.Add(person)
}

// cohorts returns the counts for the indices of rules.
func (d *door) cohorts(rules *campaign.Definition) *doorCohorts {
	if c := d.current.Load(); c != nil && c.rules == rules {
		return c
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.known == nil {
		d.known = make(map[string]*doorCounts)
	}
	c := &doorCohorts{rules: rules, counts: make([]*doorCounts, len(rules.Cohorts))}
	for i := range rules.Cohorts {
		id := rules.Cohorts[i].ID
		if d.known[id] == nil {
			d.known[id] = new(doorCounts)
		}
		c.counts[i] = d.known[id]
	}
	d.current.Store(c)
	return c
}

// of returns the counts of the cohort with that id, nil where nobody of it came.
func (d *door) of(cohortID string) *doorCounts {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.known[cohortID]
}

// doorFigures are doorCounts for JSON.
type doorFigures struct {
	Asked    int64            `json:"asked"`          // how often people asked for a place in line
	Joined   int64            `json:"joined"`         // places taken
	Again    int64            `json:"again"`          // asked by people who had a place
	Came     int              `json:"people"`         // different people who asked, within 2 % or so
	Refused  int              `json:"refused_people"` // different people who were refused, likewise
	ByReason map[string]int64 `json:"refused"`        // refusals by reason
}

// figures reads the counts; of a nil one they are zero.
func (c *doorCounts) figures() doorFigures {
	f := doorFigures{ByReason: map[string]int64{}}
	if c == nil {
		return f
	}
	f.Joined, f.Again = c.asked[joinedNow].Load(), c.asked[joinedYet].Load()
	f.Came, f.Refused = c.came.Count(), c.refused.Count()
	f.Asked = f.Joined + f.Again
	for of := fault(1); of < faultEnd; of++ {
		n := c.asked[joinRefused+int(of)].Load()
		f.Asked += n
		if n > 0 && of != faultNotEligible {
			f.ByReason[faults[of].code] += n
		}
	}
	for reason := range c.ineligible {
		if n := c.ineligible[reason].Load(); n > 0 {
			f.ByReason[campaign.Reason(reason).String()] += n
		}
	}
	return f
}

// totals are how often people asked, and how often they were refused. What the
// moment refuses (overloaded and its like) is no refusal of the rules'.
func (d *door) totals() (asked, refused int64) {
	for outcome := range d.all.asked {
		n := d.all.asked[outcome].Load()
		asked += n
		if outcome >= joinRefused && faults[outcome-joinRefused].status < 500 {
			refused += n
		}
	}
	return asked, refused
}
