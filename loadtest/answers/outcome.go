package answers

import "net/http"

// Outcome is what came of a request: an answer's status and, where it is a
// problem, its code.
type Outcome uint8

// The outcomes. Their values are the file's format and never change.
const (
	NoAnswer    Outcome = 1 + iota // sent, at least in part, and never answered
	NotSent                        // nobody listened: not a byte was written
	Odd                            // an answer that the surface does not have, or that contradicts itself
	OK                             // 200
	Created                        // 201
	NoContent                      // 204
	NotModified                    // 304

	BadRequest
	Unauthenticated
	TokenExpired
	NotEligible
	NotYourTurn
	WrongCampaign
	NotFound
	MethodNotAllowed
	RequestTimeout
	BookedAlready
	SlotFull
	SlotClosed
	NotOpen
	Closed
	CampaignPaused
	LineNotOpen
	HoldExpired
	TooLateToChange
	BodyTooLarge
	UnsupportedMedia
	KeyReused
	TooManyRequests
	Internal
	Overloaded
	OutcomeUnknown
	ReadOnly
	Starting
	Stopping
	outcomeEnd
)

// Outcomes is how many outcomes there are, and one: an array of that length is
// indexed by Outcome.
const Outcomes = int(outcomeEnd)

// outcomes is the surface's table of statuses and codes.
var outcomes = [outcomeEnd]struct {
	status int
	name   string
}{
	NoAnswer: {0, "no answer"}, NotSent: {0, "not sent"}, Odd: {0, "odd"},
	OK: {http.StatusOK, "ok"}, Created: {http.StatusCreated, "created"},
	NoContent: {http.StatusNoContent, "no content"}, NotModified: {http.StatusNotModified, "not modified"},

	BadRequest:       {http.StatusBadRequest, "bad_request"},
	Unauthenticated:  {http.StatusUnauthorized, "unauthenticated"},
	TokenExpired:     {http.StatusUnauthorized, "token_expired"},
	NotEligible:      {http.StatusForbidden, "not_eligible"},
	NotYourTurn:      {http.StatusForbidden, "not_your_turn"},
	WrongCampaign:    {http.StatusForbidden, "wrong_campaign"},
	NotFound:         {http.StatusNotFound, "not_found"},
	MethodNotAllowed: {http.StatusMethodNotAllowed, "method_not_allowed"},
	RequestTimeout:   {http.StatusRequestTimeout, "request_timeout"},
	BookedAlready:    {http.StatusConflict, "already_booked"},
	SlotFull:         {http.StatusConflict, "slot_full"},
	SlotClosed:       {http.StatusConflict, "slot_closed"},
	NotOpen:          {http.StatusConflict, "window_not_open"},
	Closed:           {http.StatusConflict, "window_closed"},
	CampaignPaused:   {http.StatusConflict, "campaign_paused"},
	LineNotOpen:      {http.StatusConflict, "line_not_open"},
	HoldExpired:      {http.StatusConflict, "hold_expired"},
	TooLateToChange:  {http.StatusConflict, "too_late_to_change"},
	BodyTooLarge:     {http.StatusRequestEntityTooLarge, "body_too_large"},
	UnsupportedMedia: {http.StatusUnsupportedMediaType, "unsupported_media_type"},
	KeyReused:        {http.StatusUnprocessableEntity, "idempotency_key_reused"},
	TooManyRequests:  {http.StatusTooManyRequests, "too_many_requests"},
	Internal:         {http.StatusInternalServerError, "internal"},
	Overloaded:       {http.StatusServiceUnavailable, "overloaded"},
	OutcomeUnknown:   {http.StatusServiceUnavailable, "outcome_unknown"},
	ReadOnly:         {http.StatusServiceUnavailable, "read_only"},
	Starting:         {http.StatusServiceUnavailable, "starting"},
	Stopping:         {http.StatusServiceUnavailable, "stopping"},
}

// OutcomeOf returns the outcome of an answer with that status and, from 400
// on, that problem code. What the surface does not have is Odd.
func OutcomeOf(status int, code []byte) Outcome {
	switch status {
	case http.StatusOK:
		return OK
	case http.StatusCreated:
		return Created
	case http.StatusNoContent:
		return NoContent
	case http.StatusNotModified:
		return NotModified
	}
	for o := BadRequest; o < outcomeEnd; o++ {
		if outcomes[o].status == status && outcomes[o].name == string(code) {
			return o
		}
	}
	return Odd
}

// String is the problem code, or a word for what is no problem.
func (o Outcome) String() string {
	if o > 0 && o < outcomeEnd {
		return outcomes[o].name
	}
	return "unknown outcome"
}

// Status is the HTTP status; 0 where there was no answer, or an odd one.
func (o Outcome) Status() int {
	if o < outcomeEnd {
		return outcomes[o].status
	}
	return 0
}

// Success says that the server did or told what was asked.
func (o Outcome) Success() bool { return o >= OK && o <= NotModified }

// Refused says that the server turned the request away for its own sake, with
// nothing done: there was too much to do, the disk is nearly full, it came too
// slowly, or the server was not up yet or no longer.
func (o Outcome) Refused() bool {
	switch o {
	case TooManyRequests, Overloaded, ReadOnly, RequestTimeout, Starting, Stopping:
		return true
	}
	return false
}

// Unsure says that the request may have been carried out or not, or may yet be.
func (o Outcome) Unsure() bool { return o == NoAnswer || o == OutcomeUnknown || o == Internal }
