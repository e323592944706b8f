//go:build linux

package run

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir/core/event"
	"weir/loadtest/answers"
	"weir/loadtest/crowd"
	"weir/loadtest/judge"
	"weir/loadtest/report"
)

const (
	sampleEvery   = time.Second
	metricsMax    = 4 << 20
	metricsPeriod = 500 * time.Millisecond // that a reading may take
)

// watch takes a sample a second, looks at the line, and does what the operator
// is to do, until the context ends.
func (s *session) watch(ctx context.Context) {
	ticker := time.NewTicker(sampleEvery)
	defer ticker.Stop()
	client := http.Client{Timeout: metricsPeriod}
	defer client.CloseIdleConnections()
	deeds := s.deeds()
	next := time.NewTimer(s.untilNext(deeds))
	defer next.Stop()
	look := onlooker{session: s, client: &client, record: s.file.Recorder()}
	for {
		select {
		case <-ctx.Done():
			look.atLine(context.WithoutCancel(ctx))
			s.sample(context.WithoutCancel(ctx), &client)
			return
		case <-next.C:
			if err := deeds[0].do(ctx); err != nil && ctx.Err() == nil {
				s.failures = append(s.failures, err)
				return
			}
			deeds = deeds[1:]
			next.Reset(s.untilNext(deeds))
			continue
		case <-ticker.C:
		}
		look.atLine(ctx)
		s.sample(ctx, &client)
		if s.server == nil {
			continue
		}
		if err := s.server.ended(); err != nil {
			s.failures = append(s.failures, err)
			return
		}
	}
}

const (
	pulseEvery = 100 * time.Millisecond
	pulseLate  = time.Second
)

// feelPulse notes when this process stands still: the machine was stopped, or
// gave it no processor. The server may have stood still then as well.
func (s *session) feelPulse(ctx context.Context) {
	ticker := time.NewTicker(pulseEvery)
	defer ticker.Stop()
	last := time.Since(s.began)
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := time.Since(s.began)
		if now-last > pulseLate {
			s.stalls = append(s.stalls, judge.Stall{From: last, To: now})
		}
		last = now
	}
}

// never is longer than any run.
const never = 1000 * time.Hour

func (s *session) untilNext(deeds []deed) time.Duration {
	if len(deeds) == 0 {
		return never
	}
	return time.Until(s.began.Add(s.lead() + deeds[0].at))
}

// onlooker writes down the line's public state as the run goes on: what is told
// before the first people come, too.
type onlooker struct {
	*session
	client *http.Client
	record *answers.Recorder
	noted  []answers.Draw
}

// atLine looks once. Where nobody answers there is nothing to write down.
func (o *onlooker) atLine(ctx context.Context) {
	a := answers.Answer{Person: answers.Nobody, Kind: answers.Line, AskedSlot: event.NoSlot, Sent: time.Since(o.began)}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+o.addr+"/v1/campaigns/"+o.rules.ID+"/line", nil)
	if err != nil {
		return
	}
	response, err := o.client.Do(request)
	if err != nil {
		return
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, metricsMax))
	if _ = response.Body.Close(); err != nil || response.StatusCode != http.StatusOK {
		return
	}
	a.Answered, a.Outcome = time.Since(o.began), answers.OK
	var ok bool
	if a.Serving, a.Draws, ok = crowd.ReadLine(text); !ok {
		a.Outcome = answers.Odd
	}
	if slices.Equal(a.Draws, o.noted) {
		a.Draws = nil
	} else {
		o.noted = a.Draws
	}
	if err := o.record.Add(&a); err != nil {
		o.failures = append(o.failures, err)
	}
}

func (s *session) sample(ctx context.Context, client *http.Client) {
	c, live := s.engine.Counters(), &s.crowd.Live
	one := report.Sample{
		At: time.Since(s.began).Seconds(), Planned: c.Planned, Answered: c.Answered, Failed: c.Failed,
		Refused: live.Refused.Load(), Came: live.Came.Load(), Gone: live.Gone.Load(), Joined: live.Joined.Load(),
		Admitted: live.Admitted.Load(), Booked: live.Booked.Load(), Cancelled: live.Cancelled.Load(), Full: live.Full.Load(),
		InFlight: c.InFlight, Waiting: c.Waiting, Open: c.Open,
		Issued: live.LineIssued.Load(), Serving: live.LineServing.Load(),
		Latencies: live.Latencies.Load(), LatencySum: time.Duration(live.LatencySum.Load()).Seconds(),
	}
	var last *report.Sample
	if n := len(s.samples); n > 0 {
		last = &s.samples[n-1]
	}
	s.readMetrics(ctx, client, &one, last)
	s.samples = append(s.samples, one)
	if s.Progress != nil {
		s.Progress(Event{Sample: &one, Last: last, Until: s.lead() + s.Scenario.Duration.Of()})
	}
}

// readMetrics fills in what the server says of itself. Where it says nothing,
// it is as it was.
func (s *session) readMetrics(ctx context.Context, client *http.Client, one, last *report.Sample) {
	if last != nil {
		one.Taken, one.CPU, one.RSS, one.Syncs, one.GCCPU = last.Taken, last.CPU, last.RSS, last.Syncs, last.GCCPU
	}
	if s.admin == "" {
		return
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.admin+"/metrics", nil)
	if err != nil {
		return
	}
	response, err := client.Do(request)
	if err != nil {
		return // it is down
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, metricsMax))
	if _ = response.Body.Close(); err != nil {
		return
	}
	for line := range strings.Lines(string(text)) {
		name, rest, _ := strings.Cut(line, " ")
		value, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
		if err != nil {
			continue
		}
		switch {
		case strings.HasPrefix(name, "weir_campaign_taken"):
			one.Taken = int64(value)
		case strings.HasPrefix(name, "weir_campaign_issued"):
			one.Issued = max(one.Issued, int64(value))
		case name == "process_cpu_seconds_total":
			one.CPU = value
		case name == "process_resident_memory_bytes":
			one.RSS = value
		case name == "weir_journal_syncs_total":
			one.Syncs = value
		case name == "go_gc_cpu_seconds_total":
			one.GCCPU = value
		}
	}
}
