//go:build linux

package overload

import (
	"bytes"
	"net/http"
	"strconv"
	"time"

	"weir/loadtest/openloop"

	"github.com/HdrHistogram/hdrhistogram-go"
)

const latencyMax = time.Minute

// sheet is where a run writes down what became of requests. Those that were
// due before origin, or not before until, count in the totals alone.
type sheet struct {
	origin    time.Duration
	until     time.Duration // 0: there is no end
	dueCount  int64
	goodCount int64
	good      []int64                 // booked in time, by the second behind origin in which it was due
	latency   *hdrhistogram.Histogram // µs from due to booked
	ended     map[string]*int64       // by status and code, or failure
	key       []byte                  // of ended, used again

	booked int64 // from the start
}

func newSheet(origin time.Duration) *sheet {
	return &sheet{
		origin: origin, ended: map[string]*int64{},
		latency: hdrhistogram.New(1, latencyMax.Microseconds(), 3),
	}
}

func (s *sheet) counts(due time.Duration) bool {
	return due >= s.origin && (s.until == 0 || due < s.until)
}

// due notes somebody who comes.
func (s *sheet) due(at time.Duration) {
	if s.counts(at) {
		s.dueCount++
	}
}

// note notes what became of a booking that was due at a time, and tells whether
// it was booked. A booking that an earlier request had made counts as well.
func (s *sheet) note(due time.Duration, a *openloop.Answer) (booked bool) {
	booked = a.Failure == openloop.None && (a.Status == http.StatusCreated || a.Status == http.StatusOK)
	if booked {
		s.booked++
	}
	if !s.counts(due) {
		return booked
	}
	s.count(a)
	if !booked {
		return false
	}
	latency := a.At - due
	_ = s.latency.RecordValue(min(latency, latencyMax).Microseconds()) // within its range, so it can't fail
	if latency <= goodWithin {
		s.goodCount++
		second := int((due - s.origin) / time.Second)
		for second >= len(s.good) {
			s.good = append(s.good, 0)
		}
		s.good[second]++
	}
	return true
}

// count counts an outcome by its name: "201", "503 overloaded", "timed out".
func (s *sheet) count(a *openloop.Answer) {
	s.key = s.key[:0]
	if a.Failure != openloop.None {
		s.key = append(s.key, a.Failure.String()...)
	} else {
		s.key = strconv.AppendInt(s.key, int64(a.Status), 10)
		if code := problemCode(a.Body); code != nil && a.Status >= http.StatusBadRequest {
			s.key = append(append(s.key, ' '), code...)
		}
	}
	n, ok := s.ended[string(s.key)]
	if !ok {
		n = new(int64)
		s.ended[string(s.key)] = n
	}
	*n++
}

// problemCode is the code of a problem document; nil where there is none.
func problemCode(body []byte) []byte {
	_, rest, found := bytes.Cut(body, []byte(`"code":"`))
	code, _, closed := bytes.Cut(rest, []byte(`"`))
	if !found || !closed {
		return nil
	}
	return code
}

func (s *sheet) outcomes() map[string]int64 {
	outcomes := make(map[string]int64, len(s.ended))
	for name, n := range s.ended {
		outcomes[name] = *n
	}
	return outcomes
}

// millis is a percentile of the time from due to booked; 0 where nobody was.
func (s *sheet) millis(percentile float64) float64 {
	if s.latency.TotalCount() == 0 {
		return 0
	}
	return float64(s.latency.ValueAtQuantile(percentile)) / 1e3
}

// shares are the bookings in time of each second behind origin, of what was
// offered in a second.
func (s *sheet) shares(perSecond float64) []float64 {
	shares := make([]float64, len(s.good))
	for i, n := range s.good {
		shares[i] = float64(n) / perSecond
	}
	return shares
}

// meanShare is the mean of shares of the whole seconds in [from, to) behind
// origin; not known where there is no such second.
func (s *sheet) meanShare(perSecond float64, from, to time.Duration) (share float64, known bool) {
	shares := s.shares(perSecond)
	first, end := int(from/time.Second), int(to/time.Second)
	if first >= end {
		return 0, false
	}
	sum := 0.0
	for second := first; second < min(end, len(shares)); second++ { // in those that are missing nobody was booked
		sum += shares[second]
	}
	return sum / float64(end-first), true
}
