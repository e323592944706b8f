package identity

import (
	"encoding/binary"

	"weir/core/event"
)

// PersonKeySize is the length of a Hasher's key in bytes.
const PersonKeySize = 32

// Hasher turns people into their keys: HMAC-SHA-256 over issuer and subject,
// each behind its length so that no two pairs read alike, truncated to 128
// bits. Whoever has the log but not the hasher's key cannot tell who is in it,
// nor test a guess. It is safe for concurrent use.
type Hasher struct {
	macs *macs
}

// NewHasher returns the hasher under key, which it copies.
func NewHasher(key [PersonKeySize]byte) *Hasher { return &Hasher{newMACs(key[:])} }

// Person returns the key of the person whom issuer calls subject.
func (h *Hasher) Person(issuer, subject string) (person event.PersonKey) {
	s := h.macs.get()
	s.in = binary.BigEndian.AppendUint32(s.in[:0], uint32(len(issuer)))
	s.in = append(s.in, issuer...)
	s.in = binary.BigEndian.AppendUint32(s.in, uint32(len(subject)))
	s.in = append(s.in, subject...)
	copy(person[:], s.sum(s.in))
	clear(s.in)
	h.macs.put(s)
	return person
}
