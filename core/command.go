package core

import (
	"weir/core/campaign"
	"weir/core/event"
)

// Op is what a command asks for.
type Op uint8

// The operations. Each fits one record of the log at most.
const (
	Join    Op = 1 + iota // take a place in line
	Leave                 // give it up
	Hold                  // take one place of Slot for a while; replaces the person's hold
	Release               // give the hold Ref back
	Book                  // book Slot, or the hold Ref
	Change                // move the booking Ref to Slot
	Cancel                // cancel the booking Ref
)

// Command is one wish of one person, by value: nothing in it belongs to the
// request that it came with.
type Command struct {
	Op       Op
	Campaign event.CampaignID
	Person   event.PersonKey
	Born     campaign.Date // Join, Hold, Book, Change: what the rules decide by
	Slot     event.SlotID  // Hold, Change, and Book where Ref is 0
	Ref      event.Seq     // Release: the hold; Book: the hold, or 0 to book Slot; Change, Cancel: the booking
	Request  uint64        // Book: Fingerprint of the idempotency key and body, or 0 without a key
}

// Outcome is what became of a command. Nothing of it may be told to anybody
// before Engine.Wait(Seq) has returned nil.
type Outcome struct {
	Seq  event.Seq // newest record that the answer rests on; 0: none
	Done bool      // this command changed something; false: it was so already

	Decision campaign.Decision // NotEligible, WindowNotOpen, WindowClosed, LineNotOpen, CampaignPaused, ErrDrawNotOpen
	Booking  Booking           // Book, Change, Cancel, and with AlreadyBooked
	Hold     Held              // Hold
	Place    Place             // Join
}

// BookingState is where a booking stands.
type BookingState uint8

// The states of a booking.
const (
	Booked BookingState = 1 + iota
	Cancelled
)

// String gives the state's name on the public surface.
func (s BookingState) String() string {
	if s == Cancelled {
		return "cancelled"
	}
	return "booked"
}

// Booking is one booking, as it stood when it was read.
type Booking struct {
	Seq      event.Seq // of the record that made it: its identity, and its code (AppendCode)
	Last     event.Seq // of the record that changed it last; Seq where none did
	Slot     event.SlotID
	State    BookingState
	BookedAt event.Time
	Version  event.Version // of the definition that allowed it
	Cohort   uint16        // that allowed it, see Campaign.CohortID
}

// Held is one hold.
type Held struct {
	Seq     event.Seq // of the record that made it: its identity
	Slot    event.SlotID
	Expires event.Time
}
