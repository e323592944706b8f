package judge

import (
	"cmp"
	"slices"

	"weir/core/event"
	"weir/loadtest/answers"
	"weir/loadtest/evidence"
)

// Found is what is on disk afterwards.
type Found struct {
	Bookings []FoundBooking
	Totals   evidence.Totals
}

// FoundBooking is one line of the export.
type FoundBooking struct {
	answers.Booking
	Person event.PersonKey
}

// checkExport asks what the export says by itself: codes and sequence numbers
// once, slots and people within their bounds, and the totals.
func (c *court) checkExport() {
	found := c.Found.Bookings
	bySequence := make(map[event.Seq]event.Seq, len(found))
	byRef := make(map[event.Seq]bool, len(found))
	bySlot, byPerson := map[event.SlotID]int{}, map[event.PersonKey]int{}
	var booked int64
	for i := range found {
		b := &found[i]
		if byRef[b.Ref] {
			c.record.fault(ErrDouble, "booking %d is in the export", b.Ref)
		}
		if other, again := bySequence[b.Sequence]; again && other != b.Ref {
			c.record.fault(ErrDouble, "sequence number %d, of bookings %d and %d", b.Sequence, other, b.Ref)
		}
		byRef[b.Ref], bySequence[b.Sequence] = true, b.Ref
		if !b.Cancelled {
			booked++
			bySlot[b.Slot]++
			byPerson[b.Person]++
		}
	}
	for slot, n := range bySlot {
		if places := c.capacity(slot); n > places {
			c.record.fault(ErrOversold, "slot %d: %d bookings for %d places", slot, n, places)
		}
	}
	for person, n := range byPerson {
		if n > c.rules.Bookings.PerPerson {
			c.record.fault(ErrOversold, "person %x: %d bookings, %d allowed", person, n, c.rules.Bookings.PerPerson)
		}
	}
	c.checkTotals(booked)
	c.record.count(func(checked *Checked) { checked.Bookings = int64(len(found)) })
}

func (c *court) checkTotals(booked int64) {
	t := &c.Found.Totals
	if t.Booked != booked {
		c.record.fault(ErrTotals, "%d booked in the state, %d in the export", t.Booked, booked)
	}
	if t.Taken != t.Booked+t.Holds || t.Holds < 0 || t.Taken > t.Places {
		c.record.fault(ErrTotals, "%d of %d places taken, %d booked, %d held", t.Taken, t.Places, t.Booked, t.Holds)
	}
	if t.Places != int64(c.rules.Places()) || t.Slots != c.rules.SlotCount() {
		c.record.fault(ErrTotals, "%d places in %d slots, the definition has %d in %d", t.Places, t.Slots, c.rules.Places(), c.rules.SlotCount())
	}
	told := int64(len(c.cancelled))
	if !c.cut && (t.Cancelled < told || t.Cancelled > told+c.unsureCancels) || c.cut && t.Cancelled < told {
		c.record.fault(ErrTotals, "%d cancelled, %d acknowledged and %d unanswered", t.Cancelled, told, c.unsureCancels)
	}
	numbers, untold, issued := int64(len(c.line.given)), c.line.untold(), t.Issued
	if issued < numbers || !c.cut && issued > numbers+untold {
		c.record.fault(ErrTotals, "%d numbers in line were issued, %d told, and %d people may have one untold", issued, numbers, untold)
	}
}

// assign finds out whose each booking of the export is, and sorts them by
// person, the newest first. Those that are nobody's come last.
func (c *court) assign() {
	c.owned = make([]ownedBooking, len(c.Found.Bookings))
	owner := c.owners()
	for i := range c.Found.Bookings {
		b := &c.Found.Bookings[i]
		c.owned[i] = ownedBooking{c.ownerOf(b, owner), b.Booking}
	}
	slices.SortFunc(c.owned, func(a, b ownedBooking) int {
		return cmp.Or(cmp.Compare(a.person, b.person), cmp.Compare(b.booking.Ref, a.booking.Ref))
	})
	c.checkStrangers()
}

type ownedBooking struct {
	person  answers.Person
	booking answers.Booking
}

// owners returns who is behind each key of the export: by the keys themselves
// where they are known, else by who was told the codes.
func (c *court) owners() map[event.PersonKey]answers.Person {
	owner := make(map[event.PersonKey]answers.Person, len(c.Found.Bookings))
	if c.Key != nil {
		for person := range c.booked {
			owner[c.Key(person)] = person
		}
		return owner
	}
	for i := range c.Found.Bookings {
		b := &c.Found.Bookings[i]
		person, told := c.told[b.Ref]
		if !told {
			continue
		}
		if other, known := owner[b.Person]; known && other != person {
			c.record.fault(ErrDouble, "person %x of the export is person %d and person %d", b.Person, other, person)
		}
		owner[b.Person] = person
	}
	return owner
}

func (c *court) ownerOf(b *FoundBooking, owner map[event.PersonKey]answers.Person) answers.Person {
	person, known := owner[b.Person]
	told, toldOf := c.told[b.Ref]
	switch {
	case toldOf && (known && told != person || c.Key != nil && c.Key(told) != b.Person):
		c.record.fault(ErrAltered, "booking %d was acknowledged to person %d and belongs to %x", b.Ref, told, b.Person)
		return told
	case toldOf:
		return told
	case known:
		return person
	}
	return answers.Nobody
}

// checkStrangers asks of every booking that is nobody's whether a request that
// was not answered explains it: each explains one booking of its slot.
func (c *court) checkStrangers() {
	left := c.unsureBooks
	from, _ := slices.BinarySearchFunc(c.owned, answers.Nobody, func(o ownedBooking, p answers.Person) int { return cmp.Compare(o.person, p) })
	for _, o := range c.owned[from:] {
		b := &o.booking
		if c.Key == nil && !b.Cancelled && explains(left, b.Slot) {
			continue
		}
		if c.cut {
			c.record.undecided("booking %d on slot %d: nobody is known to have asked for it", b.Ref, b.Slot)
			continue
		}
		c.record.fault(ErrInvented, "booking %d on slot %d", b.Ref, b.Slot)
	}
}

// explains takes one request of those left that may have booked slot: one for
// it, or one by a hold, of which the slot is not known.
func explains(left map[event.SlotID]int, slot event.SlotID) bool {
	for _, asked := range [...]event.SlotID{slot, event.NoSlot} {
		if left[asked] > 0 {
			left[asked]--
			return true
		}
	}
	return false
}

// foundOf returns what the export has of a person, the newest first.
func (c *court) foundOf(person answers.Person, into []answers.Booking) []answers.Booking {
	i, _ := slices.BinarySearchFunc(c.owned, person, func(o ownedBooking, p answers.Person) int { return cmp.Compare(o.person, p) })
	for ; i < len(c.owned) && c.owned[i].person == person; i++ {
		into = append(into, c.owned[i].booking)
	}
	return into
}
