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
	line   *LineState
	shard  *people.Shard // locked
	person people.Person // zero for somebody of whom nothing is known yet
	now    event.Time
	cmd    *Command
	record *event.Record // campaign, version, time and person are filled in
	out    *Outcome      // zero; says what a refusal or an answer without a record rests on
}

func (d *decision) decide() error {
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
	return NotFound
}

func (d *decision) join() error {
	if d.person.Place != 0 {
		d.out.Seq, d.out.Place = max(d.shard.Newest, d.line.Newest), d.line.place(&d.person)
		return nil
	}
	verdict := d.rules.Decide(d.cmd.Born, d.now)
	if err := d.mayJoin(verdict); err != nil {
		return d.because(verdict, err)
	}
	cohort, draw := verdict.Cohort, event.Draw(0)
	if early := d.rules.earlyWindow(verdict, d.now); early >= 0 {
		cohort = d.rules.CohortOf(d.cmd.Born, early)
		draw = d.line.pending(d.rules.Windows[early].Opens)
		if draw == 0 && d.rules.byLot() {
			return d.because(verdict, ErrDrawNotOpen)
		}
	} else if verdict.Reason == campaign.Eligible {
		draw = d.line.pending(d.rules.Windows[verdict.Window].Opens) // due, and not drawn yet
	}
	d.record.Kind, d.record.Cohort, d.record.Draw = event.Joined, uint16(cohort), draw
	if draw != 0 {
		d.record.Kind = event.Entered
	}
	return nil
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

func (d *decision) leave() error {
	if d.person.Place == 0 {
		d.out.Seq = d.shard.Newest
		return NotFound
	}
	d.record.Kind, d.record.Number = event.Left, d.line.place(&d.person).Number
	return nil
}

func (d *decision) hold() error {
	hold := d.held()
	if hold != nil && hold.Slot == d.cmd.Slot && d.line.holdTime(d.now) < hold.Expires {
		d.out.Seq, d.out.Hold = hold.Seq, heldOf(hold)
		return nil
	}
	if err := d.mayBook(d.cmd.Slot); err != nil {
		return err
	}
	d.record.Kind, d.record.Slot = event.Held, d.cmd.Slot
	d.record.From, _ = endOf(hold)
	d.record.Until = d.now + event.Time(d.rules.Bookings.Hold.Milliseconds())
	return nil
}

func (d *decision) release() error {
	hold := d.held()
	if hold == nil || hold.Seq != d.cmd.Ref {
		return NotFound
	}
	d.record.Kind, d.record.Slot, d.record.Ref = event.Released, hold.Slot, hold.Seq
	return nil
}

func (d *decision) book() error {
	if same, err := d.askedBefore(); same != nil {
		return d.with(same, err)
	}
	hold, slot := d.held(), d.cmd.Slot
	if d.cmd.Ref != 0 {
		if hold == nil || hold.Seq != d.cmd.Ref || d.line.holdTime(d.now) >= hold.Expires {
			return HoldExpired
		}
		slot = hold.Slot
	}
	if err := d.mayBook(slot); err != nil {
		return err
	}
	d.record.Kind, d.record.Slot = event.Booked, slot
	d.record.From, d.record.Ref = endOf(hold)
	d.record.Request = d.cmd.Request
	return nil
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

func (d *decision) change() error {
	booking := findBooking(d.shard, &d.person, d.cmd.Ref)
	if booking == nil || booking.State != people.Booked {
		return NotFound
	}
	if booking.Slot == d.cmd.Slot {
		return d.with(booking, nil)
	}
	verdict := d.rules.Decide(d.cmd.Born, d.now)
	if verdict.Reason == campaign.NotInAnyCohort {
		return d.because(verdict, NotEligible)
	}
	if err := d.mayComeIn(verdict); err != nil {
		return err
	}
	if d.now > d.rules.SlotStarts(booking.Slot)-event.Time(d.rules.Bookings.ChangeBefore.Milliseconds()) {
		return d.with(booking, TooLateToChange)
	}
	if err := d.slotOpen(d.cmd.Slot); err != nil {
		return err
	}
	if other := d.activeAt(d.cmd.Slot); other != nil {
		return d.with(other, AlreadyBooked)
	}
	d.record.Kind, d.record.Slot, d.record.From, d.record.Ref = event.Changed, d.cmd.Slot, booking.Slot, booking.Seq
	return nil
}

func (d *decision) cancel() error {
	booking := findBooking(d.shard, &d.person, d.cmd.Ref)
	if booking == nil {
		return NotFound
	}
	if booking.State != people.Booked {
		return d.with(booking, nil)
	}
	if d.now > d.rules.SlotStarts(booking.Slot)-event.Time(d.rules.Bookings.CancelBefore.Milliseconds()) {
		return d.with(booking, TooLateToChange)
	}
	d.record.Kind, d.record.Slot, d.record.Ref = event.Cancelled, booking.Slot, booking.Seq
	return nil
}

// with answers err, which may be nil, with a booking that it rests on.
func (d *decision) with(b *people.Booking, err error) error {
	d.out.Seq, d.out.Booking = b.Last, bookingOf(b)
	return err
}

// because refuses with what the rules said.
func (d *decision) because(verdict campaign.Decision, refusal error) error {
	d.out.Decision = verdict
	return refusal
}

// mayBook asks the rules that bind a hold and a booking alike, and names the
// cohort that allows it in the record.
func (d *decision) mayBook(slot event.SlotID) error {
	if d.activeCount() >= d.rules.Bookings.PerPerson {
		booking := d.active()
		return d.with(booking, AlreadyBooked)
	}
	verdict := d.rules.Decide(d.cmd.Born, d.now)
	switch verdict.Reason {
	case campaign.Eligible:
	case campaign.WindowNotOpen:
		return d.because(verdict, WindowNotOpen)
	case campaign.WindowClosed:
		return d.because(verdict, WindowClosed)
	default:
		return d.because(verdict, NotEligible)
	}
	if err := d.mayComeIn(verdict); err != nil {
		return err
	}
	d.record.Cohort = uint16(verdict.Cohort)
	return d.slotOpen(slot)
}

// mayComeIn refuses everybody while the campaign is paused and, where it has a
// line, whose turn has not come.
func (d *decision) mayComeIn(verdict campaign.Decision) error {
	if d.line.Paused {
		verdict.Reason = campaign.Paused
		return d.because(verdict, CampaignPaused)
	}
	if d.rules.Line.Enabled && !d.line.Called(d.line.place(&d.person).Number) {
		return NotYourTurn
	}
	return nil
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

func heldOf(h *people.Hold) Held { return Held{Seq: h.Seq, Slot: h.Slot, Expires: h.Expires} }

func bookingOf(b *people.Booking) Booking {
	return Booking{
		Seq: b.Seq, Last: b.Last, Slot: b.Slot, State: BookingState(b.State),
		BookedAt: b.BookedAt, Version: b.Version, Cohort: b.Cohort,
	}
}
