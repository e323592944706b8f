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

// Draw numbers the draws of one campaign, in each of which the places of those
// who joined early for one opening are drawn by lot, from 1. Zero is "none".
type Draw uint16

// Index is the place of somebody in a draw's list, from 1 in the order in which
// they joined. The draw turns it into a Number.
type Index uint32

// Kind says what a record changes.
type Kind uint8

// The kinds of record. Their values are the log's format and never change.
const (
	// Defined puts a campaign's definition in force: a new campaign, or the
	// next version of one.
	Defined Kind = 1 + iota
	// Joined gives a person a number in the line.
	Joined
	// Left gives the place in line up. Neither a number nor an index is given
	// again.
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
	// Entered puts a person, who came before the opening, into its draw.
	Entered
	// DrawOpened begins the draw of an opening. It commits to a seed without
	// telling it.
	DrawOpened
	// Drawn tells the seed of a draw, and with it gives all who entered their
	// numbers at once.
	Drawn
	// Served raises the serving mark: who has a number up to it may come in.
	Served
	// Paused stops a campaign, or gives a stopped one another reason.
	Paused
	// Resumed ends a pause. Every hold that stands ends as much later as the
	// pause was long.
	Resumed

	kindEnd
)

var kindNames = [kindEnd]string{
	Defined: "defined", Joined: "joined", Left: "left", Held: "held", Released: "released",
	Expired: "expired", Booked: "booked", Changed: "changed", Cancelled: "cancelled",
	Entered: "entered", DrawOpened: "draw_opened", Drawn: "drawn", Served: "served",
	Paused: "paused", Resumed: "resumed",
}

// String names the kind as it appears in dumps of the log.
func (k Kind) String() string {
	if k > 0 && k < kindEnd {
		return kindNames[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// OfPerson says whether a record of the kind changes what one person has. The
// others change a campaign as a whole.
func (k Kind) OfPerson() bool { return k > Defined && k <= Entered }

// Record is one change of the state. It is a plain value: all but Definition
// and Payload is copied with it. Fields that a kind does not name are zero.
type Record struct {
	Kind     Kind
	Campaign CampaignID
	Version  Version   // the definition in force when it was decided
	At       Time      // when it was decided
	Person   PersonKey // kinds of a person

	Slot    SlotID // Held, Released, Expired, Booked, Cancelled: the slot; Changed: the new one
	From    SlotID // Held, Booked: the slot of the hold that ends with it, or NoSlot; Changed: the old slot
	Ref     Seq    // Booked: the hold that ends with it, or 0; Released, Expired: the hold; Changed, Cancelled: the booking
	Until   Time   // Held: when the hold expires; DrawOpened: the opening that people join early for
	Request uint64 // Booked: fingerprint of the client's idempotency key and body, or 0
	Cohort  uint16 // Joined, Held, Booked, Entered: index of the cohort that allowed it; DrawOpened: of its first joiner
	Draw    Draw   // Entered, DrawOpened, Drawn
	Number  Number // Joined: the place in line; Left: likewise, or 0 where it was not drawn yet; Served: the mark
	Index   Index  // Entered: the place in the draw

	Definition []byte // Defined: the campaign bundle (campaign.Definition.Bundle)
	Payload    []byte // DrawOpened: the commitment, Drawn: the seed, SecretSize bytes each; Paused: the reason, in UTF-8
}
