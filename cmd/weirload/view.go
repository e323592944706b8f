//go:build linux

package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"weir/loadtest/report"
	loadrun "weir/loadtest/run"
)

// view shows how a run goes: a few lines that are written over on a terminal,
// one plain line now and then elsewhere. It belongs to one goroutine at a time.
type view struct {
	to     io.Writer
	live   bool
	drawn  int // lines that are on the terminal
	plain  time.Time
	rates  []float64 // answers a second, the newest last
	booked []float64 // bookings a second
	late   []float64 // mean latency in ms
}

const (
	plainEvery   = 10 * time.Second
	sparklineMax = 60
)

func newView(to io.Writer) *view {
	file, ok := to.(*os.File)
	return &view{to: to, live: ok && term.IsTerminal(int(file.Fd()))}
}

// show takes an event of the run. What cannot be shown is no reason to stop.
func (v *view) show(e loadrun.Event) {
	if e.Sample == nil {
		v.clear()
		_, _ = fmt.Fprintln(v.to, e.Text)
		return
	}
	if e.Last == nil {
		return
	}
	seconds := max(e.Sample.At-e.Last.At, 1e-3)
	rate := func(now, before int64) float64 { return float64(now-before) / seconds }
	v.rates = tail(append(v.rates, rate(e.Sample.Answered, e.Last.Answered)))
	v.booked = tail(append(v.booked, rate(e.Sample.Booked, e.Last.Booked)))
	v.late = tail(append(v.late, meanLatency(e.Sample, e.Last)))
	if v.live {
		v.draw(e, rate)
		return
	}
	if time.Since(v.plain) >= plainEvery {
		v.plain = time.Now()
		_, _ = fmt.Fprintln(v.to, summary(e.Sample, e.Until, v.rates[len(v.rates)-1], v.booked[len(v.booked)-1]))
	}
}

// meanLatency is of the answers between two samples, in ms.
func meanLatency(now, before *report.Sample) float64 {
	return 1000 * (now.LatencySum - before.LatencySum) / float64(max(now.Latencies-before.Latencies, 1))
}

func tail(values []float64) []float64 { return values[max(0, len(values)-sparklineMax):] }

func summary(s *report.Sample, until time.Duration, answers, bookings float64) string {
	return fmt.Sprintf("%4.0f of %.0f s: %d came, %d requests, %.0f answers/s, %d booked, %.0f/s, %d in flight, %d waiting, %d refused, %d failed",
		s.At, until.Seconds(), s.Came, s.Planned, answers, s.Booked, bookings, s.InFlight, s.Waiting, s.Refused, s.Failed)
}

func (v *view) draw(e loadrun.Event, rate func(now, before int64) float64) {
	s, l := e.Sample, e.Last
	lines := []string{
		fmt.Sprintf("%6.1f s of %.0f    %d people came, %d are here, %d places taken", s.At, e.Until.Seconds(), s.Came, s.Came-s.Gone, s.Taken),
		fmt.Sprintf("due      %8.0f/s  answered %8.0f/s  refused %6.0f/s  failed %6.0f/s", rate(s.Planned, l.Planned), rate(s.Answered, l.Answered), rate(s.Refused, l.Refused), rate(s.Failed, l.Failed)),
		fmt.Sprintf("booked   %8.0f/s  in all   %8d    cancelled %d, slots full %d", rate(s.Booked, l.Booked), s.Booked, s.Cancelled, s.Full),
		fmt.Sprintf("line     %8d waiting, %d let in, %d numbers; %d requests in flight, %d wait for one of %d connections", max(s.Joined-s.Admitted, 0), s.Admitted, s.Issued, s.InFlight, s.Waiting, s.Open),
		fmt.Sprintf("server   %8.0f %% of a processor, %.0f MB, %.0f fsyncs/s", 100*max(s.CPU-l.CPU, 0)/max(s.At-l.At, 1e-3), s.RSS/1e6, max(s.Syncs-l.Syncs, 0)/max(s.At-l.At, 1e-3)),
		"answers  " + sparkline(v.rates),
		"bookings " + sparkline(v.booked),
		fmt.Sprintf("latency  %s %.1f ms", sparkline(v.late), v.late[len(v.late)-1]),
	}
	v.clear()
	_, _ = fmt.Fprintln(v.to, strings.Join(lines, "\n"))
	v.drawn = len(lines)
}

// clear takes the lines away that were drawn.
func (v *view) clear() {
	if v.drawn > 0 {
		_, _ = fmt.Fprintf(v.to, "\x1b[%dA\x1b[J", v.drawn) // up, and erase down to the end
		v.drawn = 0
	}
}

func (v *view) close() { v.drawn = 0 }

// sparkline draws values as bars of eight heights.
func sparkline(values []float64) string {
	var most float64
	for _, v := range values {
		most = max(most, v)
	}
	bars := []rune("▁▂▃▄▅▆▇█")
	var b strings.Builder
	for _, v := range values {
		b.WriteRune(bars[int(v/max(most, 1)*float64(len(bars)-1)+0.5)])
	}
	return b.String()
}
