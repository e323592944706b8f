package people

import "weir/core/event"

// keepCancelled is how many cancelled bookings of one person stay readable.
// Without a bound, booking and cancelling in turn would fill the memory.
const keepCancelled = 3

// AddBooking puts a new, zero booking at the head of the person's list and
// returns it with Person and Next set. Where the person has keepCancelled
// cancelled bookings, the oldest of them makes room.
func (s *Shard) AddBooking(person Row) *Booking {
	p := s.people.at(person)
	row, booking := s.reuse(p)
	if booking == nil {
		row, booking = s.bookings.add()
	}
	s.bookings.mark(row)
	*booking = Booking{Person: person, Next: p.Bookings}
	p.Bookings = row
	return booking
}

// reuse unlinks the person's oldest cancelled booking where there are enough
// of them, and returns it, or nil.
func (s *Shard) reuse(p *Person) (Row, *Booking) {
	cancelled := 0
	var oldest, before Row // the oldest cancelled booking and the one in front of it
	for row, previous := p.Bookings, Row(0); row != 0; previous, row = row, s.bookings.at(row).Next {
		if s.bookings.at(row).State == Cancelled {
			cancelled++
			oldest, before = row, previous
		}
	}
	if cancelled < keepCancelled {
		return 0, nil
	}
	booking := s.bookings.at(oldest)
	if before == 0 {
		p.Bookings = booking.Next
	} else {
		s.bookings.at(before).Next = booking.Next
		s.bookings.mark(before)
	}
	return oldest, booking
}

// SetHold makes h the person's hold. A hold that the person had is replaced.
func (s *Shard) SetHold(person Row, h Hold) {
	p := s.people.at(person)
	s.ClearHold(person)
	row, hold := s.freeHold, (*Hold)(nil)
	if row != 0 {
		hold = s.holds.at(row)
		s.freeHold = hold.Next
	} else {
		row, hold = s.holds.add()
	}
	s.holds.mark(row)
	h.Person, h.Next = person, 0
	*hold = h
	p.Hold = row
	if s.live == 0 || h.Expires < s.earliest {
		s.earliest = h.Expires
	}
	s.live++
}

// ClearHold ends the person's hold, where there is one.
func (s *Shard) ClearHold(person Row) {
	p := s.people.at(person)
	if p.Hold == 0 {
		return
	}
	*s.holds.at(p.Hold) = Hold{Next: s.freeHold}
	s.holds.mark(p.Hold)
	s.freeHold = p.Hold
	p.Hold = 0
	s.live--
}

// HasExpired says, at no cost, whether a hold of the shard may have expired.
func (s *Shard) HasExpired(now event.Time) bool { return s.live > 0 && s.earliest <= now }

// EachExpired calls expire with each person whose hold's time has passed, until
// expire returns false. expire may end that hold and no other.
func (s *Shard) EachExpired(now event.Time, expire func(person Row) bool) {
	const never = event.Time(1<<63 - 1)
	earliest := never
	for row := Row(1); row <= s.holds.n; row++ {
		hold := s.holds.at(row)
		if hold.Person == 0 {
			continue
		}
		if hold.Expires <= now && !expire(hold.Person) {
			return // earliest stays: some expired holds are left
		}
		if hold.Person != 0 {
			earliest = min(earliest, hold.Expires)
		}
	}
	s.earliest = earliest
}

// DelayHolds lets every hold of the shard end later, by milliseconds.
func (s *Shard) DelayHolds(by event.Time) {
	if s.live == 0 {
		return
	}
	for row := Row(1); row <= s.holds.n; row++ {
		if hold := s.holds.at(row); hold.Person != 0 {
			hold.Expires += by
			s.holds.mark(row)
		}
	}
	s.earliest += by
}
