package server

import (
	"errors"

	"weir/core"
	"weir/core/event"
)

// commit lets the engine decide x.command and waits until what it says may be
// told. Nothing of the outcome is told before that, a refusal that rests on a
// booking included.
func (x *exchange) commit() error {
	out, refusal := x.state.booker.Do(x.now, &x.command)
	x.outcome = out
	if err := x.durable(out.Seq); err != nil {
		x.tally.commanded(x.command.Op, faultOf(err), false)
		return err
	}
	if refusal != nil {
		x.tally.commanded(x.command.Op, faultOf(refusal), false)
		return refusal
	}
	x.tally.commanded(x.command.Op, 0, out.Done)
	return nil
}

// durable waits for seq. A journal that failed or closed meanwhile leaves the
// outcome as unknown as one that took too long: the record may be on disk.
func (x *exchange) durable(seq event.Seq) error {
	err := x.state.booker.Wait(seq)
	if errors.Is(err, core.ErrFailed) || errors.Is(err, core.ErrClosed) {
		return core.ErrOutcomeUnknown
	}
	return err
}

// own reads what the person has, and waits until all of it is durable.
func (x *exchange) own() (core.Person, error) {
	p := x.campaign.core.Person(x.who.person, x.person[:0])
	x.person = p.Bookings
	return p, x.durable(p.Newest)
}
