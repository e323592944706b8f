package core

import (
	"errors"
	"fmt"

	"weir/core/event"
	"weir/core/people"
)

// Check verifies the invariants of Engine over the whole state, and that its
// tables agree with each other. It locks one campaign's people at a time for
// as long as the count takes: a check for tools and tests, not for a server in
// its busiest hour. The error names every campaign that is wrong and the first
// thing found wrong in it.
func (e *Engine) Check() error {
	var errs []error
	for _, camp := range e.Campaigns() {
		if err := camp.check(); err != nil {
			d, _ := camp.Definition()
			errs = append(errs, fmt.Errorf("check campaign %q: %w", d.ID, err))
		}
	}
	return errors.Join(errs...)
}

func (c *Campaign) check() error {
	c.people.LockAll()
	defer c.people.UnlockAll()
	count := census{taken: make([]uint16, c.slots.Len()), numbers: map[event.Number]bool{}}
	for i := range people.Shards {
		if err := c.checkShard(c.people.At(i), &count); err != nil {
			return err
		}
	}
	return c.checkCensus(&count)
}

// census is what a walk over all people counted.
type census struct {
	taken   []uint16 // by SlotID
	numbers map[event.Number]bool
}

func (c *Campaign) checkShard(shard *people.Shard, count *census) error {
	holds, standing := 0, int64(0)
	for row := people.Row(1); row <= shard.People(); row++ {
		person := shard.Person(row)
		if shard.Find(person.Key) != row {
			return fmt.Errorf("person %x is not found in its row", person.Key)
		}
		if n := person.Number; n != 0 {
			if n > c.line.issued || count.numbers[n] {
				return fmt.Errorf("person %x has number %d, given twice or never", person.Key, n)
			}
			count.numbers[n] = true
		}
		if person.Hold != 0 {
			hold := shard.Hold(person.Hold)
			if hold.Person != row || !c.slots.Has(hold.Slot) {
				return fmt.Errorf("person %x: hold %d is row %d's, on slot %d", person.Key, hold.Seq, hold.Person, hold.Slot)
			}
			holds++
			count.taken[hold.Slot]++
		}
		active, err := c.checkBookings(shard, row, count)
		if err != nil {
			return fmt.Errorf("person %x: %w", person.Key, err)
		}
		standing += active
	}
	if holds != shard.Holds() {
		return fmt.Errorf("%d holds are in use and %d belong to somebody", shard.Holds(), holds)
	}
	if standing != shard.Standing {
		return fmt.Errorf("%d bookings are counted and %d stand", shard.Standing, standing)
	}
	return nil
}

func (c *Campaign) checkBookings(shard *people.Shard, row people.Row, count *census) (standing int64, err error) {
	newest := event.Seq(1 << 63)
	for b := shard.Person(row).Bookings; b != 0; b = shard.Booking(b).Next {
		booking := shard.Booking(b)
		if booking.Person != row || !c.slots.Has(booking.Slot) || booking.Last < booking.Seq || booking.Seq >= newest {
			return 0, fmt.Errorf("booking %d is out of place", booking.Seq)
		}
		newest = booking.Seq
		if booking.State != people.Booked {
			continue
		}
		standing++
		count.taken[booking.Slot]++
	}
	if standing > int64(c.perPersonMax) {
		return 0, fmt.Errorf("%d bookings stand, %d are allowed", standing, c.perPersonMax)
	}
	return standing, nil
}

func (c *Campaign) checkCensus(count *census) error {
	for s := range count.taken {
		taken, capacity := c.slots.Load(event.SlotID(s))
		if taken != count.taken[s] || taken > capacity {
			return fmt.Errorf("slot %d: %d of %d places are taken, by %d bookings and holds", s, taken, capacity, count.taken[s])
		}
	}
	return nil
}
