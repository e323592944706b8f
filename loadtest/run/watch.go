//go:build linux

package run

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"weir/loadtest/report"
)

const (
	sampleEvery   = time.Second
	metricsMax    = 4 << 20
	metricsPeriod = 500 * time.Millisecond // that a reading may take
)

// watch takes a sample a second and kills the server where that is asked for,
// until the context ends.
func (s *session) watch(ctx context.Context) {
	ticker := time.NewTicker(sampleEvery)
	defer ticker.Stop()
	client := http.Client{Timeout: metricsPeriod}
	defer client.CloseIdleConnections()
	nextKill := s.KillEvery
	for {
		select {
		case <-ctx.Done():
			s.sample(context.WithoutCancel(ctx), &client)
			return
		case <-ticker.C:
		}
		s.sample(ctx, &client)
		if s.server == nil {
			continue
		}
		if err := s.server.ended(); err != nil {
			s.failures = append(s.failures, err)
			return
		}
		if since := time.Since(s.began) - s.lead(); s.killDue(since, nextKill) {
			nextKill += s.KillEvery
			s.kill(ctx)
		}
	}
}

// killDue says whether it is time to kill: while people still come.
func (s *session) killDue(since, next time.Duration) bool {
	return s.KillEvery > 0 && since >= next && since < s.Scenario.Duration.Of() &&
		(s.Kills == 0 || len(s.server.downs) < s.Kills)
}

func (s *session) kill(ctx context.Context) {
	if err := s.server.restart(ctx); err != nil {
		if ctx.Err() == nil {
			s.failures = append(s.failures, fmt.Errorf("restart the server: %w", err))
		}
		return
	}
	d := s.server.downs[len(s.server.downs)-1]
	s.say("killed the server; it was back after %v", d.to.Sub(d.from).Round(time.Millisecond))
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
