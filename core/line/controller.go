package line

import (
	"math"
	"time"

	"weir/core/event"
)

// Controller steers the serving mark of one campaign: it calls so many people
// that the sessions in progress come to a target, and moves the target so that
// the delays stay below their limits.
//
// The inner loop, from target to mark, is a Smith predictor: between a call and
// the session it brings lie seconds, and a controller that ignored the people
// under way would call for them again at every tick.
//
//	coming   = share who come * people called lately and not yet in
//	leaving  = sessions that end in AnswerTime, at the measured rate
//	pace     = (rate of leaving + (target - (sessions + coming - leaving)) / AnswerTime) / share who come
//
// The outer loop, from delays to target, works on pressure, the larger of the
// two delays in parts of its limit:
//
//	below light    the target grows, the faster the less the pressure, but
//	               never beyond stretch times the sessions there are
//	light to full  it is at most the sessions there are
//	above full     it shrinks with the excess, never below cut times the
//	               sessions there are; and fewer are called at once, from heavy on nobody
//
// The bounds by sessions there are make the target move once a round trip,
// however long that takes, as a congestion window does, and keep it from winding
// up while nothing follows. Where the controller has seen lasting pressure
// before it grows in small steps, below that in large ones. The band from light to full is
// what rest is made of: the delays of a full server rise so steeply that a rule
// which always moves must swing.
//
// The other candidate was additive increase with multiplicative decrease
// (TestRules plays both). Decreased by half or a fifth it leaves the server partly
// idle after each swing. Decreased by a tenth it is as full and as steady at
// rest, but it keeps several times the delay for minutes after a loss of capacity,
// and its increase has to be set for the size of the server.
//
// Invariants: the mark never falls; Floor <= target, and target <= Ceiling where
// there is one; nobody is called while there are unansweredMost times the target
// of people called lately and not in, or Floor where nobody comes at all (but at
// a fixed rate).
//
// It does not protect against people called long ago who come all at once: their
// turn is valid, and what the server can't carry then is for admission. Nor
// against two campaigns of one server that both follow its delays: together
// they stay within the limits, but how they share is chance. Give one of them a
// ceiling.
type Controller struct {
	steering Steering
	started  bool
	at       time.Duration
	called   event.Number // last number called of those given
	came     uint64
	sessions uint32

	target  float64
	known   float64 // sessions that there were when pressure last lasted; +Inf: never, or long ago
	pressed float64 // seconds of pressure without a break
	calm    float64 // seconds without pressure since
	credit  float64 // numbers that may be called and were not yet

	pressure   float64 // smoothed
	pending    float64 // people called lately and not yet in: decays with AnswerTime
	unheard    float64 // numbers called since somebody last came
	silence    float64 // seconds since the first of those was called
	answers    ratio   // people who came, of those whose AnswerTime is over
	departures ratio   // sessions ended, a second
	calls      ratio   // numbers called, a second
}

const (
	light      = 0.5  // pressure below which the target may grow
	full       = 1.0  // pressure above which it shrinks
	heavy      = 2.0  // pressure at which nobody is called; more than twice as much counts as that
	fallPerS   = 0.10 // shrinking of the target at twice the limits
	cut        = 0.9  // of the sessions there are, is the least target while it shrinks
	risePerS   = 0.10 // growth of the target without any pressure, well below known
	stretch    = 1.7  // times the sessions there are, is the largest target then
	regrowPerS = 0.02 // the same two from cut of known upward
	restretch  = 1.05

	lastsTimes  = 0.5 // times AnswerTime, and pressure has lasted
	forgetTimes = 12  // times AnswerTime without pressure, and known is forgotten

	fewestShare    = 0.1 // a smaller share who come is not made up for
	unansweredMost = 2.0 // times the target: people called lately and not yet in
	unheardMost    = 100 // so many called in a row, of whom nobody comes in
	silentTimes    = 3   // so many times AnswerTime, make the line go slow

	longestStep = time.Second / 2 // a longer gap between ticks counts as this
	burst       = time.Second     // of pace, is how far the mark runs ahead of an empty line

	// What the measures look back on: time constants, and in answers the
	// share who come. answersPrior people count as called and come from the
	// beginning, so that too few are called at first and not too many.
	pressureTime  = time.Second
	departureTime = 20 * time.Second
	callsTime     = 30 * time.Second
	answersTime   = 60 * time.Second
	answersFewest = 50
	answersPrior  = 10
)

// NewController returns a controller that has measured nothing yet. The
// settings must pass their Check.
func NewController(s Steering) *Controller {
	c := &Controller{known: math.Inf(1)}
	c.Set(s)
	return c
}

// Set changes the operator's settings and keeps all that was measured.
func (c *Controller) Set(s Steering) {
	c.steering = s
	c.target = c.bounded(c.target)
}

// Next decides on the mark. It is called at a steady tick of some 100 ms, and
// minds neither jitter nor pauses: what was missed is not made up for.
func (c *Controller) Next(s Signals) Decision {
	elapsed := c.measure(s)
	d := Decision{Serving: s.Serving, ShareCame: c.shareCame()}
	switch {
	case s.Closed:
		d.Limit = Closed
	case s.Paused:
		d.Limit = Paused
	default:
		c.follow(s, elapsed)
		d.Limit = c.limit(s)
		d.Serving = c.raise(s, elapsed)
		d.PerMinute = 60 * c.calls.mean()
		if d.Serving >= s.Issued {
			d.Limit = Idle
		}
	}
	d.Target = uint32(min(c.target, math.MaxUint32))
	return d
}

// measure takes the signals in and returns how much time passed for the mark.
func (c *Controller) measure(s Signals) (elapsed time.Duration) {
	called := min(s.Serving, s.Issued)
	if c.started {
		elapsed = max(s.At-c.at, 0)
		called = max(called, c.called)
	}
	if c.started && !s.Paused && !s.Closed {
		c.observe(s, float64(called-c.called), elapsed)
	}
	pressure := max(part(s.QueueDelay, c.steering.QueueDelayLimit), part(s.CommitDelay, c.steering.CommitDelayLimit))
	pressure = min(pressure, 2*heavy)
	c.pressure += (pressure - c.pressure) * -math.Expm1(-elapsed.Seconds()/pressureTime.Seconds())
	c.started = true
	c.at, c.called, c.came, c.sessions = max(s.At, c.at), called, s.Came, s.Sessions
	return min(elapsed, longestStep)
}

func (c *Controller) observe(s Signals, called float64, elapsed time.Duration) {
	came := 0.0
	if s.Came > c.came { // it begins again where the server does
		came = float64(s.Came - c.came)
	}
	answered := c.pending * -math.Expm1(-elapsed.Seconds()/c.steering.AnswerTime.Seconds())
	c.pending += called - answered
	if came > 0 && c.unanswered() { // what was measured in a silence says nothing of those who come now
		c.answers = ratio{}
	}
	c.unheard += called
	c.silence += elapsed.Seconds()
	if came > 0 || c.unheard == 0 {
		c.unheard, c.silence = 0, 0
	}
	c.answers.add(came, answered, min(min(elapsed, longestStep).Seconds()/answersTime.Seconds(), answered/answersFewest))
	c.departures.add(came+float64(c.sessions)-float64(s.Sessions), elapsed.Seconds(), elapsed.Seconds()/departureTime.Seconds())
	c.calls.add(called, elapsed.Seconds(), elapsed.Seconds()/callsTime.Seconds())
}

// shareCame returns the share of the called who come.
func (c *Controller) shareCame() float64 {
	return min((c.answers.sum+answersPrior)/(c.answers.weight+answersPrior), 1)
}

// follow moves the target after the pressure.
func (c *Controller) follow(s Signals, elapsed time.Duration) {
	sessions, seconds := float64(s.Sessions), elapsed.Seconds()
	c.remember(sessions, seconds)
	ahead, growth := stretch, risePerS
	if c.target > cut*c.known {
		ahead, growth = restretch, regrowPerS
	}
	switch {
	case c.pressure < light:
		grown := c.target * math.Exp(growth*(1-c.pressure/light)*seconds)
		c.target = max(c.target, min(grown, ahead*sessions))
	case c.pressure <= full:
		c.target = min(c.target, sessions)
	default:
		shrunk := c.target * math.Exp(-fallPerS*min(c.pressure-full, heavy-full)*seconds)
		c.target = min(c.target, sessions, max(shrunk, cut*sessions))
	}
	c.target = c.bounded(c.target)
}

// remember keeps how many sessions there were when pressure last lasted. What
// passes sooner is a hiccup of the disk or of the collector, and says nothing of
// what the server carries; pressure at fewer sessions lowers known slowly.
func (c *Controller) remember(sessions, seconds float64) {
	answerTime := c.steering.AnswerTime.Seconds()
	if c.pressure < light {
		c.pressed = 0
		if c.calm += seconds; c.calm > forgetTimes*answerTime {
			c.known = math.Inf(1)
		}
		return
	}
	c.calm = 0
	switch c.pressed += seconds; {
	case c.pressed < lastsTimes*answerTime:
	case math.IsInf(c.known, 1):
		c.known = sessions
	default:
		c.known = max(sessions, c.known*math.Exp(-fallPerS*seconds))
	}
}

// limit says what keeps the pace from being higher. It is asked after follow.
func (c *Controller) limit(s Signals) Limit {
	capped := c.steering.Ceiling > 0
	switch {
	case c.steering.PerMinute > 0 && capped && c.filled(s):
		return Ceiling
	case c.steering.PerMinute > 0:
		return Rate
	case c.unanswered():
		return Unanswered
	case c.pressure >= light && c.target <= float64(c.steering.Floor):
		return Floor
	case c.pressure >= light:
		return Delay
	case capped && c.target >= float64(c.steering.Ceiling):
		return Ceiling
	}
	return Ramp
}

// bounded keeps a target within the operator's bounds.
func (c *Controller) bounded(target float64) float64 {
	target = max(target, float64(c.steering.Floor))
	if c.steering.Ceiling > 0 {
		target = min(target, float64(c.steering.Ceiling))
	}
	return target
}

// raise returns the new mark. Numbers may be called at the pace, and where the
// line is empty the mark runs ahead of it by what the pace allows in burst, so
// that whoever joins comes in at once. Credit beyond that is lost.
func (c *Controller) raise(s Signals, elapsed time.Duration) event.Number {
	pace := c.pace(s)
	ahead := 0.0
	if s.Serving > s.Issued {
		ahead = float64(s.Serving - s.Issued)
	}
	most := 1 + pace*burst.Seconds()
	c.credit = max(0, min(c.credit+pace*elapsed.Seconds(), most-ahead))
	whole := math.Floor(c.credit)
	c.credit -= whole
	return s.Serving + event.Number(min(whole, float64(math.MaxUint32-s.Serving)))
}

// pace returns how many numbers may be called a second.
func (c *Controller) pace(s Signals) float64 {
	if fixed := c.steering.PerMinute / 60; fixed > 0 {
		if c.steering.Ceiling > 0 && c.filled(s) {
			return 0
		}
		return fixed
	}
	free := min(max((heavy-c.pressure)/(heavy-full), 0), 1)
	arrivals := max(free*c.towards(c.target, s), c.towards(float64(c.steering.Floor), s), 0)
	most := unansweredMost * c.target
	if c.unanswered() {
		most = float64(c.steering.Floor)
	}
	return max(0, min(arrivals/c.answering(), (most-c.pending)/longestStep.Seconds()))
}

// towards returns how many people a second have to come in for the sessions to
// be at the target when those called now are in.
func (c *Controller) towards(target float64, s Signals) float64 {
	return c.leaving() + (target-c.expected(s))/c.steering.AnswerTime.Seconds()
}

// filled reports that no session more is expected to fit under the ceiling.
func (c *Controller) filled(s Signals) bool { return c.expected(s) >= float64(c.steering.Ceiling) }

// expected returns the sessions in progress one AnswerTime from now if nobody
// more is called.
func (c *Controller) expected(s Signals) float64 {
	coming := c.answering() * c.pending
	return float64(s.Sessions) + coming - c.leaving()*c.steering.AnswerTime.Seconds()
}

// leaving returns how many sessions end a second.
func (c *Controller) leaving() float64 { return max(c.departures.mean(), 0) }

// answering is the share who come as far as it is made up for.
func (c *Controller) answering() float64 { return max(c.shareCame(), fewestShare) }

// unanswered reports that people are called and nobody comes.
func (c *Controller) unanswered() bool {
	return c.unheard > unheardMost && c.silence > silentTimes*c.steering.AnswerTime.Seconds()
}

// ratio is a smoothed quotient of two sums that both forget.
type ratio struct{ sum, weight float64 }

// add forgets e^-age of what was and takes in what is new.
func (r *ratio) add(sum, weight, age float64) {
	keep := math.Exp(-age)
	r.sum, r.weight = r.sum*keep+sum, r.weight*keep+weight
}

func (r *ratio) mean() float64 {
	if r.weight == 0 {
		return 0
	}
	return r.sum / r.weight
}

func part(delay, limit time.Duration) float64 {
	return float64(max(delay, 0)) / float64(limit)
}
