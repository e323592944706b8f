//go:build linux

package flood

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Report is what a run found.
type Report struct {
	Options    Options
	Filled     time.Duration // from the attack's begin until the server was full
	Ebbed      time.Duration // from its end until all was as before
	Stalled    time.Duration // for which the machine did not let this process run: it is added to all bounds
	Peaks      [Parts]Sample // the most of each figure
	Last       Sample        // when everybody has gone
	Attack     [Kinds]Tally
	Kept       [Parts]Timing // answers over connections that were there before
	Fresh      [Parts]Timing // over new ones, from the first try
	Tries      int           // to connect anew that found no room
	Shed       int           // requests of people that admission refused, and that were made again
	Booked     int           // bookings acknowledged
	Strangers  Strangers
	Failed     int      // people who got no answer
	Failures   []string // in words; the first few
	Complaints []string // of the server, in its log
}

// Timing is how long something took.
type Timing struct {
	Count             int
	Median, P99, Most time.Duration
}

func timing(took []time.Duration) Timing {
	if len(took) == 0 {
		return Timing{}
	}
	slices.Sort(took)
	return Timing{len(took), took[len(took)/2], took[len(took)*99/100], took[len(took)-1]}
}

func (r *Report) see(p Part, s Sample) {
	most := &r.Peaks[p]
	*most = Sample{
		Files: max(most.Files, s.Files), Resident: max(most.Resident, s.Resident), Kernel: max(most.Kernel, s.Kernel),
		Connections: max(most.Connections, s.Connections), Displaced: s.Displaced, Refused: s.Refused, Failed: s.Failed,
		Booked: s.Booked, Overflows: s.Overflows, AcceptEvery: max(most.AcceptEvery, s.AcceptEvery),
	}
}

// String returns the part's name.
func (p Part) String() string { return [Parts]string{"calm", "flood", "drought", "ebb"}[p] }

const (
	// lateMax is by how much an attacker may outlive the deadline: two ticks of
	// the server's clock, and what it takes until the attacker hears of it on
	// a machine that is busy with thousands of others.
	lateMax = 2500 * time.Millisecond

	// Memory: two loops may keep 64 MiB of unread answers each, which the
	// collector may let lie once more; 16 KiB a connection is what one costs
	// that has a goroutine of its own.
	unreadMax       = 256 << 20
	perDescriptor   = 16 << 10
	fullEnough      = 0.75 // of the descriptors; the rest is the server's for its files
	boundOfDeafLate = 2 * deafEvery
)

// Faults tells what was not kept of what a server has to.
func (r *Report) Faults() (faults []string) {
	check := func(kept bool, format string, args ...any) {
		if !kept {
			faults = append(faults, fmt.Sprintf(format, args...))
		}
	}
	o := &r.Options
	answerMax, late := o.AnswerMax+r.Stalled, lateMax+r.Stalled
	faults = append(faults, r.Failures...)
	for p := range Parts {
		check(r.Kept[p].Most <= answerMax, "in the %s, an answer over a kept connection took %v", p, r.Kept[p].Most)
		check(r.Fresh[p].Most <= answerMax, "in the %s, a booking over a new connection took %v", p, r.Fresh[p].Most)
		check(p == Ebb || r.Kept[p].Count > 0 && r.Fresh[p].Count > 0, "in the %s, nobody booked", p)
		check(r.Peaks[p].Files <= o.Files, "in the %s, the server had %d descriptors", p, r.Peaks[p].Files)
		grown := r.Peaks[p].Resident - r.Peaks[Calm].Resident
		check(grown <= unreadMax+perDescriptor*o.Files, "in the %s, memory grew by %d MiB", p, grown>>20)
	}
	check(r.Peaks[Flood].Connections >= fullEnough*float64(o.Files), "the server had %.0f connections at most: it was not full", r.Peaks[Flood].Connections)
	check(r.Peaks[Drought].Failed > r.Peaks[Flood].Failed, "accept never failed: there was no drought")
	check(r.Last.Displaced > 0 || !slices.ContainsFunc(o.Ways, Kind.waits), "no connection had to make room")
	check(int(r.Last.Booked) >= r.Booked && int(r.Last.Booked) <= r.Booked+r.Failed, "%d bookings were acknowledged, the server has %.0f", r.Booked, r.Last.Booked)
	check(r.Strangers.Hung == 0, "%d strangers were left hanging", r.Strangers.Hung)
	check(r.Ebbed <= o.EbbMax+r.Stalled, "all was as before only after %v", r.Ebbed)
	for k := range Kinds {
		if !slices.Contains(o.Ways, k) {
			continue
		}
		t := r.Attack[k]
		most := [Kinds]time.Duration{Silent: o.Read, Idle: o.Idle, Slow: o.Read, Half: o.Read, Odd: o.Read, Deaf: o.Write + boundOfDeafLate}[k] + late
		check(t.Opened > 0, "nobody was %s", k)
		check(t.Hung == 0, "%d %s attackers were left hanging", t.Hung, k)
		check(t.Longest <= most && t.Oldest <= most, "a %s attacker held a connection for %v, %v is allowed", k, max(t.Longest, t.Oldest), most)
	}
	return faults
}

// String tells the figures.
func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d descriptors, full after %.1fs, as before %.2fs after the attackers left; the machine stalled for %.2fs\n",
		r.Options.Files, r.Filled.Seconds(), r.Ebbed.Seconds(), r.Stalled.Seconds())
	for p := range Parts {
		s := r.Peaks[p]
		fmt.Fprintf(&b, "%-8s most: %d descriptors, %.0f connections, %d MiB, kernel %d MiB; so far: displaced %.0f, refused %.0f, accept failed %.0f; accepted every %.0f µs, %d overflows\n",
			p, s.Files, s.Connections, s.Resident>>20, s.Kernel>>20, s.Displaced, s.Refused, s.Failed, s.AcceptEvery*1e6, s.Overflows-r.Peaks[Calm].Overflows)
		for name, t := range map[string]Timing{"kept": r.Kept[p], "fresh": r.Fresh[p]} {
			fmt.Fprintf(&b, "         %-5s %5d answers, half within %.1fms, 99%% within %.1fms, all within %.1fms\n", name, t.Count, millis(t.Median), millis(t.P99), millis(t.Most))
		}
	}
	fmt.Fprintf(&b, "people: %d booked, %d tries found no room, %d were refused by admission; strangers: %+v\n", r.Booked, r.Tries, r.Shed, r.Strangers)
	for k, t := range r.Attack {
		fmt.Fprintf(&b, "%-8s %6d opened, %d refused, %d hung, %6d closed, longest %.2fs, oldest left %.2fs\n",
			Kind(k), t.Opened, t.Refused, t.Hung, t.Closed, t.Longest.Seconds(), t.Oldest.Seconds())
	}
	for _, line := range r.Complaints {
		fmt.Fprintf(&b, "log: %s\n", line)
	}
	return b.String()
}

func millis(d time.Duration) float64 { return d.Seconds() * 1000 }
