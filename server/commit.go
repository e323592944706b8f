package server

import (
	"errors"

	"weir/core"
	"weir/core/event"
)

// decide has the engine decide x.command. The handler goes on and writes its
// answer, while the batch that the record is in fills and is written; settle
// keeps the answer back until then.
func (x *exchange) decide() (refusal error) {
	x.outcome, refusal = x.state.booker.Do(x.now, &x.command)
	return refusal
}

// settle waits until what the answer rests on is durable, whatever the answer
// is: a refusal may rest on a booking, too. It is the one gate between the
// handlers and the caller: nothing of x.outcome is told before it. It returns
// err, or why nothing can be told.
func (x *exchange) settle(err error) error {
	if unknown := x.durable(x.outcome.Seq); unknown != nil {
		x.ctx.Response.Reset()
		err = unknown
	}
	if x.command.Op != 0 {
		x.tally.commanded(x.command.Op, err, x.outcome.Done)
	}
	return err
}

// durable waits for seq. A journal that failed or closed meanwhile leaves the
// outcome as unknown as one that took too long: the record may be on disk.
func (x *exchange) durable(seq event.Seq) error {
	if seq == 0 {
		return nil
	}
	err := x.state.booker.Wait(seq)
	if errors.Is(err, core.ErrFailed) || errors.Is(err, core.ErrClosed) {
		return core.ErrOutcomeUnknown
	}
	return err
}

// own reads what the person has. Settle waits until all of it is durable.
func (x *exchange) own() core.Person {
	p := x.campaign.core.Person(x.who.person, x.person[:0])
	x.person, x.outcome.Seq = p.Bookings, p.Newest
	return p
}
