package core

import (
	"errors"
	"fmt"
	"math"

	"weir/core/event"
	"weir/core/people"
)

// places returns the slot of which r takes a place and the one to which it
// gives a place back, NoSlot where it does not.
func places(r *event.Record) (takes, gives event.SlotID) {
	switch r.Kind {
	case event.Held, event.Booked, event.Changed:
		if r.Slot == r.From {
			return event.NoSlot, event.NoSlot
		}
		return r.Slot, r.From
	case event.Released, event.Expired, event.Cancelled:
		return event.NoSlot, r.Slot
	}
	return event.NoSlot, event.NoSlot
}

// replay applies a record of the log under the locks that it was made under.
func (c *Campaign) replay(seq event.Seq, r *event.Record) error {
	if !r.Kind.OfPerson() {
		c.people.LockAll()
		defer c.people.UnlockAll()
		return c.applyToAll(seq, r)
	}
	takes, gives := places(r)
	for _, slot := range [2]event.SlotID{takes, gives} {
		if slot != event.NoSlot && !c.slots.Has(slot) {
			return fmt.Errorf("slot %d of %d", slot, c.slots.Len())
		}
	}
	shard := c.people.Shard(r.Person)
	shard.Lock()
	defer shard.Unlock()
	c.slots.Lock(takes, gives)
	defer c.slots.Unlock(takes, gives)
	c.line.Lock()
	defer c.line.Unlock()
	return c.apply(shard, shard.FindOrAdd(r.Person), seq, r)
}

// apply changes the state of the person in row as r says. The person's shard,
// the shards of places and, for who joins, the line are locked. An error says
// that r does not fit the state; what was changed by then is not undone.
func (c *Campaign) apply(shard *people.Shard, row people.Row, seq event.Seq, r *event.Record) error {
	rules := c.rules.Load()
	takes, gives := places(r)
	if takes != event.NoSlot {
		if err := c.slots.Take(takes); err != nil {
			return err
		}
	}
	if gives != event.NoSlot {
		if err := c.slots.Give(gives); err != nil {
			return err
		}
		// A slot that shrank below what was taken of it goes on shrinking as
		// places are given back, instead of offering them again.
		c.slots.Resize(gives, rules.Capacity(gives))
	}
	shard.Newest = seq
	switch r.Kind {
	case event.Left:
		return c.applyLeft(shard, shard.Person(row), r)
	case event.Released, event.Expired:
		return endHold(shard, row, r.Slot, r.Ref)
	case event.Changed, event.Cancelled:
		return applyToBooking(shard, row, seq, r)
	}
	cohort, err := rules.cohort(r.Cohort)
	if err != nil {
		return err
	}
	switch r.Kind {
	case event.Joined, event.Entered:
		return c.applyJoined(shard, shard.Person(row), r, cohort)
	case event.Held:
		return applyHeld(shard, row, seq, r, cohort)
	case event.Booked:
		return applyBooked(shard, row, seq, r, cohort)
	}
	return errors.New("unknown kind of record")
}

func (c *Campaign) applyJoined(shard *people.Shard, person *people.Person, r *event.Record, cohort uint16) error {
	if person.Place != 0 {
		return fmt.Errorf("a place for somebody who has place %d, draw %d", person.Place, person.Draw)
	}
	if r.Kind == event.Entered {
		if err := c.enter(r, cohort); err != nil {
			return err
		}
		person.Place, person.Draw = uint32(r.Index), r.Draw
	} else {
		issued := c.line.issued.Load()
		if uint32(r.Number) != issued+1 {
			return fmt.Errorf("number %d follows %d", r.Number, issued)
		}
		c.line.issued.Store(issued + 1)
		person.Place = uint32(r.Number)
	}
	person.Cohort = cohort
	shard.Count(cohort).Joined++
	return nil
}

func (c *Campaign) applyLeft(shard *people.Shard, person *people.Person, r *event.Record) error {
	place := c.line.state.Load().place(person)
	if place.None() || place.Number != r.Number {
		return fmt.Errorf("number %d is given up by somebody who has number %d", r.Number, place.Number)
	}
	shard.Count(person.Cohort).Left++
	person.Place, person.Draw, person.Cohort = 0, 0, 0
	return nil
}

func applyHeld(shard *people.Shard, row people.Row, seq event.Seq, r *event.Record, cohort uint16) error {
	if err := endHoldAt(shard, row, r.From); err != nil {
		return err
	}
	shard.SetHold(row, people.Hold{Seq: seq, Expires: r.Until, Slot: r.Slot, Cohort: cohort})
	return nil
}

func applyBooked(shard *people.Shard, row people.Row, seq event.Seq, r *event.Record, cohort uint16) error {
	if err := endHoldAt(shard, row, r.From); err != nil {
		return err
	}
	b := shard.AddBooking(row)
	b.Seq, b.Last, b.BookedAt, b.Request = seq, seq, r.At, r.Request
	b.Slot, b.Version, b.Cohort, b.State = r.Slot, r.Version, cohort, people.Booked
	if distance := seq - r.Ref; r.From == r.Slot && distance <= math.MaxUint32 {
		b.HeldFor = uint32(distance)
	}
	shard.Count(cohort).Booked++
	return nil
}

func applyToBooking(shard *people.Shard, row people.Row, seq event.Seq, r *event.Record) error {
	old := r.From
	if r.Kind == event.Cancelled {
		old = r.Slot
	}
	b := findBooking(shard, shard.Person(row), r.Ref)
	if b == nil || b.State != people.Booked || b.Slot != old {
		return fmt.Errorf("no booking %d stands on slot %d", r.Ref, old)
	}
	b.Last = seq
	if r.Kind == event.Changed {
		b.Slot = r.Slot
		b.Version = r.Version
		return nil
	}
	b.State = people.Cancelled
	count := shard.Count(b.Cohort)
	count.Booked--
	count.Cancelled++
	return nil
}

// endHoldAt ends the person's hold on slot; NoSlot says that there is none.
func endHoldAt(shard *people.Shard, row people.Row, slot event.SlotID) error {
	hold := shard.Person(row).Hold
	if (hold == 0) != (slot == event.NoSlot) {
		return fmt.Errorf("hold on slot %d ends, and the person's hold is row %d", slot, hold)
	}
	if hold == 0 {
		return nil
	}
	return endHold(shard, row, slot, shard.Hold(hold).Seq)
}

func endHold(shard *people.Shard, row people.Row, slot event.SlotID, seq event.Seq) error {
	hold := shard.Person(row).Hold
	if hold == 0 || shard.Hold(hold).Seq != seq || shard.Hold(hold).Slot != slot {
		return fmt.Errorf("no hold %d stands on slot %d", seq, slot)
	}
	shard.ClearHold(row)
	return nil
}
