package core_test

import (
	"slices"

	"weir/core"
	"weir/core/campaign"
	"weir/core/event"
)

// twin is the booking core as one would write it who has all the time and
// memory in the world: maps, loops over everything, no locks. It knows nothing
// of the engine's layout and has to agree with it.
type twin struct {
	rules   *campaign.Definition
	version event.Version
	seq     event.Seq
	people  map[event.PersonKey]*twinPerson
	line    twinLine
}

type twinPerson struct {
	place    *twinPlace
	hold     *core.Held
	bookings []*twinBooking // oldest first
}

type twinBooking struct {
	core.Booking
	request uint64
	hold    event.Seq // that became the booking, or 0
}

func newTwin(d *campaign.Definition) *twin {
	t := &twin{seq: 0, people: map[event.PersonKey]*twinPerson{}}
	t.define(d)
	return t
}

func (t *twin) person(key event.PersonKey) *twinPerson {
	if t.people[key] == nil {
		t.people[key] = &twinPerson{}
	}
	return t.people[key]
}

func (t *twin) taken(slot event.SlotID) (n int) {
	for _, p := range t.people {
		if p.hold != nil && p.hold.Slot == slot {
			n++
		}
		for _, b := range p.bookings {
			if b.State == core.Booked && b.Slot == slot {
				n++
			}
		}
	}
	return n
}

func (t *twin) full(slot event.SlotID) bool { return t.taken(slot) >= int(t.rules.Capacity(slot)) }

func (p *twinPerson) standing() (list []*twinBooking) {
	for _, b := range p.bookings {
		if b.State == core.Booked {
			list = append(list, b)
		}
	}
	return list
}

func (p *twinPerson) find(seq event.Seq) *twinBooking {
	for _, b := range p.bookings {
		if b.Seq == seq {
			return b
		}
	}
	return nil
}

func (t *twin) next() event.Seq { t.seq++; return t.seq }

// do is Engine.Do; the outcome's Seq is not foretold where nothing was done.
func (t *twin) do(now event.Time, c *core.Command) (core.Outcome, error) {
	p := t.person(c.Person)
	switch c.Op {
	case core.Join:
		return t.join(now, c, p)
	case core.Leave:
		if p.place == nil {
			return core.Outcome{}, core.NotFound
		}
		t.count(p.place.cohort).Left++
		p.place = nil
		return core.Outcome{Seq: t.next(), Done: true}, nil
	case core.Hold:
		return t.hold(now, c, p)
	case core.Release:
		if p.hold == nil || p.hold.Seq != c.Ref {
			return core.Outcome{}, core.NotFound
		}
		p.hold = nil
		return core.Outcome{Seq: t.next(), Done: true}, nil
	case core.Book:
		return t.book(now, c, p)
	case core.Change:
		return t.change(now, c, p)
	}
	return t.cancel(now, c, p)
}

func (t *twin) mayBook(now event.Time, c *core.Command, p *twinPerson, slot event.SlotID) (core.Outcome, error) {
	if standing := p.standing(); len(standing) >= t.rules.Bookings.PerPerson {
		return core.Outcome{Booking: standing[len(standing)-1].Booking}, core.AlreadyBooked
	}
	v := t.rules.Decide(c.Born, now)
	refusals := map[campaign.Reason]core.Rejection{
		campaign.NotInAnyCohort: core.NotEligible, campaign.WindowNotOpen: core.WindowNotOpen, campaign.WindowClosed: core.WindowClosed,
	}
	if refusal, refused := refusals[v.Reason]; refused {
		return core.Outcome{Decision: v}, refusal
	}
	if out, err := t.mayComeIn(v, p); err != nil {
		return out, err
	}
	return core.Outcome{}, t.slotOpen(now, slot)
}

func (t *twin) slotOpen(now event.Time, slot event.SlotID) error {
	if int(slot) >= t.rules.SlotCount() {
		return core.NotFound
	}
	if now >= t.rules.SlotStarts(slot) {
		return core.SlotClosed
	}
	return nil
}

func (t *twin) hold(now event.Time, c *core.Command, p *twinPerson) (core.Outcome, error) {
	if p.hold != nil && p.hold.Slot == c.Slot && t.holdTime(now) < p.hold.Expires {
		return core.Outcome{Hold: *p.hold}, nil
	}
	if out, err := t.mayBook(now, c, p, c.Slot); err != nil {
		return out, err
	}
	if (p.hold == nil || p.hold.Slot != c.Slot) && t.full(c.Slot) {
		return core.Outcome{}, core.SlotFull
	}
	p.hold = &core.Held{Seq: t.next(), Slot: c.Slot, Expires: now + event.Time(t.rules.Bookings.Hold.Milliseconds())}
	return core.Outcome{Seq: t.seq, Done: true, Hold: *p.hold}, nil
}

func (t *twin) book(now event.Time, c *core.Command, p *twinPerson) (core.Outcome, error) {
	for i := len(p.bookings) - 1; i >= 0 && c.Request != 0; i-- {
		if b := p.bookings[i]; b.request>>32 == c.Request>>32 {
			if b.request != c.Request {
				return core.Outcome{Booking: b.Booking}, core.KeyReused
			}
			return core.Outcome{Booking: b.Booking}, nil
		}
	}
	for _, b := range p.standing() {
		if c.Ref != 0 && b.hold == c.Ref || c.Ref == 0 && b.Slot == c.Slot {
			return core.Outcome{Booking: b.Booking}, nil
		}
	}
	slot := c.Slot
	if c.Ref != 0 {
		if p.hold == nil || p.hold.Seq != c.Ref || t.holdTime(now) >= p.hold.Expires {
			return core.Outcome{}, core.HoldExpired
		}
		slot = p.hold.Slot
	}
	if out, err := t.mayBook(now, c, p, slot); err != nil {
		return out, err
	}
	b := &twinBooking{request: c.Request}
	if p.hold != nil && p.hold.Slot == slot {
		b.hold = p.hold.Seq
	} else if t.full(slot) {
		return core.Outcome{}, core.SlotFull
	}
	p.hold = nil
	seq := t.next()
	b.Booking = core.Booking{
		Seq: seq, Last: seq, Slot: slot, State: core.Booked, BookedAt: now,
		Version: t.version, Cohort: t.cohort(t.rules.Cohorts[t.rules.Decide(c.Born, now).Cohort].ID),
	}
	t.count(b.Cohort).Booked++
	p.bookings = append(p.bookings, b)
	p.forget()
	return core.Outcome{Seq: seq, Done: true, Booking: b.Booking}, nil
}

// forget drops the oldest cancelled booking where three of them are readable:
// the new booking takes its place.
func (p *twinPerson) forget() {
	if len(p.bookings)-len(p.standing()) < 3 {
		return
	}
	oldest := slices.IndexFunc(p.bookings, func(b *twinBooking) bool { return b.State == core.Cancelled })
	p.bookings = slices.Delete(p.bookings, oldest, oldest+1)
}

func (t *twin) change(now event.Time, c *core.Command, p *twinPerson) (core.Outcome, error) {
	b := p.find(c.Ref)
	if b == nil || b.State != core.Booked {
		return core.Outcome{}, core.NotFound
	}
	if b.Slot == c.Slot {
		return core.Outcome{Booking: b.Booking}, nil
	}
	v := t.rules.Decide(c.Born, now)
	if v.Reason == campaign.NotInAnyCohort {
		return core.Outcome{Decision: v}, core.NotEligible
	}
	if out, err := t.mayComeIn(v, p); err != nil {
		return out, err
	}
	if now > t.rules.SlotStarts(b.Slot)-event.Time(t.rules.Bookings.ChangeBefore.Milliseconds()) {
		return core.Outcome{Booking: b.Booking}, core.TooLateToChange
	}
	if err := t.slotOpen(now, c.Slot); err != nil {
		return core.Outcome{}, err
	}
	for _, other := range p.standing() {
		if other.Slot == c.Slot {
			return core.Outcome{Booking: other.Booking}, core.AlreadyBooked
		}
	}
	if t.full(c.Slot) {
		return core.Outcome{}, core.SlotFull
	}
	b.Slot, b.Last, b.Version = c.Slot, t.next(), t.version
	return core.Outcome{Seq: t.seq, Done: true, Booking: b.Booking}, nil
}

func (t *twin) cancel(now event.Time, c *core.Command, p *twinPerson) (core.Outcome, error) {
	b := p.find(c.Ref)
	if b == nil {
		return core.Outcome{}, core.NotFound
	}
	if b.State != core.Booked {
		return core.Outcome{Booking: b.Booking}, nil
	}
	if now > t.rules.SlotStarts(b.Slot)-event.Time(t.rules.Bookings.CancelBefore.Milliseconds()) {
		return core.Outcome{Booking: b.Booking}, core.TooLateToChange
	}
	b.State, b.Last = core.Cancelled, t.next()
	t.count(b.Cohort).Booked--
	t.count(b.Cohort).Cancelled++
	return core.Outcome{Seq: t.seq, Done: true, Booking: b.Booking}, nil
}

// sweep ends every hold whose time has passed and returns how many.
func (t *twin) sweep(now event.Time) (n int) {
	if t.line.paused {
		return 0
	}
	for _, p := range t.people {
		if p.hold != nil && p.hold.Expires <= now {
			p.hold = nil
			t.next()
			n++
		}
	}
	return n
}
