//go:build linux

package openloop

import (
	"errors"
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Counters are counts since the start of a run.
type Counters struct {
	Planned  int64 // requests handed to Send
	Offered  int64 // of these, taken up within LateMax of being due, and not refused for a full queue
	Sent     int64 // written to a connection, at least in part
	Answered int64
	Failed   int64 // ended with a Failure

	Waiting  int64 // for a connection, now
	InFlight int64 // on a connection, now
	Open     int64 // connections, now
	OpenPeak int64
	Dialled  int64 // connections that were tried
	Refused  int64 // of these, not made
	Strays   int64 // connections closed for bytes that nobody asked for
}

func (c *Counters) add(o Counters) {
	c.Planned += o.Planned
	c.Offered += o.Offered
	c.Sent += o.Sent
	c.Answered += o.Answered
	c.Failed += o.Failed
	c.Waiting += o.Waiting
	c.InFlight += o.InFlight
	c.Open += o.Open
	c.OpenPeak += o.OpenPeak
	c.Dialled += o.Dialled
	c.Refused += o.Refused
	c.Strays += o.Strays
}

// Result is what came back.
type Result struct {
	Counters
	Elapsed   time.Duration // from the start to the end of the last loop
	ClientCPU time.Duration // user and system time of the loops' threads

	Labels []LabelResult // as in Options.Labels
	Slices []Slice       // by when requests were due

	// Lateness is the loader's own: nanoseconds from when a request was due
	// until the loop took it up.
	Lateness *hdrhistogram.Histogram
	// Wait is how long requests then waited for a connection, in nanoseconds,
	// of those that were sent.
	Wait *hdrhistogram.Histogram

	lateMax time.Duration
}

// LabelResult is what was recorded under one label.
type LabelResult struct {
	Name     string
	Due      int64                   // requests handed to Send under it
	ByStatus map[int]int64           // answers recorded under it
	Failures map[Failure]int64       // the others recorded under it
	Latency  *hdrhistogram.Histogram // nanoseconds from due to the end, of the answers
}

// Answers is the number of answers recorded under the label.
func (r *LabelResult) Answers() int64 { return r.Latency.TotalCount() }

// Slice is a stretch of time, with what was due in it.
type Slice struct {
	Start  time.Duration
	Labels []SliceLabel // as in Options.Labels
}

// SliceLabel is what was recorded under one label, of one slice.
type SliceLabel struct {
	Due      int64
	Answers  int64
	Failures int64
	Latency  *hdrhistogram.Histogram // microseconds from due to the end, of the answers; nil where there are none
}

// Bounds are what a run must keep to be worth anything.
type Bounds struct {
	OfferedShare float64       // Offered of Planned, at least; 0.99 where 0
	LatenessP99  time.Duration // at most; 10 ms where 0
}

// ErrInvalid says that the loader, not the server, fell short.
var ErrInvalid = errors.New("run is not valid")

// Valid returns an error (ErrInvalid) that says where the loader did not offer
// what it should have, and nil where it did.
func (r *Result) Valid(b Bounds) error {
	if b.OfferedShare == 0 {
		b.OfferedShare = 0.99
	}
	setDefault(&b.LatenessP99, 10*time.Millisecond)
	if r.Planned == 0 {
		return fmt.Errorf("%w: nothing was offered", ErrInvalid)
	}
	var faults []error
	if share := float64(r.Offered) / float64(r.Planned); share < b.OfferedShare {
		faults = append(faults, fmt.Errorf("%w: %.2f %% of %d requests were offered within %v of being due, at least %.2f %% must be",
			ErrInvalid, 100*share, r.Planned, r.lateMax, 100*b.OfferedShare))
	}
	if p99 := time.Duration(r.Lateness.ValueAtQuantile(99)); p99 > b.LatenessP99 {
		faults = append(faults, fmt.Errorf("%w: the loader was %v late at the 99th percentile, at most %v is allowed; give it more CPU or less to do",
			ErrInvalid, p99.Round(time.Microsecond), b.LatenessP99))
	}
	return errors.Join(faults...)
}

func gather(o *Options, loops []*Loop, elapsed time.Duration) *Result {
	r := &Result{Elapsed: elapsed, Lateness: newLatency(), Wait: newLatency(), lateMax: o.LateMax}
	for _, name := range o.Labels {
		r.Labels = append(r.Labels, LabelResult{
			Name: name, ByStatus: map[int]int64{}, Failures: map[Failure]int64{}, Latency: newLatency(),
		})
	}
	for _, l := range loops {
		r.add(l.counters)
		r.ClientCPU += l.cpu
		r.Lateness.Merge(l.record.lateness)
		r.Wait.Merge(l.record.wait)
		for i := range l.record.labels {
			r.Labels[i].add(&l.record.labels[i])
		}
		for i, slice := range l.record.slices {
			if i == len(r.Slices) {
				r.Slices = append(r.Slices, Slice{
					Start: time.Duration(i) * o.Slice, Labels: make([]SliceLabel, len(o.Labels)),
				})
			}
			r.Slices[i].add(slice)
		}
	}
	return r
}

func (r *LabelResult) add(l *labelRecord) {
	r.Due += l.due
	r.Latency.Merge(l.latency)
	for status, n := range l.byStatus {
		if n > 0 {
			r.ByStatus[status] += n
		}
	}
	for failure, n := range l.failures {
		if n > 0 {
			r.Failures[Failure(failure)] += n
		}
	}
}

func (s *Slice) add(labels []SliceLabel) {
	for i, l := range labels {
		sum := &s.Labels[i]
		sum.Due += l.Due
		sum.Answers += l.Answers
		sum.Failures += l.Failures
		if l.Latency == nil {
			continue
		}
		if sum.Latency == nil {
			sum.Latency = newSliceLatency()
		}
		sum.Latency.Merge(l.Latency)
	}
}
