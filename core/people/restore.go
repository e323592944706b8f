package people

import (
	"fmt"

	"weir/core/event"
)

// Restore gives an empty shard the tables that h describes, with all rows zero.
// SetPage fills them and Restored ends it.
func (s *Shard) Restore(h *Header) {
	s.Newest, s.counts = h.Newest, append([]Count(nil), h.Counts...)
	s.people.reserve(h.People)
	s.bookings.reserve(h.Bookings)
	s.holds.reserve(h.Holds)
	s.freeHold = h.FreeHold
}

// reserve gives an empty table n zero rows in one piece of memory.
func (p *pages[T]) reserve(n Row) {
	count := PagesOf(n)
	slab := make([][pageRows]T, count)
	p.list = make([]*[pageRows]T, count)
	for i := range slab {
		p.list[i] = &slab[i]
	}
	p.n, p.changed = n, grown(nil, count)
}

// PagesOf is how many pages that many rows fill.
func PagesOf(rows Row) int { return int(rows+pageRows-1) / pageRows }

// SetPage decodes a page that a Copy encoded. An error says that it does not
// belong to the shard.
func (s *Shard) SetPage(kind PageKind, page int, data []byte) error {
	switch kind {
	case PersonPage:
		return set(&s.people, page, data, personSize, func(p *Person, b []byte) { p.decode((*[personSize]byte)(b)) })
	case BookingPage:
		return set(&s.bookings, page, data, bookingSize, func(k *Booking, b []byte) { k.decode((*[bookingSize]byte)(b)) })
	case HoldPage:
		return set(&s.holds, page, data, holdSize, func(h *Hold, b []byte) { h.decode((*[holdSize]byte)(b)) })
	}
	return fmt.Errorf("page of unknown kind %d", kind)
}

func set[T any](p *pages[T], page int, data []byte, size int, decode func(*T, []byte)) error {
	if page < 0 || page >= len(p.list) {
		return fmt.Errorf("page %d of %d", page, len(p.list))
	}
	if rows := rowsOf(page, p.n); len(data) != rows*size {
		return fmt.Errorf("page %d: %d bytes, and it has %d rows of %d", page, len(data), rows, size)
	}
	rows := p.list[page]
	for i := range len(data) / size {
		decode(&rows[i], data[i*size:])
	}
	return nil
}

// Restored builds what is not stored: the index, of the size that the people
// need, and what is known of all holds together. Every page is marked for every
// store. An error says that rows point to where there are none.
func (s *Shard) Restored() error {
	s.index = make([]uint32, max(16, int(s.people.n)*3/2)) // two thirds in use: room for some more
	for row := Row(1); row <= s.people.n; row++ {
		person := s.people.at(row)
		if person.Bookings > s.bookings.n || person.Hold > s.holds.n {
			return fmt.Errorf("person row %d: booking row %d of %d, hold row %d of %d",
				row, person.Bookings, s.bookings.n, person.Hold, s.holds.n)
		}
		s.insert(row, person.Key)
	}
	for row := Row(1); row <= s.holds.n; row++ {
		hold := s.holds.at(row)
		if hold.Person > s.people.n || hold.Next > s.holds.n {
			return fmt.Errorf("hold row %d: person row %d of %d, next %d of %d", row, hold.Person, s.people.n, hold.Next, s.holds.n)
		}
		if hold.Person == 0 {
			continue
		}
		if s.live == 0 || hold.Expires < s.earliest {
			s.earliest = hold.Expires
		}
		s.live++
	}
	for store := range Stores {
		s.MarkAll(store)
	}
	return nil
}

// EachTaken calls yield with the slot of every booking that stands and of every
// hold. An error says that bookings point to where there are none.
func (s *Shard) EachTaken(yield func(event.SlotID) error) error {
	for row := Row(1); row <= s.bookings.n; row++ {
		b := s.bookings.at(row)
		if b.Person > s.people.n || b.Next > s.bookings.n {
			return fmt.Errorf("booking row %d: person row %d of %d, next %d of %d", row, b.Person, s.people.n, b.Next, s.bookings.n)
		}
		if b.State != Booked {
			continue
		}
		if err := yield(b.Slot); err != nil {
			return fmt.Errorf("booking %d: %w", b.Seq, err)
		}
	}
	for row := Row(1); row <= s.holds.n; row++ {
		h := s.holds.at(row)
		if h.Person == 0 {
			continue
		}
		if err := yield(h.Slot); err != nil {
			return fmt.Errorf("hold %d: %w", h.Seq, err)
		}
	}
	return nil
}

// PageOf returns the page of its kind that a row lies in.
func PageOf(row Row) int { return int(row-1) / pageRows }
