package judge

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"

	"weir/core/event"
)

// The history of one slot: places taken, places given back, and refusals that
// say that none was left. The state is how many are taken.

const (
	linearSlots   = 256             // whose history is checked in full
	linearMin     = 2               // operations of a history worth it
	linearMax     = 200             // operations of one window of a history
	linearTimeout = 3 * time.Second // for one window
)

// act is one operation of a slot's history.
type act struct {
	by       int // 1: a place is taken, -1: given back, 0: there was none left
	from, to time.Duration
}

// linearize checks the histories of a sample of the slots: those with the most
// refusals, and others by lot.
func (c *court) linearize(ctx context.Context) {
	checked, operations := int64(0), int64(0)
	for _, slot := range c.sample() {
		if ctx.Err() != nil {
			break
		}
		history := c.historyOf(slot)
		if len(history) < linearMin {
			continue
		}
		checked++
		operations += int64(c.linearizeSlot(slot, history))
	}
	c.record.count(func(k *Checked) { k.Linearized, k.LinearOps = checked, operations })
}

// sample picks slots of which everything is known exactly.
func (c *court) sample() []event.SlotID {
	type candidate struct {
		slot     event.SlotID
		stays    int
		refusals int
		lot      uint64
	}
	by := map[event.SlotID]*candidate{}
	at := func(slot event.SlotID) *candidate {
		if by[slot] == nil {
			by[slot] = &candidate{slot: slot, lot: scatter(c.Seed ^ uint64(slot))}
		}
		return by[slot]
	}
	inexact := map[event.SlotID]bool{}
	for i := range c.slots.stays {
		s := &c.slots.stays[i]
		at(s.slot).stays++
		if !s.exact {
			inexact[s.slot] = true
		}
	}
	for i := range c.slots.refusals {
		at(c.slots.refusals[i].slot).refusals++
	}
	var all []candidate
	for slot, one := range by {
		if !inexact[slot] {
			all = append(all, *one)
		}
	}
	slices.SortFunc(all, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(b.refusals, a.refusals), cmp.Compare(a.lot, b.lot))
	})
	if len(all) > linearSlots {
		rest := all[linearSlots/2:]
		slices.SortFunc(rest, func(a, b candidate) int { return cmp.Compare(a.lot, b.lot) })
		all = all[:linearSlots]
	}
	picked := make([]event.SlotID, len(all))
	for i := range all {
		picked[i] = all[i].slot
	}
	return picked
}

// scatter is a permutation of the 64-bit numbers that leaves no order in them
// (the finalizer of SplitMix64, public domain, Sebastiano Vigna).
func scatter(n uint64) uint64 {
	n += 0x9e3779b97f4a7c15
	n = (n ^ n>>30) * 0xbf58476d1ce4e5b9
	n = (n ^ n>>27) * 0x94d049bb133111eb
	return n ^ n>>31
}

// historyOf returns the acts of a slot by when they began. Stays and refusals
// are sorted by slot.
func (c *court) historyOf(slot event.SlotID) []act {
	var history []act
	i, _ := slices.BinarySearchFunc(c.slots.stays, slot, func(s stay, slot event.SlotID) int { return cmp.Compare(s.slot, slot) })
	for ; i < len(c.slots.stays) && c.slots.stays[i].slot == slot; i++ {
		s := &c.slots.stays[i]
		history = append(history, act{1, s.takenFrom, s.takenTo})
		if s.givenTo != forever {
			history = append(history, act{-1, s.givenFrom, s.givenTo})
		}
	}
	i, _ = slices.BinarySearchFunc(c.slots.refusals, slot, func(r refusal, slot event.SlotID) int { return cmp.Compare(r.slot, slot) })
	for ; i < len(c.slots.refusals) && c.slots.refusals[i].slot == slot; i++ {
		r := &c.slots.refusals[i]
		history = append(history, act{0, r.sent, r.at})
	}
	slices.SortFunc(history, func(a, b act) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to)) })
	return history
}

// linearizeSlot checks a history window by window and returns how many acts
// were checked. A window ends where nothing is under way, so that how many
// places are taken is known there.
func (c *court) linearizeSlot(slot event.SlotID, history []act) (checked int) {
	taken := 0
	for len(history) > 0 {
		n := window(history)
		if n > linearMax {
			return checked // too much at once to be decided; the bounds hold all the same
		}
		switch c.order(slot, taken, history[:n]) {
		case porcupine.Illegal:
			c.record.fault(ErrHistory, "slot %d: no order explains what was answered from %v on, with %d of %d places taken: %v",
				slot, history[0].from, taken, c.capacity(slot), history[:min(n, 20)])
			return checked
		case porcupine.Unknown:
			c.record.undecided("slot %d: no order of %d answers found in %v", slot, n, linearTimeout)
			return checked
		}
		for _, a := range history[:n] {
			taken += a.by
		}
		checked += n
		history = history[n:]
	}
	return checked
}

// window is how many acts go by until nothing is under way, about as many as
// are checked at once.
func window(history []act) int {
	end, quiet := time.Duration(0), 0
	for i, a := range history {
		if i > 0 && a.from > end {
			quiet = i
		}
		if i >= linearMax && quiet > 0 {
			return quiet
		}
		end = max(end, a.to)
	}
	return len(history)
}

func (c *court) order(slot event.SlotID, taken int, history []act) porcupine.CheckResult {
	places := c.capacity(slot)
	model := porcupine.Model{
		Init: func() any { return taken },
		Step: func(state, input, _ any) (bool, any) {
			taken, by := state.(int), input.(int)
			if by == 0 {
				return taken == places, taken
			}
			return taken+by >= 0 && taken+by <= places, taken + by
		},
	}
	operations := make([]porcupine.Operation, len(history))
	for i, a := range history {
		operations[i] = porcupine.Operation{Input: a.by, Call: int64(a.from), Return: int64(a.to)}
	}
	return porcupine.CheckOperationsTimeout(model, operations, linearTimeout)
}
