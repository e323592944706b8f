package server

import (
	"time"

	"github.com/valyala/fasthttp"

	"weir/core"
	"weir/core/event"
	"weir/server/token"
)

// placePoll is when somebody who is in should ask again, if they ask at all.
const placePoll = 30 * time.Second

// join gives the person a place in line. The line is not kept yet, so the
// place is at its head: the pass comes with it.
func (x *exchange) join() error {
	x.ask(core.Join)
	if err := x.decide(); err != nil {
		return err
	}
	x.place(x.outcome.Place.Number)
	if x.outcome.Done {
		return x.json(fasthttp.StatusCreated)
	}
	return x.json(fasthttp.StatusOK)
}

// ownPlace tells the person's place again, with a fresh ticket and pass: whose
// turn has come gets in after a reload and from another device, too.
func (x *exchange) ownPlace() error {
	p := x.own()
	if p.Place.Number == 0 {
		return faultNotFound
	}
	x.place(p.Place.Number)
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

// place appends the place object.
func (x *exchange) place(number event.Number) {
	ticketEnds := x.now + event.Time(x.s.ticketTTL.Milliseconds())
	if closes := x.lastClosing(); closes > x.now {
		ticketEnds = min(ticketEnds, closes)
	}
	passEnds := x.now + event.Time(x.s.passTTL.Milliseconds())
	x.out = append(x.out, '{')
	x.str("state", "admitted")
	x.int("number", int64(number))
	x.int("ahead", 0)
	x.int("eta_seconds", 0)
	x.int("poll_after_seconds", int64(placePoll/time.Second))
	x.token("ticket", token.Ticket, number, ticketEnds)
	x.time("ticket_expires_at", x.rules, ticketEnds)
	x.token("pass", token.Pass, number, passEnds)
	x.time("pass_expires_at", x.rules, passEnds)
	x.out = append(x.out, '}')
}

// lastClosing is when the last window closes: a ticket is good for nothing
// after that.
func (x *exchange) lastClosing() (closes event.Time) {
	for i := range x.rules.Windows {
		closes = max(closes, x.rules.Windows[i].Closes)
	}
	return closes
}

func (x *exchange) token(name string, kind token.Kind, number event.Number, expires event.Time) {
	x.key(name)
	claims := token.Claims{
		Kind: kind, Campaign: x.campaign.hash, Person: x.who.person,
		Born: x.who.born, Number: number, Expires: expires,
	}
	x.out = append(x.s.ring.Append(append(x.out, '"'), &claims), '"')
}

// line is the public state of the line, the same for everybody. Everybody who
// has a number is served, so serving is issued; there is no rate that it rises
// at and no draw, so these are zero and empty. as_of is in whole seconds:
// within one, the document and its ETag stay the same unless the line moves.
func (x *exchange) line() error {
	issued := int64(x.campaign.core.Issued())
	x.out = append(x.out, '{')
	x.str("state", x.rules.State(x.now).String())
	x.int("issued", issued)
	x.int("serving", issued)
	x.int("admitted_per_minute", 0)
	x.key("draw")
	x.out = append(x.out, `{"commitment":""}`...)
	x.time("as_of", x.rules, x.now/1000*1000)
	x.out = append(x.out, '}')
	return x.sharedOut()
}
