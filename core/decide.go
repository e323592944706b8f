package core

import (
	"weir/core/campaign"
	"weir/core/event"
	"weir/core/people"
)

// decision is what one command is decided by. decide and its steps read it,
// change nothing of the state, and write the record that would carry the
// command out; a record of kind 0 says that nothing needs to change. Whether a
// place is left in the slot is the one question asked later, under the slot's
// lock.
type decision struct {
	rules  *rules
	shard  *people.Shard // locked
	person people.Person // zero for somebody of whom nothing is known yet
	now    event.Time
	cmd    *Command
	record *event.Record // campaign, version, time and person are filled in
}

func (d *decision) decide() (Outcome, error) {
	switch d.cmd.Op {
	case Join:
		return d.join()
	case Leave:
		return d.leave()
	case Hold:
		return d.hold()
	case Release:
		return d.release()
	case Book:
		return d.book()
	case Change:
		return d.change()
	case Cancel:
		return d.cancel()
	}
	return Outcome{}, NotFound
}

func (d *decision) join() (Outcome, error) {
	if d.person.Number != 0 {
		return Outcome{Seq: d.shard.Newest, Place: Place{Number: d.person.Number, Cohort: d.person.Cohort}}, nil
	}
	verdict := d.rules.Decide(d.cmd.Born, d.now)
	if err := d.mayJoin(verdict); err != nil {
		return Outcome{Decision: verdict}, err
	}
	d.record.Kind, d.record.Cohort = event.Joined, cohortOf(verdict)
	return Outcome{}, nil
}

// mayJoin lets in who may book now, who may join the line of a window to come,
// and who has a booking, which they may want to change.
func (d *decision) mayJoin(verdict campaign.Decision) error {
	if verdict.Reason == campaign.Eligible || verdict.Reason != campaign.NotInAnyCohort && d.active() != nil {
		return nil
	}
	if verdict.Reason == campaign.NotInAnyCohort || verdict.Next < 0 {
		return NotEligible
	}
	if d.rules.LineOpens(verdict.Next) <= d.now {
		return nil
	}
	if d.rules.LineOpen(d.now) {
		return NotEligible
	}
	return LineNotOpen
}

func (d *decision) leave() (Outcome, error) {
	if d.person.Number == 0 {
		return Outcome{Seq: d.shard.Newest}, NotFound
	}
	d.record.Kind, d.record.Number = event.Left, d.person.Number
	return Outcome{}, nil
}

func (d *decision) hold() (Outcome, error) {
	hold := d.held()
	if hold != nil && hold.Slot == d.cmd.Slot && d.now < hold.Expires {
		return Outcome{Seq: hold.Seq, Hold: heldOf(hold)}, nil
	}
	out, err := d.mayBook(d.cmd.Slot)
	if err != nil {
		return out, err
	}
	d.record.Kind, d.record.Slot = event.Held, d.cmd.Slot
	d.record.From, _ = endOf(hold)
	d.record.Until = d.now + event.Time(d.rules.Bookings.Hold.Milliseconds())
	return Outcome{}, nil
}

func (d *decision) release() (Outcome, error) {
	hold := d.held()
	if hold == nil || hold.Seq != d.cmd.Ref {
		return Outcome{}, NotFound
	}
	d.record.Kind, d.record.Slot, d.record.Ref = event.Released, hold.Slot, hold.Seq
	return Outcome{}, nil
}

func (d *decision) book() (Outcome, error) {
	if same, err := d.askedBefore(); same != nil {
		return Outcome{Seq: same.Last, Booking: bookingOf(same)}, err
	}
	hold, slot := d.held(), d.cmd.Slot
	if d.cmd.Ref != 0 {
		if hold == nil || hold.Seq != d.cmd.Ref || d.now >= hold.Expires {
			return Outcome{}, HoldExpired
		}
		slot = hold.Slot
	}
	out, err := d.mayBook(slot)
	if err != nil {
		return out, err
	}
	d.record.Kind, d.record.Slot = event.Booked, slot
	d.record.From, d.record.Ref = endOf(hold)
	d.record.Request = d.cmd.Request
	return Outcome{}, nil
}

// askedBefore returns the booking that the same request made before. With
// KeyReused it is the booking that another request made under the same key.
func (d *decision) askedBefore() (*people.Booking, error) {
	var same *people.Booking
	for row := d.person.Bookings; row != 0; {
		b := d.shard.Booking(row)
		row = b.Next
		switch {
		case d.cmd.Request != 0 && b.Request>>32 == d.cmd.Request>>32:
			if b.Request != d.cmd.Request {
				return b, KeyReused
			}
			return b, nil
		case b.State != people.Booked:
		case d.cmd.Ref != 0 && b.FromHold(d.cmd.Ref), d.cmd.Ref == 0 && b.Slot == d.cmd.Slot:
			same = b
		}
	}
	return same, nil
}

func (d *decision) change() (Outcome, error) {
	booking := findBooking(d.shard, &d.person, d.cmd.Ref)
	if booking == nil || booking.State != people.Booked {
		return Outcome{}, NotFound
	}
	if booking.Slot == d.cmd.Slot {
		return Outcome{Seq: booking.Last, Booking: bookingOf(booking)}, nil
	}
	if verdict := d.rules.Decide(d.cmd.Born, d.now); verdict.Reason == campaign.NotInAnyCohort {
		return Outcome{Decision: verdict}, NotEligible
	}
	if d.now > d.rules.SlotStarts(booking.Slot)-event.Time(d.rules.Bookings.ChangeBefore.Milliseconds()) {
		return Outcome{Seq: booking.Last, Booking: bookingOf(booking)}, TooLateToChange
	}
	if err := d.slotOpen(d.cmd.Slot); err != nil {
		return Outcome{}, err
	}
	if other := d.activeAt(d.cmd.Slot); other != nil {
		return Outcome{Seq: other.Last, Booking: bookingOf(other)}, AlreadyBooked
	}
	d.record.Kind, d.record.Slot, d.record.From, d.record.Ref = event.Changed, d.cmd.Slot, booking.Slot, booking.Seq
	return Outcome{}, nil
}

func (d *decision) cancel() (Outcome, error) {
	booking := findBooking(d.shard, &d.person, d.cmd.Ref)
	if booking == nil {
		return Outcome{}, NotFound
	}
	if booking.State != people.Booked {
		return Outcome{Seq: booking.Last, Booking: bookingOf(booking)}, nil
	}
	if d.now > d.rules.SlotStarts(booking.Slot)-event.Time(d.rules.Bookings.CancelBefore.Milliseconds()) {
		return Outcome{Seq: booking.Last, Booking: bookingOf(booking)}, TooLateToChange
	}
	d.record.Kind, d.record.Slot, d.record.Ref = event.Cancelled, booking.Slot, booking.Seq
	return Outcome{}, nil
}

// mayBook asks the rules that bind a hold and a booking alike, and names the
// cohort that allows it in the record.
func (d *decision) mayBook(slot event.SlotID) (Outcome, error) {
	if d.activeCount() >= d.rules.Bookings.PerPerson {
		booking := d.active()
		return Outcome{Seq: booking.Last, Booking: bookingOf(booking)}, AlreadyBooked
	}
	verdict := d.rules.Decide(d.cmd.Born, d.now)
	switch verdict.Reason {
	case campaign.Eligible:
	case campaign.WindowNotOpen:
		return Outcome{Decision: verdict}, WindowNotOpen
	case campaign.WindowClosed:
		return Outcome{Decision: verdict}, WindowClosed
	default:
		return Outcome{Decision: verdict}, NotEligible
	}
	d.record.Cohort = cohortOf(verdict)
	return Outcome{}, d.slotOpen(slot)
}

func (d *decision) slotOpen(slot event.SlotID) error {
	if int64(slot) >= int64(d.rules.SlotCount()) {
		return NotFound
	}
	if d.now >= d.rules.SlotStarts(slot) {
		return SlotClosed
	}
	return nil
}

// held returns the person's hold, expired or not, or nil.
func (d *decision) held() *people.Hold {
	if d.person.Hold == 0 {
		return nil
	}
	return d.shard.Hold(d.person.Hold)
}

// active returns the newest booking that stands, or nil.
func (d *decision) active() *people.Booking {
	for row := d.person.Bookings; row != 0; row = d.shard.Booking(row).Next {
		if b := d.shard.Booking(row); b.State == people.Booked {
			return b
		}
	}
	return nil
}

func (d *decision) activeAt(slot event.SlotID) *people.Booking {
	for row := d.person.Bookings; row != 0; row = d.shard.Booking(row).Next {
		if b := d.shard.Booking(row); b.State == people.Booked && b.Slot == slot {
			return b
		}
	}
	return nil
}

func (d *decision) activeCount() int { return activeCount(d.shard, &d.person) }

func activeCount(shard *people.Shard, person *people.Person) (n int) {
	for row := person.Bookings; row != 0; row = shard.Booking(row).Next {
		if shard.Booking(row).State == people.Booked {
			n++
		}
	}
	return n
}

func findBooking(shard *people.Shard, person *people.Person, seq event.Seq) *people.Booking {
	for row := person.Bookings; row != 0; row = shard.Booking(row).Next {
		if b := shard.Booking(row); b.Seq == seq {
			return b
		}
	}
	return nil
}

// endOf returns slot and sequence number of a hold that ends, NoSlot and 0
// where there is none.
func endOf(hold *people.Hold) (event.SlotID, event.Seq) {
	if hold == nil {
		return event.NoSlot, 0
	}
	return hold.Slot, hold.Seq
}

// NoCohort stands for the cohort of somebody who is in none.
const NoCohort = ^uint16(0)

func cohortOf(verdict campaign.Decision) uint16 {
	if verdict.Cohort < 0 {
		return NoCohort
	}
	return uint16(verdict.Cohort)
}

func heldOf(h *people.Hold) Held { return Held{Seq: h.Seq, Slot: h.Slot, Expires: h.Expires} }

func bookingOf(b *people.Booking) Booking {
	return Booking{
		Seq: b.Seq, Last: b.Last, Slot: b.Slot, State: BookingState(b.State),
		BookedAt: b.BookedAt, Version: b.Version, Cohort: b.Cohort,
	}
}
