//go:build linux

package openloop

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// Point is a rate at a time.
type Point struct {
	At        time.Duration
	PerSecond float64
}

// Curve says when arrivals come: their rate runs in straight lines from point
// to point, and none comes before the first or after the last. It does not
// change and is safe for concurrent use.
type Curve struct {
	points []Point
	before []float64 // arrivals before each point
}

// ErrCurve refuses points that make no curve.
var ErrCurve = errors.New("bad arrival curve")

// NewCurve makes a curve of two points or more, in the order of their times.
// Two points at the same time make a step.
func NewCurve(points ...Point) (*Curve, error) {
	if len(points) < 2 {
		return nil, fmt.Errorf("%w: %d points, at least 2", ErrCurve, len(points))
	}
	c := &Curve{points: slices.Clone(points), before: make([]float64, len(points))}
	for i, p := range points {
		if math.IsNaN(p.PerSecond) || math.IsInf(p.PerSecond, 0) || p.PerSecond < 0 || p.At < 0 {
			return nil, fmt.Errorf("%w: point %d: %g/s at %v", ErrCurve, i+1, p.PerSecond, p.At)
		}
		if i == 0 {
			continue
		}
		last := points[i-1]
		if p.At < last.At {
			return nil, fmt.Errorf("%w: point %d at %v is before the one at %v", ErrCurve, i+1, p.At, last.At)
		}
		c.before[i] = c.before[i-1] + (p.At-last.At).Seconds()*(p.PerSecond+last.PerSecond)/2
	}
	return c, nil
}

// Steady is a constant rate from 0 to length, which must not be negative.
func Steady(perSecond float64, length time.Duration) (*Curve, error) {
	return NewCurve(Point{0, perSecond}, Point{length, perSecond})
}

// Count is the number of arrivals.
func (c *Curve) Count() int64 { return int64(c.before[len(c.before)-1] + 1e-6) }

// End is the time of the last point.
func (c *Curve) End() time.Duration { return c.points[len(c.points)-1].At }

// At is the time before which n arrivals come: At(3) is when the fourth one is
// due. Between whole numbers it goes on evenly, so that At(n+u) with u random
// in [0,1) spreads arrivals and keeps their order. Beyond Count it is End.
func (c *Curve) At(n float64) time.Duration {
	i, _ := slices.BinarySearch(c.before, n)
	if i == 0 {
		return c.firstArrival()
	}
	if i == len(c.points) {
		return c.End()
	}
	from, to := c.points[i-1], c.points[i]
	return from.At + time.Duration(timeOf(n-c.before[i-1], from.PerSecond, to.PerSecond, (to.At-from.At).Seconds())*1e9)
}

// firstArrival is where the curve leaves zero.
func (c *Curve) firstArrival() time.Duration {
	for i, arrivals := range c.before[1:] {
		if arrivals > 0 {
			return c.points[i].At
		}
	}
	return c.End()
}

// timeOf is the t in seconds at which n arrivals have come of a rate that goes
// from a to b within length: the root of a·t + (b-a)/(2·length)·t² = n, in the
// form that does not cancel where a and b are nearly the same.
func timeOf(n, a, b, length float64) float64 {
	slope := (b - a) / length
	root := math.Sqrt(max(a*a+2*slope*n, 0))
	if a+root == 0 {
		return 0
	}
	return min(2*n/(a+root), length)
}
