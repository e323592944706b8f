//go:build linux

package openloop

import "time"

// Stream is a Driver that sends a request for each arrival of a curve, whatever
// becomes of those before it. It needs one client. With several loops each has
// a Stream of its own, which sends every Loops-th arrival.
type Stream struct {
	Curve *Curve
	Label Label // of all requests
	Loop  int   // first arrival, from 0
	Loops int   // step; 1 where 0

	// Request appends the nth request of the curve, from 0.
	Request func(dst []byte, n int64) []byte
	// Judge returns the label to record a request under, whose Tag is its number
	// in the curve; nil: Label. What the answer points to is valid during the
	// call alone.
	Judge func(r Request, a *Answer) Label
	// Jitter spreads arrivals: it returns a number in [0,1) for the nth, which
	// then comes that share of the way to the next. nil: none.
	Jitter func(n int64) float64

	next int64
}

var _ Driver = (*Stream)(nil)

// Start sets the timer of the first arrival.
func (s *Stream) Start(l *Loop) {
	s.Loops = max(s.Loops, 1)
	s.next = int64(s.Loop)
	s.schedule(l)
}

// Wake sends what is due by now.
func (s *Stream) Wake(l *Loop, _ Client, _ time.Duration) {
	until := l.Now() // and not what comes due while this goes on: answers are to be read, too
	for s.next < s.Curve.Count() {
		due := s.due(s.next)
		if due > until {
			break
		}
		l.Send(Request{Label: s.Label, Tag: uint64(s.next), Due: due})
		s.next += int64(s.Loops)
	}
	s.schedule(l)
}

func (s *Stream) schedule(l *Loop) {
	if s.next < s.Curve.Count() {
		l.WakeAt(0, s.due(s.next))
	}
}

func (s *Stream) due(n int64) time.Duration {
	if s.Jitter == nil {
		return s.Curve.At(float64(n))
	}
	return s.Curve.At(float64(n) + s.Jitter(n))
}

// Compose appends the request of an arrival.
func (s *Stream) Compose(dst []byte, r Request) []byte { return s.Request(dst, int64(r.Tag)) }

// Ended asks Judge.
func (s *Stream) Ended(_ *Loop, r Request, a *Answer) Label {
	if s.Judge == nil {
		return r.Label
	}
	return s.Judge(r, a)
}
