// Package inventory counts the places of a campaign's slots: two numbers a
// slot, in one dense array behind a few locks.
//
// A change is made under the lock of the slot's shard and stored atomically,
// so that readers who only advise (the availability that is published) take no
// lock at all.
package inventory

import (
	"fmt"
	"sync"
	"sync/atomic"

	"weir/core/event"
)

// shards is the number of locks. Neighbouring slots, which are popular
// together, lie in different shards.
const shards = 256

// Table holds the slots of one campaign. Its zero value has none.
type Table struct {
	slots []slot // by SlotID; a slot is changed under locks[SlotID%shards]
	locks [shards]lock
}

// slot is taken<<16 | capacity. taken <= capacity.
type slot = atomic.Uint32

// lock fills a cache line, so that two of them are never fought over as one.
type lock struct {
	sync.Mutex
	_ [56]byte
}

// New makes a table of count empty slots whose capacities, in places, are
// told by capacity.
func New(count int, capacity func(event.SlotID) uint16) *Table {
	t := &Table{slots: make([]slot, count)}
	for i := range t.slots {
		t.slots[i].Store(uint32(capacity(event.SlotID(i))))
	}
	return t
}

// Len returns the number of slots.
func (t *Table) Len() int { return len(t.slots) }

// Has says whether s is a slot of the table.
func (t *Table) Has(s event.SlotID) bool { return uint64(s) < uint64(len(t.slots)) }

// Load returns how many places of s are taken and how many it has. It takes no
// lock; the answer may be old by the time it is used.
func (t *Table) Load(s event.SlotID) (taken, capacity uint16) {
	v := t.slots[s].Load()
	return uint16(v >> 16), uint16(v)
}

// Lock locks the shards of a and b, either of which may be NoSlot, in an order
// that is the same for all callers.
func (t *Table) Lock(a, b event.SlotID) {
	first, second := pair(a, b)
	if first != nobody {
		t.locks[first].Lock()
	}
	if second != nobody {
		t.locks[second].Lock()
	}
}

// Unlock undoes Lock of the same two slots.
func (t *Table) Unlock(a, b event.SlotID) {
	first, second := pair(a, b)
	if first != nobody {
		t.locks[first].Unlock()
	}
	if second != nobody {
		t.locks[second].Unlock()
	}
}

const nobody = shards

// pair returns the shards of a and b in ascending order, each once.
func pair(a, b event.SlotID) (first, second uint32) {
	first, second = shardOf(a), shardOf(b)
	if first > second {
		first, second = second, first
	}
	if first == second {
		second = nobody
	}
	return first, second
}

func shardOf(s event.SlotID) uint32 {
	if s == event.NoSlot {
		return nobody
	}
	return uint32(s) % shards
}

// Full says whether s has no place left. The caller holds its lock.
func (t *Table) Full(s event.SlotID) bool {
	taken, capacity := t.Load(s)
	return taken >= capacity
}

// Take takes one place of s. The caller holds its lock and knows that the slot
// is not Full; that it is full all the same is answered with an error and
// changes nothing.
func (t *Table) Take(s event.SlotID) error {
	taken, capacity := t.Load(s)
	if taken >= capacity {
		return fmt.Errorf("slot %d: take: all %d places are taken", s, capacity)
	}
	t.slots[s].Add(1 << 16)
	return nil
}

// Give gives one place of s back. The caller holds its lock.
func (t *Table) Give(s event.SlotID) error {
	taken, _ := t.Load(s)
	if taken == 0 {
		return fmt.Errorf("slot %d: give: no place is taken", s)
	}
	t.slots[s].Add(^uint32(1<<16 - 1))
	return nil
}

// Resize gives s another capacity, though never less than what is taken. The
// caller holds its lock.
func (t *Table) Resize(s event.SlotID, capacity uint16) {
	taken, _ := t.Load(s)
	t.slots[s].Store(uint32(taken)<<16 | uint32(max(taken, capacity)))
}

// Count takes a place and gives one back, either of which may be NoSlot, and
// asks nothing: while a table is being restored it is true only in the end, and
// until then a count may pass every bound and wrap. The caller holds the locks,
// or calls it for a table that nobody else looks at yet.
func (t *Table) Count(takes, gives event.SlotID) {
	if takes != event.NoSlot {
		t.slots[takes].Add(1 << 16)
	}
	if gives != event.NoSlot {
		t.slots[gives].Add(^uint32(1<<16 - 1))
	}
}
