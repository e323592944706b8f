package identity

import (
	"bytes"
	"encoding/base64"
	"sync"

	"github.com/valyala/fastjson"
)

// message is a token taken apart (RFC 7515, compact form), none of it trusted
// yet. It lives in a workspace and is gone with the next parse.
type message struct {
	// The header.
	algorithm, keyID []byte
	hasKeyID         bool
	critical         bool // names extensions that must be understood; none is

	// The claims that are used (claims.go).
	issuer, subject, birthdate []byte
	audience                   *fastjson.Value // a string or a list of strings; nil: none
	expires, notBefore, issued float64         // seconds since 1970
	hasExpires, hasNotBefore   bool
	hasIssued                  bool

	signed    []byte // what the signature is over: the token's text without it
	signature []byte
}

// workspace is the memory that one Verify works in.
type workspace struct {
	message
	headerParser, claimsParser fastjson.Parser
	text                       []byte // a decoded segment
	signatureText              []byte
}

var workspaces = sync.Pool{New: func() any { return new(workspace) }}

// strict refuses spare bits that are not zero. It skips line breaks, which
// parse rules out before.
var strict = base64.RawURLEncoding.Strict()

// parse takes tok apart, and false where it is no JWT or a member that is used
// has the wrong type. Of a name that comes twice the last counts.
func (w *workspace) parse(tok []byte) bool {
	header, rest, found1 := bytes.Cut(tok, []byte{'.'})
	claims, signature, found2 := bytes.Cut(rest, []byte{'.'})
	if !found1 || !found2 || bytes.ContainsAny(tok, "\r\n") {
		return false
	}
	w.message = message{signed: tok[:len(tok)-len(signature)-1]}
	var err error
	if w.signatureText, err = strict.AppendDecode(w.signatureText[:0], signature); err != nil {
		return false
	}
	w.signature = w.signatureText
	return w.visit(&w.headerParser, header, w.headerMember) && w.visit(&w.claimsParser, claims, w.claim)
}

// visit hands every member of the JSON object in a segment to member, which
// answers false where it has the wrong type.
func (w *workspace) visit(parser *fastjson.Parser, segment []byte, member func(name []byte, v *fastjson.Value) bool) bool {
	var err error
	if w.text, err = strict.AppendDecode(w.text[:0], segment); err != nil {
		return false
	}
	document, err := parser.ParseBytes(w.text)
	if err != nil {
		return false
	}
	object, err := document.Object()
	if err != nil {
		return false
	}
	ok := true
	object.Visit(func(name []byte, v *fastjson.Value) { ok = member(name, v) && ok })
	return ok
}

func (w *workspace) headerMember(name []byte, v *fastjson.Value) (ok bool) {
	switch string(name) {
	case "alg":
		w.algorithm, ok = text(v)
		return ok
	case "kid":
		w.keyID, w.hasKeyID = text(v)
		return w.hasKeyID
	case "crit":
		w.critical = true
	}
	return true
}

func (w *workspace) claim(name []byte, v *fastjson.Value) (ok bool) {
	switch string(name) {
	case "iss":
		w.issuer, ok = text(v)
	case "sub":
		w.subject, ok = text(v)
	case "birthdate":
		w.birthdate, ok = text(v)
	case "aud":
		w.audience, ok = v, v.Type() == fastjson.TypeString || v.Type() == fastjson.TypeArray
	case "exp":
		w.expires, w.hasExpires = number(v)
		ok = w.hasExpires
	case "nbf":
		w.notBefore, w.hasNotBefore = number(v)
		ok = w.hasNotBefore
	case "iat":
		w.issued, w.hasIssued = number(v)
		ok = w.hasIssued
	default:
		ok = true
	}
	return ok
}

func text(v *fastjson.Value) ([]byte, bool) {
	b, err := v.StringBytes()
	return b, err == nil
}

func number(v *fastjson.Value) (float64, bool) {
	f, err := v.Float64()
	return f, err == nil
}
