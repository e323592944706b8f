package identity

import (
	"crypto/hmac"
	"crypto/sha256"
	"hash"
	"sync"
)

// macs makes HMAC-SHA-256 under one key. Keying costs as much as three short
// messages and allocates, so states are kept and reset. It is safe for
// concurrent use.
type macs struct {
	states sync.Pool // of *macState
}

type macState struct {
	mac hash.Hash
	in  []byte // scratch of whoever has the state
	out [sha256.Size]byte
}

// newMACs copies key.
func newMACs(key []byte) *macs {
	key = append([]byte(nil), key...)
	m := new(macs)
	m.states.New = func() any { return &macState{mac: hmac.New(sha256.New, key)} }
	return m
}

func (m *macs) get() *macState  { return m.states.Get().(*macState) }
func (m *macs) put(s *macState) { m.states.Put(s) }

// sum returns the code of message, in memory of the state.
func (s *macState) sum(message []byte) []byte {
	s.mac.Reset()
	s.mac.Write(message) // a hash never fails
	return s.mac.Sum(s.out[:0])
}

// verify tells whether code is that of message, in constant time.
func (m *macs) verify(message, code []byte) bool {
	s := m.get()
	equal := hmac.Equal(s.sum(message), code)
	m.put(s)
	return equal
}
