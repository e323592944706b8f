package server

import (
	"github.com/valyala/fasthttp"

	"weir/core"
)

// hold takes a place of a slot for a while. A hold that the person has
// elsewhere ends with it; the same one again is answered as it stands.
func (x *exchange) hold() error {
	w, err := x.wish(false)
	if err != nil {
		return err
	}
	c := x.ask(core.Hold)
	if c.Slot, err = x.findSlot(w.slot); err != nil {
		return err
	}
	if err := x.decide(); err != nil {
		return err
	}
	held := &x.outcome.Hold
	x.out = append(x.out, '{')
	x.code("hold", held.Seq)
	x.slotID("slot", held.Slot)
	x.time("expires_at", x.rules, held.Expires)
	x.out = append(x.out, '}')
	return x.json(fasthttp.StatusCreated)
}

// release gives a hold back.
func (x *exchange) release() error {
	c := x.ask(core.Release)
	var err error
	if c.Ref, err = x.named(); err != nil {
		return err
	}
	if err := x.decide(); err != nil {
		return err
	}
	return x.nothing()
}

// nothing answers that it is done, with no body.
func (x *exchange) nothing() error {
	x.ctx.SetStatusCode(fasthttp.StatusNoContent)
	x.ctx.Response.Header.Set(fasthttp.HeaderCacheControl, "no-store")
	return nil
}
