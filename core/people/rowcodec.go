package people

import (
	"encoding/binary"

	"weir/core/event"
)

// Rows as they are stored, in pages of up to 256, little-endian, sizes in bytes:
//
//	person   key 16, bookings 4, hold 4, place 4, cohort 2, draw 2
//	booking  seq 8, last 8, booked at 8, request 8, slot 4, held for 4,
//	         person 4, next 4, version 4, cohort 2, state 1, zero 1
//	hold     seq 8, expires 8, slot 4, person 4, next 4, cohort 2, zero 2
//
// Fields stand where they stand in memory, so on most machines encoding is a
// copy. Row r of its kind is row (r-1) modulo 256 of page (r-1)/256.
const (
	personSize  = 32
	bookingSize = 56
	holdSize    = 32
)

func appendPerson(dst []byte, p *Person) []byte {
	var b [personSize]byte
	le := binary.LittleEndian
	copy(b[:], p.Key[:])
	le.PutUint32(b[16:], uint32(p.Bookings))
	le.PutUint32(b[20:], uint32(p.Hold))
	le.PutUint32(b[24:], p.Place)
	le.PutUint16(b[28:], p.Cohort)
	le.PutUint16(b[30:], uint16(p.Draw))
	return append(dst, b[:]...)
}

func (p *Person) decode(b *[personSize]byte) {
	le := binary.LittleEndian
	p.Key = event.PersonKey(b[:16])
	p.Bookings = Row(le.Uint32(b[16:]))
	p.Hold = Row(le.Uint32(b[20:]))
	p.Place = le.Uint32(b[24:])
	p.Cohort = le.Uint16(b[28:])
	p.Draw = event.Draw(le.Uint16(b[30:]))
}

func appendBooking(dst []byte, k *Booking) []byte {
	var b [bookingSize]byte
	le := binary.LittleEndian
	le.PutUint64(b[0:], uint64(k.Seq))
	le.PutUint64(b[8:], uint64(k.Last))
	le.PutUint64(b[16:], uint64(k.BookedAt))
	le.PutUint64(b[24:], k.Request)
	le.PutUint32(b[32:], uint32(k.Slot))
	le.PutUint32(b[36:], k.HeldFor)
	le.PutUint32(b[40:], uint32(k.Person))
	le.PutUint32(b[44:], uint32(k.Next))
	le.PutUint32(b[48:], uint32(k.Version))
	le.PutUint16(b[52:], k.Cohort)
	b[54] = byte(k.State)
	return append(dst, b[:]...)
}

func (k *Booking) decode(b *[bookingSize]byte) {
	le := binary.LittleEndian
	k.Seq = event.Seq(le.Uint64(b[0:]))
	k.Last = event.Seq(le.Uint64(b[8:]))
	k.BookedAt = event.Time(le.Uint64(b[16:]))
	k.Request = le.Uint64(b[24:])
	k.Slot = event.SlotID(le.Uint32(b[32:]))
	k.HeldFor = le.Uint32(b[36:])
	k.Person = Row(le.Uint32(b[40:]))
	k.Next = Row(le.Uint32(b[44:]))
	k.Version = event.Version(le.Uint32(b[48:]))
	k.Cohort = le.Uint16(b[52:])
	k.State = State(b[54])
}

func appendHold(dst []byte, h *Hold) []byte {
	var b [holdSize]byte
	le := binary.LittleEndian
	le.PutUint64(b[0:], uint64(h.Seq))
	le.PutUint64(b[8:], uint64(h.Expires))
	le.PutUint32(b[16:], uint32(h.Slot))
	le.PutUint32(b[20:], uint32(h.Person))
	le.PutUint32(b[24:], uint32(h.Next))
	le.PutUint16(b[28:], h.Cohort)
	return append(dst, b[:]...)
}

func (h *Hold) decode(b *[holdSize]byte) {
	le := binary.LittleEndian
	h.Seq = event.Seq(le.Uint64(b[0:]))
	h.Expires = event.Time(le.Uint64(b[8:]))
	h.Slot = event.SlotID(le.Uint32(b[16:]))
	h.Person = Row(le.Uint32(b[20:]))
	h.Next = Row(le.Uint32(b[24:]))
	h.Cohort = le.Uint16(b[28:])
}
