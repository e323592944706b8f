package server

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/valyala/fasthttp"

	"weir/core"
)

// fault is an answer that says no. Every error that leaves the server is one
// of them: the one table of problems_text.go gives its status, code and words.
// Several faults may share a code where more can be said than the code does.
type fault uint8

// The faults, by status.
const (
	faultRequest  fault = 1 + iota // what the HTTP library could not read, and framing that is not one request
	faultTarget                    // the request target
	faultQuery                     // a parameter of the query
	faultBody                      // the JSON body
	faultKey                       // the Idempotency-Key
	faultNoBody                    // a body where none belongs
	faultIdentity                  // no credential, or none that is good
	faultExpired                   // a credential past its time
	faultNotEligible
	faultNotYourTurn
	faultWrongCampaign
	faultNotFound
	faultMethod
	faultTimeout
	faultAlreadyBooked
	faultSlotFull
	faultSlotClosed
	faultWindowNotOpen
	faultWindowClosed
	faultPaused
	faultLineNotOpen
	faultHoldExpired
	faultTooLate
	faultBodySize
	faultTargetSize
	faultMediaType
	faultExpectation
	faultKeyReused
	faultHeaderSize
	faultTooMany
	faultInternal
	faultOverloaded
	faultOutcomeUnknown
	faultReadOnly
	faultStarting
	faultStopping
	faultEnd
)

// Error returns the problem code.
func (f fault) Error() string { return faults[f].code }

// ofRejection is what the rules' refusals are on this surface.
var ofRejection = [...]fault{
	core.NotFound: faultNotFound, core.NotEligible: faultNotEligible, core.WindowNotOpen: faultWindowNotOpen,
	core.WindowClosed: faultWindowClosed, core.LineNotOpen: faultLineNotOpen, core.AlreadyBooked: faultAlreadyBooked,
	core.SlotFull: faultSlotFull, core.SlotClosed: faultSlotClosed, core.HoldExpired: faultHoldExpired,
	core.TooLateToChange: faultTooLate, core.CampaignPaused: faultPaused, core.KeyReused: faultKeyReused,
	core.NotYourTurn: faultNotYourTurn,
}

// faultOf is the one place in which an error becomes an answer. Errors that
// nobody foresaw are internal; the caller logs them.
//
// ErrFailed and ErrClosed come here only from a command that was not appended
// (durable turns the others into ErrOutcomeUnknown), so nothing was done.
func faultOf(err error) fault {
	switch e := err.(type) { //nolint:errorlint // these are never wrapped, and in a rush most answers are they
	case fault:
		return e
	case core.Rejection:
		if int(e) < len(ofRejection) && ofRejection[e] != 0 {
			return ofRejection[e]
		}
		return faultInternal
	}
	switch {
	case errors.Is(err, core.ErrDrawNotOpen), // opened and gone again meanwhile: a definition changed
		errors.Is(err, core.ErrOverloaded), errors.Is(err, core.ErrFailed), errors.Is(err, core.ErrClosed):
		return faultOverloaded
	case errors.Is(err, core.ErrOutcomeUnknown):
		return faultOutcomeUnknown
	case errors.Is(err, core.ErrReadOnly):
		return faultReadOnly
	}
	return faultInternal
}

// problemHead is the beginning of every problem of one fault in one language,
// up to where its extras or the closing brace go.
var problemHead = func() (heads [faultEnd][languages][]byte) {
	for f := fault(1); f < faultEnd; f++ {
		for l := range languages {
			heads[f][l] = appendProblem(nil, f, l, faults[f].detail[l])
		}
	}
	return heads
}()

// appendProblem appends a problem with that detail, up to where its extras go.
func appendProblem(dst []byte, f fault, l lang, detail string) []byte {
	row := &faults[f]
	dst = fmt.Appendf(dst, `{"type":"/problems/%s","title":`, row.code)
	dst = appendString(dst, row.title[l])
	dst = fmt.Appendf(dst, `,"status":%d,"detail":`, row.status)
	dst = appendString(dst, detail)
	return fmt.Appendf(dst, `,"code":%q`, row.code)
}

const problemType = "application/problem+json"

// writeProblem answers f without extras.
func writeProblem(ctx *fasthttp.RequestCtx, f fault, l lang) {
	ctx.Response.ResetBody()
	ctx.Response.AppendBody(problemHead[f][l])
	ctx.Response.AppendBody(closingBrace)
	problemHeaders(ctx, f, l)
}

var closingBrace = []byte{'}'}

// problemHeaders sets status and headers of f.
func problemHeaders(ctx *fasthttp.RequestCtx, f fault, l lang) {
	row := &faults[f]
	h := &ctx.Response.Header
	ctx.SetStatusCode(row.status)
	h.SetContentType(problemType)
	h.Set(fasthttp.HeaderContentLanguage, languageTags[l])
	h.Set(fasthttp.HeaderCacheControl, "no-store")
	h.Set(fasthttp.HeaderVary, fasthttp.HeaderAcceptLanguage)
	h.Set(fasthttp.HeaderXContentTypeOptions, "nosniff")
	if row.status == fasthttp.StatusUnauthorized {
		h.Set(fasthttp.HeaderWWWAuthenticate, "Bearer")
	}
	if row.retry > 0 {
		setRetryAfter(h, row.retry)
	}
	if row.hangUp {
		ctx.SetConnectionClose()
	}
}

// setRetryAfter asks to come back after about base: between once and twice
// that, at random, so that those who were refused together do not come back
// together.
func setRetryAfter(h *fasthttp.ResponseHeader, base time.Duration) {
	seconds := max(1, int(base/time.Second))
	var digits [20]byte
	h.SetBytesV(fasthttp.HeaderRetryAfter, appendInt(digits[:0], int64(seconds+rand.IntN(seconds+1))))
}
