package identity

import (
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"weir/core/campaign"
)

// payload is the part of a token's claims that is used.
type payload struct {
	jwt.RegisteredClaims
	Birthdate string `json:"birthdate,omitempty"`
}

// unixLast is the last second of the year 9999. Times beyond it are mistakes,
// and some of them would turn negative on their way through the arithmetic.
const unixLast = 253402300799

// check judges the claims of a token whose signature is right. ErrExpired
// comes last, so that it means that everything else is right.
func (p *payload) check(audience string, now time.Time, leeway time.Duration) (Claims, error) {
	if !slices.Contains(p.Audience, audience) {
		return Claims{}, errAudience
	}
	if !plausible(p.ExpiresAt) {
		return Claims{}, errExpiry
	}
	if !begun(p.NotBefore, now, leeway) || !begun(p.IssuedAt, now, leeway) {
		return Claims{}, errNotYet
	}
	if p.Subject == "" || len(p.Subject) > MaxSubject {
		return Claims{}, errSubject
	}
	born, err := campaign.ParseDate(p.Birthdate)
	if err != nil {
		return Claims{}, errBirthdate // without the text: it is personal
	}
	if !now.Before(p.ExpiresAt.Time) {
		return Claims{}, ErrExpired
	}
	return Claims{Issuer: p.Issuer, Subject: p.Subject, Born: born, Expires: p.ExpiresAt.Time}, nil
}

func plausible(t *jwt.NumericDate) bool {
	return t != nil && t.Unix() > 0 && t.Unix() <= unixLast
}

// begun tells whether the optional time t has come, give or take leeway.
func begun(t *jwt.NumericDate, now time.Time, leeway time.Duration) bool {
	return t == nil || t.Unix() >= 0 && t.Unix() <= unixLast && !now.Add(leeway).Before(t.Time)
}
