// Package people keeps who holds what: the people of one campaign with their
// place in line, their hold and their bookings.
//
// A table is cut into shards by the person's key. A shard owns all rows of its
// people (person, bookings, hold), in append-only pages without pointers, and
// an open-addressed index from key to row of four bytes an entry. One lock a
// shard covers all of it; whoever calls a method of Shard holds that lock.
//
// Keys are the output of a keyed hash, so their bytes are taken for the hash;
// the table does not protect against keys that somebody chose.
package people

import (
	"encoding/binary"
	"sync"

	"weir/core/event"
)

// Shards is the number of shards of a table.
const Shards = 256

// Table holds the people of one campaign. Its zero value is empty and ready.
type Table struct {
	shards [Shards]Shard
}

// Shard returns the shard that key belongs to.
func (t *Table) Shard(key event.PersonKey) *Shard { return &t.shards[key[0]] }

// At returns shard i of Shards.
func (t *Table) At(i int) *Shard { return &t.shards[i] }

// LockAll locks every shard, in order. With all of them held the table is
// still.
func (t *Table) LockAll() {
	for i := range t.shards {
		t.shards[i].Lock()
	}
}

// UnlockAll undoes LockAll.
func (t *Table) UnlockAll() {
	for i := range t.shards {
		t.shards[i].Unlock()
	}
}

// Shard is one part of a table. Its fields and methods are used under its lock.
type Shard struct {
	sync.Mutex
	Newest  event.Seq    // newest record that changed a row of this shard
	Scratch event.Record // the record that the lock's holder is making, so that none is allocated

	counts   []Count  // by cohort
	index    []uint32 // tag<<24 | Row, 0: free; at most 3/4 are in use
	people   pages[Person]
	bookings pages[Booking]
	holds    pages[Hold]
	freeHold Row
	live     int        // holds in use
	earliest event.Time // no hold in use expires before it
	_        [64]byte   // keeps the next shard's lock off this one's cache lines
}

// Count is the figures of one cohort's people in a shard.
type Count struct {
	Joined    int64 // places in line given
	Left      int64 // of them, given up again
	Booked    int64 // bookings that stand
	Cancelled int64 // cancellations ever
}

const (
	rowBits = 24
	rowMask = 1<<rowBits - 1
	// MaxPeople is how many people a shard can hold.
	MaxPeople = rowMask
)

// home returns where in the index key's search starts and the tag that tells most
// other keys apart without a look at their rows. Byte 0 chose the shard.
func (s *Shard) home(key *event.PersonKey) (start int, tag uint32) {
	// The hash's share of its range is the start's share of the index.
	hash := uint64(binary.LittleEndian.Uint32(key[4:]))
	return int(hash * uint64(len(s.index)) >> 32), uint32(key[1]) << rowBits
}

// next is the entry that a search looks at behind i.
func (s *Shard) next(i int) int {
	if i++; i < len(s.index) {
		return i
	}
	return 0
}

// Find returns key's row, or 0.
func (s *Shard) Find(key event.PersonKey) Row {
	if len(s.index) == 0 {
		return 0
	}
	start, tag := s.home(&key)
	for i := start; ; i = s.next(i) {
		entry := s.index[i]
		if entry == 0 {
			return 0
		}
		if entry&^rowMask == tag && s.people.at(Row(entry&rowMask)).Key == key {
			return Row(entry & rowMask)
		}
	}
}

// FindOrAdd returns key's row, a new one where there is none.
func (s *Shard) FindOrAdd(key event.PersonKey) Row {
	if row := s.Find(key); row != 0 {
		return row
	}
	return s.Add(key)
}

// Add gives key, which Find does not know, a row.
func (s *Shard) Add(key event.PersonKey) Row {
	if s.people.n == MaxPeople {
		panic("people: a shard holds 16,777,215 people at most")
	}
	if 4*(int(s.people.n)+1) > 3*len(s.index) {
		s.grow()
	}
	row, person := s.people.add()
	person.Key = key
	s.insert(row, key)
	return row
}

// grow makes the index twice as long: by half, rows would be entered anew twice
// as often, which took a tenth of the bookings.
func (s *Shard) grow() {
	s.index = make([]uint32, max(16, 2*len(s.index)))
	for row := Row(1); row <= s.people.n; row++ {
		s.insert(row, s.people.at(row).Key)
	}
}

func (s *Shard) insert(row Row, key event.PersonKey) {
	i, tag := s.home(&key)
	for s.index[i] != 0 {
		i = s.next(i)
	}
	s.index[i] = tag | uint32(row)
}

// Person returns the person in row. The pointer is good while the lock is held.
func (s *Shard) Person(row Row) *Person { return s.people.at(row) }

// People returns the number of people; their rows are 1 to People.
func (s *Shard) People() Row { return s.people.n }

// Booking returns the booking in row.
func (s *Shard) Booking(row Row) *Booking { return s.bookings.at(row) }

// Hold returns the hold in row.
func (s *Shard) Hold(row Row) *Hold { return s.holds.at(row) }

// Holds returns the number of holds in use.
func (s *Shard) Holds() int { return s.live }

// Count returns the figures of a cohort, to be changed under the lock.
func (s *Shard) Count(cohort uint16) *Count {
	if int(cohort) >= len(s.counts) {
		s.counts = append(s.counts, make([]Count, int(cohort)+1-len(s.counts))...)
	}
	return &s.counts[cohort]
}

// Counts returns the figures of all cohorts, by cohort; those at the end that
// are zero may be missing. They are good while the lock is held.
func (s *Shard) Counts() []Count { return s.counts }
