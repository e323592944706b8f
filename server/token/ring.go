package token

import (
	"cmp"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"weir/core/event"
)

// SecretSize is the length of a key's secret in bytes.
const SecretSize = 32

// MaxKeys bounds the keys of one ring.
const MaxKeys = 64

// Key is one key of a ring.
type Key struct {
	ID     uint32           // names it in the tokens that it signed; unique in a ring, from 1
	Starts event.Time       // from when on it may sign
	Secret [SecretSize]byte // random, and used for nothing else
}

// Ring is the keys of the server's tokens, and safe for concurrent use.
//
// Of the keys whose start has come the newest signs (of two with the same
// start the one with the higher id); every key of the ring verifies, also one
// whose start is still to come, so that servers which take up a new key a
// moment apart accept each other's tokens. A key is retired by a Replace
// without it: what it signed is refused from then on.
//
// The ring reads no clock. Which key signs is settled by NewRing and Replace.
type Ring struct {
	state atomic.Pointer[ringState]
}

type ringState struct {
	keys   []sealKey // newest first
	signer int       // index of the key that signs
}

type sealKey struct {
	id     uint32
	starts event.Time
	aead   cipher.AEAD
}

// NewRing makes a ring of keys, of which at least one must have started by
// now. The keys are copied.
func NewRing(keys []Key, now event.Time) (*Ring, error) {
	r := new(Ring)
	if err := r.Replace(keys, now); err != nil {
		return nil, err
	}
	return r, nil
}

// Replace puts keys in the place of the ring's keys, all at once, and settles
// anew which of them signs at the time now. With an error the ring stays as it
// was.
func (r *Ring) Replace(keys []Key, now event.Time) error {
	state, err := newRingState(keys, now)
	if err != nil {
		return fmt.Errorf("token ring: %w", err)
	}
	r.state.Store(state)
	return nil
}

// Signer returns the id of the key that signs.
func (r *Ring) Signer() uint32 { return r.signer().id }

func newRingState(keys []Key, now event.Time) (*ringState, error) {
	if len(keys) > MaxKeys {
		return nil, fmt.Errorf("%d keys, at most %d are allowed: retire old ones", len(keys), MaxKeys)
	}
	state := &ringState{keys: make([]sealKey, len(keys))}
	for i := range keys {
		key, err := newSealKey(&keys[i])
		if err != nil {
			return nil, err
		}
		state.keys[i] = key
	}
	slices.SortFunc(state.keys, func(a, b sealKey) int {
		if a.starts != b.starts {
			return cmp.Compare(b.starts, a.starts)
		}
		return cmp.Compare(b.id, a.id)
	})
	if err := checkUnique(state.keys); err != nil {
		return nil, err
	}
	state.signer = slices.IndexFunc(state.keys, func(k sealKey) bool { return k.starts <= now })
	if state.signer < 0 {
		return nil, fmt.Errorf("none of %d keys may sign yet", len(keys))
	}
	return state, nil
}

func newSealKey(key *Key) (sealKey, error) {
	if key.ID == 0 {
		return sealKey{}, errors.New("key id 0")
	}
	if key.Secret == [SecretSize]byte{} {
		return sealKey{}, fmt.Errorf("the secret of key %d is all zeros", key.ID)
	}
	block, err := aes.NewCipher(key.Secret[:])
	if err != nil {
		return sealKey{}, fmt.Errorf("key %d: %w", key.ID, err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return sealKey{}, fmt.Errorf("key %d: %w", key.ID, err)
	}
	return sealKey{id: key.ID, starts: key.Starts, aead: aead}, nil
}

func checkUnique(keys []sealKey) error {
	seen := make(map[uint32]bool, len(keys))
	for _, key := range keys {
		if seen[key.id] {
			return fmt.Errorf("two keys with the id %d", key.id)
		}
		seen[key.id] = true
	}
	return nil
}

func (r *Ring) signer() *sealKey {
	state := r.state.Load()
	return &state.keys[state.signer]
}

// key finds a key by id; nil where the ring has none. The newest come first,
// as most tokens that arrive are theirs.
func (r *Ring) key(id uint32) *sealKey {
	keys := r.state.Load().keys
	for i := range keys {
		if keys[i].id == id {
			return &keys[i]
		}
	}
	return nil
}
