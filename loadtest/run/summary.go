//go:build linux

package run

import (
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"weir/loadtest/answers"
	"weir/loadtest/crowd"
	"weir/loadtest/openloop"
	"weir/loadtest/report"
)

// summary is what the run came to, before it is judged.
func (s *session) summary() *report.Report {
	sc, res := s.Scenario, s.result
	r := &report.Report{
		Version: report.Version, Scenario: sc.Name, About: sc.About, Seed: s.Seed, Started: s.began.UTC(),
		Machine: machine(), People: sc.People, Eligible: s.crowd.Eligible(), Places: s.rules.Places(),
		OpensAt: (s.lead() + sc.Opening.Of()).Seconds(), Seconds: res.Elapsed.Seconds(),
		Requests: res.Planned, Offered: res.Offered, Answered: res.Answered, Failed: res.Failed,
		Booked: s.crowd.Live.Booked.Load(), Cancelled: s.crowd.Live.Cancelled.Load(), Refused: s.crowd.Live.Refused.Load(),
		Lateness: quantiles(res.Lateness, time.Millisecond), Wait: quantiles(res.Wait, time.Millisecond),
		Client: report.Usage{CPUSeconds: res.ClientCPU.Seconds()}, Samples: s.samples,
	}
	if s.opens.IsZero() {
		r.OpensAt = 0
	}
	for i := range res.Labels {
		r.Routes = append(r.Routes, route(&res.Labels[i]))
	}
	counts := s.crowd.Counts()
	for k := range counts {
		for o, n := range counts[k] {
			if n > 0 {
				outcome := answers.Outcome(o)
				r.Outcomes = append(r.Outcomes, report.Outcome{
					Kind: answers.Kind(k).String(), Outcome: outcome.String(), Status: outcome.Status(), Count: n,
				})
			}
		}
	}
	for _, d := range s.downs() {
		r.Kills = append(r.Kills, report.Kill{From: d.From.Seconds(), To: d.To.Seconds()})
	}
	for _, p := range s.pauses {
		r.Pauses = append(r.Pauses, report.Pause{From: p.Asked.Seconds(), To: p.Ended.Seconds()})
	}
	for _, still := range s.stalls {
		r.Stalls = append(r.Stalls, report.Pause{From: still.From.Seconds(), To: still.To.Seconds()})
	}
	s.briefs(r)
	r.Server = usage(r.Samples)
	bounds := openloop.Bounds{OfferedShare: sc.Thresholds.OfferedShare, LatenessP99: sc.Thresholds.LatenessP99.Of()}
	if err := res.Valid(bounds); err != nil {
		r.Invalid = err.Error()
	}
	return r
}

func quantiles(h *hdrhistogram.Histogram, unit time.Duration) report.Quantiles {
	at := func(q float64) float64 { return float64(h.ValueAtQuantile(q)) / float64(unit) }
	return report.Quantiles{P50: at(50), P90: at(90), P99: at(99), P999: at(99.9), Max: float64(h.Max()) / float64(unit)}
}

// ranks are the percentiles of a latency curve, denser towards the end.
var ranks = []float64{0, 10, 25, 50, 75, 90, 95, 97.5, 99, 99.5, 99.9, 99.95, 99.99, 100}

func route(l *openloop.LabelResult) report.Route {
	r := report.Route{Name: l.Name, Due: l.Due, Answers: l.Answers(), Latency: quantiles(l.Latency, time.Millisecond)}
	for _, n := range l.Failures {
		r.Failures += n
	}
	if r.Answers == 0 {
		return r
	}
	for _, rank := range ranks {
		r.Curve = append(r.Curve, report.Rank{
			Percentile: rank, Milliseconds: float64(l.Latency.ValueAtQuantile(rank)) / float64(time.Millisecond),
		})
	}
	return r
}

// briefs adds the latency of each second to the sample behind it.
func (s *session) briefs(r *report.Report) {
	for i := range r.Samples {
		at := int(r.Samples[i].At) - 1
		if at < 0 || at >= len(s.result.Slices) {
			continue
		}
		sum := hdrhistogram.New(1, (10 * time.Minute).Microseconds(), 2)
		for _, label := range s.result.Slices[at].Labels {
			if label.Latency != nil {
				sum.Merge(label.Latency)
			}
		}
		if sum.TotalCount() > 0 {
			q := quantiles(sum, 1000) // of microseconds
			r.Samples[i].Latency = &report.Brief{P50: q.P50, P99: q.P99, Max: q.Max}
		}
	}
}

// usage is what the server used over all of its lives: counters begin again
// with each.
func usage(samples []report.Sample) (u report.Usage) {
	var last report.Sample
	more := func(now, before float64) float64 {
		if now < before {
			return now
		}
		return now - before
	}
	for i := range samples {
		one := &samples[i]
		u.CPUSeconds += more(one.CPU, last.CPU)
		u.Syncs += more(one.Syncs, last.Syncs)
		u.GCCPU += more(one.GCCPU, last.GCCPU)
		u.PeakRSS = max(u.PeakRSS, one.RSS)
		last = *one
	}
	return u
}

// checkThresholds holds the run against what the scenario asks for.
func (s *session) checkThresholds(r *report.Report) {
	t := &s.Scenario.Thresholds
	keep := func(name string, kept bool, want, got string) {
		r.Thresholds = append(r.Thresholds, report.Threshold{Name: name, Want: want, Got: got, Kept: kept})
	}
	share := func(n, of int64) float64 { return float64(n) / float64(max(of, 1)) }
	if t.BookingP99 > 0 {
		got := s.result.Labels[crowd.Booked].Latency.ValueAtQuantile(99)
		keep("99 % of bookings within", got <= int64(t.BookingP99), t.BookingP99.Of().String(), time.Duration(got).Round(time.Microsecond).String())
	}
	if t.RefusedShare > 0 {
		got := share(r.Refused, r.Answered)
		keep("refused for want of room", got <= t.RefusedShare, percent(t.RefusedShare), percent(got))
	}
	if t.FailedShare > 0 {
		got := share(r.Failed, r.Requests)
		keep("without an answer", got <= t.FailedShare, percent(t.FailedShare), percent(got))
	}
	if t.BookedShare > 0 {
		got := share(r.Booked, int64(r.Eligible))
		keep("booked, of the eligible, at least", got >= t.BookedShare, percent(t.BookedShare), percent(got))
	}
	if r.Verdict != nil {
		keep("violations", r.Verdict.Violations() == 0, "0", fmt.Sprint(r.Verdict.Violations()))
	}
}

func percent(share float64) string { return fmt.Sprintf("%.2f %%", 100*share) }
