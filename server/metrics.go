package server

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/valyala/fasthttp"

	"weir/core"
)

// Metric names carry routes, problem codes and campaign ids as labels: sets
// that the program and the operator bound. Nothing in them is a person's.

// latencyBounds are the upper bounds of the latency buckets.
var latencyBounds = [...]time.Duration{
	100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
	10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 5 * time.Second,
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

// serverMetrics counts what the server does.
type serverMetrics struct {
	set      *metrics.Set
	panics   *metrics.Counter
	problems [faultEnd]*metrics.Counter
	tallies  [tallies]tally
	next     atomic.Uint32 // tally that the next exchange gets
}

// tallies is how many stripes the figures of every request are kept in. A
// counter that all processors add to costs each of them a cache miss a
// request, and there are several; an exchange stays with one stripe, and
// mostly with one processor.
const tallies = 8

// tally is one stripe.
type tally struct {
	requests [][statusSlots]atomic.Uint64 // by route and class; the last row: no route
	latency  []latency                    // by route, likewise
	commands [commandOps][outcomeRest + int(faultEnd)]atomic.Uint64
	_        [64]byte
}

// latency is a histogram by latencyBounds; the last bucket has no bound.
type latency struct {
	buckets [len(latencyBounds) + 1]atomic.Uint64
	nanos   atomic.Uint64
}

func newServerMetrics() *serverMetrics {
	set := metrics.NewSet()
	m := &serverMetrics{set: set, panics: set.NewCounter("weir_http_panics_total")}
	for f := fault(1); f < faultEnd; f++ {
		m.problems[f] = set.GetOrCreateCounter(fmt.Sprintf(`weir_http_problems_total{code=%q}`, faults[f].code))
	}
	for i := range m.tallies {
		m.tallies[i].requests = make([][statusSlots]atomic.Uint64, len(publicRoutes)+1)
		m.tallies[i].latency = make([]latency, len(publicRoutes)+1)
	}
	return m
}

// tally returns the stripe for one more exchange.
func (m *serverMetrics) tally() *tally { return &m.tallies[m.next.Add(1)%tallies] }

// answered counts a request whose answer leaves.
func (t *tally) answered(a *accounts) {
	class := min(max(a.status/100, 1), statusSlots)
	t.requests[a.route][class-1].Add(1)
	took := time.Since(a.began)
	bucket := 0
	for bucket < len(latencyBounds) && took > latencyBounds[bucket] {
		bucket++
	}
	t.latency[a.route].buckets[bucket].Add(1)
	t.latency[a.route].nanos.Add(uint64(took))
}

// commanded counts how a command was decided; refusal is nil where it was
// carried out, now or before.
func (t *tally) commanded(op core.Op, refusal error, done bool) {
	outcome := outcomeSame
	switch {
	case refusal != nil:
		outcome = outcomeRest + int(faultOf(refusal))
	case done:
		outcome = outcomeDone
	}
	t.commands[op][outcome].Add(1)
}

func outcomeName(outcome int) string {
	switch outcome {
	case outcomeDone:
		return "done"
	case outcomeSame:
		return "repeated"
	}
	return faults[outcome-outcomeRest].code
}

// sum adds one figure up over the tallies.
func (m *serverMetrics) sum(of func(t *tally) *atomic.Uint64) (n uint64) {
	for i := range m.tallies {
		n += of(&m.tallies[i]).Load()
	}
	return n
}

// write writes all figures of the server itself.
func (m *serverMetrics) write(w io.Writer) {
	m.set.WritePrometheus(w)
	for op := core.Join; int(op) < commandOps; op++ {
		for outcome := range outcomeRest + int(faultEnd) {
			if n := m.sum(func(t *tally) *atomic.Uint64 { return &t.commands[op][outcome] }); n > 0 {
				metrics.WriteCounterUint64(w, fmt.Sprintf(`weir_commands_total{op=%q,outcome=%q}`, opNames[op], outcomeName(outcome)), n)
			}
		}
	}
	for row := range publicRoutes {
		m.writeRoute(w, row, publicRoutes[row].label())
	}
	m.writeRoute(w, len(publicRoutes), (*route)(nil).label())
}

func (m *serverMetrics) writeRoute(w io.Writer, row int, label string) {
	for class := range statusSlots {
		n := m.sum(func(t *tally) *atomic.Uint64 { return &t.requests[row][class] })
		metrics.WriteCounterUint64(w, fmt.Sprintf(`weir_http_requests_total{route=%q,status="%dxx"}`, label, class+1), n)
	}
	var below uint64
	for b := range len(latencyBounds) + 1 {
		bound := "+Inf"
		if b < len(latencyBounds) {
			bound = strconv.FormatFloat(latencyBounds[b].Seconds(), 'g', -1, 64)
		}
		below += m.sum(func(t *tally) *atomic.Uint64 { return &t.latency[row].buckets[b] })
		metrics.WriteCounterUint64(w, fmt.Sprintf(`weir_http_request_seconds_bucket{route=%q,le=%q}`, label, bound), below)
	}
	nanos := m.sum(func(t *tally) *atomic.Uint64 { return &t.latency[row].nanos })
	metrics.WriteCounterFloat64(w, fmt.Sprintf(`weir_http_request_seconds_sum{route=%q}`, label), float64(nanos)/1e9)
	metrics.WriteCounterUint64(w, fmt.Sprintf(`weir_http_request_seconds_count{route=%q}`, label), below)
}

// writeMetrics writes everything that is known as Prometheus text.
func (s *Server) writeMetrics(w io.Writer) {
	s.metrics.write(w)
	s.guard.writeMetrics(w)
	metrics.WriteGaugeUint64(w, "weir_http_in_flight", uint64(max(0, s.inFlight.Load())))
	for _, l := range s.running() {
		label := fmt.Sprintf(`{listener=%q}`, l.name)
		metrics.WriteGaugeUint64(w, "weir_connections"+label, uint64(l.open.Load()))
		metrics.WriteCounterUint64(w, "weir_connections_refused_total"+label, l.refused.Load())
		metrics.WriteCounterUint64(w, "weir_connections_displaced_total"+label, s.displaced(l))
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
			writeLine(w, e)
		}
	}
	recent := s.recent.Load()
	metrics.WriteGaugeFloat64(w, `weir_journal_recent_seconds{of="queue"}`, recent.queue.Seconds())
	metrics.WriteGaugeFloat64(w, `weir_journal_recent_seconds{of="commit"}`, recent.commit.Seconds())
	for _, a := range s.alarms.standing() {
		metrics.WriteGaugeUint64(w, fmt.Sprintf(`weir_alarm{code=%q,campaign="%s"}`, a.Code, labelText.Replace(a.Campaign)), 1)
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

// writeLine writes where a campaign's line stands, who is in, and who came to
// the door.
func writeLine(w io.Writer, e *entry) {
	d, _ := e.core.Definition()
	state, line := e.core.Line(), e.lineFigures(d.Line.Enabled)
	label := fmt.Sprintf(`campaign="%s"`, labelText.Replace(e.id))
	for _, figure := range []struct {
		name  string
		value float64
	}{
		{"weir_campaign_paused", float64(boolFigure(state.Paused))},
		{"weir_line_serving", float64(line.Serving)},
		{"weir_line_early", float64(line.Early)},
		{"weir_line_waiting", float64(line.Waiting)},
		{"weir_line_called", float64(line.Called)},
		{"weir_line_present", float64(line.Present)},
		{"weir_line_sessions", float64(line.InSession)},
		{"weir_line_target_sessions", float64(e.turnstile.decision.Load().Target)},
		{"weir_line_admitted_per_minute", line.Admitted},
		{"weir_line_share_came", e.turnstile.decision.Load().ShareCame},
	} {
		metrics.WriteGaugeFloat64(w, figure.name+"{"+label+"}", figure.value)
	}
	door := e.turnstile.door.all.figures()
	metrics.WriteCounterUint64(w, "weir_door_asked_total{"+label+"}", uint64(door.Asked))
	metrics.WriteGaugeUint64(w, "weir_door_people{"+label+"}", uint64(door.Came))
	metrics.WriteGaugeUint64(w, "weir_door_refused_people{"+label+"}", uint64(door.Refused))
	for _, reason := range slices.Sorted(maps.Keys(door.ByReason)) {
		metrics.WriteCounterUint64(w, fmt.Sprintf(`weir_door_refused_total{%s,reason=%q}`, label, reason), uint64(door.ByReason[reason]))
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
