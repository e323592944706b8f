// Package identity answers who is asking: it verifies the identity tokens of
// the issuers in the configuration, and turns a person into the keyed hash
// that the rest of the system knows them by.
//
// An identity token is a JWT signed by an issuer that is named in Config.
// Several issuers stand side by side and "iss" chooses among them; a key of
// one never vouches for another. Each key has one algorithm, pinned when the
// key is read: HS256 for a secret file; EdDSA (Ed25519), ES256 or RS256 for a
// key of a JWKS, by what the key is. What the token's own header asks for is
// only compared with it, so "none", a public key used as an HMAC secret and
// the like have nothing to hold on to. RSA keys under 2048 bits are not used.
//
// Checked of each token: its size, the signature, iss, aud, exp (required, no
// leeway), nbf and iat (Config.Leeway for clocks that differ), sub (required,
// 255 bytes at most) and birthdate (required, a whole date: the year alone or
// a date with zeros, as OpenID Connect allows, is refused and never guessed).
//
// What it does not protect against: a token is its bearer's until it expires,
// and no issuer is asked whether it was revoked. An issuer that puts wrong
// birth dates into its tokens is believed. A JWKS fetched by plain http is as
// trustworthy as the network in between. A secret file of HS256 makes everyone
// who can read it an issuer: it is meant for rehearsals, tests and an identity
// service that shares the operator's trust.
package identity

import (
	"errors"
	"time"

	"weir/core/campaign"
)

// Claims is what a verified identity token says.
type Claims struct {
	Issuer, Subject string        // who the person is, and to whom
	Born            campaign.Date // what the rules decide by
	Expires         time.Time     // the first moment at which the token is good no more
}

// Limits on what comes in.
const (
	MaxToken   = 4 << 10 // bytes of one token
	MaxSubject = 255     // bytes of "sub"; OpenID Connect allows no more
	maxKeyID   = 255     // bytes of "kid"
)

// Why a token is refused. ErrExpired stands apart: a fresh token helps. All
// others wrap ErrRefused and are one to whoever asks.
var (
	ErrExpired = errors.New("identity token expired")
	ErrRefused = errors.New("identity token refused")
)

// refusal is one reason for ErrRefused, fixed so that refusing costs nothing.
type refusal string

func (r refusal) Error() string { return "identity token refused: " + string(r) }

// Unwrap makes every refusal an ErrRefused.
func (r refusal) Unwrap() error { return ErrRefused }

const (
	errSize      = refusal("too long")
	errMalformed = refusal("not a JWT")
	errCritical  = refusal("a critical header that is not understood")
	errIssuer    = refusal("unknown issuer")
	errAlgorithm = refusal("not the algorithm of the key")
	errKey       = refusal("unknown key")
	errSignature = refusal("wrong signature")
	errAudience  = refusal("for another audience")
	errExpiry    = refusal("without a usable exp")
	errNotYet    = refusal("not valid yet")
	errSubject   = refusal("without a usable sub")
	errBirthdate = refusal("without a whole birthdate")
)
