package judge

import (
	"time"

	"weir/loadtest/answers"
)

// While the operator has paused the campaign nothing is held, booked or changed,
// the mark stands, and so does time: no hold ends, and no pass.

// Pause is a time in which the operator had paused the campaign, by the
// operator's own requests on the client's clock. The campaign was surely not
// paused before Asked, surely paused from Paused to Ending, and surely not any
// more behind Ended. A zero is what was not reached: it never came.
type Pause struct {
	Asked  time.Duration // the pause was asked for
	Paused time.Duration // and acknowledged
	Ending time.Duration // its end was asked for
	Ended  time.Duration // and acknowledged
}

// pauses are all of a run, in order.
type pauses []Pause

func newPauses(given []Pause) pauses {
	all := make(pauses, len(given))
	for i, p := range given {
		for _, at := range []*time.Duration{&p.Paused, &p.Ending, &p.Ended} {
			if *at == 0 {
				*at = forever
			}
		}
		all[i] = p
	}
	return all
}

// possible says whether the campaign may have been paused when a was decided.
func (all pauses) possible(a *answers.Answer) bool {
	for _, p := range all {
		if a.Answered >= p.Asked && a.Sent <= p.Ended {
			return true
		}
	}
	return false
}

// certain says whether it was paused all the time that a was under way.
func (all pauses) certain(a *answers.Answer) bool { return all.within(a.Sent, a.Answered) }

func (all pauses) within(from, to time.Duration) bool {
	for _, p := range all {
		if from >= p.Paused && to <= p.Ending {
			return true
		}
	}
	return false
}

// pauseError is what the length of a pause may be off by: the server cuts the
// times of its beginning and end to milliseconds.
const pauseError = 2 * time.Millisecond

// between is for how long the campaign was surely paused from one time to
// another.
func (all pauses) between(from, to time.Duration) (least time.Duration) {
	for _, p := range all {
		least += max(0, min(to, p.Ending)-max(from, p.Paused)-pauseError)
	}
	return least
}

// A hold ends later by every pause that ended behind the moment at which its end
// was told, in full, and by the pause that goes on.

// delay is by how much later h ends at the time at than it was told to: at least
// and at most.
func (all pauses) delay(h *hold, at time.Duration) (least, most time.Duration) {
	for _, p := range all {
		if h.told <= p.Ending {
			least += max(0, min(at, p.Ending)-p.Paused-pauseError)
		}
		if h.sent <= p.Ended && at >= p.Asked {
			most += min(at, p.Ended) - p.Asked + pauseError
		}
	}
	return least, most
}

// retold says whether a hold whose end was told as h may be told as later again
// with that end: later by the pauses that ended between the two.
func (all pauses) retold(h *hold, a *answers.Answer) bool {
	later := time.Duration(a.Held.Expires-h.Expires) * time.Millisecond
	var least, most time.Duration
	for _, p := range all {
		if h.told <= p.Ending && a.Sent >= p.Ended {
			least += p.Ending - p.Paused - pauseError
		}
		if h.sent <= p.Ended && a.Answered >= p.Ending {
			most += p.Ended - p.Asked + pauseError
		}
	}
	return later >= least && later <= most
}

// holdEnd is between which times h's time surely passes, if nothing ends it
// before.
func (e *holdEnds) holdEnd(h *hold) (earliest, latest time.Duration) {
	earliest, latest = e.clock.earliest(h.Expires), e.clock.latest(h.Expires)
	for _, p := range e.pauses {
		if p.Paused <= earliest && h.told <= p.Ending {
			earliest += max(0, p.Ending-p.Paused-pauseError)
		}
		if p.Asked <= latest && h.sent <= p.Ended {
			latest += p.Ended - p.Asked + pauseError
		}
		if latest >= forever {
			break
		}
	}
	return min(earliest, forever-1), min(latest, forever-1)
}
