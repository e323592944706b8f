package availability

import (
	"cmp"
	"math"
	"slices"
)

// earthRadius is the mean radius of the Earth, in km.
const earthRadius = 6371.0088

const radian = math.Pi / 180

// point is a place on the unit sphere. Distances are compared as squared
// chords, which grow with the great-circle distance and cost no trigonometry;
// half a chord, squared, is the haversine of the angle.
type point [3]float64

// pointAt takes degrees.
func pointAt(lat, lon float64) point {
	sinLat, cosLat := math.Sincos(lat * radian)
	sinLon, cosLon := math.Sincos(lon * radian)
	return point{cosLat * cosLon, cosLat * sinLon, sinLat}
}

// chord2 is the square of the straight line from p to q.
func (p *point) chord2(q *point) float64 {
	x, y, z := p[0]-q[0], p[1]-q[1], p[2]-q[2]
	return x*x + y*y + z*z
}

// kilometres is the great-circle distance that belongs to a squared chord.
func kilometres(chord2 float64) float64 {
	return 2 * earthRadius * math.Asin(min(1, math.Sqrt(chord2)/2))
}

// onEarth says whether that is a point on Earth, in degrees.
func onEarth(lat, lon float64) bool {
	return lat >= -90 && lat <= 90 && lon >= -180 && lon <= 180
}

// origin is where distances are taken from.
type origin struct {
	point
	lon            float64 // degrees
	sinLat, cosLat float64
}

func originAt(lat, lon float64) origin {
	sin, cos := math.Sincos(lat * radian)
	return origin{point: pointAt(lat, lon), lon: lon, sinLat: sin, cosLat: cos}
}

// boxSlack is taken off the distance to a box, so that rounding never puts a
// box behind a site in it. As a squared chord it is some metres.
const boxSlack = 1e-12

// toBox returns a squared chord that is below that of every point in the box
// from low to high, both (lon, lat) in degrees.
//
// The nearest point of a box lies on its nearest meridian: the one through the
// origin, or an edge, since along any parallel the distance grows with the
// difference in longitude. Along a meridian at that difference d, the cosine of
// the angle is a sin(lat) + b cos(lat) with a = sin(origin), b = cos(origin)
// cos(d): one hill, whose top is at atan2(a, b).
func (o *origin) toBox(low, high [2]float64) float64 {
	d := 0.0
	if o.lon < low[0] || o.lon > high[0] {
		d = min(turn(o.lon, low[0]), turn(o.lon, high[0]))
	}
	a, b := o.sinLat, o.cosLat*math.Cos(d*radian)
	south, north := low[1]*radian, high[1]*radian
	var cos float64
	if top := math.Atan2(a, b); top >= south && top <= north {
		cos = math.Hypot(a, b)
	} else {
		sinS, cosS := math.Sincos(south)
		sinN, cosN := math.Sincos(north)
		cos = max(a*sinS+b*cosS, a*sinN+b*cosN)
	}
	return 2 - 2*cos - boxSlack
}

// turn is the angle between two longitudes, 0 to 180 degrees.
func turn(a, b float64) float64 {
	d := math.Abs(a - b)
	return min(d, 360-d)
}

// nearest calls yield with the sites and their squared chords from a point,
// nearest first and by index where they are equally far, until it returns
// false.
func (l *layout) nearest(lat, lon float64, yield func(site int32, chord2 float64) bool) {
	from := originAt(lat, lon)
	var ties []int32 // the sites at distance, not yielded yet
	var distance float64
	flush := func() bool {
		slices.Sort(ties)
		for _, site := range ties {
			if !yield(site, distance) {
				return false
			}
		}
		ties = ties[:0]
		return true
	}
	going := true
	l.tree.Nearby(
		func(low, high [2]float64, site int32, item bool) float64 {
			if item {
				return from.chord2(&l.points[site])
			}
			return from.toBox(low, high)
		},
		func(_, _ [2]float64, site int32, d float64) bool {
			if d != distance {
				going = flush()
				distance = d
			}
			ties = append(ties, site)
			return going
		})
	if going {
		flush()
	}
}

// ranked does for the given sites, ascending, what nearest does for all.
func (l *layout) ranked(sites []int32, lat, lon float64, yield func(site int32, chord2 float64) bool) {
	type ranked struct {
		chord2 float64
		site   int32
	}
	from := pointAt(lat, lon)
	ranking := make([]ranked, len(sites))
	for i, site := range sites {
		ranking[i] = ranked{from.chord2(&l.points[site]), site}
	}
	slices.SortFunc(ranking, func(a, b ranked) int {
		return cmp.Or(cmp.Compare(a.chord2, b.chord2), cmp.Compare(a.site, b.site))
	})
	for _, r := range ranking {
		if !yield(r.site, r.chord2) {
			return
		}
	}
}
