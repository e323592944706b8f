package line

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
)

// Seed decides a draw. Whoever knows it knows everybody's number in advance, so
// it is made where nobody reads it, committed to before the first person enters
// and published when the draw is done.
type Seed [32]byte

// Commitment binds to a Seed without telling anything of it.
type Commitment [sha256.Size]byte

// The draw, drawn so that anybody can recompute it with SHA-256 and whole
// numbers alone. Sizes in bytes, integers big-endian, ‖ is concatenation, the
// labels are ASCII and end with one zero byte.
//
//	commitment 32 = SHA-256(       "weir draw commitment v1" 0  24 ‖ seed 32)
//	key        32 = HMAC-SHA-256(seed, "weir draw key v1" 0     17 ‖ size 4)
//
// Let side be the smallest even number with side*side >= size. For rounds r of
// 0 … 11 and x of 0 … side-1:
//
//	block      32 = SHA-256(key 32 ‖ r 1 ‖ x/8 4)         eight words of 4
//	word        4 = word x%8 of block
//	f(r, x)       = word * side / 2^32, rounded down
//
// One pass takes index to rank:
//
//	left, right = index / side, index % side
//	for r = 0 … 11: left, right = right, (left + f(r, right)) % side
//	rank = left * side + right
//
// and is repeated with rank for index until rank < size. A person's number is
// the draw's base + 1 + rank. testdata/draw.golden has examples of each step.
const (
	commitmentLabel = "weir draw commitment v1\x00"
	keyLabel        = "weir draw key v1\x00"
	rounds          = 12
	wordsPerBlock   = sha256.Size / 4
)

// Commitment returns what is published of the seed before the first person
// enters the draw.
func (s Seed) Commitment() Commitment {
	var message [len(commitmentLabel) + len(s)]byte
	copy(message[copy(message[:], commitmentLabel):], s[:])
	return sha256.Sum256(message[:])
}

// Rank returns the rank, 0 … size-1, that a draw of that seed and size gives to
// an index, 0 … size-1. It costs some twelve hashes; whoever asks more often
// keeps a Permutation. It panics where index is not below size.
func Rank(seed Seed, size, index uint32) uint32 {
	mustBeBelow(index, size)
	k, side := drawKey(seed, size), sideOf(size)
	for at := index; ; {
		left, right := at/side, at%side
		for r := range rounds {
			block := k.block(r, right/wordsPerBlock)
			left, right = right, addModulo(left, reduce(wordOf(&block, right), side), side)
		}
		if at = left*side + right; at < size {
			return at
		}
	}
}

// Permutation is one draw made ready: a bijection of 0 … size-1 and its
// inverse, each in constant time and without allocating. It is a balanced
// Feistel network over the pairs of 0 … side-1 (Luby and Rackoff 1988), brought
// down from side*side to size by walking along the cycle (Black and Rogaway,
// "Ciphers with Arbitrary Finite Domains", 2002). Since side*side exceeds size
// by less than 4*side, all but a few walks end at their first step.
//
// The side is even because adding an odd number in a circle of even length is
// an odd permutation, so that draws come out even and odd alike. With an odd
// side all would be of one parity: nobody's rank would be the worse for it, nor
// any two people's, but of five people half of the orders would come up nearly
// twice as often as the other half.
//
// A round function has only side arguments, so each is kept as a table of
// values cut from SHA-256 in counter mode: as good as a keyed function can be,
// and faster to look up than any to compute. A table's value is off uniform by
// at most side / 2^32 of its chance, which is never more than 1/65536. Twelve
// rounds are two more than FF1 (NIST SP 800-38G) takes, since a draw may be
// tiny and a network over few pairs forgets slowly where it began: with twelve
// the chance of no order of four people is off 1/24 by more than 1/1024 of it.
//
// A Permutation takes 24*side bytes: 60 kB and some 4,000 hashes for six
// million people. It never changes and may be used by many at once.
type Permutation struct {
	size  uint32
	side  uint32
	table []uint16 // f(r, x) at r*side + x; len = rounds*side
}

// NewPermutation prepares the draw of that seed among size people. A draw of
// none is valid and ranks nobody.
func NewPermutation(seed Seed, size uint32) *Permutation {
	p := &Permutation{size: size, side: sideOf(size)}
	p.table = make([]uint16, 0, rounds*int(p.side))
	k := drawKey(seed, size)
	for r := range rounds {
		var block [sha256.Size]byte
		for x := range p.side {
			if x%wordsPerBlock == 0 {
				block = k.block(r, x/wordsPerBlock)
			}
			p.table = append(p.table, uint16(reduce(wordOf(&block, x), p.side)))
		}
	}
	return p
}

// Size returns how many are in the draw.
func (p *Permutation) Size() uint32 { return p.size }

// Rank returns the rank, 0 … size-1, that the draw gives to an index. It panics
// where index is not below size.
func (p *Permutation) Rank(index uint32) uint32 {
	mustBeBelow(index, p.size)
	for at := index; ; {
		left, right := at/p.side, at%p.side
		for table := p.table; len(table) != 0; table = table[p.side:] {
			left, right = right, addModulo(left, uint32(table[right]), p.side)
		}
		if at = left*p.side + right; at < p.size {
			return at
		}
	}
}

// Index returns the index that the draw gives that rank: the inverse of Rank.
// It panics where rank is not below size.
func (p *Permutation) Index(rank uint32) uint32 {
	mustBeBelow(rank, p.size)
	for at := rank; ; {
		left, right := at/p.side, at%p.side
		for end := len(p.table); end != 0; end -= int(p.side) {
			f := uint32(p.table[end-int(p.side)+int(left)])
			left, right = addModulo(right, p.side-f, p.side), left
		}
		if at = left*p.side + right; at < p.size {
			return at
		}
	}
}

// mustBeBelow keeps a walk from starting outside of 0 … size-1, where its cycle
// might never come back inside.
func mustBeBelow(i, size uint32) {
	if i >= size {
		panic(fmt.Sprintf("line: place %d of a draw of %d", i, size))
	}
}

// sideOf returns the smallest even side with side*side >= size, at most 65536.
func sideOf(size uint32) uint32 {
	side := uint64(math.Sqrt(float64(size))) &^ 1
	for side*side < uint64(size) {
		side += 2
	}
	return uint32(side)
}

// roundKey is the key of a draw, with room behind it for what is hashed.
type roundKey [sha256.Size + 1 + 4]byte

func drawKey(seed Seed, size uint32) roundKey {
	mac := hmac.New(sha256.New, seed[:])
	mac.Write([]byte(keyLabel))
	mac.Write(binary.BigEndian.AppendUint32(nil, size))
	var k roundKey
	mac.Sum(k[:0])
	return k
}

func (k *roundKey) block(round int, number uint32) [sha256.Size]byte {
	k[sha256.Size] = byte(round)
	binary.BigEndian.PutUint32(k[sha256.Size+1:], number)
	return sha256.Sum256(k[:])
}

func wordOf(block *[sha256.Size]byte, x uint32) uint32 {
	return binary.BigEndian.Uint32(block[x%wordsPerBlock*4:])
}

// reduce takes a word to 0 … side-1.
func reduce(word, side uint32) uint32 { return uint32(uint64(word) * uint64(side) >> 32) }

// addModulo adds a below side and b up to side.
func addModulo(a, b, side uint32) uint32 {
	sum := a + b
	if sum >= side {
		sum -= side
	}
	return sum
}
