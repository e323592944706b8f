package people

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"weir/core/event"
)

// Stores is how many copies of a table are kept up to date elsewhere, each at
// times of its own. A page has a mark for each: set when a row of it changes,
// cleared when the page is copied for that store.
const Stores = 2

// everyStore is one page's marks, all set. Bit 2*p+s of the marks is that of
// page p and store s, 32 pages a word, so that a change sets both at once.
const everyStore = 1<<Stores - 1

const pagesPerWord = 64 / Stores

// mark notes that the page of row r has changed.
func (p *pages[T]) mark(r Row) {
	page := (r - 1) / pageRows
	p.changed[page/pagesPerWord] |= everyStore << (page % pagesPerWord * Stores)
}

// grown returns marks with room for that many pages.
func grown(marks []uint64, pages int) []uint64 {
	for len(marks)*pagesPerWord < pages {
		marks = append(marks, 0)
	}
	return marks
}

// markAll notes that every page has to be copied for the store.
func (p *pages[T]) markAll(store int) {
	for page := range p.list {
		p.changed[page/pagesPerWord] |= 1 << (page%pagesPerWord*Stores + store)
	}
}

// Changed notes that the record seq changes the person in row.
func (s *Shard) Changed(row Row, seq event.Seq) {
	s.Newest = seq
	s.people.mark(row)
}

// ChangedBookings notes that bookings of the person in row change.
func (s *Shard) ChangedBookings(row Row) {
	for b := s.people.at(row).Bookings; b != 0; b = s.bookings.at(b).Next {
		s.bookings.mark(b)
	}
}

// MarkAll notes that all rows have to be copied for the store again.
func (s *Shard) MarkAll(store int) {
	s.people.markAll(store)
	s.bookings.markAll(store)
	s.holds.markAll(store)
}

// PageKind names what a page has rows of. The values are part of the format of
// what is stored.
type PageKind uint8

// The kinds of page.
const (
	PersonPage PageKind = 1 + iota
	BookingPage
	HoldPage
)

// Header is what a shard is besides its rows. Encoded, little-endian, sizes in
// bytes:
//
//	+--------+--------+----------+-------+-----------+--------+
//	| newest | people | bookings | holds | free hold | counts |
//	|   8    |   4    |    4     |   4   |     4     |  32·n  |
//	+--------+--------+----------+-------+-----------+--------+
//
//	counts  by cohort: joined 8, left 8, booked 8, cancelled 8
type Header struct {
	Newest                  event.Seq
	People, Bookings, Holds Row // rows in use
	FreeHold                Row
	Counts                  []Count // by cohort
}

const (
	headerSize = 8 + 4*4
	countSize  = 4 * 8
)

// Append encodes h at the end of dst.
func (h *Header) Append(dst []byte) []byte {
	le := binary.LittleEndian
	dst = le.AppendUint64(dst, uint64(h.Newest))
	for _, v := range [...]Row{h.People, h.Bookings, h.Holds, h.FreeHold} {
		dst = le.AppendUint32(dst, uint32(v))
	}
	for _, c := range h.Counts {
		for _, v := range [...]int64{c.Joined, c.Left, c.Booked, c.Cancelled} {
			dst = le.AppendUint64(dst, uint64(v))
		}
	}
	return dst
}

// Decode reads a header that Append wrote.
func (h *Header) Decode(src []byte) error {
	if len(src) < headerSize || (len(src)-headerSize)%countSize != 0 {
		return fmt.Errorf("header of a shard of people: %d bytes", len(src))
	}
	le := binary.LittleEndian
	row := func(at int) Row { return Row(le.Uint32(src[at:])) }
	*h = Header{Newest: event.Seq(le.Uint64(src)), People: row(8), Bookings: row(12), Holds: row(16), FreeHold: row(20)}
	if h.People > MaxPeople || h.FreeHold > h.Holds {
		return fmt.Errorf("header of a shard of people: %d people, free hold %d of %d", h.People, h.FreeHold, h.Holds)
	}
	for counts := src[headerSize:]; len(counts) > 0; counts = counts[countSize:] {
		v := func(at int) int64 { return int64(le.Uint64(counts[at:])) }
		h.Counts = append(h.Counts, Count{Joined: v(0), Left: v(8), Booked: v(16), Cancelled: v(24)})
	}
	return nil
}

// Copy is the pages of a shard that changed since they were copied for a store
// before, as they all stood at one moment. It is reused from shard to shard.
type Copy struct {
	Header   Header // set when the copy is whole
	people   copies[Person]
	bookings copies[Booking]
	holds    copies[Hold]
}

// copies are copied pages of one kind.
type copies[T any] struct {
	pages []int // that rows holds, each once
	rows  [][pageRows]T
	at    map[int]int // by page: where in rows
}

// Reset empties c for another shard.
func (c *Copy) Reset() {
	c.people.reset()
	c.bookings.reset()
	c.holds.reset()
}

func (c *copies[T]) reset() {
	c.pages, c.rows = c.pages[:0], c.rows[:0]
	if c.at == nil {
		c.at = make(map[int]int)
	}
	clear(c.at)
}

// CopyChanged copies to c at most limit pages that have changed since they were
// copied for the store, and says whether c is whole now: then c, over several
// calls, holds all pages that differ from those copied before, and the header,
// as the shard stands at this moment. A page that changes between two calls is
// copied again, so the lock can be given free between them and nobody waits for
// more than limit pages.
func (s *Shard) CopyChanged(c *Copy, store, limit int) (whole bool) {
	limit = c.people.take(&s.people, store, limit)
	limit = c.bookings.take(&s.bookings, store, limit)
	limit = c.holds.take(&s.holds, store, limit)
	if limit < 0 {
		return false
	}
	c.Header = Header{
		Newest: s.Newest, People: s.people.n, Bookings: s.bookings.n, Holds: s.holds.n, FreeHold: s.freeHold,
		Counts: append(c.Header.Counts[:0], s.counts...),
	}
	return true
}

// take copies changed pages and returns how many more may be copied, or -1
// where more have changed than may.
func (c *copies[T]) take(p *pages[T], store, limit int) int {
	const ofStore = ^uint64(0) / everyStore // the first store's marks of all pages
	for word := range p.changed {
		for marked := p.changed[word] & (ofStore << store); marked != 0; marked &= marked - 1 {
			if limit <= 0 {
				return -1
			}
			bit := bits.TrailingZeros64(marked)
			p.changed[word] &^= 1 << bit
			c.put(word*pagesPerWord+bit/Stores, p)
			limit--
		}
	}
	return limit
}

func (c *copies[T]) put(page int, p *pages[T]) {
	i, known := c.at[page]
	if !known {
		i = len(c.rows)
		c.at[page] = i
		c.pages = append(c.pages, page)
		if i == cap(c.rows) {
			c.rows = append(make([][pageRows]T, 0, max(64, 2*i)), c.rows...)
		}
		c.rows = c.rows[:i+1]
	}
	c.rows[i] = *p.list[page]
}

// Pages returns how many pages c holds.
func (c *Copy) Pages() int { return len(c.people.pages) + len(c.bookings.pages) + len(c.holds.pages) }

// Each calls yield with each page of a copy that is whole, encoded into buf,
// which is grown where it has to be and returned. The data is good until yield
// returns.
func (c *Copy) Each(buf []byte, yield func(kind PageKind, page int, data []byte) error) ([]byte, error) {
	buf, err := c.people.each(PersonPage, c.Header.People, buf, appendPerson, yield)
	if err == nil {
		buf, err = c.bookings.each(BookingPage, c.Header.Bookings, buf, appendBooking, yield)
	}
	if err == nil {
		buf, err = c.holds.each(HoldPage, c.Header.Holds, buf, appendHold, yield)
	}
	return buf, err
}

func (c *copies[T]) each(kind PageKind, rows Row, buf []byte, encode func([]byte, *T) []byte,
	yield func(PageKind, int, []byte) error,
) ([]byte, error) {
	for i, page := range c.pages {
		buf = buf[:0]
		for row := range rowsOf(page, rows) {
			buf = encode(buf, &c.rows[i][row])
		}
		if err := yield(kind, page, buf); err != nil {
			return buf, err
		}
	}
	return buf, nil
}

// rowsOf is how many of a table's rows lie in a page.
func rowsOf(page int, rows Row) int { return min(pageRows, int(rows)-page*pageRows) }
