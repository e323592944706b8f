package server

import (
	"github.com/valyala/fasthttp"

	"weir/core"
	"weir/core/event"
)

const idempotencyKeyMax = 255

// book makes a booking of a slot or of the person's hold.
func (x *exchange) book() error {
	key, err := x.idempotencyKey()
	if err != nil {
		return err
	}
	w, err := x.wish(true)
	if err != nil {
		return err
	}
	c := x.ask(core.Book)
	if w.hasHold {
		err = x.bookHold(w.hold, key)
	} else {
		c.Slot, err = x.findSlot(w.slot)
		c.Request = core.Fingerprint(key, w.slot)
	}
	if err != nil {
		return err
	}
	if err := x.decide(); err != nil {
		return err
	}
	x.booking(&x.outcome.Booking)
	x.finished(x.who.number)
	if x.outcome.Done {
		return x.json(fasthttp.StatusCreated)
	}
	return x.json(fasthttp.StatusOK)
}

// bookHold fills in the hold. The fingerprint is of the hold's code as we
// write it, so that it does not matter how it was typed.
func (x *exchange) bookHold(code, key []byte) error {
	seq, ok := core.ParseCode(code)
	if !ok {
		return faultNotFound
	}
	x.word = core.AppendCode(x.word[:0], seq)
	x.command.Ref, x.command.Slot = seq, event.NoSlot
	x.command.Request = core.Fingerprint(key, x.word)
	return nil
}

// change moves a booking to another slot.
func (x *exchange) change() error {
	w, err := x.wish(false)
	if err != nil {
		return err
	}
	c := x.ask(core.Change)
	if c.Ref, err = x.named(); err != nil {
		return err
	}
	if c.Slot, err = x.findSlot(w.slot); err != nil {
		return err
	}
	return x.answerBooking()
}

// cancel ends a booking.
func (x *exchange) cancel() error {
	c := x.ask(core.Cancel)
	var err error
	if c.Ref, err = x.named(); err != nil {
		return err
	}
	return x.answerBooking()
}

func (x *exchange) answerBooking() error {
	if err := x.decide(); err != nil {
		return err
	}
	x.booking(&x.outcome.Booking)
	return x.json(fasthttp.StatusOK)
}

// ownBookings lists the person's bookings, the newest first.
func (x *exchange) ownBookings() error {
	p := x.own()
	x.out = append(x.out, `{"bookings":[`...)
	for i := range p.Bookings {
		if i > 0 {
			x.out = append(x.out, ',')
		}
		x.booking(&p.Bookings[i])
	}
	x.out = append(x.out, "]}"...)
	return x.json(fasthttp.StatusOK)
}

// ask begins the command of the person who asks.
func (x *exchange) ask(op core.Op) *core.Command {
	x.command = core.Command{Op: op, Campaign: x.campaign.core.ID(), Person: x.who.person, Born: x.who.born}
	return &x.command
}

// wish decodes the body.
func (x *exchange) wish(holds bool) (wish, error) {
	if !x.fields.isJSON() {
		return wish{}, faultMediaType
	}
	var w wish
	var err error
	w, x.text, err = decodeWish(x.ctx.Request.Body(), x.text, holds)
	return w, err
}

func (x *exchange) findSlot(id []byte) (event.SlotID, error) {
	slot, ok := x.rules.FindSlot(id)
	if !ok {
		return slot, faultNotFound
	}
	return slot, nil
}

// named reads the booking or hold that the path names. What is no code names
// nothing.
func (x *exchange) named() (event.Seq, error) {
	seq, ok := core.ParseCode(x.segments[nameSegment])
	if !ok {
		return 0, faultNotFound
	}
	return seq, nil
}

// idempotencyKey returns the request's key, nil where there is none.
func (x *exchange) idempotencyKey() ([]byte, error) {
	key := x.fields.idempotencyKey
	switch {
	case x.fields.idempotencyKeys == 0:
		return nil, nil
	case x.fields.idempotencyKeys > 1, len(key) == 0, len(key) > idempotencyKeyMax:
		return nil, faultKey
	}
	for _, c := range key {
		if c <= ' ' || c > '~' {
			return nil, faultKey
		}
	}
	return key, nil
}
