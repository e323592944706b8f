package server

import (
	"bytes"
	"errors"
	"time"

	"weir/core/campaign"
	"weir/core/event"
	"weir/server/identity"
	"weir/server/token"
)

// Identity verifies the identity tokens of the issuers that are believed.
// *identity.Verifier satisfies it. Errors: identity.ErrExpired, and any other
// for a token that is not to be believed. It must be safe for concurrent use
// and keep nothing of tok.
type Identity interface {
	Verify(tok []byte, now time.Time) (identity.Claims, error)
}

// holder is a set of kinds of credential.
type holder uint8

// The kinds of credential that a route may take.
const (
	byIdentity holder = 1 << iota
	byTicket
	byPass
)

// claimant is who is asking, as their credential says.
type claimant struct {
	person event.PersonKey
	born   campaign.Date
	number event.Number // in line; of a pass alone
}

// authenticate opens the request's credential and holds it against what the
// route takes. A good credential of the wrong kind is not_your_turn where a
// pass would do, and no credential at all elsewhere.
func (x *exchange) authenticate() error {
	tok, ok := bearer(&x.fields)
	if !ok {
		return faultIdentity
	}
	if _, ours := token.KindOf(tok); ours {
		return x.byToken(tok)
	}
	claims, err := x.s.identity.Verify(tok, time.UnixMilli(int64(x.now)))
	if err != nil {
		return credentialFault(errors.Is(err, identity.ErrExpired))
	}
	x.who = claimant{person: x.s.hasher.Person(claims.Issuer, claims.Subject), born: claims.Born}
	if x.s.tooMany(x.who.person) {
		return faultTooMany
	}
	return x.admits(byIdentity)
}

func (x *exchange) byToken(tok []byte) error {
	claims, err := x.s.ring.Open(tok, x.terms)
	if err != nil {
		return credentialFault(errors.Is(err, token.ErrExpired))
	}
	if claims.Campaign != x.campaign.hash {
		return faultWrongCampaign
	}
	x.who = claimant{person: claims.Person, born: claims.Born}
	if x.s.tooMany(x.who.person) {
		return faultTooMany
	}
	if claims.Kind == token.Pass {
		if l, ok := x.ctx.Conn().(*lane); ok {
			l.Through()
		}
		x.who.number = claims.Number
		x.heard(claims.Number)
		return x.admits(byPass)
	}
	return x.admits(byTicket)
}

func (x *exchange) admits(kind holder) error {
	switch {
	case x.route.who&kind != 0:
		return nil
	case x.route.who&byPass != 0:
		return faultNotYourTurn
	}
	return faultIdentity
}

func credentialFault(expired bool) error {
	if expired {
		return faultExpired
	}
	return faultIdentity
}

// bearer returns the token of the one Authorization header.
func bearer(f *fields) ([]byte, bool) {
	if f.authorizations != 1 {
		return nil, false
	}
	scheme, tok, ok := bytes.Cut(f.authorization, []byte{' '})
	if !ok || !is(scheme, "bearer") {
		return nil, false
	}
	tok = bytes.TrimLeft(tok, " ")
	return tok, len(tok) > 0
}
