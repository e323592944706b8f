//go:build linux

package crash

import (
	"fmt"
	"net/http"
	"time"
)

// holdMargin is how near to its end a hold is no longer counted on: the
// server's clock is read a little later than ours.
const holdMargin = 2 * time.Second

// settle notes what the answer to r says and returns an error where it
// contradicts what the person was told before. The person's unanswered request
// must be r or nothing.
func (p *Person) settle(r *Request, a *answer) error {
	if a.status == http.StatusServiceUnavailable && a.problem() == "outcome_unknown" {
		p.unanswered(r)
		return nil
	}
	unsure := p.Pending != nil // r may have been carried out already
	p.Pending = nil
	switch {
	case a.status == http.StatusServiceUnavailable, a.status == http.StatusTooManyRequests:
		if unsure {
			p.Pending = r
		}
		return nil
	case a.status >= 500, a.status == http.StatusBadRequest, a.status == http.StatusUnauthorized:
		return p.wrong(r, a, "a request that is in order")
	}
	switch r.Kind {
	case Join:
		return p.settleJoin(r, a, unsure)
	case Take:
		return p.settleHold(r, a)
	case Release:
		return p.settleRelease(r, a, unsure)
	case Book:
		return p.settleBook(r, a, unsure)
	}
	return p.settleChange(r, a)
}

// unanswered notes that r may have been carried out, or may yet be.
func (p *Person) unanswered(r *Request) {
	p.Pending = r
	if r.Kind == Take || r.Hold != "" {
		p.Hold = Hold{} // replaced, or gone, or neither
	}
}

func (p *Person) wrong(r *Request, a *answer, why string) error {
	return fmt.Errorf("%s: %s: %w: asked %+v, answered %d %q; has %+v, %+v", p.Subject, why, ErrAnswer, *r, a.status, a.body, p.Bookings, p.Hold)
}

func (p *Person) settleJoin(r *Request, a *answer, unsure bool) error {
	if a.status != http.StatusOK && a.status != http.StatusCreated {
		return p.wrong(r, a, "everybody may join")
	}
	var place struct {
		State  string `json:"state"`
		Number uint64 `json:"number"`
		Pass   string `json:"pass"`
	}
	if err := a.decode(&place); err != nil {
		return err
	}
	again := a.status == http.StatusOK
	switch {
	case place.Number == 0 || place.Pass == "":
		return p.wrong(r, a, "the line is off, so there is a number and a pass")
	case p.Number != 0 && (place.Number != p.Number || !again):
		return p.wrong(r, a, fmt.Sprintf("number %d was given before", p.Number))
	case p.Number == 0 && again && !unsure:
		return p.wrong(r, a, "nobody asked for this number")
	}
	if !again {
		p.acknowledged++
	}
	p.Number, p.Pass = place.Number, place.Pass
	return nil
}

func (p *Person) settleHold(r *Request, a *answer) error {
	if a.status == http.StatusConflict {
		if a.problem() == "slot_full" && p.holds(r.Slot) {
			return p.wrong(r, a, "the person holds that place")
		}
		return p.checkAlreadyBooked(r, a)
	}
	if a.status != http.StatusOK && a.status != http.StatusCreated {
		return p.wrong(r, a, "a hold is made or refused")
	}
	var hold Hold
	if err := a.decode(&hold); err != nil {
		return err
	}
	if hold.ID == "" || hold.Slot != r.Slot {
		return p.wrong(r, a, "another hold than was asked for")
	}
	if p.Hold = hold; a.status == http.StatusCreated {
		p.acknowledged++
	}
	return nil
}

// holds says whether the person can count on a hold of slot.
func (p *Person) holds(slot string) bool {
	return p.Hold.ID != "" && p.Hold.Slot == slot && time.Now().Add(holdMargin).Before(p.Hold.Expires)
}

func (p *Person) settleRelease(r *Request, a *answer, unsure bool) error {
	counted := p.Hold.ID == r.Hold && p.holds(p.Hold.Slot)
	p.Hold = Hold{}
	switch {
	case a.status == http.StatusNoContent:
		p.acknowledged++
		return nil
	case a.status == http.StatusNotFound && (unsure || !counted):
		return nil
	}
	return p.wrong(r, a, "the hold stands")
}

func (p *Person) settleBook(r *Request, a *answer, unsure bool) error {
	counted := p.Hold.ID != "" && p.Hold.ID == r.Hold && p.holds(r.Slot)
	if a.status == http.StatusConflict {
		if code := a.problem(); counted && !unsure && (code == "slot_full" || code == "hold_expired") {
			return p.wrong(r, a, "the person holds that place")
		}
		return p.checkAlreadyBooked(r, a)
	}
	if a.status != http.StatusOK && a.status != http.StatusCreated {
		return p.wrong(r, a, "a booking is made or refused")
	}
	var b Booking
	if err := a.decode(&b); err != nil {
		return err
	}
	if b.Code == "" || b.Slot != r.Slot || b.State != stateBooked {
		return p.wrong(r, a, "another booking than was asked for")
	}
	known := p.booking(b.Code)
	switch {
	case known == nil && a.status == http.StatusOK && !unsure:
		return p.wrong(r, a, "the person was never told of this booking")
	case known == nil && p.active() != nil:
		return p.wrong(r, a, "the person has a booking already")
	case known != nil && a.status == http.StatusCreated:
		return p.wrong(r, a, "the person has this booking already")
	case known != nil && !known.same(b):
		return p.wrong(r, a, "the booking is not as it was")
	case known == nil:
		p.booked(b)
	}
	return nil
}

// checkAlreadyBooked holds the refusal against what the person was told. The
// other refusals say nothing about the person.
func (p *Person) checkAlreadyBooked(r *Request, a *answer) error {
	active := p.active()
	if a.problem() != "already_booked" {
		return nil
	}
	var refusal struct {
		Booking Booking `json:"booking"`
	}
	if err := a.decode(&refusal); err != nil {
		return err
	}
	if active == nil || !active.same(refusal.Booking) {
		return p.wrong(r, a, "not the booking that the person was told of")
	}
	return nil
}

// settleChange takes the answers to Change and Cancel.
func (p *Person) settleChange(r *Request, a *answer) error {
	known := p.booking(r.Code)
	if a.status == http.StatusConflict && r.Kind == Change {
		return nil // no room there, so the booking stands
	}
	if known == nil || a.status != http.StatusOK {
		return p.wrong(r, a, "the booking was acknowledged")
	}
	var b Booking
	if err := a.decode(&b); err != nil {
		return err
	}
	want := *known
	if want.Sequence = b.Sequence; r.Kind == Cancel {
		want.State = stateCancelled
	} else {
		want.Slot = r.Slot
	}
	changed := want.Slot != known.Slot || want.State != known.State
	if !b.same(want) || b.Sequence < known.Sequence || changed != (b.Sequence > known.Sequence) {
		return p.wrong(r, a, "not what was asked for")
	}
	if changed {
		p.acknowledged++
	}
	if changed && r.Kind == Cancel {
		p.Cancels++
	}
	*known = b
	return nil
}
