package server

import (
	"errors"

	"weir/core"
)

// decide has the engine decide x.command. The handler goes on and writes its
// answer, while the batch that the record is in fills and is written.
func (x *exchange) decide() (refusal error) {
	x.outcome, refusal = x.state.booker.Do(x.now, &x.command)
	if refusal == core.CampaignPaused { //nolint:errorlint // a rejection is never wrapped
		state := x.campaign.core.Line() // the pause has to be durable, too
		x.outcome.Seq = max(x.outcome.Seq, state.Newest)
	}
	return refusal
}

// settle sees to it that the answer leaves no sooner than what it rests on is
// durable, whatever the answer is: a refusal may rest on a booking, too. Where
// it can, it leaves the wait to the loop or to the connection's gate. It returns
// err, or why nothing can be told.
func (x *exchange) settle(err error) error {
	if x.command.Op != 0 {
		x.tally.commanded(x.command.Op, err, x.outcome.Done)
	}
	seq := x.outcome.Seq
	if seq == 0 {
		return err
	}
	switch c := x.ctx.Conn().(type) {
	case *lane:
		if seq > x.state.booker.Durable() {
			x.lane = c
		}
		return err
	case *boundConn:
		if c.gate.shut(seq, x.s, x.state.booker) {
			x.gate = &c.gate
			return err
		}
	}
	if unknown := unknown(x.state.booker.Wait(seq)); unknown != nil {
		x.ctx.Response.Reset()
		return unknown
	}
	return err
}

// unknown turns what Wait answers into why nothing can be told. A journal that
// failed or closed meanwhile leaves the outcome as unknown as one that took too
// long: the record may be on disk.
func unknown(err error) error {
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
