// Package sketch estimates how many different people there were without
// keeping who they were: 4 KiB for any number of people, and 1.6 % of error
// (one standard deviation). It is the HyperLogLog of Flajolet, Fusy, Gandouet
// and Meunier (2007), with the better estimate of Ertl (2017, "New cardinality
// estimation algorithms for HyperLogLog sketches"), which needs no table and no
// change of formula for small numbers.
//
// A person's key is a keyed hash already, so its bits are taken as they are.
//
// What it does not protect against: it is an estimate, and whoever knows the
// key of the hash could craft people that distort it.
package sketch

import (
	"encoding/binary"
	"math"
	"math/bits"
	"sync/atomic"

	"weir/core/event"
)

const (
	indexBits = 12
	registers = 1 << indexBits
	rankMax   = 64 - indexBits + 1
)

// Sketch is a set of people, of which only its size can be told. The zero value
// is empty. All methods are safe for concurrent use.
type Sketch struct {
	ranks [registers / 4]atomic.Uint32 // four registers of a byte each
}

// Add notes that the person was there. It takes no lock and allocates nothing.
func (s *Sketch) Add(person event.PersonKey) {
	h := binary.LittleEndian.Uint64(person[:])
	register := h >> (64 - indexBits)
	rank := uint32(bits.LeadingZeros64(h<<indexBits|1<<(indexBits-1))) + 1
	word, shift := &s.ranks[register/4], register%4*8
	for {
		old := word.Load()
		if old>>shift&0xff >= rank {
			return
		}
		if word.CompareAndSwap(old, old&^(0xff<<shift)|rank<<shift) {
			return
		}
	}
}

// Count estimates how many different people were there.
func (s *Sketch) Count() int {
	var counts [rankMax + 1]float64 // registers by rank
	for i := range s.ranks {
		for word, n := s.ranks[i].Load(), 0; n < 4; word, n = word>>8, n+1 {
			counts[word&0xff]++
		}
	}
	z := registers * tau(1-counts[rankMax]/registers)
	for rank := rankMax - 1; rank >= 1; rank-- {
		z = 0.5 * (z + counts[rank])
	}
	z += registers * sigma(counts[0]/registers)
	return int(math.Round(registers * registers / (2 * math.Ln2) / z))
}

// sigma corrects for registers that nobody fell into; its value at 1 is +Inf.
func sigma(x float64) float64 {
	if x == 1 {
		return math.Inf(1)
	}
	sum, weight := x, 1.0
	for {
		x *= x
		next := sum + x*weight
		if next == sum {
			return sum
		}
		sum, weight = next, 2*weight
	}
}

// tau corrects for registers that are full.
func tau(x float64) float64 {
	if x == 0 || x == 1 {
		return 0
	}
	sum, weight := 1-x, 1.0
	for {
		x = math.Sqrt(x)
		weight /= 2
		next := sum - (1-x)*(1-x)*weight
		if next == sum {
			return sum / 3
		}
		sum = next
	}
}
