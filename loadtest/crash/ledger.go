//go:build linux

package crash

import (
	"slices"
	"time"

	"weir/loadtest/evidence"
)

// The states of a booking, as the server tells them.
const (
	stateBooked    = evidence.Booked
	stateCancelled = evidence.Cancelled
)

// Booking is a booking as it was answered or exported.
type Booking struct {
	Code     string `json:"code"`
	Slot     string `json:"slot"`
	State    string `json:"state"`
	Sequence uint64 `json:"sequence"` // of the record that changed it last
	Person   string `json:"-"`        // keyed hash; in exports alone
}

// same compares what an answer and an export both have.
func (b Booking) same(other Booking) bool {
	return b.Code == other.Code && b.Slot == other.Slot && b.State == other.State && b.Sequence == other.Sequence
}

// Hold is a hold as it was answered.
type Hold struct {
	ID      string    `json:"hold"`
	Slot    string    `json:"slot"`
	Expires time.Time `json:"expires_at"`
}

// cancelledKept is how many cancelled bookings of one person stay readable: a
// new booking takes the place of the oldest where there are as many.
const cancelledKept = 3

// Kind is what a request asks for.
type Kind string

// The requests that change something.
const (
	Join    Kind = "join"
	Take    Kind = "hold"
	Release Kind = "release"
	Book    Kind = "book"
	Change  Kind = "change"
	Cancel  Kind = "cancel"
)

// Request is one request that changes something, complete enough to be sent
// again.
type Request struct {
	Kind Kind
	Slot string // Take, Change: the slot; Book: the slot, also where it goes by a hold
	Code string // Change, Cancel: the booking
	Hold string // Release, and Book by a hold
	Key  string // Book: the idempotency key
}

// Person is one person and what they were told. It belongs to one goroutine at
// a time.
type Person struct {
	Subject  string
	Number   uint64    // in line; 0: not told one
	Pass     string    // "": none yet
	Bookings []Booking // acknowledged and still to be read, as acknowledged last, the oldest first
	Cancels  int       // cancellations that were acknowledged
	Hold     Hold      // ID "": none that the person can count on
	Pending  *Request  // sent, and the answer never came

	acknowledged int // changes
}

// active returns the acknowledged booking that stands, or nil.
func (p *Person) active() *Booking {
	for i := range p.Bookings {
		if p.Bookings[i].State == stateBooked {
			return &p.Bookings[i]
		}
	}
	return nil
}

func (p *Person) booking(code string) *Booking {
	i := slices.IndexFunc(p.Bookings, func(b Booking) bool { return b.Code == code })
	if i < 0 {
		return nil
	}
	return &p.Bookings[i]
}

// allows says whether an acknowledged booking may be found as found: as it was
// acknowledged, or as the unanswered request would have left it.
func (p *Person) allows(acknowledged, found Booking) bool {
	if found.same(acknowledged) {
		return true
	}
	if p.Pending == nil || p.Pending.Code != acknowledged.Code {
		return false
	}
	switch p.Pending.Kind {
	case Cancel:
		acknowledged.State = stateCancelled
	case Change:
		acknowledged.Slot = p.Pending.Slot
	}
	return found.Code == acknowledged.Code && found.Slot == acknowledged.Slot &&
		found.State == acknowledged.State && found.Sequence > acknowledged.Sequence
}

// forgets is the index of the cancelled booking that the next booking takes
// the place of, -1 where it takes none.
func (p *Person) forgets() int {
	oldest, cancelled := -1, 0
	for i, b := range p.Bookings {
		if b.State != stateCancelled {
			continue
		}
		if cancelled++; oldest < 0 {
			oldest = i
		}
	}
	if cancelled < cancelledKept {
		return -1
	}
	return oldest
}

// booked notes a new booking.
func (p *Person) booked(b Booking) {
	if i := p.forgets(); i >= 0 {
		p.Bookings = slices.Delete(p.Bookings, i, i+1)
	}
	p.Bookings = append(p.Bookings, b)
	p.acknowledged++
	p.Hold = Hold{} // a booking ends the hold, whichever it came from
}

// mayHave says whether the unanswered request explains a booking that the
// person was never told of.
func (p *Person) mayHave(found Booking) bool {
	return p.Pending != nil && p.Pending.Kind == Book &&
		p.Pending.Slot == found.Slot && found.State == stateBooked
}
