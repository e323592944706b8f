package identity

import (
	"time"
	"unicode/utf8"

	"github.com/valyala/fastjson"

	"weir/core/campaign"
)

// unixLast is the last second of the year 9999. Times beyond it are mistakes,
// and some of them would turn negative on their way through the arithmetic.
const unixLast = 253402300799

// check judges the claims of a message whose signature is right. ErrExpired
// comes last, so that it means that everything else is right.
func (m *message) check(is *issuer, now time.Time, leeway time.Duration) (Claims, error) {
	if !names(m.audience, is.audience) {
		return Claims{}, errAudience
	}
	expires, ok := moment(m.expires)
	if !m.hasExpires || !ok || m.expires <= 0 {
		return Claims{}, errExpiry
	}
	if m.hasNotBefore && !begun(m.notBefore, now, leeway) || m.hasIssued && !begun(m.issued, now, leeway) {
		return Claims{}, errNotYet
	}
	if len(m.subject) == 0 || len(m.subject) > MaxSubject || !utf8.Valid(m.subject) {
		return Claims{}, errSubject
	}
	born, err := campaign.ParseDate(string(m.birthdate))
	if err != nil {
		return Claims{}, errBirthdate // without the text: it is personal
	}
	if !now.Before(expires) {
		return Claims{}, ErrExpired
	}
	return Claims{Issuer: is.name, Subject: string(m.subject), Born: born, Expires: expires}, nil
}

// names tells whether an "aud" is for audience or has it in its list.
func names(aud *fastjson.Value, audience string) bool {
	if aud == nil {
		return false
	}
	if aud.Type() == fastjson.TypeArray {
		for _, one := range aud.GetArray() {
			if string(one.GetStringBytes()) == audience {
				return true
			}
		}
		return false
	}
	return string(aud.GetStringBytes()) == audience
}

// moment turns seconds since 1970 into a time, to the millisecond, and is
// false for what no calendar has.
func moment(seconds float64) (time.Time, bool) {
	if !(seconds >= 0 && seconds <= unixLast) { // so written, it refuses NaN as well
		return time.Time{}, false
	}
	return time.UnixMilli(int64(seconds * 1000)).UTC(), true
}

// begun tells whether the time has come, give or take leeway.
func begun(seconds float64, now time.Time, leeway time.Duration) bool {
	t, ok := moment(seconds)
	return ok && !now.Add(leeway).Before(t)
}
