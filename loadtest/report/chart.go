package report

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"strings"
)

// A chart is one picture: lines over a common axis, as SVG. Lines differ in
// their dashes as well as in their colour, so that it can be read on paper.
type chart struct {
	Title, Note string
	Unit        string // of y
	lines       []line
	marks       []mark  // vertical
	logarithmic bool    // y
	ticks       []tick  // of x; nil: of time
	until       float64 // the end of x
}

type line struct {
	name string
	x, y []float64
}

// mark is something that happened at a time.
type mark struct {
	from, to float64
	name     string
}

type tick struct {
	at   float64
	name string
}

const (
	width, height           = 900.0, 278.0
	left, right, top, below = 70.0, 30.0, 24.0, 42.0 // what is outside of the axes: above is the unit, below are x and the key
)

var (
	colours = []string{"#12507b", "#b5451b", "#3c7a3c", "#6b4c9a", "#8a6d1f"}
	dashes  = []string{"", "7 3", "2 3", "9 3 2 3", "4 4"}
)

// SVG draws the chart.
func (c *chart) SVG() template.HTML {
	return template.HTML(fmt.Sprintf(`<svg viewBox="0 0 %g %g" role="img" aria-label="%s">%s</svg>`,
		width, height, html.EscapeString(c.Title), c.draw())) // every text in it is escaped
}

// draw draws what stands in the chart's frame.
func (c *chart) draw() string {
	var b strings.Builder
	low, high := c.bounds()
	c.drawAxes(&b, low, high)
	c.drawMarks(&b)
	for i := range c.lines {
		c.drawLine(&b, i, low, high)
	}
	return b.String()
}

// bounds are those of y: round numbers, from 0 unless logarithmic.
func (c *chart) bounds() (low, high float64) {
	low, high = math.Inf(1), 0
	for _, l := range c.lines {
		for _, y := range l.y {
			high = max(high, y)
			if y > 0 {
				low = min(low, y)
			}
		}
	}
	switch {
	case high <= 0 && c.logarithmic:
		return 1, 10
	case high <= 0:
		return 0, 1
	}
	if c.logarithmic {
		return math.Pow(10, math.Floor(math.Log10(low))), math.Pow(10, math.Ceil(math.Log10(high)+1e-9))
	}
	step := roundStep(high / 4)
	return 0, step * math.Ceil(high/step)
}

// roundStep is the next of 1, 2, 5, 10, 20 … from x on.
func roundStep(x float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(x)))
	for _, m := range []float64{1, 2, 5, 10} {
		if m*power >= x {
			return m * power
		}
	}
	return 10 * power
}

func (c *chart) xOf(x float64) float64 { return left + x/max(c.until, 1e-9)*(width-left-right) }

func (c *chart) yOf(y, low, high float64) float64 {
	part := y / high
	if c.logarithmic {
		part = math.Log(max(y, low)/low) / math.Log(high/low)
	}
	return height - below - part*(height-top-below)
}

func (c *chart) drawAxes(b *strings.Builder, low, high float64) {
	var values []float64
	if c.logarithmic {
		for y := low; y <= high*1.001; y *= 10 {
			values = append(values, y)
		}
	} else {
		for i := range 5 {
			values = append(values, high*float64(i)/4)
		}
	}
	for _, y := range values {
		at := c.yOf(y, low, high)
		fmt.Fprintf(b, `<path class="grid" d="M%.1f %.1fH%.1f"/><text class="y" x="%.1f" y="%.1f">%s</text>`,
			left, at, width-right, left-6, at+4, figure(y))
	}
	for _, t := range c.xTicks() {
		fmt.Fprintf(b, `<text class="x" x="%.1f" y="%.1f">%s</text>`, c.xOf(t.at), height-below+16, html.EscapeString(t.name))
	}
	fmt.Fprintf(b, `<text class="unit" x="%.1f" y="%.1f">%s</text>`, left, top-10, html.EscapeString(c.Unit))
}

func (c *chart) xTicks() []tick {
	if c.ticks != nil {
		return c.ticks
	}
	var ticks []tick
	step := roundStep(max(c.until, 1) / 8)
	for at := 0.0; at <= c.until; at += step {
		ticks = append(ticks, tick{at, figure(at) + " s"})
	}
	return ticks
}

func (c *chart) drawMarks(b *strings.Builder) {
	for i, m := range c.marks {
		from, to := c.xOf(m.from), c.xOf(m.to)
		fmt.Fprintf(b, `<rect class="mark" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/><text class="mark" x="%.1f" y="%.1f">%s</text>`,
			from, top, max(to-from, 1), height-top-below, from+3, top+10+11*float64(i%3), html.EscapeString(m.name))
	}
}

func (c *chart) drawLine(b *strings.Builder, i int, low, high float64) {
	l := &c.lines[i]
	fmt.Fprintf(b, `<path fill="none" stroke="%s" stroke-width="1.6" stroke-dasharray="%s" d="`, colours[i%len(colours)], dashes[i%len(dashes)])
	for n := range l.x {
		command := "L"
		if n == 0 {
			command = "M"
		}
		fmt.Fprintf(b, "%s%.1f %.1f", command, c.xOf(l.x[n]), c.yOf(l.y[n], low, high))
	}
	b.WriteString(`"/>`)
	at := left + 110 + 150*float64(i)
	fmt.Fprintf(b, `<path fill="none" stroke="%s" stroke-width="2" stroke-dasharray="%s" d="M%.1f %.1fh26"/><text class="key" x="%.1f" y="%.1f">%s</text>`,
		colours[i%len(colours)], dashes[i%len(dashes)], at, height-9, at+30, height-5, html.EscapeString(l.name))
}

// figure writes a number short: 1200 is 1.2k.
func figure(v float64) string {
	switch {
	case v >= 1e6:
		return trim(v/1e6) + "M"
	case v >= 1e3:
		return trim(v/1e3) + "k"
	}
	return trim(v)
}

func trim(v float64) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.3f", v), "0"), ".")
}
