//go:build linux

package openloop

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// latencyMax bounds the histograms, and so patience and timeout.
const latencyMax = 10 * time.Minute

// newLatency makes a histogram of nanoseconds, to 0.1 %: 240 KB.
func newLatency() *hdrhistogram.Histogram { return hdrhistogram.New(1, int64(latencyMax), 3) }

// newSliceLatency makes one of microseconds, to 1 %: 22 KB.
func newSliceLatency() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, latencyMax.Microseconds(), 2)
}

// recorder keeps the figures of one loop. It allocates when a slice of time is
// begun, and when a label is first answered in it.
type recorder struct {
	slice    time.Duration
	labels   []labelRecord
	slices   [][]SliceLabel // by slice and label
	lateness *hdrhistogram.Histogram
	wait     *hdrhistogram.Histogram
}

type labelRecord struct {
	due      int64
	byStatus [statusMax + 1]int64
	failures [failures]int64
	latency  *hdrhistogram.Histogram
}

func newRecorder(o *Options) *recorder {
	r := &recorder{
		slice: o.Slice, labels: make([]labelRecord, len(o.Labels)),
		lateness: newLatency(), wait: newLatency(),
	}
	for i := range r.labels {
		r.labels[i].latency = newLatency()
	}
	return r
}

func (r *recorder) due(label Label, due time.Duration) {
	r.labels[label].due++
	r.at(label, due).Due++
}

func (r *recorder) ended(label Label, due time.Duration, a *Answer) {
	l, s := &r.labels[label], r.at(label, due)
	if a.Failure != None {
		l.failures[a.Failure]++
		s.Failures++
		return
	}
	l.byStatus[a.Status]++
	s.Answers++
	if s.Latency == nil {
		s.Latency = newSliceLatency()
	}
	latency := a.At - due
	observe(l.latency, int64(latency))
	observe(s.Latency, latency.Microseconds())
}

// at returns the record of the slice that due lies in.
func (r *recorder) at(label Label, due time.Duration) *SliceLabel {
	i := int(min(due/r.slice, slicesMax))
	for i >= len(r.slices) {
		r.slices = append(r.slices, make([]SliceLabel, len(r.labels)))
	}
	return &r.slices[i][label]
}

// observe records a value within the histogram's range, so that it can't fail.
func observe(h *hdrhistogram.Histogram, value int64) {
	_ = h.RecordValue(min(max(value, 0), h.HighestTrackableValue()))
}
