package report

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"weir/loadtest/openloop"
)

// Print writes the report for people, in plain text.
func (r *Report) Print(to io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", r.Scenario, r.About)
	fmt.Fprintf(&b, "%s on %s, %d cores, Linux %s, %s; seed %d\n\n",
		r.Started.Format(time.RFC3339), r.Machine.CPU, r.Machine.Cores, r.Machine.Kernel, r.Machine.Go, r.Seed)
	fmt.Fprintf(&b, "people     %d came, %d of them may book %d places; the opening after %.0f s\n", r.People, r.Eligible, r.Places, r.OpensAt)
	fmt.Fprintf(&b, "requests   %d in %.1f s (%.0f/s), %.2f %% offered in time, %d answered, %d refused for want of room, %d without an answer\n",
		r.Requests, r.Seconds, r.PerSecond(), 100*share(r.Offered, r.Requests), r.Answered, r.Refused, r.Failed)
	fmt.Fprintf(&b, "bookings   %d made, %d cancelled\n", r.Booked, r.Cancelled)
	fmt.Fprintf(&b, "server     %.1f s of CPU (%.1f µs a request), %.0f MB at most, %.0f fsyncs, %.1f s of CPU in the garbage collector\n",
		r.Server.CPUSeconds, 1e6*r.Server.CPUSeconds/float64(max(r.Answered, 1)), r.Server.PeakRSS/1e6, r.Server.Syncs, r.Server.GCCPU)
	fmt.Fprintf(&b, "loader     %.1f s of CPU, late by %.2f ms (p99), %.2f ms (most)\n", r.Client.CPUSeconds, r.Lateness.P99, r.Lateness.Max)
	for _, k := range r.Kills {
		fmt.Fprintf(&b, "killed     at %.1f s, back after %.2f s\n", k.From, k.To-k.From)
	}
	for _, p := range r.Pauses {
		fmt.Fprintf(&b, "paused     at %.1f s, until %.1f s\n", p.From, p.To)
	}
	for _, p := range r.Stalls {
		fmt.Fprintf(&b, "stood still, loader and all, from %.1f s to %.1f s\n", p.From, p.To)
	}
	fmt.Fprintln(&b, "\nlatency from the intended start, in ms:")
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(table, "\tanswers\tfailures\tp50\tp99\tp99.9\tmost\t")
	for i := range r.Routes {
		if l := &r.Routes[i]; l.Answers+l.Failures > 0 {
			_, _ = fmt.Fprintf(table, "%s\t%d\t%d\t%.2f\t%.2f\t%.2f\t%.2f\t\n",
				l.Name, l.Answers, l.Failures, l.Latency.P50, l.Latency.P99, l.Latency.P999, l.Latency.Max)
		}
	}
	_ = table.Flush() // into memory
	b.WriteString("\n")
	r.printJudgement(&b)
	_, err := io.WriteString(to, b.String())
	if err != nil {
		return fmt.Errorf("print report: %w", err)
	}
	return nil
}

func (r *Report) printJudgement(b *strings.Builder) {
	for _, t := range r.Thresholds {
		word := "kept"
		if !t.Kept {
			word = "NOT KEPT"
		}
		fmt.Fprintf(b, "threshold  %s %s: %s, %s\n", t.Name, t.Want, t.Got, word)
	}
	if r.Verdict != nil {
		b.WriteString(r.Verdict.String())
		for _, text := range r.Violations {
			if len(r.Verdict.Findings) == 0 { // read from a file
				fmt.Fprintf(b, "violation: %s\n", text)
			}
		}
	} else {
		b.WriteString("not judged\n")
	}
	if r.Invalid != "" {
		fmt.Fprintf(b, "NOT VALID  %s\n", r.Invalid)
	}
}

// PerSecond is the rate of requests over the whole run.
func (r *Report) PerSecond() float64 { return float64(r.Requests) / max(r.Seconds, 1e-9) }

func share(n, of int64) float64 { return float64(n) / float64(max(of, 1)) }

// WriteHistograms writes the latency of every label as an HdrHistogram log, in
// nanoseconds, each under its name as the tag.
func WriteHistograms(to io.Writer, started time.Time, result *openloop.Result) error {
	log := hdrhistogram.NewHistogramLogWriter(to)
	if err := log.OutputLogFormatVersion(); err != nil {
		return fmt.Errorf("write histograms: %w", err)
	}
	if err := log.OutputStartTime(started.UnixMilli()); err != nil {
		return fmt.Errorf("write histograms: %w", err)
	}
	if err := log.OutputLegend(); err != nil {
		return fmt.Errorf("write histograms: %w", err)
	}
	put := func(name string, h *hdrhistogram.Histogram) error {
		if h.TotalCount() == 0 {
			return nil
		}
		h.SetTag(strings.ReplaceAll(name, " ", "_"))
		h.SetStartTimeMs(started.UnixMilli())
		h.SetEndTimeMs(started.Add(result.Elapsed).UnixMilli())
		return log.OutputIntervalHistogram(h)
	}
	for i := range result.Labels {
		if err := put(result.Labels[i].Name, result.Labels[i].Latency); err != nil {
			return fmt.Errorf("write histograms: %w", err)
		}
	}
	if err := put("lateness of the loader", result.Lateness); err != nil {
		return fmt.Errorf("write histograms: %w", err)
	}
	return nil
}

// Compare writes two runs side by side, the second in proportion to the first.
func Compare(to io.Writer, a, b *Report) error {
	var out strings.Builder
	fmt.Fprintf(&out, "before: %s, seed %d, %s\nafter:  %s, seed %d, %s\n", a.Scenario, a.Seed, a.Started.Format(time.RFC3339), b.Scenario, b.Seed, b.Started.Format(time.RFC3339))
	if a.Scenario != b.Scenario || a.People != b.People || a.Machine != b.Machine {
		out.WriteString("They are not of the same scenario, size and machine: compare with care.\n")
	}
	table := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(table, "\tbefore\tafter\tafter/before\t")
	line := func(name string, x, y float64) {
		ratio := "-"
		if x != 0 {
			ratio = fmt.Sprintf("%.2f", y/x)
		}
		_, _ = fmt.Fprintf(table, "%s\t%.2f\t%.2f\t%s\t\n", name, x, y, ratio)
	}
	line("requests/s", a.PerSecond(), b.PerSecond())
	line("bookings", float64(a.Booked), float64(b.Booked))
	line("refused, % of answers", 100*share(a.Refused, a.Answered), 100*share(b.Refused, b.Answered))
	line("failed, % of requests", 100*share(a.Failed, a.Requests), 100*share(b.Failed, b.Requests))
	line("server CPU, µs/answer", 1e6*a.Server.CPUSeconds/float64(max(a.Answered, 1)), 1e6*b.Server.CPUSeconds/float64(max(b.Answered, 1)))
	line("server memory, MB", a.Server.PeakRSS/1e6, b.Server.PeakRSS/1e6)
	line("fsyncs", a.Server.Syncs, b.Server.Syncs)
	line("loader late, ms p99", a.Lateness.P99, b.Lateness.P99)
	for i := range a.Routes {
		for k := range b.Routes {
			if x, y := &a.Routes[i], &b.Routes[k]; x.Name == y.Name && x.Answers > 0 && y.Answers > 0 {
				line(x.Name+", ms p50", x.Latency.P50, y.Latency.P50)
				line(x.Name+", ms p99", x.Latency.P99, y.Latency.P99)
				line(x.Name+", ms p99.9", x.Latency.P999, y.Latency.P999)
			}
		}
	}
	_ = table.Flush() // into memory
	for _, r := range []*Report{a, b} {
		if r.Invalid != "" {
			fmt.Fprintf(&out, "NOT VALID (%s): %s\n", r.Started.Format(time.RFC3339), r.Invalid)
		}
	}
	if _, err := io.WriteString(to, out.String()); err != nil {
		return fmt.Errorf("print comparison: %w", err)
	}
	return nil
}
