package core

import (
	"fmt"
	"math"
	"slices"

	"weir/core/campaign"
	"weir/core/event"
	"weir/core/people"
)

// A definition's cohorts are known by their index in it, and the next version
// may order them otherwise, drop some and name new ones. Rows and counts must
// mean the same people for good, so a campaign numbers all cohorts that any of
// its versions named, by id, in the order in which they were first named.

// cohortsMax is how many cohorts the versions of one campaign can name.
const cohortsMax = math.MaxUint16

// numberCohorts returns the number of each of d's cohorts, and the ids of all
// by number: known ones and behind them those that d is the first to name.
func numberCohorts(known []string, d *campaign.Definition) (numbers []uint16, ids []string) {
	ids = slices.Clip(known)
	for _, cohort := range d.Cohorts {
		number := slices.Index(ids, cohort.ID)
		if number < 0 {
			number = len(ids)
			ids = append(ids, cohort.ID)
		}
		numbers = append(numbers, uint16(number))
	}
	return numbers, ids
}

// cohort returns the number of the cohort that r names by its index in the
// definition that was in force.
func (c *Campaign) cohort(r *event.Record) (uint16, error) {
	rules := c.rules.Load()
	numbers := rules.cohorts
	if r.Version != rules.version { // replayed behind a line that was restored
		numbers = c.numbers(r.Version)
	}
	if int(r.Cohort) >= len(numbers) {
		return 0, fmt.Errorf("cohort %d of %d", r.Cohort, len(numbers))
	}
	return numbers[r.Cohort], nil
}

// CohortID returns the id of the cohort that a Place or a Booking names by
// number, whichever version named it.
func (c *Campaign) CohortID(number uint16) string {
	ids := c.rules.Load().cohortIDs
	if int(number) >= len(ids) {
		return ""
	}
	return ids[number]
}

// CohortTotals are the figures of one cohort's people. They come from the log,
// so a restart keeps them.
type CohortTotals struct {
	ID        string `json:"id"`
	Joined    int64  `json:"joined"`    // places in line given, again to who left and came back
	Left      int64  `json:"left"`      // of them, given up
	InLine    int64  `json:"in_line"`   // Joined - Left: people who have a place, called or not
	Booked    int64  `json:"booked"`    // bookings that stand
	Cancelled int64  `json:"cancelled"` // cancellations ever
}

// Cohorts returns the figures of all cohorts that any version named, in the
// order in which they were first named. While people come and go, each shard
// of people is right by itself at some moment of the call.
func (c *Campaign) Cohorts() []CohortTotals {
	var totals []CohortTotals
	for i := range people.Shards {
		shard := c.people.At(i)
		shard.Lock()
		totals = addCounts(totals, shard)
		shard.Unlock()
	}
	return c.named(totals)
}

// addCounts adds the counts of a shard, which is locked, to totals.
func addCounts(totals []CohortTotals, shard *people.Shard) []CohortTotals {
	for cohort, count := range shard.Counts() {
		if cohort == len(totals) {
			totals = append(totals, CohortTotals{})
		}
		t := &totals[cohort]
		t.Joined += count.Joined
		t.Left += count.Left
		t.InLine += count.Joined - count.Left
		t.Booked += count.Booked
		t.Cancelled += count.Cancelled
	}
	return totals
}

// named completes totals with the ids of all cohorts.
func (c *Campaign) named(totals []CohortTotals) []CohortTotals {
	ids := c.rules.Load().cohortIDs // whoever was counted is among them
	totals = append(totals, make([]CohortTotals, len(ids)-len(totals))...)
	for cohort := range totals {
		totals[cohort].ID = ids[cohort]
	}
	return totals
}
