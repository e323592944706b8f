//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"

	"weir/loadtest/loader"
)

const (
	bookingsPath = "/v1/campaigns/" + campaignID + "/bookings"
	httpSlots    = 480_000 // those of 2,500 sites
	httpCapacity = 50
)

// target is a server that is measured.
type target struct {
	name  string
	addr  string
	admin string // "": it has none
	pids  []int  // of its processes; their children count as well
}

// round is what one target did in one round.
type round struct {
	answered  int64
	byStatus  map[int]int64
	perSecond float64
	cpu       float64 // µs a request
	switches  float64 // a request
	client    float64 // µs of the loader's CPU a request
	fsyncs    float64 // a second
	p50, p99  float64 // ms
	p999      float64
}

// share is that of the answers of a status.
func (r *round) share(status int) float64 { return float64(r.byStatus[status]) / float64(r.answered) }

// runHTTP sends the same bookings to a bare server, to weir with the journal
// that keeps nothing and to weir that keeps everything, in turns.
func runHTTP(ctx context.Context, o *options, s *Section) error {
	return withField(ctx, o, httpCapacity, func(f *field) error {
		if err := f.start(ctx); err != nil {
			return err
		}
		if err := o.inRounds(func(n int) error { return f.round(ctx, o, s, n) }); err != nil {
			return err
		}
		s.note("every answer was 201; %d connections, %d requests a round, each by another person for a random one of %d slots",
			o.connections, o.requests, f.rules.SlotCount())
		return nil
	})
}

// round has all targets take the same requests, one target after the other.
// Round 0 warms up and is dropped.
func (f *field) round(ctx context.Context, o *options, s *Section, n int) error {
	crowd, err := f.crowd(n*o.requests, o.requests, f.anySlot)
	if err != nil {
		return err
	}
	var bare round
	for i, t := range f.targets {
		r, err := t.measure(ctx, crowd.load(o))
		if err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		if i == 0 {
			bare = r
		}
		if n > 0 {
			s.entry(t.name).addRound(t, r, bare, "bare")
		}
	}
	return nil
}

// addRound notes r beside what base, of that name, did in the same round.
func (c *Case) addRound(t *target, r, base round, name string) {
	c.add("requests", "1/s", r.perSecond)
	c.add("of "+name, "", r.perSecond/base.perSecond)
	c.add("server CPU", "µs/request", r.cpu)
	c.add("CPU of "+name, "", r.cpu/base.cpu)
	c.addDetails(t, r)
}

// addDetails notes what there is of r beside its rate and its CPU time.
func (c *Case) addDetails(t *target, r round) {
	c.add("p50", "ms", r.p50)
	c.add("p99", "ms", r.p99)
	c.add("p99.9", "ms", r.p999)
	c.add("context switches", "1/request", r.switches)
	if t.admin != "" {
		c.add("fsyncs", "1/s", r.fsyncs)
	}
	c.add("loader CPU", "µs/request", r.client)
}

// load is one booking of everybody in the crowd.
func (c *crowd) load(o *options) loader.Options {
	return loader.Options{Connections: o.connections, Requests: int64(o.requests), Next: c.asks(), Check: created}
}

// measure puts the load on the target. It fails where a single answer does not
// pass its check.
func (t *target) measure(ctx context.Context, load loader.Options) (round, error) {
	syncsBefore, err := t.fsyncs(ctx)
	if err != nil {
		return round{}, err
	}
	before, err := usageOfTrees(t.pids...)
	if err != nil {
		return round{}, err
	}
	load.Addr = t.addr
	result, err := loader.Run(ctx, load)
	if err != nil {
		return round{}, err
	}
	after, err := usageOfTrees(t.pids...)
	if err != nil {
		return round{}, err
	}
	syncsAfter, err := t.fsyncs(ctx)
	if err != nil {
		return round{}, err
	}
	if result.Errors > 0 || (load.Duration == 0 && result.Requests != load.Requests) {
		return round{}, fmt.Errorf("%d errors, answers by status %v: %w",
			result.Errors, result.ByStatus, errors.Join(result.FirstErrors...))
	}
	used, requests := after.since(before), float64(result.Requests)
	quantile := func(q float64) float64 { return float64(result.Latency.ValueAtQuantile(q)) / 1e6 }
	return round{
		answered:  result.Requests,
		byStatus:  result.ByStatus,
		perSecond: result.PerSecond(),
		cpu:       float64(used.cpu.Microseconds()) / requests,
		switches:  float64(used.switches) / requests,
		client:    float64(result.ClientCPU.Microseconds()) / requests,
		fsyncs:    (syncsAfter - syncsBefore) / result.Elapsed.Seconds(),
		p50:       quantile(50), p99: quantile(99), p999: quantile(99.9),
	}, nil
}

// check judges an answer, as loader.Options has it.
type check func(conn, status int, body []byte) error

// created takes a new booking.
var created = answer(http.StatusCreated, `{"code":"`)

// answer takes answers of that status whose body has text in it.
func answer(wanted int, text string) check {
	within := []byte(text)
	return func(_, status int, body []byte) error {
		if status != wanted || !bytes.Contains(body, within) {
			return fmt.Errorf("status %d: %s", status, body[:min(len(body), 200)])
		}
		return nil
	}
}
