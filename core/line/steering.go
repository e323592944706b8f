package line

import (
	"fmt"
	"math"
	"time"

	"weir/core/event"
)

// Steering is what the operator sets. DefaultSteering has values to start from.
type Steering struct {
	// Floor and Ceiling bound the target of sessions in progress. Floor is at
	// least 1, so that the line moves however slow the server is; it is also
	// where the target starts from, and a minute brings some three times as
	// many. A Ceiling of 0 is none.
	Floor, Ceiling uint32
	// PerMinute is a fixed rate at which numbers are called; 0 follows the
	// measured delays. At a fixed rate Floor and the delays count for nothing
	// and people who don't come are not made up for; Ceiling still holds.
	PerMinute float64
	// QueueDelayLimit and CommitDelayLimit are the delays from which on fewer
	// sessions are wanted, not more.
	QueueDelayLimit, CommitDelayLimit time.Duration
	// AnswerTime is about how long people take to come in once called: their
	// polling interval near the turn, and some seconds to notice. Half or twice
	// the truth does.
	AnswerTime time.Duration
}

// DefaultSteering follows the delays, from a thousand sessions upward.
func DefaultSteering() Steering {
	return Steering{
		Floor:            1000,
		QueueDelayLimit:  20 * time.Millisecond,
		CommitDelayLimit: 50 * time.Millisecond,
		AnswerTime:       10 * time.Second,
	}
}

// Check says what in s can't be steered by, and nil where nothing is.
func (s Steering) Check() error {
	switch {
	case s.Floor == 0:
		return fmt.Errorf("the floor of sessions is 0: it must be at least 1")
	case s.Ceiling != 0 && s.Ceiling < s.Floor:
		return fmt.Errorf("the ceiling of %d sessions is below the floor of %d", s.Ceiling, s.Floor)
	case !(s.PerMinute >= 0 && s.PerMinute <= math.MaxUint32):
		return fmt.Errorf("a rate of %v numbers a minute: it must be 0 (follow the delays) or more", s.PerMinute)
	case s.QueueDelayLimit <= 0 || s.CommitDelayLimit <= 0:
		return fmt.Errorf("delay limits of %v and %v: both must be more than 0", s.QueueDelayLimit, s.CommitDelayLimit)
	case s.AnswerTime < time.Second || s.AnswerTime > 10*time.Minute:
		return fmt.Errorf("an answer time of %v: it must be 1s to 10m", s.AnswerTime)
	}
	return nil
}

// Signals is what is measured, all read at one moment.
type Signals struct {
	At       time.Duration // monotonic, since any fixed moment
	Issued   event.Number  // last final number given
	Serving  event.Number  // the mark as it stands
	Sessions uint32        // people who came in and neither booked nor went idle
	Came     uint64        // people who ever came in since the process began, each once
	// QueueDelay and CommitDelay are high values of late (the 90th percentile
	// of a second, say). What is waiting now counts with its age, so that a
	// stall shows while it lasts.
	QueueDelay, CommitDelay time.Duration
	Paused                  bool
	Closed                  bool // no window is open, so nobody could book
}

// Limit says what keeps the mark from rising faster.
type Limit uint8

// The limits.
const (
	Idle       Limit = iota // nobody waits: whoever joins comes in at once
	Ramp                    // the target grows as sessions fill it
	Delay                   // the measured delays
	Floor                   // the delays ask for fewer than the operator's floor
	Ceiling                 // the operator's ceiling
	Rate                    // the operator's fixed rate
	Unanswered              // people are called and nobody comes
	Paused                  // the campaign is paused
	Closed                  // no window is open
)

var limitNames = [...]string{
	Idle: "idle", Ramp: "ramp", Delay: "delay", Floor: "floor", Ceiling: "ceiling", Rate: "rate",
	Unanswered: "unanswered", Paused: "paused", Closed: "closed",
}

// String gives the limit's name for status and metrics.
func (l Limit) String() string {
	if int(l) < len(limitNames) {
		return limitNames[l]
	}
	return fmt.Sprintf("limit(%d)", uint8(l))
}

// Decision is what to do, and what to tell.
type Decision struct {
	Serving   event.Number // the mark from now on, never below Signals.Serving
	PerMinute float64      // numbers called a minute, smoothed; 0 while paused or closed
	Target    uint32       // sessions in progress that are aimed at
	ShareCame float64      // measured share of the called who come, 0 … 1
	Limit     Limit
}
