package line

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/zeebo/xxh3"

	"weir/core/event"
)

// Ahead returns how many numbers are to be called before number is: zero where
// it is next, or has been called.
func Ahead(number, serving event.Number) uint32 {
	if number <= serving {
		return 0
	}
	return uint32(number - serving - 1)
}

// MaxETA is the longest wait that ETA tells; what is longer is told as this.
const MaxETA = 24 * time.Hour

// ETA returns how long the line takes to call somebody with so many ahead of
// them, at perMinute numbers a minute: whole seconds, rounded up, at most
// MaxETA. Where there is no rate to tell it by, it reports false.
func ETA(ahead uint32, perMinute float64) (wait time.Duration, known bool) {
	if !(perMinute > 0) { // also where it is not a number
		return 0, false
	}
	seconds := math.Ceil((float64(ahead) + 1) * 60 / perMinute)
	return time.Duration(min(seconds, MaxETA.Seconds())) * time.Second, true
}

// Crowd is what all who wait have in common.
type Crowd struct {
	Waiting   uint32  // people not called yet, those in a draw included
	PerMinute float64 // numbers called a minute (Decision.PerMinute), 0 where unknown
	Paused    bool
}

// Polling spreads the asking of a crowd over time. A person asks again after
// an interval that is in proportion to the people ahead of them, give or take
// half of it by chance:
//
//	interval = ahead * perPlace, at least Floor, at most longest
//	perPlace = the larger of nearness / rate and (1 + ln(longest / Floor)) / near
//	longest  = the larger of Ceiling and waiting / far
//
// The budget is cut in parts, near (half) and far (a third). Those at longest
// ask waiting/longest <= far times a second. Those below it ask
// (1 + ln(longest / Floor)) / perPlace <= near times: Floor/perPlace places at
// Floor, and beyond them the integral of 1/(ahead * perPlace). The last sixth is
// for crowds that were all told at the same moment, whose first questions come
// closer together than their later ones.
//
// With a budget of thirty questions for each number called nobody sleeps past
// their own turn. With less the budget still holds and people come late; a turn
// stays valid, so that costs them time and not their place.
//
// It does not protect against people who ask more often than they are told:
// that is for admission.
type Polling struct {
	BudgetPerSecond float64 // questions of all people together
	Floor, Ceiling  time.Duration
}

// DefaultPolling has people near the turn ask every two seconds or so, and six
// million waiting every quarter of an hour.
func DefaultPolling() Polling {
	return Polling{BudgetPerSecond: 20_000, Floor: 2 * time.Second, Ceiling: 2 * time.Minute}
}

// Check says what in p can't be kept to, and nil where nothing is.
func (p Polling) Check() error {
	switch {
	case !(p.BudgetPerSecond > 0 && p.BudgetPerSecond < math.MaxUint32):
		return fmt.Errorf("a budget of %v questions a second: it must be more than 0", p.BudgetPerSecond)
	case p.Floor < time.Second || p.Ceiling > 24*time.Hour || p.Ceiling < p.Floor:
		return fmt.Errorf("intervals of %v to %v: they must be 1s to 24h, the floor first", p.Floor, p.Ceiling)
	}
	return nil
}

const (
	nearness    = 0.5 // which part of the wait that is left is slept through
	pausedTimes = 10
	spread      = 0.5 // how far chance takes an interval to both sides
	// perChance makes up for the spread: the mean of 1/interval is ln 3 above
	// that of the interval in its middle.
	perChance = 1 / 1.0986
	nearPart  = perChance / 2
	farPart   = perChance / 3
)

// After returns after what time a person asks again: whole seconds, at least
// one. key tells the person from others (bytes of their key, or their number)
// and with ahead decides about chance, so that nobody stays in step with
// anybody, and the same question has the same answer. While paused nobody asks
// more often than every pausedTimes Floor.
func (p Polling) After(ahead uint32, crowd Crowd, key uint64) time.Duration {
	floor, longest := p.Floor.Seconds(), p.longest(crowd)
	perPlace := (1 + math.Log(longest/floor)) / (p.BudgetPerSecond * nearPart)
	if crowd.PerMinute > 0 {
		perPlace = max(perPlace, nearness*60/crowd.PerMinute)
	}
	if crowd.Paused {
		floor = min(pausedTimes*floor, longest)
	}
	interval := min(max((float64(ahead)+1)*perPlace, floor), longest)
	return wholeSeconds(byChance(interval, key, ahead))
}

// AfterOpening returns after what time somebody asks again who is in a draw
// that is due in untilOpening. They ask soon after it, but not all at once; and
// before it, where it is far away, since an opening can be moved.
func (p Polling) AfterOpening(untilOpening time.Duration, crowd Crowd, key uint64) time.Duration {
	longest := p.longest(crowd)
	if untilOpening.Seconds() > longest || crowd.Paused {
		return wholeSeconds(byChance(longest, key, crowd.Waiting))
	}
	over := max(p.Floor.Seconds(), float64(crowd.Waiting)/(p.BudgetPerSecond*nearPart))
	return wholeSeconds(max(untilOpening.Seconds(), 0) + over*fraction(key, crowd.Waiting))
}

// longest returns the interval of the last in line, in seconds.
func (p Polling) longest(crowd Crowd) float64 {
	return max(p.Ceiling.Seconds(), float64(crowd.Waiting)/(p.BudgetPerSecond*farPart))
}

func byChance(interval float64, key uint64, salt uint32) float64 {
	return interval * (1 - spread + 2*spread*fraction(key, salt))
}

// fraction returns a number of 0 … 1, 1 excluded, that looks random.
func fraction(key uint64, salt uint32) float64 {
	var message [12]byte
	binary.LittleEndian.PutUint64(message[:], key)
	binary.LittleEndian.PutUint32(message[8:], salt)
	return float64(xxh3.Hash(message[:])>>11) / (1 << 53)
}

func wholeSeconds(seconds float64) time.Duration {
	return time.Duration(max(math.Ceil(seconds), 1)) * time.Second
}
