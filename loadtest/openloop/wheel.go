//go:build linux

package openloop

import "math/bits"

// wheel is a hierarchical timer wheel (George Varghese, Anthony Lauck, 1987)
// with one timer for each of a fixed number of ids. Time is in ticks and only
// goes up.
//
// Four levels of 256 slots hold what is due up to 2³² ticks. A timer lies on
// the level of the highest byte in which its due tick differs from now, in the
// slot of that byte. When now comes to the start of that slot's span, the
// timers in it move down. Setting and stopping are O(1), and a timer moves
// down three times at most.
//
// A slot is a list that runs through the timers themselves, doubly linked:
// 12 bytes a timer, no pointers, nothing allocated but the one array.
//
// Invariants, between calls:
//
//	due > now for every timer that is set
//	timer t of level k: t.due>>(8*(k+1)) == now>>(8*(k+1)), and k is the least such
type wheel struct {
	now      uint32
	set      int // timers that are set
	timers   []timer
	heads    [levels][slots]uint32 // id+1 of the first; 0: none
	occupied [slots / 64]uint64    // slots of level 0 with a timer in them
}

type timer struct {
	next uint32 // id+1; 0: last of its slot
	prev uint32 // id+1, or headFlag|level<<8|slot for the first of a slot; 0: not set
	due  uint32
}

const (
	levels    = 4
	slotBits  = 8
	slots     = 1 << slotBits
	slotMask  = slots - 1
	headFlag  = 1 << 31
	timersMax = headFlag - 2
)

func newWheel(timers int) *wheel { return &wheel{timers: make([]timer, timers)} }

// grow makes room for ids below n.
func (w *wheel) grow(n int) {
	for len(w.timers) < n {
		w.timers = append(w.timers, timer{})
	}
}

// start sets the timer of id, again where it is set. A tick that is not ahead
// becomes the next one.
func (w *wheel) start(id, due uint32) {
	w.stop(id)
	w.timers[id].due = max(due, w.now+1)
	w.link(id)
	w.set++
}

// stop makes the timer of id not set.
func (w *wheel) stop(id uint32) {
	if w.timers[id].prev != 0 {
		w.unlink(id)
		w.set--
	}
}

// advance moves now up to tick and calls fire for every timer that comes due,
// in the order of their ticks. fire may start and stop timers.
func (w *wheel) advance(tick uint32, fire func(id, due uint32)) {
	for w.now < tick {
		next := w.next()
		if next > tick {
			w.now = tick
			return
		}
		w.now = next
		if next&slotMask == 0 {
			w.cascade()
		}
		slot := next & slotMask
		for w.heads[0][slot] != 0 {
			id := w.heads[0][slot] - 1
			w.unlink(id)
			w.set--
			fire(id, w.timers[id].due)
		}
	}
}

// next is the first tick ahead at which there may be something to do: a timer
// of level 0, or else the start of the next span of 256 ticks. Up to it now
// may be moved without a look at anything.
func (w *wheel) next() uint32 {
	span := w.now &^ slotMask
	for slot := int(w.now&slotMask) + 1; slot < slots; slot = (slot | 63) + 1 {
		if ahead := w.occupied[slot/64] >> (slot % 64); ahead != 0 {
			return span + uint32(slot+bits.TrailingZeros64(ahead))
		}
	}
	return span + slots
}

// cascade moves the timers of the spans that begin now one level down or more.
func (w *wheel) cascade() {
	for level := 1; level < levels; level++ {
		slot := w.now >> (slotBits * level) & slotMask
		for w.heads[level][slot] != 0 {
			id := w.heads[level][slot] - 1
			w.unlink(id)
			w.link(id)
		}
		if slot != 0 {
			return
		}
	}
}

// link puts the timer at the head of the slot where it belongs.
func (w *wheel) link(id uint32) {
	t := &w.timers[id]
	level := max(bits.Len32(t.due^w.now)-1, 0) / slotBits
	slot := t.due >> (slotBits * level) & slotMask
	t.next = w.heads[level][slot]
	t.prev = headFlag | uint32(level)<<slotBits | slot
	if t.next != 0 {
		w.timers[t.next-1].prev = id + 1
	}
	w.heads[level][slot] = id + 1
	if level == 0 {
		w.occupied[slot/64] |= 1 << (slot % 64)
	}
}

func (w *wheel) unlink(id uint32) {
	t := &w.timers[id]
	if t.next != 0 {
		w.timers[t.next-1].prev = t.prev
	}
	if t.prev&headFlag == 0 {
		w.timers[t.prev-1].next = t.next
	} else {
		level, slot := t.prev>>slotBits&(levels-1), t.prev&slotMask
		w.heads[level][slot] = t.next
		if level == 0 && t.next == 0 {
			w.occupied[slot/64] &^= 1 << (slot % 64)
		}
	}
	t.next, t.prev = 0, 0
}
