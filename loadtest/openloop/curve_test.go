//go:build linux

package openloop

import (
	"errors"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestCurveSteady(t *testing.T) {
	c, err := Steady(1000, 3*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if c.Count() != 3000 || c.End() != 3*time.Second {
		t.Errorf("%d arrivals until %v", c.Count(), c.End())
	}
	for _, n := range []int64{0, 1, 1500, 2999} {
		if at := c.At(float64(n)); (at - time.Duration(n)*time.Millisecond).Abs() > time.Microsecond {
			t.Errorf("arrival %d at %v", n, at)
		}
	}
}

func TestCurveOfAnOpening(t *testing.T) {
	// Nobody for 10 s, a step to 100/s that falls to nothing within 10 s, a
	// pause, and a ramp.
	c, err := NewCurve(Point{0, 0}, Point{10 * time.Second, 0}, Point{10 * time.Second, 100}, Point{20 * time.Second, 0},
		Point{30 * time.Second, 0}, Point{40 * time.Second, 20})
	if err != nil {
		t.Fatal(err)
	}
	if c.Count() != 600 {
		t.Fatalf("%d arrivals, want 500 and 100", c.Count())
	}
	for n, want := range map[float64]float64{0: 10, 95: 11, 375: 15, 480: 18, 525: 35, 600: 40} {
		if at := c.At(n).Seconds(); math.Abs(at-want) > 1e-6 {
			t.Errorf("At(%g) = %.6f s, want %g", n, at, want)
		}
	}
}

func TestCurveRises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var points []Point
		at := time.Duration(0)
		for range rapid.IntRange(2, 6).Draw(t, "points") {
			points = append(points, Point{at, rapid.Float64Range(0, 5000).Draw(t, "rate")})
			at += time.Duration(rapid.Int64Range(0, int64(5*time.Second)).Draw(t, "step"))
		}
		c, err := NewCurve(points...)
		if err != nil {
			t.Fatal(err)
		}
		n := rapid.Float64Range(0, float64(c.Count())).Draw(t, "n")
		earlier, later := c.At(n), c.At(n+0.5)
		if earlier > later || earlier < 0 || later > c.End() {
			t.Fatalf("At(%g) = %v, At(%g) = %v, end %v", n, earlier, n+0.5, later, c.End())
		}
		if back := arrivals(points, earlier); math.Abs(back-n) > 1e-3 {
			t.Fatalf("%g arrivals come before At(%g) = %v", back, n, earlier)
		}
	})
}

// arrivals sums the rate up to a time, in the plain way.
func arrivals(points []Point, until time.Duration) (n float64) {
	for i, to := range points[1:] {
		from := points[i]
		if to.At <= from.At || until <= from.At {
			continue
		}
		end := min(until, to.At)
		share := float64(end-from.At) / float64(to.At-from.At)
		rate := from.PerSecond + share*(to.PerSecond-from.PerSecond)
		n += (end - from.At).Seconds() * (from.PerSecond + rate) / 2
	}
	return n
}

func TestCurveRefuses(t *testing.T) {
	for name, points := range map[string][]Point{
		"one point":  {{0, 1}},
		"backwards":  {{time.Second, 1}, {0, 1}},
		"negative":   {{0, -1}, {time.Second, 1}},
		"not number": {{0, 1}, {time.Second, math.NaN()}},
		"early":      {{-1, 1}, {time.Second, 1}},
	} {
		if _, err := NewCurve(points...); !errors.Is(err, ErrCurve) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
