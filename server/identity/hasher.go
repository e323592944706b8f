package identity

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"sync"

	"weir/core/event"
)

// PersonKeySize is the length of a Hasher's key in bytes.
const PersonKeySize = 32

// Hasher turns people into their keys: HMAC-SHA-256 over issuer and subject,
// each behind its length so that no two pairs read alike, truncated to 128
// bits. Whoever has the log but not the hasher's key cannot tell who is in it,
// nor test a guess. It is safe for concurrent use.
type Hasher struct {
	states sync.Pool // of *hashState: keyed once, reset for every person
}

type hashState struct {
	mac hash.Hash
	in  []byte
	out [sha256.Size]byte
}

// NewHasher returns the hasher under key, which it copies.
func NewHasher(key [PersonKeySize]byte) *Hasher {
	h := new(Hasher)
	h.states.New = func() any {
		return &hashState{mac: hmac.New(sha256.New, key[:])}
	}
	return h
}

// Person returns the key of the person whom issuer calls subject.
func (h *Hasher) Person(issuer, subject string) (person event.PersonKey) {
	s := h.states.Get().(*hashState)
	s.in = binary.BigEndian.AppendUint32(s.in[:0], uint32(len(issuer)))
	s.in = append(s.in, issuer...)
	s.in = binary.BigEndian.AppendUint32(s.in, uint32(len(subject)))
	s.in = append(s.in, subject...)
	s.mac.Reset()
	s.mac.Write(s.in) // a hash never fails
	copy(person[:], s.mac.Sum(s.out[:0]))
	clear(s.in)
	h.states.Put(s)
	return person
}
