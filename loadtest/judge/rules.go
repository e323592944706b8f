package judge

import (
	"slices"
	"time"

	"weir/core/campaign"
	"weir/core/event"
	"weir/loadtest/answers"
)

// rules say what the definition allows whom and when. They are worked out here
// once more, from the definition's plain data and not by the code that the
// server decides with, and slowly.
type rules struct {
	*campaign.Definition
	moments []event.Time // at which any of the windows opens or closes or a line opens; ascending
}

func newRules(d *campaign.Definition) *rules {
	r := &rules{Definition: d}
	for i := range d.Windows {
		w := &d.Windows[i]
		r.moments = append(r.moments, r.lineOpens(w), w.Opens, w.Closes)
	}
	slices.Sort(r.moments)
	return r
}

// lineOpens is when people may begin to wait for a window. Where there is no
// line they may when it opens.
func (r *rules) lineOpens(w *campaign.Window) event.Time {
	if !r.Line.Enabled {
		return w.Opens
	}
	return w.Opens - event.Time(r.Line.OpensBefore.Milliseconds())
}

// standing is what the rules say of somebody at a moment.
type standing struct {
	reason   answers.Reason
	hasNext  bool // a window of theirs is still to open
	lineOpen bool // they may wait for a window to come
	anyLine  bool // somebody may, or may book
}

func (r *rules) at(born campaign.Date, now event.Time) standing {
	s := standing{reason: answers.NotInAnyCohort}
	closed := false
	for i := range r.Windows {
		w := &r.Windows[i]
		s.anyLine = s.anyLine || r.lineOpens(w) <= now && now < w.Closes
		if !slices.ContainsFunc(w.Cohorts, func(c int) bool { return r.Cohorts[c].From <= born && born <= r.Cohorts[c].To }) {
			continue
		}
		switch {
		case now < w.Opens:
			s.hasNext = true
			s.lineOpen = s.lineOpen || now >= r.lineOpens(w)
		case now < w.Closes:
			s.reason = answers.Eligible
			continue
		default:
			closed = true
		}
		if s.reason == answers.NotInAnyCohort {
			s.reason = answers.WindowNotOpen
		}
	}
	if closed && s.reason == answers.WindowNotOpen {
		s.reason = answers.WindowClosed
	}
	return s
}

// any says whether yes holds of what the rules say of somebody at some moment
// from the first to the last.
func (r *rules) any(born campaign.Date, s span, yes func(standing) bool) bool {
	if yes(r.at(born, s.from)) {
		return true
	}
	for _, m := range r.moments {
		if m > s.from && m <= s.to && yes(r.at(born, m)) {
			return true
		}
	}
	return false
}

// span is a stretch of the server's clock, both ends included.
type span struct{ from, to event.Time }

// clock turns the client's times into the server's.
type clock struct {
	began event.Time
	err   event.Time // milliseconds, at least one for what rounding takes away
}

func newClock(h *answers.Header) clock {
	return clock{began: h.Began, err: event.Time(h.ClockError.Milliseconds()) + 2}
}

// span is when the server can have decided a.
func (c clock) span(a *answers.Answer) span {
	return span{c.began + event.Time(a.Sent.Milliseconds()) - c.err, c.began + event.Time(a.Answered.Milliseconds()) + c.err}
}

// earliest and latest are the client's times at which the server's clock can
// have shown t.
func (c clock) earliest(t event.Time) time.Duration {
	return time.Duration(t-c.began-c.err) * time.Millisecond
}

func (c clock) latest(t event.Time) time.Duration {
	return time.Duration(t-c.began+c.err) * time.Millisecond
}
