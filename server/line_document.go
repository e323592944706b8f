package server

import (
	"encoding/hex"
	"math"
	"time"

	"weir/core"
	"weir/core/campaign"
	"weir/core/event"
	"weir/core/line"
)

// lineDocument is the public object of a line, ready to be sent. Nothing in it
// changes, so any number of answers share it.
type lineDocument struct {
	body []byte
	etag string
	made lineView
}

// lineView is what a lineDocument says. It is made anew when any of this has
// changed: as_of is in whole seconds, so that is once a second at least.
type lineView struct {
	newest  event.Seq
	issued  event.Number
	early   uint32
	state   campaign.State
	asOf    event.Time
	rate    int64 // numbers called a minute
	rules   *campaign.Definition
	polling line.Polling
}

// publishLine makes the public object, unless it stands already. It is called
// when the campaign is taken in, and from then on by the keeper alone.
func (e *entry) publishLine(d *campaign.Definition, now event.Time, state *core.LineState, polling line.Polling) {
	view := lineView{
		newest: state.Newest, issued: state.Issued, early: state.Early, state: stateOf(d, state, now),
		asOf: now / 1000 * 1000, rate: int64(math.Round(e.turnstile.decision.Load().PerMinute)), rules: d, polling: polling,
	}
	if old := e.turnstile.document.Load(); old != nil && old.made == view {
		return
	}
	body := view.append(nil, state)
	e.turnstile.document.Store(&lineDocument{body: body, etag: entityTag(body), made: view})
}

// stateOf is where a campaign stands, pauses included.
func stateOf(d *campaign.Definition, line *core.LineState, now event.Time) campaign.State {
	state := d.State(now)
	if line.Paused && state != campaign.Closed {
		return campaign.Paused
	}
	return state
}

func (v *lineView) append(dst []byte, state *core.LineState) []byte {
	e := encoder{out: append(dst, '{')}
	e.str("state", v.state.String())
	e.pause(v.rules, state)
	e.int("issued", int64(v.issued))
	if !v.rules.Line.Enabled {
		e.int("serving", int64(v.issued)) // whoever joins is in
		e.int("waiting", 0)
		e.int("admitted_per_minute", 0)
	} else {
		e.int("serving", int64(state.Serving))
		e.int("waiting", int64(waiting(state)))
		e.int("admitted_per_minute", v.rate)
	}
	e.key("draw")
	if n := len(state.Draws); n > 0 {
		e.draw(v.rules, n-1, &state.Draws[n-1])
	} else {
		e.out = append(e.out, `{"commitment":""}`...)
	}
	e.list("draws", len(state.Draws), func(i int) { e.draw(v.rules, i, &state.Draws[i]) })
	e.poll(v.polling)
	e.time("as_of", v.rules, v.asOf)
	return append(e.out, '}')
}

// pause appends why and since when a campaign is paused, where it is.
func (e *encoder) pause(d *campaign.Definition, state *core.LineState) {
	if state.Paused {
		e.str("reason", state.Reason)
		e.time("paused_at", d, state.Since)
	}
}

// draw appends one draw, with all that it takes to recompute it once it is
// drawn.
func (e *encoder) draw(d *campaign.Definition, index int, draw *core.DrawState) {
	e.out = append(e.out, '{')
	e.int("ordinal", int64(index+1))
	e.time("opens_at", d, draw.Opens)
	e.hex("commitment", draw.Commitment[:])
	if draw.Drawn {
		e.hex("seed", draw.Seed[:])
		e.int("size", int64(draw.Size))
		e.int("base", int64(draw.Base))
	}
	e.out = append(e.out, '}')
}

func (e *encoder) hex(name string, value []byte) {
	e.key(name)
	e.out = append(hex.AppendEncode(append(e.out, '"'), value), '"')
}

// poll appends by what a client may work out by itself when to ask again.
func (e *encoder) poll(p line.Polling) {
	e.key("poll")
	e.out = append(e.out, '{')
	e.int("budget_per_second", int64(p.BudgetPerSecond))
	e.int("floor_seconds", int64(p.Floor/time.Second))
	e.int("ceiling_seconds", int64(p.Ceiling/time.Second))
	e.out = append(e.out, '}')
}
