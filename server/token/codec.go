package token

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"sync"

	"weir/core/campaign"
	"weir/core/event"
)

// A token is its prefix and then, as base64url without padding, these bytes
// (big-endian; sizes in bytes):
//
//	+---------+--------+-------+------------------------------+-----+
//	| version | key id | nonce | sealed claims                | tag |
//	|    1    |   4    |  12   | 41                           | 16  |
//	+---------+--------+-------+------------------------------+-----+
//
//	claims: kind 1, campaign 8, person 16, born 4, number 4, expires 8
//
// Prefix, version and key id are bound to the seal as additional data, so that
// none of them can be exchanged.
const (
	version = 1

	versionAt = 0
	keyIDAt   = versionAt + 1
	nonceAt   = keyIDAt + 4
	sealedAt  = nonceAt + nonceSize

	nonceSize  = 12
	tagSize    = 16
	claimsSize = 1 + 8 + 16 + 4 + 4 + 8
	rawSize    = sealedAt + claimsSize + tagSize

	// Size is the length of every token in bytes.
	Size = prefixSize + (rawSize*8+5)/6
)

// strict refuses spare bits that are not zero. It still skips line breaks:
// that the decoded length must be exact rules them out.
var strict = base64.RawURLEncoding.Strict()

// scratch is the memory that one Append or Open works in. The block cipher
// takes its arguments through an interface, so they cannot stay on the stack.
type scratch struct {
	head   [prefixSize + rawSize]byte // the prefix and the raw token
	claims [claimsSize]byte
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// Append signs c with the newest key of the ring and returns dst with the
// token at its end: Size bytes of ASCII. It allocates nothing where dst has
// that room. A kind that is none is a defect of the caller and panics. Safe
// for concurrent use.
func (r *Ring) Append(dst []byte, c *Claims) []byte {
	prefix := c.Kind.prefix()
	if prefix == "" {
		panic("token: append of claims of unknown kind")
	}
	s := scratches.Get().(*scratch)
	key := r.signer()
	copy(s.head[:], prefix)
	raw := s.head[prefixSize:]
	raw[versionAt] = version
	binary.BigEndian.PutUint32(raw[keyIDAt:], key.id)
	nonce := raw[nonceAt:sealedAt]
	_, _ = rand.Read(nonce) // never fails: crypto/rand ends the process instead
	c.encode(s.claims[:])
	key.aead.Seal(raw[sealedAt:sealedAt], nonce, s.claims[:], s.head[:prefixSize+nonceAt])
	dst = append(dst, prefix...)
	dst = strict.AppendEncode(dst, raw)
	clear(s.claims[:])
	scratches.Put(s)
	return dst
}

// Open reads the token tok at the time now and returns its claims, or
// ErrMalformed, ErrUnknownKey, ErrForged or ErrExpired, each as it is. Claims
// with an error are zero. A token is good before its Expires and no longer at
// it. Open allocates nothing, keeps nothing of tok, and is safe for concurrent
// use.
func (r *Ring) Open(tok []byte, now event.Time) (Claims, error) {
	kind, ok := KindOf(tok)
	if !ok || len(tok) != Size {
		return Claims{}, ErrMalformed
	}
	s := scratches.Get().(*scratch)
	c, err := r.open(s, kind, tok)
	clear(s.claims[:])
	scratches.Put(s)
	if err == nil && now >= c.Expires {
		return Claims{}, ErrExpired
	}
	return c, err
}

func (r *Ring) open(s *scratch, kind Kind, tok []byte) (Claims, error) {
	copy(s.head[:], tok[:prefixSize])
	raw := s.head[prefixSize:]
	n, err := strict.Decode(raw, tok[prefixSize:])
	if err != nil || n != rawSize || raw[versionAt] != version {
		return Claims{}, ErrMalformed
	}
	key := r.key(binary.BigEndian.Uint32(raw[keyIDAt:]))
	if key == nil {
		return Claims{}, ErrUnknownKey
	}
	_, err = key.aead.Open(s.claims[:0], raw[nonceAt:sealedAt], raw[sealedAt:], s.head[:prefixSize+nonceAt])
	if err != nil || Kind(s.claims[0]) != kind {
		return Claims{}, ErrForged
	}
	return decode(s.claims[:]), nil
}

func (c *Claims) encode(dst []byte) {
	be := binary.BigEndian
	dst[0] = byte(c.Kind)
	be.PutUint64(dst[1:], c.Campaign)
	copy(dst[9:25], c.Person[:])
	be.PutUint32(dst[25:], uint32(c.Born))
	be.PutUint32(dst[29:], uint32(c.Number))
	be.PutUint64(dst[33:], uint64(c.Expires))
}

func decode(src []byte) (c Claims) {
	be := binary.BigEndian
	c.Kind = Kind(src[0])
	c.Campaign = be.Uint64(src[1:])
	copy(c.Person[:], src[9:25])
	c.Born = campaign.Date(be.Uint32(src[25:]))
	c.Number = event.Number(be.Uint32(src[29:]))
	c.Expires = event.Time(be.Uint64(src[33:]))
	return c
}
