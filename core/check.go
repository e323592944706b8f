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
	state := c.Line()
	if err := c.checkLine(&state); err != nil {
		return err
	}
	count := census{taken: make([]uint16, c.slots.Len()), numbers: newGiven(uint32(state.Issued)), indices: make([]given, len(state.Draws))}
	for i, list := range c.line.lists {
		count.indices[i] = newGiven(list.size)
	}
	for i := range people.Shards {
		if err := c.checkShard(c.people.At(i), &state, &count); err != nil {
			return err
		}
	}
	return c.checkCensus(&count)
}

// census is what a walk over all people counted.
type census struct {
	taken   []uint16 // by SlotID
	numbers given
	indices []given        // by draw
	counts  []people.Count // by cohort; of one shard
}

// given says which of 1 to some number were given, a bit each.
type given struct {
	most uint32
	bits []uint64
}

func newGiven(most uint32) given { return given{most, make([]uint64, most/64+1)} }

// give notes that n was given, and answers false where it never was or twice.
func (g *given) give(n uint32) bool {
	word, bit := n/64, uint64(1)<<(n%64)
	if n == 0 || n > g.most || g.bits[word]&bit != 0 {
		return false
	}
	g.bits[word] |= bit
	return true
}

// checkLine verifies what can be said of the line without its people.
func (c *Campaign) checkLine(state *LineState) error {
	if len(c.line.lists) != len(state.Draws) {
		return fmt.Errorf("%d draws have %d lists", len(state.Draws), len(c.line.lists))
	}
	early := uint32(0)
	for i := range state.Draws {
		draw, size := &state.Draws[i], c.line.lists[i].size
		switch {
		case !draw.Drawn:
			early += size
		case draw.Seed.Commitment() != draw.Commitment:
			return fmt.Errorf("draw %d: %w", i+1, ErrSeed)
		case draw.Size != size || uint64(draw.Base)+uint64(size) > uint64(state.Issued):
			return fmt.Errorf("draw %d gives %d numbers above %d; %d entered and %d numbers were given", i+1, draw.Size, draw.Base, size, state.Issued)
		}
	}
	if early != state.Early {
		return fmt.Errorf("%d people are counted early and %d entered", state.Early, early)
	}
	for i, pause := range state.pauses {
		if pause.to < pause.from || i > 0 && pause.from < state.pauses[i-1].to {
			return fmt.Errorf("pause %d from %d to %d is out of order", i, pause.from, pause.to)
		}
	}
	return nil
}

func (c *Campaign) checkShard(shard *people.Shard, state *LineState, count *census) error {
	holds := 0
	count.counts = make([]people.Count, len(c.rules.Load().cohortIDs))
	for row := people.Row(1); row <= shard.People(); row++ {
		person := shard.Person(row)
		if shard.Find(person.Key) != row {
			return fmt.Errorf("person %x is not found in its row", person.Key)
		}
		if err := checkPlace(person, state, count); err != nil {
			return fmt.Errorf("person %x: %w", person.Key, err)
		}
		if person.Hold != 0 {
			hold := shard.Hold(person.Hold)
			if hold.Person != row || !c.slots.Has(hold.Slot) {
				return fmt.Errorf("person %x: hold %d is row %d's, on slot %d", person.Key, hold.Seq, hold.Person, hold.Slot)
			}
			holds++
			count.taken[hold.Slot]++
		}
		if err := c.checkBookings(shard, row, count); err != nil {
			return fmt.Errorf("person %x: %w", person.Key, err)
		}
	}
	if holds != shard.Holds() {
		return fmt.Errorf("%d holds are in use and %d belong to somebody", shard.Holds(), holds)
	}
	return checkCounts(shard.Counts(), count.counts)
}

// checkPlace verifies that the person's place in line is theirs alone.
func checkPlace(person *people.Person, state *LineState, count *census) error {
	if person.Place == 0 {
		if person.Draw != 0 || person.Cohort != 0 {
			return fmt.Errorf("draw %d, cohort %d without a place", person.Draw, person.Cohort)
		}
		return nil
	}
	if int(person.Draw) > len(state.Draws) || int(person.Cohort) >= len(count.counts) {
		return fmt.Errorf("a place in draw %d by cohort %d", person.Draw, person.Cohort)
	}
	count.counts[person.Cohort].Joined++
	if person.Draw != 0 && !count.indices[person.Draw-1].give(person.Place) {
		return fmt.Errorf("index %d of draw %d was given twice or never", person.Place, person.Draw)
	}
	place := state.place(person)
	if !place.Early() && !count.numbers.give(uint32(place.Number)) {
		return fmt.Errorf("number %d was given twice or never", place.Number)
	}
	return nil
}

// checkCounts compares what a shard counts, by cohort, with its rows.
func checkCounts(counted, rows []people.Count) error {
	if len(counted) > len(rows) {
		return fmt.Errorf("%d cohorts are counted, there are %d", len(counted), len(rows))
	}
	for cohort := range rows {
		var of people.Count
		if cohort < len(counted) {
			of = counted[cohort]
		}
		if of.Booked != rows[cohort].Booked || of.Joined-of.Left != rows[cohort].Joined || of.Left < 0 || of.Cancelled < 0 {
			return fmt.Errorf("cohort %d: counted are %+v; %d bookings stand and %d people are in line", cohort, of, rows[cohort].Booked, rows[cohort].Joined)
		}
	}
	return nil
}

func (c *Campaign) checkBookings(shard *people.Shard, row people.Row, count *census) error {
	standing, newest := 0, event.Seq(1<<63)
	for b := shard.Person(row).Bookings; b != 0; b = shard.Booking(b).Next {
		booking := shard.Booking(b)
		if booking.Person != row || !c.slots.Has(booking.Slot) || booking.Last < booking.Seq || booking.Seq >= newest {
			return fmt.Errorf("booking %d is out of place", booking.Seq)
		}
		newest = booking.Seq
		if booking.State != people.Booked {
			continue
		}
		if int(booking.Cohort) >= len(count.counts) {
			return fmt.Errorf("booking %d is by cohort %d of %d", booking.Seq, booking.Cohort, len(count.counts))
		}
		standing++
		count.taken[booking.Slot]++
		count.counts[booking.Cohort].Booked++
	}
	if standing > c.perPersonMax {
		return fmt.Errorf("%d bookings stand, %d are allowed", standing, c.perPersonMax)
	}
	return nil
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
