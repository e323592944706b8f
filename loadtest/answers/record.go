package answers

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"weir/core/event"
)

// A record, in the order of its bytes. "uv" is an unsigned varint of 1 to 10
// bytes, "sv" a signed one (zigzag). What is in brackets is there where its bit
// of has is set.
//
//	+------+---------+----+-----+--------+------+------+
//	| kind | outcome | by | has | person | sent | took |
//	|  1   |    1    | 1  | uv  |   uv   |  sv  |  uv  |
//	+------+---------+----+-----+--------+------+------+
//	| [asked slot uv] [asked ref uv] [key uv] [valid until uv] [reason 1]       |
//	| [place: state 1, number uv, ahead uv] [hold: ref uv, slot uv, expires uv] |
//	| [serving: as of uv, issued uv, serving uv]                                |
//	| [bookings: count uv, each ref uv, slot uv, state 1, sequence uv]          |
//	| [lot: draw uv, index uv] [valid since uv]                                 |
//	| [shown: as of uv, first uv, count uv, each left uv]                       |
//	| [draws: count uv, each ordinal uv, opens uv, commitment 32, drawn 1,      |
//	|         and where that is 1: seed 32, size uv, base uv]                   |
//	+---------------------------------------------------------------------------+
//
// by is the credential. sent is in ns since the record before in the same
// block (since the file's beginning for the first), took in ns since sent.
// Slots are written as their number, refs as the sequence numbers that their
// codes stand for, times in ms since 1970; valid since is in ns since the
// file's beginning. Of a pause there is the bit alone.
const (
	hasSlot = 1 << iota
	hasRef
	hasKey
	hasValid
	hasReason
	hasPlace
	hasHeld
	hasServing
	hasBookings
	hasLot
	hasSince
	hasShown
	hasDraws
	hasPaused
	hasEnd
)

// bookingsMax bounds the bookings of one answer. A person may have a few, and
// the server keeps three cancelled ones.
const bookingsMax = 64

// Bounds of one answer. Who writes answers down leaves out what is more.
const (
	shownMax = 64 // slots
	drawsMax = 8
)

// recordMax is more than any record has bytes.
const recordMax = 256 + 32*bookingsMax + 3*shownMax + 96*drawsMax

var errRecord = errors.New("not a record of answers")

// encoder appends records to a block. The zero value begins a block.
type encoder struct {
	sent int64 // ns, of the record before
}

func (e *encoder) append(dst []byte, a *Answer) []byte {
	sent, answered := int64(a.Sent), int64(a.Answered)
	has := presence(a)
	dst = append(dst, byte(a.Kind), byte(a.Outcome), byte(a.Credential))
	dst = binary.AppendUvarint(dst, has)
	dst = binary.AppendUvarint(dst, uint64(a.Person))
	dst = binary.AppendVarint(dst, sent-e.sent)
	dst = binary.AppendUvarint(dst, uint64(max(answered-sent, 0)))
	e.sent = sent
	for _, f := range [...]struct {
		bit, value uint64
	}{
		{hasSlot, uint64(a.AskedSlot)}, {hasRef, uint64(a.AskedRef)}, {hasKey, uint64(a.Key)}, {hasValid, uint64(a.ValidUntil)},
	} {
		if has&f.bit != 0 {
			dst = binary.AppendUvarint(dst, f.value)
		}
	}
	if has&hasReason != 0 {
		dst = append(dst, byte(a.Reason))
	}
	return appendTold(dst, a, has)
}

func presence(a *Answer) (has uint64) {
	for _, f := range [...]struct {
		there bool
		bit   uint64
	}{
		{a.AskedSlot != event.NoSlot, hasSlot},
		{a.AskedRef != 0, hasRef},
		{a.Key != 0, hasKey},
		{a.ValidUntil != 0, hasValid},
		{a.Reason != NoReason, hasReason},
		{a.Place.State != NoPlace, hasPlace},
		{a.Held.Ref != 0, hasHeld},
		{a.Serving.AsOf != 0, hasServing},
		{len(a.Bookings) > 0, hasBookings},
		{a.Place.Index != 0, hasLot},
		{a.ValidSince != 0, hasSince},
		{a.Shown.AsOf != 0, hasShown},
		{len(a.Draws) > 0, hasDraws},
		{a.Serving.Paused, hasPaused},
	} {
		if f.there {
			has |= f.bit
		}
	}
	return has
}

// appendTold appends what the answer told.
func appendTold(dst []byte, a *Answer, has uint64) []byte {
	if has&hasPlace != 0 {
		dst = append(dst, byte(a.Place.State))
		dst = binary.AppendUvarint(dst, uint64(a.Place.Number))
		dst = binary.AppendUvarint(dst, uint64(a.Place.Ahead))
	}
	if has&hasHeld != 0 {
		dst = binary.AppendUvarint(dst, uint64(a.Held.Ref))
		dst = binary.AppendUvarint(dst, uint64(a.Held.Slot))
		dst = binary.AppendUvarint(dst, uint64(a.Held.Expires))
	}
	if has&hasServing != 0 {
		dst = binary.AppendUvarint(dst, uint64(a.Serving.AsOf))
		dst = binary.AppendUvarint(dst, uint64(a.Serving.Issued))
		dst = binary.AppendUvarint(dst, uint64(a.Serving.Serving))
	}
	if has&hasBookings != 0 {
		dst = appendBookings(dst, a.Bookings)
	}
	if has&hasLot != 0 {
		dst = binary.AppendUvarint(dst, uint64(a.Place.Draw))
		dst = binary.AppendUvarint(dst, uint64(a.Place.Index))
	}
	if has&hasSince != 0 {
		dst = binary.AppendUvarint(dst, uint64(a.ValidSince))
	}
	if has&hasShown != 0 {
		dst = appendShown(dst, &a.Shown)
	}
	if has&hasDraws != 0 {
		dst = appendDraws(dst, a.Draws)
	}
	return dst
}

func appendBookings(dst []byte, bookings []Booking) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(bookings)))
	for i := range bookings {
		b := &bookings[i]
		dst = binary.AppendUvarint(dst, uint64(b.Ref))
		dst = binary.AppendUvarint(dst, uint64(b.Slot))
		state := byte(0)
		if b.Cancelled {
			state = 1
		}
		dst = append(dst, state)
		dst = binary.AppendUvarint(dst, uint64(b.Sequence))
	}
	return dst
}

func appendShown(dst []byte, s *Shown) []byte {
	dst = binary.AppendUvarint(dst, uint64(s.AsOf))
	dst = binary.AppendUvarint(dst, uint64(s.First))
	dst = binary.AppendUvarint(dst, uint64(len(s.Left)))
	for _, left := range s.Left {
		dst = binary.AppendUvarint(dst, uint64(left))
	}
	return dst
}

func appendDraws(dst []byte, draws []Draw) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(draws)))
	for i := range draws {
		d := &draws[i]
		dst = binary.AppendUvarint(dst, uint64(d.Ordinal))
		dst = append(binary.AppendUvarint(dst, uint64(d.Opens)), d.Commitment[:]...)
		if !d.Drawn {
			dst = append(dst, 0)
			continue
		}
		dst = append(append(dst, 1), d.Seed[:]...)
		dst = binary.AppendUvarint(dst, uint64(d.Size))
		dst = binary.AppendUvarint(dst, uint64(d.Base))
	}
	return dst
}

// decoder reads the records of one block. Its error sticks.
type decoder struct {
	in   []byte
	sent int64 // ns, of the record before
	err  error
}

// next reads a record into a, using a.Bookings' room again. It is false at the
// block's end and at an error.
func (d *decoder) next(a *Answer) bool {
	if len(d.in) == 0 || d.err != nil {
		return false
	}
	*a = Answer{AskedSlot: event.NoSlot, Bookings: a.Bookings[:0], Draws: a.Draws[:0], Shown: Shown{Left: a.Shown.Left[:0]}}
	a.Kind, a.Outcome, a.Credential = Kind(d.byte(uint8(kindEnd))), Outcome(d.byte(uint8(outcomeEnd))), Credential(d.byte(uint8(credentialEnd)))
	has := d.number(hasEnd - 1)
	a.Person = Person(d.number(math.MaxUint32))
	d.times(a)
	if has&hasSlot != 0 {
		a.AskedSlot = d.slot()
	}
	if has&hasRef != 0 {
		a.AskedRef = event.Seq(d.number(math.MaxInt64))
	}
	if has&hasKey != 0 {
		a.Key = uint32(d.number(math.MaxUint32))
	}
	if has&hasValid != 0 {
		a.ValidUntil = event.Time(d.number(math.MaxInt64))
	}
	if has&hasReason != 0 {
		a.Reason = Reason(d.byte(uint8(reasonEnd)))
	}
	d.told(a, has)
	d.toldMore(a, has)
	if d.err == nil && (a.Kind == 0 || a.Outcome == 0 || presence(a) != has) {
		d.fail("fields that do not fit each other")
	}
	return d.err == nil
}

const nanosMax = math.MaxInt64 / 4 // far more than any run takes

func (d *decoder) times(a *Answer) {
	step, n := binary.Varint(d.in)
	if n <= 0 || step > nanosMax || step < -nanosMax {
		d.fail("a bad time")
		return
	}
	d.in = d.in[n:]
	d.sent += step
	took := int64(d.number(uint64(nanosMax)))
	if d.sent < 0 || d.sent > nanosMax {
		d.fail("a bad time")
	}
	if d.err == nil {
		a.Sent = time.Duration(d.sent)
		a.Answered = a.Sent + time.Duration(took)
	}
}

func (d *decoder) told(a *Answer, has uint64) {
	if has&hasPlace != 0 {
		a.Place.State = PlaceState(d.byte(uint8(placeEnd)))
		a.Place.Number = event.Number(d.number(math.MaxUint32))
		a.Place.Ahead = event.Number(d.number(math.MaxUint32))
	}
	if has&hasHeld != 0 {
		a.Held.Ref, a.Held.Slot = event.Seq(d.number(math.MaxInt64)), d.slot()
		a.Held.Expires = event.Time(d.number(math.MaxInt64))
	}
	if has&hasServing != 0 {
		a.Serving.AsOf = event.Time(d.number(math.MaxInt64))
		a.Serving.Issued = event.Number(d.number(math.MaxUint32))
		a.Serving.Serving = event.Number(d.number(math.MaxUint32))
	}
	if has&hasBookings == 0 {
		return
	}
	for range d.number(bookingsMax) {
		b := Booking{Ref: event.Seq(d.number(math.MaxInt64)), Slot: d.slot(), Cancelled: d.byte(2) == 1}
		b.Sequence = event.Seq(d.number(math.MaxInt64))
		a.Bookings = append(a.Bookings, b)
	}
}

func (d *decoder) toldMore(a *Answer, has uint64) {
	if has&hasLot != 0 {
		a.Place.Draw = event.Draw(d.number(math.MaxUint16))
		a.Place.Index = event.Index(d.number(math.MaxUint32))
	}
	if has&hasSince != 0 {
		a.ValidSince = time.Duration(d.number(uint64(nanosMax)))
	}
	if has&hasShown != 0 {
		a.Shown.AsOf, a.Shown.First = event.Time(d.number(math.MaxInt64)), d.slot()
		for range d.number(shownMax) {
			a.Shown.Left = append(a.Shown.Left, uint16(d.number(math.MaxUint16)))
		}
	}
	a.Serving.Paused = has&hasPaused != 0
	if has&hasDraws == 0 {
		return
	}
	for range d.number(drawsMax) {
		one := Draw{Ordinal: event.Draw(d.number(math.MaxUint16)), Opens: event.Time(d.number(math.MaxInt64))}
		d.bytes(one.Commitment[:])
		if one.Drawn = d.byte(2) == 1; one.Drawn {
			d.bytes(one.Seed[:])
			one.Size, one.Base = uint32(d.number(math.MaxUint32)), event.Number(d.number(math.MaxUint32))
		}
		a.Draws = append(a.Draws, one)
	}
}

func (d *decoder) fail(what string) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: %s", errRecord, what)
	}
}

// byte reads a byte below end.
func (d *decoder) byte(end uint8) uint8 {
	if len(d.in) == 0 || d.in[0] >= end {
		d.fail("a byte that is missing or too large")
		return 0
	}
	b := d.in[0]
	d.in = d.in[1:]
	return b
}

// bytes reads as many bytes as into has.
func (d *decoder) bytes(into []byte) {
	if len(d.in) < len(into) {
		d.fail("bytes that are missing")
		d.in = nil
		return
	}
	d.in = d.in[copy(into, d.in):]
}

// number reads a number up to limit.
func (d *decoder) number(limit uint64) uint64 {
	v, n := binary.Uvarint(d.in)
	if n <= 0 || v > limit {
		d.fail("a number that is missing or too large")
		return 0
	}
	d.in = d.in[n:]
	return v
}

func (d *decoder) slot() event.SlotID { return event.SlotID(d.number(math.MaxUint32)) }
