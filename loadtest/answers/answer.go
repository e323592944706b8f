// Package answers writes down every answer that a client got, and every request
// that got none, in a file that the judge reads afterwards.
//
// The file is append-only and made of blocks, each with its own checksum
// (file.go); a record is some 15 to 40 bytes (record.go). Several goroutines
// write at once, each through a Recorder of its own with a bounded buffer, so
// the records of a file come in no order: whoever reads it sorts.
//
// A client that was killed leaves a file without its last block. It is read as
// far as it goes, and Summary.Whole says that something is missing: up to a
// buffer of every recorder, and whatever was under way.
//
// The package does not protect against somebody who edits the file: a checksum
// is no signature.
package answers

import (
	"time"

	"weir/core/event"
	"weir/core/line"
)

// Person is one of the crowd: an index from 0.
type Person uint32

// Nobody asked for themselves: the request is about nobody.
const Nobody = ^Person(0)

// Kind is what a request asks for.
type Kind uint8

// The kinds of request. Their values are the file's format and never change.
const (
	Campaign    Kind = 1 + iota // the public definition
	Eligibility                 // may I book, and when
	Join                        // a place in line
	OwnPlace                    // the place that one has
	Leave                       // the place is given up
	Line                        // the line's public state
	Sites                       // sites near home
	Slots                       // slots of a site
	Hold                        // a place of a slot for a while
	Release                     // a hold is given back
	Book                        // a slot, or the slot of a hold
	Change                      // a booking to another slot
	Cancel                      // a booking
	OwnBookings                 // the bookings that one has
	kindEnd
)

// Kinds is how many kinds there are, and one: an array of that length is
// indexed by Kind.
const Kinds = int(kindEnd)

var kindNames = [kindEnd]string{
	Campaign: "campaign", Eligibility: "eligibility", Join: "join", OwnPlace: "own place", Leave: "leave",
	Line: "line", Sites: "sites", Slots: "slots", Hold: "hold", Release: "release", Book: "book",
	Change: "change", Cancel: "cancel", OwnBookings: "own bookings",
}

// String names the kind.
func (k Kind) String() string {
	if k > 0 && k < kindEnd {
		return kindNames[k]
	}
	return "unknown kind"
}

// Changes says whether such a request changes something where it succeeds.
func (k Kind) Changes() bool {
	switch k {
	case Join, Leave, Hold, Release, Book, Change, Cancel:
		return true
	}
	return false
}

// Credential is what a request was sent with.
type Credential uint8

// The credentials. Bad is none that the server can have given out, sent on
// purpose.
const (
	NoCredential Credential = iota
	Identity
	Ticket
	Pass
	Bad
	credentialEnd
)

// PlaceState is the state of a place in line, as it was told.
type PlaceState uint8

// The states of a place.
const (
	NoPlace PlaceState = iota
	Early
	Waiting
	Admitted
	placeEnd
)

// Place is a place in line as it was told. Number is 0 while it is drawn by
// lot.
type Place struct {
	State         PlaceState
	Number, Ahead event.Number
	Draw          event.Draw  // that it comes from; 0: none
	Index         event.Index // in that draw; 0: none
}

// Held is a hold as it was told.
type Held struct {
	Ref     event.Seq // that the hold's code stands for
	Slot    event.SlotID
	Expires event.Time // of the server's clock
}

// Booking is a booking as it was told.
type Booking struct {
	Ref       event.Seq // that the booking's code stands for
	Slot      event.SlotID
	Sequence  event.Seq // of the record that changed it last
	Cancelled bool
}

// Serving is the line's public state as it was told.
type Serving struct {
	AsOf            event.Time // of the server's clock
	Issued, Serving event.Number
	Paused          bool
}

// Draw is a draw of the line's public state as it was told.
type Draw struct {
	Ordinal    event.Draw
	Opens      event.Time // the opening that it is for
	Commitment line.Commitment
	Drawn      bool // the rest is there
	Seed       line.Seed
	Size       uint32
	Base       event.Number
}

// Shown is what was told to be free. Left is of the slots from First on, all of
// which were asked for; a slot that was left out has 0.
type Shown struct {
	AsOf  event.Time   // of the server's clock; 0: nothing was told
	First event.SlotID // NoSlot where sites were told and no slots
	Left  []uint16
}

// Reason says why somebody may book or not, as it was told.
type Reason uint8

// The reasons.
const (
	NoReason Reason = iota
	Eligible
	NotInAnyCohort
	WindowNotOpen
	WindowClosed
	AlreadyBooked
	Paused
	reasonEnd
)

var reasonNames = [reasonEnd]string{
	Eligible: "eligible", NotInAnyCohort: "not_in_any_cohort", WindowNotOpen: "window_not_open",
	WindowClosed: "window_closed", AlreadyBooked: "already_booked", Paused: "paused",
}

// ParseReason reads a reason as the server writes it; NoReason for one that is
// unknown.
func ParseReason(text []byte) Reason {
	for r, name := range reasonNames {
		if r > 0 && name == string(text) {
			return Reason(r)
		}
	}
	return NoReason
}

// String is the reason as the server writes it.
func (r Reason) String() string {
	if r < reasonEnd && r > 0 {
		return reasonNames[r]
	}
	return "no reason"
}

// Answer is one request and what came of it. What the answer did not tell is
// zero. Where Outcome is NoAnswer, Answered is when the client gave up.
type Answer struct {
	Person     Person
	Kind       Kind
	Outcome    Outcome
	Credential Credential
	Reason     Reason

	Sent     time.Duration // since the file's beginning, when the first byte was written
	Answered time.Duration // and when the last one was read

	AskedSlot  event.SlotID  // Hold, Change and Book by slot; NoSlot elsewhere
	AskedRef   event.Seq     // Release, and Book by hold: the hold; Change, Cancel: the booking
	Key        uint32        // Book: the idempotency key, 0 for none
	ValidUntil event.Time    // of the credential, by what the server or the loader wrote into it; 0: not noted
	ValidSince time.Duration // when the credential was told; 0: not noted

	Place    Place
	Held     Held
	Serving  Serving
	Draws    []Draw // Line: all of them, where they are not what the same recorder noted before
	Shown    Shown
	Bookings []Booking
}
