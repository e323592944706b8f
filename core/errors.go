package core

import "errors"

// The classes of error that are nobody's fault but the moment's. A Rejection
// is the fifth: the rules said no.
var (
	// ErrOverloaded: refused before anything was done; come back later.
	ErrOverloaded = errors.New("overloaded")
	// ErrReadOnly: refused before anything was done; changes are stopped
	// because the disk is nearly full.
	ErrReadOnly = errors.New("read-only")
	// ErrOutcomeUnknown: the change was decided but not known durable in
	// time. Asking again with the same request tells which.
	ErrOutcomeUnknown = errors.New("outcome unknown")
	// ErrCorrupt: what was read cannot be what was written.
	ErrCorrupt = errors.New("corrupt")
	// ErrFailed: the journal failed; nothing is acknowledged any more.
	ErrFailed = errors.New("journal failed")
	// ErrClosed: the journal was closed in good order.
	ErrClosed = errors.New("journal closed")
)

// Rejection is a command that the rules refuse. Its text is the problem code
// of the public surface.
type Rejection uint8

// The rejections, in no order of weight.
const (
	NotFound        Rejection = 1 + iota // no such campaign, slot, hold or booking of this person
	NotEligible                          // Outcome.Decision says why
	WindowNotOpen                        // Outcome.Decision has the next window
	WindowClosed                         //
	LineNotOpen                          // Outcome.Decision has the next window
	AlreadyBooked                        // Outcome.Booking is the booking
	SlotFull                             //
	SlotClosed                           // the slot has begun, or was closed
	HoldExpired                          //
	TooLateToChange                      //
	CampaignPaused                       // Outcome.Decision has the reason campaign.Paused
	KeyReused                            // the idempotency key came before with another body
	NotYourTurn                          // no place in line, or its number is not called yet
	rejectionEnd
)

var rejectionCodes = [rejectionEnd]string{
	NotFound: "not_found", NotEligible: "not_eligible", WindowNotOpen: "window_not_open",
	WindowClosed: "window_closed", LineNotOpen: "line_not_open", AlreadyBooked: "already_booked",
	SlotFull: "slot_full", SlotClosed: "slot_closed", HoldExpired: "hold_expired",
	TooLateToChange: "too_late_to_change", CampaignPaused: "campaign_paused",
	KeyReused: "idempotency_key_reused", NotYourTurn: "not_your_turn",
}

// Error returns the problem code.
func (r Rejection) Error() string { return rejectionCodes[r] }
