package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"

	"golang.org/x/text/language"
	"golang.org/x/text/message"
	"golang.org/x/text/number"
)

//go:embed page.html
var pageSource string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"count":   count,
	"ms":      func(v float64) string { return fmt.Sprintf("%.2f", v) },
	"mega":    func(v float64) string { return fmt.Sprintf("%.0f", v/1e6) },
	"percent": func(n, of int64) string { return fmt.Sprintf("%.2f", 100*share(n, of)) },
}).Parse(pageSource))

// count writes a number whole, with a comma between thousands.
func count(v any) string {
	return message.NewPrinter(language.English).Sprint(number.Decimal(v, number.MaxFractionDigits(0)))
}

// HTML writes the report as one page that needs nothing else.
func (r *Report) HTML(to io.Writer) error {
	err := page.Execute(to, struct {
		*Report
		Charts []*chart
	}{r, r.charts()})
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

func (r *Report) charts() []*chart {
	until := r.Seconds
	if n := len(r.Samples); n > 0 {
		until = max(until, r.Samples[n-1].At)
	}
	var marks []mark
	if r.OpensAt > 0 {
		marks = append(marks, mark{r.OpensAt, r.OpensAt, "opening"})
	}
	for _, k := range r.Kills {
		marks = append(marks, mark{k.From, k.To, "killed"})
	}
	charts := []*chart{
		{Title: "Arrivals against bookings", Unit: "a second", Note: "People who came, and bookings that were made.", lines: []line{
			r.rate("people who came", func(s *Sample) int64 { return s.Came }),
			r.rate("bookings", func(s *Sample) int64 { return s.Booked }),
		}},
		{Title: "Goodput", Unit: "a second", Note: "Requests that were due, and what came of them.", lines: []line{
			r.rate("due", func(s *Sample) int64 { return s.Planned }),
			r.rate("answered", func(s *Sample) int64 { return s.Answered - s.Refused }),
			r.rate("refused", func(s *Sample) int64 { return s.Refused }),
			r.rate("no answer", func(s *Sample) int64 { return s.Failed }),
		}},
		{Title: "Latency over time", Unit: "ms", Note: "Of all requests due in a second, from the intended start.", logarithmic: true, lines: []line{
			r.latency("median", func(b *Brief) float64 { return b.P50 }),
			r.latency("99 %", func(b *Brief) float64 { return b.P99 }),
			r.latency("most", func(b *Brief) float64 { return b.Max }),
		}},
		r.byPercentile(),
		{Title: "The line", Unit: "people", Note: "Those with a place in line who were not let in yet, and those who came and have not gone.", lines: []line{
			r.level("waiting", func(s *Sample) float64 { return float64(max(s.Joined-s.Admitted, 0)) }),
			r.level("here", func(s *Sample) float64 { return float64(s.Came - s.Gone) }),
		}},
		{Title: "Availability", Unit: "places", Note: "Places that were left, by the server's own count.", lines: []line{
			r.level("left", func(s *Sample) float64 { return float64(int64(r.Places) - s.Taken) }),
		}},
		{Title: "The server", Unit: "processors", Note: "CPU that the server used.", lines: []line{
			r.floatRate("CPU", func(s *Sample) float64 { return s.CPU }),
		}},
	}
	for _, c := range charts {
		if c.ticks == nil {
			c.until, c.marks = until, marks
		}
	}
	return charts
}

func (r *Report) rate(name string, of func(*Sample) int64) line {
	return r.floatRate(name, func(s *Sample) float64 { return float64(of(s)) })
}

// floatRate is how much a count rose a second. One that fell began again.
func (r *Report) floatRate(name string, of func(*Sample) float64) line {
	l := line{name: name}
	for i := 1; i < len(r.Samples); i++ {
		before, now := &r.Samples[i-1], &r.Samples[i]
		seconds := now.At - before.At
		if seconds < 0.1 {
			continue
		}
		l.x, l.y = append(l.x, now.At), append(l.y, max(of(now)-of(before), 0)/seconds)
	}
	return l
}

func (r *Report) level(name string, of func(*Sample) float64) line {
	l := line{name: name}
	for i := range r.Samples {
		l.x, l.y = append(l.x, r.Samples[i].At), append(l.y, of(&r.Samples[i]))
	}
	return l
}

func (r *Report) latency(name string, of func(*Brief) float64) line {
	l := line{name: name}
	for i := range r.Samples {
		if b := r.Samples[i].Latency; b != nil {
			l.x, l.y = append(l.x, r.Samples[i].At), append(l.y, of(b))
		}
	}
	return l
}

// byPercentile draws latency over the number of nines, for the routes with most
// answers.
func (r *Report) byPercentile() *chart {
	c := &chart{
		Title: "Latency by percentile", Unit: "ms", Note: "From the intended start, of the routes with most answers.",
		logarithmic: true, until: 4,
		ticks: []tick{{0, "0 %"}, {1, "90 %"}, {2, "99 %"}, {3, "99.9 %"}, {4, "99.99 %"}},
	}
	routes := slices.Clone(r.Routes)
	slices.SortFunc(routes, func(a, b Route) int { return int(b.Answers - a.Answers) })
	for _, route := range routes[:min(len(routes), 4)] {
		l := line{name: route.Name}
		for _, rank := range route.Curve {
			if rank.Percentile < 99.995 {
				l.x, l.y = append(l.x, -math.Log10(1-rank.Percentile/100)), append(l.y, max(rank.Milliseconds, 0.001))
			}
		}
		c.lines = append(c.lines, l)
	}
	return c
}
