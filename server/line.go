package server

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/valyala/fasthttp"

	"weir/core"
	"weir/core/campaign"
	"weir/core/event"
	"weir/core/line"
	"weir/server/token"
)

// placePoll is when somebody who is in should ask again, if they ask at all.
const placePoll = 30 * time.Second

// join gives the person a place in line: the one they have, where they have
// one.
func (x *exchange) join() error {
	x.ask(core.Join)
	err := x.decide()
	if errors.Is(err, core.ErrDrawNotOpen) {
		err = x.joinFirst()
	}
	x.campaign.turnstile.door.asked(x.rules, x.who.person, x.who.born, x.now, err, &x.outcome)
	if err != nil {
		return err
	}
	x.place(x.outcome.Place)
	if x.outcome.Done {
		return x.json(fasthttp.StatusCreated)
	}
	return x.json(fasthttp.StatusOK)
}

// joinFirst opens the draw that the person would enter, and joins. The record
// of the draw stands in front of the person's, so it is durable first.
func (x *exchange) joinFirst() error {
	if _, err := x.state.booker.OpenDraw(x.now, x.campaign.core, x.who.born, x.s.sealer(x.campaign)); err != nil {
		return err
	}
	return x.decide()
}

// ownPlace tells the person's place again, with a fresh ticket, and a pass once
// their turn has come: whoever was called gets in after a reload, from another
// device and with nothing but their identity, too.
func (x *exchange) ownPlace() error {
	p := x.own()
	if p.Place.None() {
		return faultNotFound
	}
	x.place(p.Place)
	return x.json(fasthttp.StatusOK)
}

// leave gives the place up.
func (x *exchange) leave() error {
	x.ask(core.Leave)
	if err := x.decide(); err != nil {
		return err
	}
	return x.nothing()
}

// place appends the place object. Where the mark or a draw is newer than what
// the outcome rests on, the answer waits for that as well.
func (x *exchange) place(p core.Place) {
	state := x.campaign.core.Line()
	x.outcome.Seq = max(x.outcome.Seq, state.Newest)
	number := state.Number(p)
	switch {
	case number == 0:
		x.early(p, &state)
	case !x.rules.Line.Enabled || state.Called(number):
		x.admitted(number, p, &state)
	default:
		x.waiting(number, p, &state)
	}
	x.out = append(x.out, '}')
}

// early is for who waits for their draw: there is no number yet, and nobody can
// say how many are ahead.
func (x *exchange) early(p core.Place, state *core.LineState) {
	until := x.until(state.Draws[p.Draw-1].Opens)
	x.begun("early")
	x.int("eta_seconds", int64(until/time.Second))
	x.pollAfter(x.s.polling.AfterOpening(until, x.campaign.turnstile.crowd(state), spreadKey(x.who.person)))
	x.lot(p)
	x.ticket(0)
}

// waiting is for whose number is not called yet.
func (x *exchange) waiting(number event.Number, p core.Place, state *core.LineState) {
	crowd := x.campaign.turnstile.crowd(state)
	ahead := line.Ahead(number, state.Serving)
	x.begun("waiting")
	x.int("number", int64(number))
	x.int("ahead", int64(ahead))
	after := x.s.polling.After(ahead, crowd, spreadKey(x.who.person))
	eta, known := line.ETA(ahead, crowd.PerMinute)
	if until := x.opening(); until > 0 {
		eta, known = max(eta, until), true
		after = max(after, x.s.polling.AfterOpening(until, crowd, spreadKey(x.who.person)))
	}
	if known && !state.Paused {
		x.int("eta_seconds", int64(eta/time.Second))
	} else {
		x.key("eta_seconds")
		x.out = append(x.out, "null"...)
	}
	x.pollAfter(after)
	x.lot(p)
	x.ticket(number)
}

// admitted is for whose turn has come. They are in from here on.
func (x *exchange) admitted(number event.Number, p core.Place, state *core.LineState) {
	x.begun("admitted")
	x.int("number", int64(number))
	x.int("ahead", 0)
	x.int("eta_seconds", 0)
	after := placePoll
	if state.Paused {
		after = max(2*placePoll, x.s.polling.After(0, x.campaign.turnstile.crowd(state), spreadKey(x.who.person)))
	}
	x.pollAfter(after)
	x.lot(p)
	x.ticket(number)
	x.token("pass", token.Pass, number, x.terms+event.Time(x.s.passTTL.Milliseconds()))
	x.heard(number)
}

func (x *exchange) begun(state string) {
	x.out = append(x.out, '{')
	x.str("state", state)
}

func (x *exchange) pollAfter(d time.Duration) { x.int("poll_after_seconds", int64(d/time.Second)) }

// lot appends which index of which draw the place comes from, where it does:
// with the public object of the line that is all it takes to recompute it.
func (x *exchange) lot(p core.Place) {
	if p.Draw == 0 {
		return
	}
	x.key("draw")
	x.out = append(x.out, '{')
	x.int("ordinal", int64(p.Draw))
	x.int("index", int64(p.Index))
	x.out = append(x.out, '}')
}

// ticket appends a fresh ticket. It is good for nothing after the last window
// has closed.
func (x *exchange) ticket(number event.Number) {
	ends := x.now + event.Time(x.s.ticketTTL.Milliseconds())
	if closes := x.lastClosing(); closes > x.now {
		ends = min(ends, closes)
	}
	x.token("ticket", token.Ticket, number, ends-x.now+x.terms)
}

// lastClosing is when the last window closes.
func (x *exchange) lastClosing() (closes event.Time) {
	for i := range x.rules.Windows {
		closes = max(closes, x.rules.Windows[i].Closes)
	}
	return closes
}

// token appends a ticket or pass and when it ends, which is later if the
// campaign is paused meanwhile. ends is in terms: see entry.terms.
func (x *exchange) token(name string, kind token.Kind, number event.Number, ends event.Time) {
	x.key(name)
	claims := token.Claims{
		Kind: kind, Campaign: x.campaign.hash, Person: x.who.person,
		Born: x.who.born, Number: number, Expires: ends,
	}
	x.out = append(x.s.ring.Append(append(x.out, '"'), &claims), '"')
	x.time(name+"_expires_at", x.rules, ends-x.terms+x.now)
}

// heard notes that the person with that number is in. A number that was never
// given, as of a pass from before the data was lost, is nobody's and must not
// make the table grow.
func (x *exchange) heard(number event.Number) {
	if x.rules.Line.Enabled && number > 0 && number <= x.campaign.core.Issued() {
		x.campaign.turnstile.sessions.Heard(number)
	}
}

// finished notes that the person with that number, who has booked, is in no more.
func (x *exchange) finished(number event.Number) {
	if x.rules.Line.Enabled && number > 0 && number <= x.campaign.core.Issued() {
		x.campaign.turnstile.sessions.Booked(number)
	}
}

// opening is the time until the person's window opens, where they wait for one
// that has not opened.
func (x *exchange) opening() time.Duration {
	verdict := x.rules.Decide(x.who.born, x.now)
	if verdict.Reason == campaign.Eligible || verdict.Next < 0 {
		return 0
	}
	return x.until(x.rules.Windows[verdict.Next].Opens)
}

// until is the time from now to at, rounded up to a second; 0 for what is past.
func (x *exchange) until(at event.Time) time.Duration {
	return time.Duration(max(0, at-x.now)+999) / 1000 * time.Second
}

// spreadKey tells people apart where they are spread over time.
func spreadKey(person event.PersonKey) uint64 { return binary.LittleEndian.Uint64(person[:]) }

// terms is the time by which terms that began in the campaign end: it stands
// still while the campaign is paused. A ticket or pass carries its end in this
// time, so it is good for as much longer as pauses took that began after it was
// made, and nothing need be known of it to tell.
func (e *entry) terms(now event.Time) event.Time {
	state := e.core.Line()
	return now - state.PausedBetween(0, now)
}

// line tells how far the line is, the same for everybody, as the keeper
// published it last.
func (x *exchange) line() error {
	doc := x.campaign.turnstile.document.Load()
	return x.shared(jsonType, doc.body, doc.etag)
}
