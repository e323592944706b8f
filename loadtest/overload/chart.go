//go:build linux

package overload

import (
	"fmt"
	"io"
	"math"
	"strconv"
)

// The picture has two panels over the offered load: goodput, and the 99th
// percentile of the time to a booking. Lengths are in pixels of a screen.
const (
	chartWidth  = 960
	chartHeight = 440
	panelWidth  = 380
	panelHeight = 280
	panelTop    = 100
	firstLeft   = 70
	secondLeft  = 550
	fontSize    = 13
	titleSize   = 16
)

// colour is 0xRRGGBB.
type colour uint32

const (
	ink      colour = 0x222222
	faint    colour = 0xd8d8d8
	idealInk colour = 0x888888
)

// armColours are told apart in print and by most who are colour-blind.
var armColours = map[string]colour{withAdmission: 0x0b5fa5, withoutAdmission: 0xc4511a}

// point is a place on the canvas; y grows downwards.
type point struct{ x, y float64 }

// stroke is how a line looks.
type stroke struct {
	colour colour
	width  float64
	dashed bool
}

type anchor uint8

const (
	left anchor = iota
	middle
	right
)

// canvas is what a picture is drawn on: SVG or pixels.
type canvas interface {
	line(s stroke, points ...point)
	dot(c colour, at point, radius float64)
	text(at point, from anchor, size float64, c colour, text string)
}

// WriteSVG writes the picture as SVG.
func (r *Report) WriteSVG(w io.Writer) error {
	c := newSVG(chartWidth, chartHeight)
	r.draw(c)
	return c.write(w)
}

// WritePNG writes the same picture in pixels, two for each of the SVG's.
func (r *Report) WritePNG(w io.Writer) error {
	c, err := newPixels(chartWidth, chartHeight, 2)
	if err != nil {
		return err
	}
	r.draw(c)
	return c.write(w)
}

func (r *Report) draw(c canvas) {
	c.text(point{firstLeft, 28}, left, titleSize, ink, fmt.Sprintf(
		"Bookings under overload: capacity %.0f/s, %.3g of a CPU", r.capacity(), r.Share))
	x := 0.0
	for _, a := range r.Arms {
		at := point{firstLeft + x, 50}
		c.line(stroke{armColours[a.Name], 3, false}, at, point{at.x + 24, at.y})
		c.text(point{at.x + 32, at.y + 4}, left, fontSize, ink, a.Name)
		x += 180
	}
	least, most := r.span()
	goodput := panel{
		c: c, left: firstLeft, title: "goodput, of the capacity", x: axis{least, most, true}, y: axis{0, r.top(), false},
		xTicks: r.multiples(), yTicks: []float64{0, 0.2, 0.4, 0.6, 0.8, 1},
	}
	goodput.frame()
	goodput.curve(stroke{idealInk, 1, true}, ideal(least, most))
	latency := panel{
		c: c, left: secondLeft, title: "p99 of who is booked, ms from due", x: axis{least, most, true}, y: axis{1, 10_000, true},
		xTicks: r.multiples(), yTicks: []float64{1, 10, 100, 1000, 10_000},
	}
	latency.frame()
	for _, a := range r.Arms {
		var good, slow [][2]float64
		for _, s := range a.Steps {
			good = append(good, [2]float64{s.Multiple, s.OfCapacity})
			if s.P99Millis > 0 {
				slow = append(slow, [2]float64{s.Multiple, s.P99Millis})
			}
		}
		style := stroke{armColours[a.Name], 2.5, false}
		goodput.marked(style, good)
		latency.marked(style, slow)
	}
}

// span is the least and the highest load; never a single one, so that there is
// an axis.
func (r *Report) span() (least, most float64) {
	least, most = 0.5, 2
	for _, m := range r.multiples() {
		least, most = min(least, m), max(most, m)
	}
	return least, most
}

// top is the end of the axis of goodput: some more than the most there was.
func (r *Report) top() float64 {
	top := 1.1
	for _, a := range r.Arms {
		top = max(top, 1.05*a.peak())
	}
	return top
}

// ideal is the goodput of a server that does all that is asked for, up to its
// capacity. It bends on a logarithmic axis.
func ideal(least, most float64) (values [][2]float64) {
	for load := least; load < 1; load *= 1.1 {
		values = append(values, [2]float64{load, load})
	}
	return append(values, [2]float64{1, 1}, [2]float64{most, 1})
}

func (r *Report) multiples() (all []float64) {
	if len(r.Arms) == 0 {
		return nil
	}
	for _, s := range r.Arms[0].Steps {
		all = append(all, s.Multiple)
	}
	return all
}

// axis maps values to 0…1.
type axis struct {
	from, to    float64
	logarithmic bool
}

func (a axis) share(value float64) float64 {
	value = min(max(value, a.from), a.to)
	if a.logarithmic {
		return math.Log(value/a.from) / math.Log(a.to/a.from)
	}
	return (value - a.from) / (a.to - a.from)
}

// panel is one diagram.
type panel struct {
	c              canvas
	left           float64
	title          string
	x, y           axis
	xTicks, yTicks []float64
}

func (p *panel) at(x, y float64) point {
	return point{p.left + p.x.share(x)*panelWidth, panelTop + (1-p.y.share(y))*panelHeight}
}

func (p *panel) frame() {
	p.c.text(point{p.left, panelTop - 10}, left, fontSize, ink, p.title)
	for _, y := range p.yTicks {
		at := p.at(p.x.from, y)
		p.c.line(stroke{faint, 1, false}, at, p.at(p.x.to, y))
		p.c.text(point{at.x - 8, at.y + 4}, right, fontSize, ink, number(y))
	}
	for _, x := range p.xTicks {
		at := p.at(x, p.y.from)
		p.c.line(stroke{ink, 1, false}, at, point{at.x, at.y + 5})
		p.c.text(point{at.x, at.y + 20}, middle, fontSize, ink, number(x))
	}
	p.c.line(stroke{ink, 1, false}, p.at(p.x.from, p.y.from), p.at(p.x.to, p.y.from))
	p.c.text(point{p.left + panelWidth/2, panelTop + panelHeight + 44}, middle, fontSize, ink, "offered, of the capacity")
}

func (p *panel) curve(s stroke, values [][2]float64) {
	points := make([]point, len(values))
	for i, v := range values {
		points[i] = p.at(v[0], v[1])
	}
	p.c.line(s, points...)
}

// marked draws a curve with its measured points.
func (p *panel) marked(s stroke, values [][2]float64) {
	p.curve(s, values)
	for _, v := range values {
		p.c.dot(s.colour, p.at(v[0], v[1]), 3.5)
	}
}

func number(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }
