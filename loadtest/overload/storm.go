//go:build linux

package overload

import (
	"context"
	"time"

	"weir/loadtest/openloop"
	"weir/loadtest/process"
	stages "weir/loadtest/stage"
)

const (
	triesMax    = 4 // the first and three more, at once
	reloadsMax  = 3
	reloadAfter = time.Second // and up to as much again
)

// storm has people who do not take no for an answer: who is refused, or hears
// nothing, asks again at once, three times, and then loads the page and starts
// over, three times. A pulse of load sets it off. What a server has to show is
// that it goes back to its work when the pulse is over, whatever those who are
// left do.
func (r *runner) storm(ctx context.Context, s *process.Server) (*Storm, error) {
	curve, err := r.curve(r.stormLoad())
	if err != nil {
		return nil, err
	}
	seen := newSheet(r.Settle + r.Step)
	d := &impatient{stage: r.stage, curve: curve, seen: seen, pages: newSheet(seen.origin), first: r.next, people: make([]patience, curve.Count())}
	r.next += curve.Count()
	measured, err := r.offer(ctx, s, curve, len(d.people)+1, d)
	if err != nil {
		return nil, err
	}
	return &Storm{
		People: int64(len(d.people)), Requests: d.requests, Left: d.left, Booked: seen.booked,
		Outcomes: seen.outcomes(), Pages: d.pages.outcomes(), Recovery: r.recovery(seen), Measured: *measured,
	}, nil
}

// impatient is the driver of a storm. Client 0 is the timer of the arrivals,
// client n+1 the nth person.
type impatient struct {
	stage    *stage
	curve    *openloop.Curve
	seen     *sheet
	pages    *sheet // behind the pulse: what became of the pages between bookings
	first    int64  // number of the first person in the stage
	people   []patience
	come     int64 // people so far
	requests int64
	left     int64 // people who gave up for good
}

// patience is what somebody has used up.
type patience struct {
	tries   uint8 // since the page was loaded
	reloads uint8
}

// What a request is for: openloop.Request.Step.
const (
	booking uint8 = iota
	page
)

func (d *impatient) Start(l *openloop.Loop) { l.WakeAt(0, d.curve.At(0)) }

func (d *impatient) Wake(l *openloop.Loop, client openloop.Client, due time.Duration) {
	if client > 0 {
		d.ask(l, client, page, due)
		return
	}
	until := l.Now()
	for d.come < int64(len(d.people)) {
		at := d.curve.At(float64(d.come))
		if at > until {
			l.WakeAt(0, at)
			return
		}
		d.come++
		d.seen.due(at)
		d.ask(l, openloop.Client(d.come), booking, at)
	}
}

func (d *impatient) ask(l *openloop.Loop, client openloop.Client, what uint8, due time.Duration) {
	d.requests++
	l.Send(openloop.Request{Client: client, Step: what, Due: due})
}

func (d *impatient) Compose(dst []byte, r openloop.Request) []byte {
	if r.Step == page {
		return appendPage(dst)
	}
	return d.stage.appendBooking(dst, d.first+int64(r.Client-1), "")
}

func (d *impatient) Ended(l *openloop.Loop, r openloop.Request, a *openloop.Answer) openloop.Label {
	if r.Step == booking && d.seen.note(r.Due, a) || a.Failure == openloop.Cut {
		return 0
	}
	if r.Step == page && r.Due >= d.seen.origin {
		d.pages.count(a)
	}
	p := &d.people[r.Client-1]
	switch {
	case r.Step == page: // loaded or not
		p.tries = 0
		d.ask(l, r.Client, booking, l.Now())
	case p.tries+1 < triesMax:
		p.tries++
		d.ask(l, r.Client, booking, l.Now())
	case p.reloads < reloadsMax:
		p.reloads++
		spread := time.Duration(stages.Scatter(uint64(r.Client)) % uint64(reloadAfter))
		l.WakeAt(r.Client, l.Now()+reloadAfter+spread)
	default:
		d.left++
	}
	return 0
}
