package sketch_test

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"weir/core/event"
	"weir/server/sketch"
)

// person is a key as a good hash makes them, the same for the same n.
func person(n uint64) (key event.PersonKey) {
	r := rand.New(rand.NewPCG(n, 7))
	binary.LittleEndian.PutUint64(key[:], r.Uint64())
	binary.LittleEndian.PutUint64(key[8:], r.Uint64())
	return key
}

func TestCountIsNearTheTruth(t *testing.T) {
	var s sketch.Sketch
	if s.Count() != 0 {
		t.Fatalf("%d in an empty one", s.Count())
	}
	n := uint64(0)
	for _, people := range []uint64{1, 10, 100, 1000, 10_000, 100_000, 400_000} {
		for ; n < people; n++ {
			s.Add(person(n))
			s.Add(person(n)) // again: nobody is counted twice
		}
		// Five standard deviations.
		if off := math.Abs(float64(s.Count())-float64(people)) / float64(people); off > 5*1.04/64 {
			t.Errorf("%d people are counted as %d", people, s.Count())
		}
	}
}

func TestAddAllocatesNothing(t *testing.T) {
	var s sketch.Sketch
	key := person(1)
	if n := testing.AllocsPerRun(100, func() { s.Add(key) }); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

func BenchmarkAdd(b *testing.B) {
	var s sketch.Sketch
	keys := make([]event.PersonKey, 1024)
	for i := range keys {
		keys[i] = person(uint64(i))
	}
	for i := 0; b.Loop(); i++ {
		s.Add(keys[i%len(keys)])
	}
}
