package people

import "weir/core/event"

// Row numbers the rows of one kind within a shard, from 1. Zero is "none".
type Row uint32

// Person is what is known of one person, 32 bytes. Cohorts, here and in the
// other rows, are numbered within the campaign, over all its definitions.
type Person struct {
	Key      event.PersonKey
	Bookings Row        // newest booking
	Hold     Row        // the hold, where there is one
	Place    uint32     // in line: an event.Number where Draw is 0, else the event.Index in that draw; 0: none
	Cohort   uint16     // that the place was given by
	Draw     event.Draw // that the place comes from, or 0; only with a place
}

// Booking is one booking, standing or cancelled, 56 bytes.
type Booking struct {
	Seq      event.Seq // of the record that made it
	Last     event.Seq // of the record that changed it last; Last >= Seq
	BookedAt event.Time
	Request  uint64 // fingerprint of the idempotency key and body, or 0
	Slot     event.SlotID
	HeldFor  uint32 // Seq minus that of the hold that became this booking, or 0
	Person   Row
	Next     Row // the same person's next older booking
	Version  event.Version
	Cohort   uint16
	State    State
	_        uint8
}

// State is where a booking row stands. Its values are those of the core's
// BookingState.
type State uint8

// The states of a booking row.
const (
	Booked State = 1 + iota
	Cancelled
)

// FromHold says whether the booking was made from the hold.
func (b *Booking) FromHold(hold event.Seq) bool {
	return b.HeldFor != 0 && b.Seq-event.Seq(b.HeldFor) == hold
}

// Hold is one hold, 32 bytes. A free row has Person 0 and Next the next free
// one.
type Hold struct {
	Seq     event.Seq
	Expires event.Time
	Slot    event.SlotID
	Person  Row
	Next    Row
	Cohort  uint16
	_       uint16
}

// pageRows is the number of rows in a page: large enough that a page's own
// overhead vanishes, small enough that a shard's last, half-empty page does.
const pageRows = 256

// pages is an append-only table of rows that never move: a row's address stays
// good for as long as the table lives. T has no pointers, so the garbage
// collector has nothing to scan in it.
type pages[T any] struct {
	list    []*[pageRows]T
	n       Row      // rows in use
	changed []uint64 // marks of the pages; see pages.go
}

func (p *pages[T]) at(r Row) *T {
	r--
	return &p.list[r/pageRows][r%pageRows]
}

func (p *pages[T]) add() (Row, *T) {
	if int(p.n) == len(p.list)*pageRows {
		p.list = append(p.list, new([pageRows]T))
		p.changed = grown(p.changed, len(p.list))
	}
	p.n++
	p.mark(p.n)
	return p.n, p.at(p.n)
}
