package core

import (
	"strings"

	"github.com/zeebo/xxh3"

	"weir/core/event"
)

// A code names a booking or a hold to people: ten characters of Crockford's
// base 32 in two groups, "7K2QF-93TMD". Nine carry a permutation of the
// sequence number of the record that made it, so that neighbours do not look
// alike and no table is needed; the tenth is a check, so that a slip of the
// pen is noticed. A code is a name and no secret: every route asks who holds
// it as well.
const (
	codeAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	codeBits     = 45
	codeMask     = 1<<codeBits - 1
	codeFactor   = 0x16A09E667F3D & codeMask // odd, so it has an inverse
	// CodeLen is the length of a code in bytes.
	CodeLen = 11
)

var (
	codeInverse = inverseOdd(codeFactor)
	codeDigits  = crockfordDigits()
)

// AppendCode appends the code of the booking or hold that the record seq made.
func AppendCode(dst []byte, seq event.Seq) []byte {
	v := permute(uint64(seq))
	var code [CodeLen]byte
	code[10] = codeAlphabet[checkDigit(v)]
	for i, at := 8, 9; i >= 0; i, at = i-1, at-1 {
		if at == 5 {
			at--
		}
		code[at] = codeAlphabet[v&31]
		v >>= 5
	}
	code[5] = '-'
	return append(dst, code[:]...)
}

// ParseCode reads a code as people type it: either case, with or without the
// hyphen, O for 0 and I or L for 1. It returns false for what is no code.
func ParseCode(code []byte) (event.Seq, bool) {
	if len(code) > CodeLen {
		return 0, false
	}
	var v uint64
	digits := 0
	for i, c := range code {
		if c == '-' && i == 5 {
			continue
		}
		d := codeDigits[c]
		if d < 0 || digits == 10 {
			return 0, false
		}
		digits++
		if digits < 10 {
			v = v<<5 | uint64(d)
			continue
		}
		if uint64(d) != checkDigit(v) {
			return 0, false
		}
	}
	if digits != 10 {
		return 0, false
	}
	seq := event.Seq(unpermute(v))
	return seq, seq != 0
}

// permute is a bijection of the numbers below 2^45.
func permute(v uint64) uint64 {
	v &= codeMask
	v = v * codeFactor & codeMask
	v ^= v >> 23
	return v * codeFactor & codeMask
}

func unpermute(v uint64) uint64 {
	v = v * codeInverse & codeMask
	v ^= v >> 23
	return v * codeInverse & codeMask
}

// checkDigit weighs each digit by its own odd factor, so that one wrong digit
// changes the sum, and two neighbours exchanged nearly always do.
func checkDigit(v uint64) uint64 {
	var sum uint64
	for weight := uint64(3); v > 0; weight += 2 {
		sum += v & 31 * weight
		v >>= 5
	}
	return sum & 31
}

// inverseOdd finds f with f*odd = 1 modulo 2^64 by Newton's iteration, each
// round of which doubles the correct bits.
func inverseOdd(odd uint64) uint64 {
	inverse := odd
	for range 6 {
		inverse *= 2 - odd*inverse
	}
	return inverse
}

func crockfordDigits() (digits [256]int8) {
	for i := range digits {
		digits[i] = -1
	}
	for d, c := range codeAlphabet {
		digits[c] = int8(d)
		digits[strings.ToLower(string(c))[0]] = int8(d)
	}
	for alias, of := range map[byte]byte{'O': '0', 'o': '0', 'I': '1', 'i': '1', 'L': '1', 'l': '1'} {
		digits[alias] = digits[of]
	}
	return digits
}

// Fingerprint folds an idempotency key and the body that came with it into the
// 64 bits that a booking keeps: the key's hash above, the body's below. It is
// zero only where key is empty.
func Fingerprint(key, body []byte) uint64 {
	if len(key) == 0 {
		return 0
	}
	f := xxh3.Hash(key)&^0xffffffff | xxh3.Hash(body)&0xffffffff
	if f>>32 == 0 {
		f |= 1 << 32
	}
	return f
}
