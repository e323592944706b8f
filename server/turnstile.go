package server

import (
	"sync/atomic"
	"time"

	"weir/core"
	"weir/core/event"
	"weir/core/line"
	"weir/server/session"
)

// sessionIdle is after what silence somebody who came in counts as gone.
const sessionIdle = 3 * time.Minute

// turnstile is what the server keeps beside a campaign's line: who is in, how
// the serving mark is steered, and what everybody is told. The line itself is
// the engine's; nothing here need survive a restart.
type turnstile struct {
	sessions  *session.Table
	door      door
	document  atomic.Pointer[lineDocument]  // the public object; never nil once the campaign is served
	decision  atomic.Pointer[line.Decision] // the newest; never nil
	unclaimed int                           // sessions that may have been in progress when the log ended; set once

	// The keeper's own:
	controller *line.Controller
	settings   LineSettings // that the controller has
	trouble    string       // what went wrong last, so that it is told once
	stalled    stallWatch
	refused    refusalWatch
}

func newTurnstile(settings LineSettings, unclaimed int) *turnstile {
	t := &turnstile{
		sessions: session.New(sessionIdle), unclaimed: unclaimed,
		controller: line.NewController(settings.steering()), settings: settings,
	}
	t.decision.Store(&line.Decision{})
	return t
}

// steering is what the settings mean to the controller.
func (s LineSettings) steering() line.Steering {
	steering := line.DefaultSteering()
	steering.PerMinute, steering.Ceiling = s.AdmitPerMinute, s.Ceiling
	if s.Floor > 0 {
		steering.Floor = s.Floor
	}
	if s.Ceiling > 0 {
		steering.Floor = min(steering.Floor, s.Ceiling)
	}
	return steering
}

// crowd is what all who wait have in common.
func (t *turnstile) crowd(state *core.LineState) line.Crowd {
	return line.Crowd{Waiting: waiting(state), PerMinute: t.decision.Load().PerMinute, Paused: state.Paused}
}

// waiting is how many people have not been called yet, at most: who left the
// line still counts.
func waiting(state *core.LineState) uint32 {
	return uint32(max(state.Issued, state.Serving)-state.Serving) + state.Early
}

// called is how many numbers have been called.
func called(state *core.LineState) event.Number { return min(state.Serving, state.Issued) }

// History is what the server wants to know of the log that was read at the
// start: what operators did, for the audit, and how many people were called
// shortly before its end, who may be in the middle of booking. It is filled by
// one goroutine before Attach.
type History struct {
	audit audit
	marks map[event.CampaignID][]mark // of the last sessionIdle of the log, ascending
}

// mark is a rise of the serving mark.
type mark struct {
	at     event.Time
	number event.Number
}

// Defined notes that a definition was put in force under the record seq, since
// the log was read.
func (h *History) Defined(at event.Time, seq event.Seq, campaignID string, version event.Version) {
	h.audit.defined(at, seq, campaignID, version)
}

// Applying notes what a record that is about to be applied follows: where the
// state began with a snapshot, the mark had risen before.
func (h *History) Applying(r *event.Record, engine *core.Engine) {
	if r.Kind != event.Served || h.marks[r.Campaign] != nil || int(r.Campaign) >= len(engine.Campaigns()) {
		return
	}
	if h.marks == nil {
		h.marks = make(map[event.CampaignID][]mark)
	}
	state := engine.Campaigns()[r.Campaign].Line()
	h.marks[r.Campaign] = []mark{{at: 0, number: state.Serving}}
}

// Applied notes a record that the engine has applied.
func (h *History) Applied(seq event.Seq, r *event.Record, engine *core.Engine) {
	if r.Kind.OfPerson() {
		return
	}
	if r.Kind != event.Served {
		definition, _ := engine.Campaigns()[r.Campaign].Definition()
		h.audit.replayed(seq, r, definition.ID)
		return
	}
	if h.marks == nil {
		h.marks = make(map[event.CampaignID][]mark)
	}
	marks := h.marks[r.Campaign]
	for len(marks) > 1 && marks[1].at < r.At-event.Time(sessionIdle.Milliseconds()) {
		marks = marks[1:] // the first stays as where the others rose from
	}
	h.marks[r.Campaign] = append(marks, mark{r.At, r.Number})
}

// calledLast returns how many were called within sessionIdle of the end of the
// log, which is the newest that it knows.
func (h *History) calledLast(c *core.Campaign) int {
	state := c.Line()
	marks := h.marks[c.ID()]
	if len(marks) == 0 {
		return 0
	}
	end := marks[len(marks)-1].at - event.Time(sessionIdle.Milliseconds())
	from := event.Number(0)
	for _, m := range marks {
		if m.at < end {
			from = m.number
		}
	}
	return int(called(&state) - min(from, called(&state)))
}
