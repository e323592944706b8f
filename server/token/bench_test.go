package token

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"testing"
)

func BenchmarkOpen(b *testing.B) {
	ring := testRing(b, testKey(1, 0), testKey(2, 0))
	c := testClaims(Pass)
	tok := ring.Append(nil, &c)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ring.Open(tok, testNow); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpenForged(b *testing.B) {
	ring := testRing(b, testKey(1, 0), testKey(2, 0))
	c := testClaims(Pass)
	tok := ring.Append(nil, &c)
	tok[60] ^= 1
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ring.Open(tok, testNow); err == nil {
			b.Fatal("opened")
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	ring := testRing(b, testKey(1, 0), testKey(2, 0))
	c := testClaims(Pass)
	dst := make([]byte, 0, Size)
	b.ReportAllocs()
	for b.Loop() {
		dst = ring.Append(dst[:0], &c)
	}
}

// macToken is the design that was not taken: the same claims in the open, with
// an HMAC-SHA-256 behind them, its keyed state kept and reset.
type macToken struct {
	mac hash.Hash
	raw [5 + claimsSize + sha256.Size]byte
	sum [sha256.Size]byte
}

func (m *macToken) sign() []byte {
	const signed = 5 + claimsSize
	m.mac.Reset()
	m.mac.Write([]byte(passPrefix))
	m.mac.Write(m.raw[:signed])
	return m.mac.Sum(m.sum[:0])
}

func BenchmarkMACInstead(b *testing.B) {
	key := testKey(1, 0)
	c := testClaims(Pass)
	m := &macToken{mac: hmac.New(sha256.New, key.Secret[:])}
	c.encode(m.raw[5:])
	copy(m.raw[5+claimsSize:], m.sign())
	text := make([]byte, base64.RawURLEncoding.EncodedLen(len(m.raw)))
	b.Run("append", func(b *testing.B) {
		for b.Loop() {
			copy(m.raw[5+claimsSize:], m.sign())
			base64.RawURLEncoding.Encode(text, m.raw[:])
		}
	})
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			if _, err := strict.Decode(m.raw[:], text); err != nil {
				b.Fatal(err)
			}
			if !hmac.Equal(m.sign(), m.raw[5+claimsSize:]) || decode(m.raw[5:]) != c {
				b.Fatal("refused")
			}
		}
	})
}

// BenchmarkNonce is the part of Append that the random nonce takes.
func BenchmarkNonce(b *testing.B) {
	var nonce [nonceSize]byte
	for b.Loop() {
		_, _ = rand.Read(nonce[:])
	}
}
