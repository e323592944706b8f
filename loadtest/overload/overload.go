//go:build linux

package overload

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"weir/loadtest/process"
)

// Options say how long and how hard. Zero values are replaced by Defaults.
type Options struct {
	Binary    string        // of weir; built where empty
	Dir       string        // for data, on the disk that is measured; the system's place for such where empty
	Share     float64       // of one CPU, for the server
	Rounds    int           // of all loads on all servers; the medians count
	Multiples []float64     // of the capacity, of the steps
	Step      time.Duration // length of each, of the surge and of the pulse that sets a storm off
	Settle    time.Duration // at the start of a step, not counted
	Fade      time.Duration // that a step's load goes on for behind it, not counted
	After     time.Duration // that a surge and a storm are watched for when they are over

	Connections int           // at a time; 0: what the server does in standing
	Patience    time.Duration // of people, from when they are due
	ConnectWait time.Duration // for a free connection

	Log func(format string, args ...any) // progress; nil: none
}

// Defaults take about half an hour. Until a step has settled, connections that
// all came at once have got through: the kernel asks again after one and three
// seconds for those that found the listener's queue full. Behind the step the
// load goes on until whoever was due in it has an answer: were it to end, the
// server would have time for those who waited longest.
func Defaults() Options {
	return Options{
		Share: 0.12, Rounds: 3, Multiples: []float64{0.5, 0.8, 1, 2, 5, 10, 20},
		Step: 18 * time.Second, Settle: 8 * time.Second, Fade: 12 * time.Second, After: 15 * time.Second,
		Patience: 15 * time.Second, ConnectWait: 10 * time.Millisecond,
	}
}

const (
	goodWithin     = 2 * time.Second // of being due
	usual          = 0.8             // of the capacity: the load that is to be no trouble
	surge          = 10              // times the capacity, before the fall
	pulse          = 3               // times the capacity, that sets a storm off
	recoverWithin  = 5 * time.Second
	standing       = 1.5    // seconds of the server's work that connections stand for by default
	connectionsMax = 15_000 // by default, whatever the server can do: descriptors are not endless
	readyTimeout   = time.Minute
	groupName      = "weir-overload"
)

// Run measures and returns what it found, with every threshold checked. It
// fails where it can't measure: no quota (ErrQuota), a server that ends. What
// was measured until then is in the report.
func Run(ctx context.Context, o Options) (report *Report, err error) {
	o.setDefaults()
	report = newReport(&o)
	dir, err := os.MkdirTemp(o.Dir, "weir-overload-")
	if err != nil {
		return report, fmt.Errorf("overload: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	group, err := newQuota(fmt.Sprintf("%s-%d", groupName, os.Getpid()), o.Share)
	if err != nil {
		return report, fmt.Errorf("overload: %w", err)
	}
	defer func() { err = errors.Join(err, group.remove()) }()
	if o.Binary == "" {
		if o.Binary, err = process.Build(ctx, dir); err != nil {
			return report, fmt.Errorf("overload: %w", err)
		}
	}
	r := &runner{Options: o, group: group, report: report}
	if r.stage, err = newStage(dir); err != nil {
		return report, fmt.Errorf("overload: %w", err)
	}
	err = r.measure(ctx)
	report.summarize()
	if err != nil {
		return report, fmt.Errorf("overload: %w", err)
	}
	report.check()
	return report, nil
}

func (o *Options) setDefaults() {
	d := Defaults()
	replace(&o.Share, d.Share)
	replace(&o.Rounds, d.Rounds)
	replace(&o.Step, d.Step)
	replace(&o.Settle, d.Settle)
	replace(&o.Fade, d.Fade)
	replace(&o.After, d.After)
	replace(&o.Patience, d.Patience)
	replace(&o.ConnectWait, d.ConnectWait)
	if len(o.Multiples) == 0 {
		o.Multiples = d.Multiples
	}
	if o.Log == nil {
		o.Log = func(string, ...any) {}
	}
}

func replace[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// runner is one Run.
type runner struct {
	Options
	stage    *stage
	group    *quota
	report   *Report
	capacity float64 // of the round, bookings/s
	started  int     // servers so far
	next     int64   // person who has not asked yet, on the server at hand
}

// measure takes one server after the other, so that each has the machine to
// itself, and all of them again in each round: what the machine does slower or
// faster for a while, it does to all. So the capacity is measured in each round,
// too, as the measure for both.
func (r *runner) measure(ctx context.Context) (err error) {
	if r.report.Arms, err = r.arms(ctx); err != nil {
		return err
	}
	for range r.Rounds {
		if err := r.measureClosed(ctx); err != nil {
			return fmt.Errorf("closed loops: %w", err)
		}
		for _, arm := range r.report.Arms {
			if err := r.measureArm(ctx, arm); err != nil {
				return fmt.Errorf("%s: %w", arm.Name, err)
			}
		}
	}
	return nil
}

func (r *runner) measureArm(ctx context.Context, arm *Arm) (err error) {
	s, err := r.start(ctx, arm.Args)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	r.next = 0
	round := &Round{}
	arm.Rounds = append(arm.Rounds, round)
	for _, multiple := range r.Multiples {
		step, err := r.step(ctx, s, multiple)
		if err != nil {
			return fmt.Errorf("%g times the capacity: %w", multiple, err)
		}
		round.Steps = append(round.Steps, step)
		r.Log("%s: %s", arm.Name, step)
	}
	if round.Fall, err = r.fall(ctx, s); err != nil {
		return fmt.Errorf("surge and fall: %w", err)
	}
	r.Log("%s: %s", arm.Name, round.Fall)
	if round.Storm, err = r.storm(ctx, s); err != nil {
		return fmt.Errorf("storm of retries: %w", err)
	}
	r.Log("%s: %s", arm.Name, round.Storm)
	return nil
}

// peopleNeeded is how many ask one server, with some to spare for rounding.
func (r *runner) peopleNeeded() int {
	arrivals := arrivalsOf(r.fallLoad()) + arrivalsOf(r.stormLoad())
	for _, multiple := range r.Multiples {
		arrivals += arrivalsOf(r.stepLoad(multiple))
	}
	return int(arrivals*r.capacity) + 10*(len(r.Multiples)+2)
}
