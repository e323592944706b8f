package server

import (
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/valyala/fasthttp"

	"weir/core"
)

// Metric names carry routes, problem codes and campaign ids as labels: sets
// that the program and the operator bound. Nothing in them is a person's.

// latencyBounds are the upper bounds of the latency buckets, in seconds.
var latencyBounds = []float64{
	0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5,
}

const (
	commandOps  = int(core.Cancel) + 1
	outcomeDone = 0 // index of commands: changed something
	outcomeSame = 1 // it was so already
	outcomeRest = 1 // plus the fault
	statusSlots = 5 // 1xx to 5xx
)

var opNames = [commandOps]string{
	core.Join: "join", core.Leave: "leave", core.Hold: "hold", core.Release: "release",
	core.Book: "book", core.Change: "change", core.Cancel: "cancel",
}

// serverMetrics counts what the server does. The hot path only adds to
// counters that exist; those that depend on what happens are made when it
// first does.
type serverMetrics struct {
	set      *metrics.Set
	panics   *metrics.Counter
	problems [faultEnd]*metrics.Counter
	requests [][statusSlots]*metrics.Counter // by route and class; the last row: no route
	latency  []*metrics.PrometheusHistogram
	commands [commandOps][outcomeRest + int(faultEnd)]atomic.Pointer[metrics.Counter]
}

func newServerMetrics() *serverMetrics {
	set := metrics.NewSet()
	m := &serverMetrics{
		set:    set,
		panics: set.NewCounter("weir_http_panics_total"),
	}
	for f := fault(1); f < faultEnd; f++ {
		m.problems[f] = set.GetOrCreateCounter(fmt.Sprintf(`weir_http_problems_total{code=%q}`, faults[f].code))
	}
	for i := range len(publicRoutes) + 1 {
		label := (*route)(nil).label()
		if i < len(publicRoutes) {
			label = publicRoutes[i].label()
		}
		m.latency = append(m.latency, set.NewPrometheusHistogramExt(
			fmt.Sprintf(`weir_http_request_seconds{route=%q}`, label), latencyBounds))
		var row [statusSlots]*metrics.Counter
		for class := range row {
			row[class] = set.NewCounter(fmt.Sprintf(`weir_http_requests_total{route=%q,status="%dxx"}`, label, class+1))
		}
		m.requests = append(m.requests, row)
	}
	return m
}

// served counts an answered request.
func (m *serverMetrics) served(x *exchange) {
	row := len(publicRoutes)
	if x.route != nil {
		row = x.route.index
	}
	class := min(max(x.ctx.Response.StatusCode()/100, 1), statusSlots)
	m.requests[row][class-1].Inc()
	m.latency[row].Update(time.Since(x.ctx.Time()).Seconds())
}

// commanded counts what became of a command; refused is zero where it was not.
func (m *serverMetrics) commanded(op core.Op, refused fault, done bool) {
	outcome, name := outcomeSame, "repeated"
	switch {
	case refused != 0:
		outcome, name = outcomeRest+int(refused), faults[refused].code
	case done:
		outcome, name = outcomeDone, "done"
	}
	slot := &m.commands[op][outcome]
	c := slot.Load()
	if c == nil {
		c = m.set.GetOrCreateCounter(fmt.Sprintf(`weir_commands_total{op=%q,outcome=%q}`, opNames[op], name))
		slot.Store(c)
	}
	c.Inc()
}

// writeMetrics writes everything that is known as Prometheus text.
func (s *Server) writeMetrics(w io.Writer) {
	s.metrics.set.WritePrometheus(w)
	metrics.WriteGaugeUint64(w, "weir_http_in_flight", uint64(max(0, s.inFlight.Load())))
	for _, l := range s.running() {
		label := fmt.Sprintf(`{listener=%q}`, l.name)
		metrics.WriteGaugeUint64(w, "weir_connections"+label, uint64(l.open.Load()))
		metrics.WriteCounterUint64(w, "weir_connections_refused_total"+label, l.refused.Load())
		metrics.WriteCounterUint64(w, "weir_accept_errors_total"+label, l.failed.Load())
	}
	now := s.clock.Now()
	metrics.WriteGaugeFloat64(w, "weir_clock_seconds", float64(now.UnixMilli())/1000)
	if c, ok := s.clock.(interface{ Behind() time.Duration }); ok {
		metrics.WriteGaugeFloat64(w, "weir_clock_behind_seconds", c.Behind().Seconds())
	}
	metrics.WriteGaugeUint64(w, "weir_ready", uint64(boolFigure(s.stage.refusal() == nil)))
	if a := s.attached.Load(); a != nil {
		for _, e := range a.all() {
			writeTotals(w, e)
		}
	}
	if s.gauges != nil {
		s.gauges(func(name string, v float64) {
			if metrics.ValidateMetric(name) == nil {
				metrics.WriteGaugeFloat64(w, name, v)
			}
		})
	}
	metrics.WriteProcessMetrics(w)
}

func writeTotals(w io.Writer, e *entry) {
	t := e.core.Totals()
	for _, figure := range []struct {
		name  string
		value int64
	}{
		{"weir_campaign_places", t.Places},
		{"weir_campaign_taken", t.Taken},
		{"weir_campaign_booked", t.Booked},
		{"weir_campaign_cancelled", t.Cancelled},
		{"weir_campaign_holds", t.Holds},
		{"weir_campaign_people", t.People},
		{"weir_campaign_issued", t.Issued},
	} {
		metrics.WriteGaugeFloat64(w, fmt.Sprintf(`%s{campaign="%s"}`, figure.name, labelText.Replace(e.id)), float64(figure.value))
	}
}

var labelText = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

func boolFigure(b bool) int {
	if b {
		return 1
	}
	return 0
}

const metricsType = "text/plain; version=0.0.4; charset=utf-8"

func (s *Server) answerMetrics(ctx *fasthttp.RequestCtx) {
	ctx.SetContentType(metricsType)
	s.writeMetrics(ctx)
}
