package server

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"weir/core"
	"weir/core/campaign"
	"weir/core/event"
	"weir/core/line"
	"weir/server/availability"
	"weir/server/token"
)

// Booker is the engine as this package needs it; *core.Engine satisfies it.
// All methods are safe for concurrent use and none keeps its arguments.
type Booker interface {
	// Do decides a command without waiting for the disk. Errors: a
	// core.Rejection; core.ErrOverloaded, ErrReadOnly, ErrFailed, ErrClosed,
	// with which nothing was done. Nothing of the outcome may be told before
	// Wait(Outcome.Seq) returned nil.
	Do(now event.Time, c *core.Command) (core.Outcome, error)
	// Wait returns nil once the record is durable, at once for 0. It has a
	// deadline of its own: core.ErrOutcomeUnknown. After a failure of the
	// journal it answers core.ErrFailed.
	Wait(seq event.Seq) error
	// Durable returns the newest sequence number that is durable.
	Durable() event.Seq
	// Campaign returns the campaign with that id, or nil.
	Campaign(id string) *core.Campaign
	// Campaigns returns all campaigns, in an order that stays.
	Campaigns() []*core.Campaign

	// The line's keeper and operators call these. They return the sequence
	// number of their record, 0 where all was so already, and ErrOverloaded,
	// ErrReadOnly, ErrFailed or ErrClosed where nothing was done.

	// OpenDraw opens the draw that somebody born on that day would enter.
	OpenDraw(now event.Time, c *core.Campaign, born campaign.Date, seal func(event.Draw) line.Commitment) (event.Seq, error)
	// Draw performs a draw whose opening has come. Further error:
	// core.ErrSeed.
	Draw(now event.Time, c *core.Campaign, draw event.Draw, seed line.Seed) (event.Seq, error)
	// Serve raises the serving mark. Further error: core.CampaignPaused.
	Serve(now event.Time, c *core.Campaign, upTo event.Number) (event.Seq, error)
	// Pause stops a campaign for a reason. Further error: core.ErrReason.
	Pause(now event.Time, c *core.Campaign, reason string) (event.Seq, error)
	// Resume lets it go on.
	Resume(now event.Time, c *core.Campaign) (event.Seq, error)
}

// entry is one campaign with what the server keeps beside it.
type entry struct {
	core      *core.Campaign
	id        string
	hash      uint64 // in tickets and passes
	published *availability.Publisher
	turnstile *turnstile
}

// attached is an engine with its campaigns. New campaigns are taken in when
// they are first asked for.
type attached struct {
	server  *Server
	booker  Booker
	entries atomic.Pointer[map[string]*entry] // replaced under adding; campaigns are never removed
	adding  sync.Mutex
}

func (s *Server) attach(b Booker) *attached {
	a := &attached{server: s, booker: b}
	a.entries.Store(&map[string]*entry{})
	a.all()
	return a
}

// find returns the campaign with that id, or nil.
func (a *attached) find(id []byte) *entry {
	if e := (*a.entries.Load())[string(id)]; e != nil {
		return e
	}
	if c := a.booker.Campaign(string(id)); c != nil {
		return a.add(c)
	}
	return nil
}

// all returns every campaign in the engine's order.
func (a *attached) all() []*entry {
	list := a.booker.Campaigns()
	entries := make([]*entry, len(list))
	for i, c := range list {
		entries[i] = a.add(c)
	}
	return entries
}

func (a *attached) add(c *core.Campaign) *entry {
	d, _ := c.Definition()
	if e := (*a.entries.Load())[d.ID]; e != nil {
		return e
	}
	a.adding.Lock()
	defer a.adding.Unlock()
	old := *a.entries.Load()
	if e := old[d.ID]; e != nil {
		return e
	}
	e := &entry{
		core: c, id: d.ID, hash: token.CampaignHash(d.ID), published: availability.New(c, 0),
		turnstile: newTurnstile(a.server.settings.get(d.ID), a.server.history.calledLast(c)),
	}
	state := c.Line()
	e.publishLine(d, event.Time(a.server.clock.Now().UnixMilli()), &state, a.server.polling)
	entries := make(map[string]*entry, len(old)+1)
	for id, other := range old {
		entries[id] = other
	}
	entries[e.id] = e
	a.entries.Store(&entries)
	return e
}

// listCampaigns tells which campaigns there are.
func (x *exchange) listCampaigns() error {
	x.out = append(x.out, `{"campaigns":[`...)
	for i, e := range x.state.all() {
		if i > 0 {
			x.out = append(x.out, ',')
		}
		x.rules, _ = e.core.Definition()
		state := e.core.Line()
		x.outcome.Seq = max(x.outcome.Seq, state.Newest)
		x.out = append(x.out, '{')
		x.heading(&state)
		x.out = append(x.out, '}')
	}
	x.out = append(x.out, "]}"...)
	return x.sharedOut()
}

// heading appends what the list and the description of a campaign share.
func (x *exchange) heading(state *core.LineState) {
	d := x.rules
	x.str("id", d.ID)
	x.textObject("name", d.Name)
	x.str("state", stateOf(d, state, x.now).String())
	x.pause(d, state)
	x.str("time_zone", d.TimeZone)
	x.time("now", d, x.now)
}

// describe tells what everybody may know of a campaign's definition.
func (x *exchange) describe() error {
	d, version := x.campaign.core.Definition()
	x.rules = d
	state := x.campaign.core.Line()
	x.outcome.Seq = state.Newest
	x.out = append(x.out, '{')
	x.heading(&state)
	x.int("version", int64(version))
	x.list("cohorts", len(d.Cohorts), func(i int) {
		x.out = append(x.out, '{')
		x.str("id", d.Cohorts[i].ID)
		x.date("born_from", d.Cohorts[i].From)
		x.date("born_to", d.Cohorts[i].To)
		x.out = append(x.out, '}')
	})
	x.list("windows", len(d.Windows), x.windowObject)
	x.list("products", len(d.Products), func(i int) {
		x.out = append(x.out, '{')
		x.str("id", d.Products[i].ID)
		x.textObject("name", d.Products[i].Name)
		x.out = append(x.out, '}')
	})
	x.lineRules()
	x.bookingRules()
	x.out = append(x.out, '}')
	return x.sharedOut()
}

func (x *exchange) lineRules() {
	l := &x.rules.Line
	x.key("line")
	x.out = append(x.out, '{')
	x.flag("enabled", l.Enabled)
	if l.Enabled {
		x.int("opens_before_seconds", int64(l.OpensBefore/time.Second))
		order := "draw"
		if l.Order == campaign.Arrival {
			order = "arrival"
		}
		x.str("order", order)
	}
	x.out = append(x.out, '}')
}

func (x *exchange) bookingRules() {
	b := &x.rules.Bookings
	x.key("bookings")
	x.out = append(x.out, '{')
	x.int("hold_seconds", int64(b.Hold/time.Second))
	x.int("cancel_before_seconds", int64(b.CancelBefore/time.Second))
	x.int("change_before_seconds", int64(b.ChangeBefore/time.Second))
	x.int("per_person", int64(b.PerPerson))
	x.out = append(x.out, '}')
}

// eligibility tells whether the person may book now, and why not.
func (x *exchange) eligibility() error {
	d, version := x.campaign.core.Definition()
	x.rules = d
	p := x.own()
	decision := d.Decide(x.who.born, x.now)
	active := 0
	for i := range p.Bookings {
		if p.Bookings[i].State == core.Booked {
			active++
		}
	}
	state := x.campaign.core.Line()
	x.outcome.Seq = max(x.outcome.Seq, state.Newest)
	switch {
	case decision.Reason != campaign.Eligible:
	case active >= d.Bookings.PerPerson:
		decision.Reason = campaign.HasBooking
	case state.Paused:
		decision.Reason = campaign.Paused
	}
	x.out = append(x.out, '{')
	x.flag("eligible", decision.Reason == campaign.Eligible)
	x.str("reason", decision.Reason.String())
	x.key("cohort")
	if decision.Cohort < 0 {
		x.out = append(x.out, "null"...)
	} else {
		x.out = appendString(x.out, d.Cohorts[decision.Cohort].ID)
	}
	x.window("window", decision.Window)
	x.window("next_window", decision.Next)
	x.time("evaluated_at", d, x.now)
	x.int("version", int64(version))
	x.out = append(x.out, '}')
	return x.json(fasthttp.StatusOK)
}
