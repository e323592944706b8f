package admission

import "time"

// observation is what one interval showed of one queue.
type observation struct {
	offered [Classes]float64 // requests that came to their turn, by class, smoothed
	delay   time.Duration    // the least in the interval
	growth  float64          // of the delay since the interval before, divided by length
	target  time.Duration    // of the delay
	length  time.Duration    // of the interval
	busy    float64          // share of the time that the loops were at work
	futile  bool             // refusing takes so much time already that refusing more frees none
}

// cutState is the memory of the rule for one queue. The zero value lets
// everybody through.
type cutState struct {
	cut   Level   // requests below are refused
	over  int     // intervals in a row with the delay over the target
	since int     // intervals in which the cut was lowered, since it was last raised
	depth float64 // share that the last raise took off besides what could not be carried
}

// The constants were settled with the simulation (simulation_test.go).
const (
	overMin       = 2           // intervals over the target before anybody is refused: one may be a pause
	floodGrowth   = 0.3         // growth of the delay from which on it is believed: below, it is noise
	growthMax     = 0.95        // no more than that is read out of one interval
	depthMin      = 0.04        // least step down; also how steep the way up begins
	depthMax      = 0.5         // largest
	drainMax      = 4           // intervals in which a queue that shrinks is left to be gone
	plateau       = 8           // intervals until the way up is back at what could be carried
	steepest      = 37          // intervals after which the way up is as steep as it gets, 7 % each, and stays so
	busyMax       = 0.92        // share of the loops' time; above it nobody more is let through
	admittedLeast = 1.0 / 256.0 // share of what is offered that is let through whatever happens, or nothing is learnt
)

// next is the rule: the state after an interval. It is a pure function.
//
// The least delay of an interval tells a standing queue from a burst, as in
// CoDel. Where the delay grows by g a second, only 1-g of what is let through
// can be carried: so a flood is cut to its size in one step, and everything
// else in small ones. The way up is that of CUBIC: fast to what could be
// carried before, slow there, then faster and faster. It stands still while the
// queue is half full or the loops are nearly always at work, so that it does
// not run into the next queue.
func (s cutState) next(o observation) cutState {
	switch {
	case o.delay > o.target:
		s.over++
		if s.over < overMin || o.futile || o.draining() {
			return s
		}
		return s.raise(o)
	case s.cut == 0:
		return cutState{}
	}
	s.over = 0
	if o.delay > o.target/2 || o.busy > busyMax {
		return s
	}
	return s.lower(o)
}

// draining tells whether the queue is going away as it is.
func (o *observation) draining() bool {
	return o.growth < 0 && o.delay+time.Duration(drainMax*o.growth*float64(o.length)) <= o.target
}

func (s cutState) raise(o observation) cutState {
	carried := 1.0
	if o.growth > floodGrowth {
		carried -= min(o.growth, growthMax)
	}
	s.depth = min(max(float64(o.delay-o.target)/float64(4*o.length), depthMin), depthMax)
	s.since = 0
	s.cut = max(s.cut, o.cutFor(o.admitted(s.cut)*carried*(1-s.depth)))
	return s
}

func (s cutState) lower(o observation) cutState {
	before := s.cubic()
	s.since++
	s.cut = min(s.cut, o.cutFor(o.admitted(s.cut)*s.cubic()/before))
	s.since = min(s.since, steepest)
	return s
}

// cubic is what is let through, as a multiple of what could be carried when
// the cut was raised last.
func (s cutState) cubic() float64 {
	x := float64(s.since)/plateau - 1
	if x < 0 {
		return 1 + s.depth*x*x*x
	}
	return 1 + depthMin*x*x*x
}

// admitted is how much of what was offered stands at or above the cut, when
// the cohorts of a class are of one size.
func (o *observation) admitted(cut Level) float64 {
	c := cut.Class()
	if c >= Classes {
		return 0
	}
	sum := o.offered[c] * float64(cohorts-cut&cohortMask) / cohorts
	for c++; c < Classes; c++ {
		sum += o.offered[c]
	}
	return sum
}

// cutFor is the cut above which that much is offered. It is the inverse of
// admitted.
func (o *observation) cutFor(amount float64) Level {
	amount = max(amount, o.admitted(0)*admittedLeast)
	for c := Classes; c > 0; {
		c--
		if o.offered[c] > amount {
			refused := 1 - amount/o.offered[c]
			return NewLevel(c, uint16(min(refused*cohorts, cohortMask)))
		}
		amount -= o.offered[c]
	}
	return 0
}
