//go:build linux

package crowd

import (
	"time"

	"weir/core/event"
	"weir/loadtest/answers"
	"weir/loadtest/openloop"
)

// Ended notes what came of a request and lets the person go on.
func (d *driver) Ended(l *openloop.Loop, r openloop.Request, a *openloop.Answer) openloop.Label {
	if a.Failure == openloop.Withdrawn {
		d.withdrawn(l, r)
		return r.Label
	}
	t := d.read(r, a)
	d.counts[t.Kind][t.Outcome]++
	if a.Failure == openloop.None {
		d.live.Latencies.Add(1)
		d.live.LatencySum.Add(int64(a.At - r.Due))
	}
	if err := d.record.Add(t); err != nil && d.err == nil {
		d.err = err
	}
	p := &d.people[r.Client]
	switch t.Kind {
	case answers.Book, answers.Change, answers.Cancel:
		if t.Outcome.Unsure() {
			p.flags |= unsure
		}
	}
	label := r.Label
	if t.Kind == answers.Book && t.Outcome == answers.Created {
		d.live.Booked.Add(1)
		label = Booked
	}
	if r.Tag&secondDevice == 0 && p.step != gone && stepOf(r.Tag) == p.step {
		d.react(l, r.Client, p, t, a)
	}
	return label
}

// withdrawn is for a person whose pass is no more: they ask for it again.
func (d *driver) withdrawn(l *openloop.Loop, r openloop.Request) {
	if p := &d.people[r.Client]; r.Tag&secondDevice == 0 && p.step != gone {
		d.think(l, r.Client, p, join)
	}
}

// react decides what the person does next.
func (d *driver) react(l *openloop.Loop, client openloop.Client, p *person, t *answers.Answer, a *openloop.Answer) {
	switch {
	case t.Outcome.Refused():
		d.live.Refused.Add(1)
		d.again(l, client, p, a.RetryAfter)
		return
	case t.Outcome == answers.NoAnswer || t.Outcome == answers.NotSent || t.Outcome == answers.OutcomeUnknown || t.Outcome == answers.Internal:
		d.again(l, client, p, a.RetryAfter)
		return
	case t.Outcome == answers.TokenExpired && p.step != join && p.step != findOut:
		d.think(l, client, p, join)
		return
	case t.Outcome == answers.Unauthenticated && p.step != forge || t.Outcome == answers.Odd:
		d.finish(l, client, p)
		return
	}
	switch p.step {
	case join, askPlace:
		d.afterPlace(l, client, p, t)
	case poll:
		d.afterPoll(l, client, p, t)
	case look:
		p.flags |= looked
		d.think(l, client, p, join)
	case browse:
		d.afterBrowse(l, client, p)
	case hold:
		d.afterHold(l, client, p, t)
	case leave:
		d.afterLeave(l, client, p)
	case release:
		p.flags &^= held
		d.seek(l, client, p)
	case bookHold, bookSlot:
		d.afterBook(l, client, p, t)
	case change, cancel:
		d.afterBooked(l, client, p, t)
	case review:
		p.flags |= reviewed
		d.rest(l, client, p)
	case forge:
		d.afterForge(l, client, p)
	case findOut:
		p.flags &^= unsure
		d.end(p)
	default:
		d.finish(l, client, p)
	}
}

// afterPlace goes on with a place in line, or without one.
func (d *driver) afterPlace(l *openloop.Loop, client openloop.Client, p *person, t *answers.Answer) {
	at := d.who(client)
	switch t.Outcome {
	case answers.OK, answers.Created:
		if t.Outcome == answers.Created {
			d.live.Joined.Add(1)
		}
		d.takePlace(l, client, p, t)
	case answers.LineNotOpen, answers.NotOpen:
		if int(p.retries) > d.crowd.plan.Scenario.Behaviour.Retries {
			d.finish(l, client, p)
			return
		}
		p.retries++
		d.wake(l, client, p, max(l.Now(), d.crowd.lineOpens())+d.pause(at, p, 2*time.Second))
	case answers.NotEligible:
		d.live.Ineligible.Add(1)
		if d.wants(at, p, d.crowd.plan.Scenario.Behaviour.Reloads) {
			d.think(l, client, p, inquire)
			return
		}
		d.finish(l, client, p)
	case answers.NotFound: // the place was given up
		d.think(l, client, p, join)
	default:
		d.finish(l, client, p)
	}
}

// lineOpens is when the line opens for those who may book.
func (c *Crowd) lineOpens() time.Duration {
	plan := &c.plan
	opens := plan.Lead + plan.Scenario.Opening.Of()
	if plan.Rules.Line.Enabled {
		opens -= plan.Rules.Line.OpensBefore
	}
	return opens
}

// takePlace keeps the ticket or the pass and waits or goes in.
func (d *driver) takePlace(l *openloop.Loop, client openloop.Client, p *person, t *answers.Answer) {
	at, body := d.who(client), d.document
	admitted := t.Place.State == answers.Admitted
	name := "ticket"
	if admitted {
		name = "pass"
	}
	expires, _ := moment(body.GetStringBytes(name + "_expires_at"))
	var kept bool
	if p.pass, kept = d.wallet.put(p.pass, body.GetStringBytes(name), admitted, term{t.Answered, expires}); !kept {
		d.finish(l, client, p)
		return
	}
	lost := d.wants(at, p, d.crowd.plan.Scenario.Behaviour.LosesTicket)
	if lost {
		d.wallet.lose(p.pass)
	}
	if admitted {
		d.live.Admitted.Add(1)
		d.goIn(l, client, p, lost)
		return
	}
	p.slot = event.SlotID(t.Place.Number)
	switch {
	case d.wants(at, p, d.crowd.plan.Scenario.Behaviour.Leaves):
		d.think(l, client, p, leave)
		return
	case p.slot != 0 && d.crowd.isNoShow(at):
		d.finish(l, client, p)
		return
	}
	d.wait(l, client, p, time.Duration(body.GetInt("poll_after_seconds"))*time.Second)
}

// goIn is what people do who have been let in.
func (d *driver) goIn(l *openloop.Loop, client openloop.Client, p *person, lost bool) {
	switch {
	case lost:
		d.think(l, client, p, askPlace)
	case p.flags&booked != 0:
		d.rest(l, client, p)
	case p.flags&held != 0:
		d.think(l, client, p, bookHold)
	default:
		d.seek(l, client, p)
	}
}

// afterLeave is for those who have given their place up. Some come back.
func (d *driver) afterLeave(l *openloop.Loop, client openloop.Client, p *person) {
	b, at := &d.crowd.plan.Scenario.Behaviour, d.who(client)
	if !d.wants(at, p, b.Returns) {
		d.finish(l, client, p)
		return
	}
	p.slot = 0
	if p.pass != 0 {
		d.wallet.lose(p.pass)
	}
	d.then(l, client, p, join, d.pause(at, p, b.Away.Of()))
}

// wait polls as told, or sooner: the public state while the number is known,
// the own place while it is still to be drawn.
func (d *driver) wait(l *openloop.Loop, client openloop.Client, p *person, told time.Duration) {
	next, after := poll, max(told, time.Second)
	if p.slot == 0 {
		next = askPlace
	}
	if d.wants(d.who(client), p, d.crowd.plan.Scenario.Behaviour.Reloads) {
		next, after = askPlace, after/3
	}
	d.then(l, client, p, next, after)
}

// pollAfter is when to look at the public state again where that does not say
// what it takes to work it out, and when to ask again of what is paused.
const pollAfter = 5 * time.Second

func (d *driver) afterPoll(l *openloop.Loop, client openloop.Client, p *person, t *answers.Answer) {
	d.live.LineIssued.Store(int64(t.Serving.Issued))
	d.live.LineServing.Store(int64(t.Serving.Serving))
	b, at, number := &d.crowd.plan.Scenario.Behaviour, d.who(client), event.Number(p.slot)
	if t.Outcome != answers.OK {
		d.wait(l, client, p, pollAfter)
		return
	}
	if t.Serving.Serving < number {
		d.wait(l, client, p, interval(d.document, number, t.Serving.Serving, at))
		return
	}
	after := time.Second
	if d.crowd.isLate(at) && p.flags&away == 0 {
		p.flags |= away
		after = b.Away.Of()
	}
	d.then(l, client, p, askPlace, d.pause(at, p, after))
}

// afterBrowse picks one of the free slots, or looks elsewhere.
func (d *driver) afterBrowse(l *openloop.Loop, client openloop.Client, p *person) {
	if len(d.picks) == 0 {
		d.elsewhere(l, client, p)
		return
	}
	at := d.who(client)
	p.slot = d.picks[int(d.roll(at, p)*float64(len(d.picks)))]
	d.choose(l, client, p)
}

// seek looks at what a site has left, or guesses.
func (d *driver) seek(l *openloop.Loop, client openloop.Client, p *person) {
	at := d.who(client)
	if d.wants(at, p, d.crowd.plan.Scenario.Behaviour.LooksAtSlots) {
		d.think(l, client, p, browse)
		return
	}
	p.slot = d.wish(at, p)
	d.choose(l, client, p)
}

// choose holds the slot, or books at once.
func (d *driver) choose(l *openloop.Loop, client openloop.Client, p *person) {
	switch {
	case p.flags&booked != 0:
		d.think(l, client, p, change)
	case d.wants(d.who(client), p, d.crowd.plan.Scenario.Behaviour.Holds):
		d.think(l, client, p, hold)
	default:
		d.think(l, client, p, bookSlot)
	}
}

// elsewhere tries another slot, as long as there is hope.
func (d *driver) elsewhere(l *openloop.Loop, client openloop.Client, p *person) {
	if p.tries++; int(p.tries) >= d.crowd.plan.Scenario.Behaviour.Tries {
		d.finish(l, client, p)
		return
	}
	d.seek(l, client, p)
}

func (d *driver) afterHold(l *openloop.Loop, client openloop.Client, p *person, t *answers.Answer) {
	b, at := &d.crowd.plan.Scenario.Behaviour, d.who(client)
	switch t.Outcome {
	case answers.Created:
		p.ref, p.flags = t.Held.Ref, p.flags|held
		switch {
		case d.wants(at, p, b.Abandons):
			d.finish(l, client, p)
		case d.wants(at, p, b.Releases):
			d.think(l, client, p, release)
		default:
			d.think(l, client, p, bookHold)
		}
	default:
		d.refused(l, client, p, t)
	}
}

// refused goes on after a hold or a booking that was refused.
func (d *driver) refused(l *openloop.Loop, client openloop.Client, p *person, t *answers.Answer) {
	switch t.Outcome {
	case answers.SlotFull:
		d.live.Full.Add(1)
		d.elsewhere(l, client, p)
	case answers.HoldExpired, answers.SlotClosed:
		p.flags &^= held
		d.elsewhere(l, client, p)
	case answers.BookedAlready:
		p.ref, p.flags = t.Bookings[0].Ref, p.flags&^held|booked
		d.rest(l, client, p)
	case answers.CampaignPaused:
		d.then(l, client, p, p.step, pollAfter+d.pause(d.who(client), p, time.Second))
	case answers.NotYourTurn:
		d.then(l, client, p, askPlace, pollAfter)
	default:
		d.finish(l, client, p)
	}
}

func (d *driver) afterBook(l *openloop.Loop, client openloop.Client, p *person, t *answers.Answer) {
	if t.Outcome != answers.Created && t.Outcome != answers.OK {
		d.refused(l, client, p, t)
		return
	}
	p.ref, p.slot, p.flags = t.Bookings[0].Ref, t.Bookings[0].Slot, p.flags&^(held|unsure)|booked
	d.rest(l, client, p)
}

func (d *driver) afterBooked(l *openloop.Loop, client openloop.Client, p *person, t *answers.Answer) {
	if t.Kind == answers.Cancel && t.Outcome == answers.OK {
		d.live.Cancelled.Add(1)
	}
	if t.Kind == answers.Change && t.Outcome == answers.SlotFull {
		d.live.Full.Add(1)
	}
	if t.Outcome == answers.CampaignPaused {
		d.refused(l, client, p, t)
		return
	}
	d.finish(l, client, p)
}

// rest is what people do who have booked: most of them nothing.
func (d *driver) rest(l *openloop.Loop, client openloop.Client, p *person) {
	b, at := &d.crowd.plan.Scenario.Behaviour, d.who(client)
	switch {
	case p.flags&reviewed == 0 && d.wants(at, p, b.Reloads):
		d.think(l, client, p, review)
	case p.flags&altered != 0:
		d.finish(l, client, p)
	case d.wants(at, p, b.Cancels):
		p.flags |= altered
		d.think(l, client, p, cancel)
	case d.wants(at, p, b.Changes):
		p.flags |= altered
		p.slot = d.wish(at, p)
		d.think(l, client, p, change)
	default:
		d.finish(l, client, p)
	}
}

// afterForge tries again, as bots do: at once, and a few times.
func (d *driver) afterForge(l *openloop.Loop, client openloop.Client, p *person) {
	if p.tries--; p.tries == 0 || p.tries > 200 {
		d.finish(l, client, p)
		return
	}
	d.then(l, client, p, forge, 200*time.Millisecond)
}
