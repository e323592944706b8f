// Package event is the vocabulary of the log: one small record per change of
// the state, and the codec that writes it.
//
// A record says what was decided, never why it could be: the rules are run
// once, before the record is written, and applying a record later asks no rule
// again. That is what makes a replay give the same state under rules that have
// changed since.
//
// Records hold nothing personal. A person is a PersonKey, the truncated keyed
// hash of who they are, and the key of that hash is kept apart from the log.
//
// The package does not protect against damage: a record is decoded from bytes
// that the log's envelope has already checked. Decode still refuses what it
// cannot read, so that damage that slips through is named and not applied.
package event

import "fmt"

// Seq is the position of a record in the log: 1, 2, 3 … without gaps over the
// whole log, across restarts and epochs. Zero is "none".
type Seq uint64

// Time is a reading of the one clock: Unix milliseconds, UTC.
type Time int64

// CampaignID numbers the campaigns of one log in the order in which they were
// first defined, from 0.
type CampaignID uint16

// Version numbers the definitions of one campaign, from 1. A booking's record
// names the version whose rules allowed it.
type Version uint32

// SlotID numbers the slots of one campaign densely from 0, in the order that
// its definition lays down (campaign.Definition.SlotID).
type SlotID uint32

// NoSlot is no slot of any campaign.
const NoSlot = ^SlotID(0)

// PersonKey is a person: HMAC-SHA-256 of issuer and subject, truncated to 128
// bits. The all-zero key is nobody.
type PersonKey [16]byte

// Number is a place in a campaign's waiting line, from 1. Zero is "none".
type Number uint32

// Kind says what a record changes.
type Kind uint8

// The kinds of record. Their values are the log's format and never change.
const (
	// Defined puts a campaign's definition in force: a new campaign, or the
	// next version of one.
	Defined Kind = 1 + iota
	// Joined gives a person a number in the line.
	Joined
	// Left gives the place in line up. The number is not given again.
	Left
	// Held takes one place of a slot for a person until a time. A hold that
	// the person had on another slot ends with it.
	Held
	// Released ends a hold at the person's wish.
	Released
	// Expired ends a hold whose time has passed.
	Expired
	// Booked takes one place of a slot for a person. A hold that the person
	// had ends with it; one on the same slot becomes the booking.
	Booked
	// Changed moves a booking to another slot.
	Changed
	// Cancelled ends a booking and gives its place back.
	Cancelled

	kindEnd
)

var kindNames = [kindEnd]string{
	Defined: "defined", Joined: "joined", Left: "left", Held: "held", Released: "released",
	Expired: "expired", Booked: "booked", Changed: "changed", Cancelled: "cancelled",
}

// String names the kind as it appears in dumps of the log.
func (k Kind) String() string {
	if k > 0 && k < kindEnd {
		return kindNames[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// Record is one change of the state. It is a plain value: all but Definition
// is copied with it. Fields that a kind does not name are zero.
type Record struct {
	Kind     Kind
	Campaign CampaignID
	Version  Version   // the definition in force when it was decided
	At       Time      // when it was decided
	Person   PersonKey // all but Defined

	Slot    SlotID // Held, Released, Expired, Booked, Cancelled: the slot; Changed: the new one
	From    SlotID // Held, Booked: the slot of the hold that ends with it, or NoSlot; Changed: the old slot
	Ref     Seq    // Booked: the hold that ends with it, or 0; Released, Expired: the hold; Changed, Cancelled: the booking
	Until   Time   // Held: when the hold expires
	Request uint64 // Booked: fingerprint of the client's idempotency key and body, or 0
	Cohort  uint16 // Joined, Held, Booked: index of the cohort that allowed it
	Number  Number // Joined, Left: the place in line

	Definition []byte // Defined: the campaign bundle (campaign.Definition.Bundle)
}
