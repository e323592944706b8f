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
		return c.replayToAll(seq, r)
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
// the shards of places and, for who joins, the line are locked. Parts of the
// state that have r already, because they were restored as they stood after it,
// stay as they are. An error says that r does not fit the state; what was
// changed by then is not undone.
func (c *Campaign) apply(shard *people.Shard, row people.Row, seq event.Seq, r *event.Record) error {
	if seq > c.restored && (r.Kind == event.Joined || r.Kind == event.Entered) {
		if err := c.give(seq, r); err != nil {
			return err
		}
	}
	if seq <= shard.Newest {
		return nil
	}
	if err := c.move(seq, r); err != nil {
		return err
	}
	shard.Changed(row, seq)
	switch r.Kind {
	case event.Left:
		return c.applyLeft(shard, shard.Person(row), seq, r)
	case event.Released, event.Expired:
		return endHold(shard, row, r.Slot, r.Ref)
	case event.Changed, event.Cancelled:
		return applyToBooking(shard, row, seq, r)
	}
	cohort, err := c.cohort(r)
	if err != nil {
		return err
	}
	switch r.Kind {
	case event.Joined, event.Entered:
		return applyJoined(shard, shard.Person(row), r, cohort)
	case event.Held:
		return applyHeld(shard, row, seq, r, cohort)
	case event.Booked:
		return applyBooked(shard, row, seq, r, cohort)
	}
	return errors.New("unknown kind of record")
}

// move takes the place and gives the place back that r names.
func (c *Campaign) move(seq event.Seq, r *event.Record) error {
	takes, gives := places(r)
	if seq <= c.ahead {
		c.slots.Count(takes, gives)
		return nil
	}
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
		c.slots.Resize(gives, c.rules.Load().Capacity(gives))
	}
	return nil
}

// give gives out the next number of the line, or the next index of a draw.
func (c *Campaign) give(seq event.Seq, r *event.Record) error {
	c.line.newest = seq
	if r.Kind == event.Entered {
		cohort, err := c.cohort(r)
		if err != nil {
			return err
		}
		return c.enter(r, cohort)
	}
	issued := c.line.issued.Load()
	if uint32(r.Number) != issued+1 {
		return fmt.Errorf("number %d follows %d", r.Number, issued)
	}
	c.line.issued.Store(issued + 1)
	return nil
}

func applyJoined(shard *people.Shard, person *people.Person, r *event.Record, cohort uint16) error {
	if person.Place != 0 {
		return fmt.Errorf("a place for somebody who has place %d, draw %d", person.Place, person.Draw)
	}
	person.Place, person.Draw = uint32(r.Number), 0
	if r.Kind == event.Entered {
		person.Place, person.Draw = uint32(r.Index), r.Draw
	}
	person.Cohort = cohort
	shard.Count(cohort).Joined++
	return nil
}

func (c *Campaign) applyLeft(shard *people.Shard, person *people.Person, seq event.Seq, r *event.Record) error {
	place := c.line.state.Load().place(person)
	// A line that was restored may know of a draw that r does not.
	if place.None() || place.Number != r.Number && seq > c.restored {
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
	shard.ChangedBookings(row)
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
