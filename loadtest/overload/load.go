//go:build linux

package overload

import (
	"context"
	"fmt"
	"time"

	"weir/loadtest/openloop"
	"weir/loadtest/process"
)

// piece is a load for a time, in multiples of the capacity.
type piece struct {
	length   time.Duration
	multiple float64
}

func (r *runner) stepLoad(multiple float64) []piece { return []piece{{r.Step + r.Fade, multiple}} }

func (r *runner) fallLoad() []piece { return []piece{{r.Step, surge}, {r.After, usual}} }

func (r *runner) stormLoad() []piece {
	return []piece{{r.Settle, usual}, {r.Step, pulse}, {r.After, usual}}
}

// arrivalsOf is how many come where the capacity is one a second.
func arrivalsOf(load []piece) (n float64) {
	for _, p := range load {
		n += p.multiple * p.length.Seconds()
	}
	return n
}

func (r *runner) curve(load []piece) (*openloop.Curve, error) {
	var points []openloop.Point
	at := time.Duration(0)
	for _, p := range load {
		rate := p.multiple * r.capacity
		points = append(points, openloop.Point{At: at, PerSecond: rate}, openloop.Point{At: at + p.length, PerSecond: rate})
		at += p.length
	}
	return openloop.NewCurve(points...)
}

// step offers one load for a while.
func (r *runner) step(ctx context.Context, s *process.Server, multiple float64) (*Step, error) {
	curve, err := r.curve(r.stepLoad(multiple))
	if err != nil {
		return nil, err
	}
	seen := newSheet(r.Settle)
	seen.until = r.Step
	measured, err := r.offer(ctx, s, curve, 1, r.stream(curve, seen))
	if err != nil {
		return nil, err
	}
	seconds := (r.Step - r.Settle).Seconds()
	return &Step{
		Multiple: multiple, Offered: float64(seen.dueCount) / seconds, Goodput: float64(seen.goodCount) / seconds,
		OfCapacity: float64(seen.goodCount) / seconds / r.capacity,
		P50Millis:  seen.millis(50), P99Millis: seen.millis(99),
		Outcomes: seen.outcomes(), Booked: seen.booked, Measured: *measured,
	}, nil
}

// fall offers many times the capacity, and then the usual load.
func (r *runner) fall(ctx context.Context, s *process.Server) (*Fall, error) {
	curve, err := r.curve(r.fallLoad())
	if err != nil {
		return nil, err
	}
	seen := newSheet(r.Step)
	measured, err := r.offer(ctx, s, curve, 1, r.stream(curve, seen))
	if err != nil {
		return nil, err
	}
	return &Fall{Multiple: surge, Recovery: r.recovery(seen), Measured: *measured}, nil
}

// recovery is what a sheet says whose origin is the end of an overload.
func (r *runner) recovery(seen *sheet) Recovery {
	offered := usual * r.capacity
	share, known := seen.meanShare(offered, recoverWithin, r.After)
	return Recovery{Shares: seen.shares(offered), Share: share, Known: known}
}

// stream has one person after the other ask once.
func (r *runner) stream(curve *openloop.Curve, seen *sheet) openloop.Driver {
	first := r.next
	r.next += curve.Count()
	return &openloop.Stream{
		Curve:   curve,
		Request: func(dst []byte, n int64) []byte { return r.stage.appendBooking(dst, first+n, "") },
		Judge: func(request openloop.Request, a *openloop.Answer) openloop.Label {
			seen.due(request.Due)
			seen.note(request.Due, a)
			return 0
		},
	}
}

// offer runs a driver against the server, and measures both. It begins when
// the server has done what was left to do.
func (r *runner) offer(ctx context.Context, s *process.Server, curve *openloop.Curve, clients int, driver openloop.Driver) (*Measured, error) {
	if err := quiet(ctx, s, r.Share); err != nil {
		return nil, err
	}
	engine, err := openloop.New(openloop.Options{
		Addr: s.Addr, Labels: []string{"request"}, Clients: clients,
		Driver:   func(int) openloop.Driver { return driver },
		Duration: curve.End(), Drain: r.Patience + time.Second,
		Patience: r.Patience, Timeout: r.Patience, ConnectWait: r.ConnectWait,
		Connections: r.connections(), Sources: r.connections(), // people do not all come from one address
	})
	if err != nil {
		return nil, err
	}
	before, err := processCPU(s.PID())
	if err != nil {
		return nil, err
	}
	result, err := engine.Run(ctx)
	if err != nil {
		return nil, err
	}
	after, err := processCPU(s.PID())
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, s.Log())
	}
	m := &Measured{
		ServerCPUSeconds: (after - before).Seconds(), LoaderCPUSeconds: result.ClientCPU.Seconds(),
		Seconds: result.Elapsed.Seconds(), ConnectionsPeak: result.OpenPeak,
		LatenessP99Millis: float64(result.Lateness.ValueAtQuantile(99)) / 1e6,
	}
	if err := result.Valid(openloop.Bounds{}); err != nil {
		m.Invalid = err.Error()
	}
	return m, nil
}
