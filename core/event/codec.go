package event

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"
)

// A record on disk, little-endian, sizes in bytes:
//
//	+------+----------+---------+--------+------------------------------+
//	| kind | campaign | version |   at   | body by kind                 |
//	|  1   |    2     |    4    |   8    |                              |
//	+------+----------+---------+--------+------------------------------+
//
//	defined    length 4, bundle
//	joined     person 16, number 4, cohort 2
//	left       person 16, number 4
//	held       person 16, slot 4, from 4, until 8, cohort 2
//	released   person 16, slot 4, ref 8
//	expired    person 16, slot 4, ref 8
//	booked     person 16, slot 4, from 4, ref 8, request 8, cohort 2
//	changed    person 16, slot 4, from 4, ref 8
//	cancelled  person 16, slot 4, ref 8
//	entered    person 16, index 4, cohort 2, draw 2
//
//	draw_opened  draw 2, commitment 32, cohort 2, opens 8
//	drawn        draw 2, seed 32
//	served       number 4
//	paused       length 2, reason
//	resumed      nothing
//
// Records follow each other without padding; the envelope around them says how
// many there are and which sequence number the first one has.
const headerSize = 1 + 2 + 4 + 8

// MaxSize bounds the encoded size of every record of a person, in bytes.
const MaxSize = headerSize + 16 + 4 + 4 + 8 + 8 + 2

// MaxDefinition bounds a Defined record's bundle, in bytes.
const MaxDefinition = 64 << 20

// MaxReason bounds a Paused record's reason, in bytes of UTF-8.
const MaxReason = 500

// SecretSize is the size of a draw's seed and of the commitment to it, in bytes.
const SecretSize = 32

var bodySizes = [kindEnd]int{
	Defined: 4, Joined: 22, Left: 20, Held: 34, Released: 28, Expired: 28, Booked: 42, Changed: 32, Cancelled: 28,
	Entered: 24, DrawOpened: 2 + SecretSize + 2 + 8, Drawn: 2 + SecretSize, Served: 4, Paused: 2, Resumed: 0,
}

// ErrMalformed says that bytes are no record of this format.
var ErrMalformed = errors.New("malformed record")

// Size returns the encoded size of r in bytes.
func (r *Record) Size() int {
	size := headerSize + bodySizes[r.Kind]
	switch r.Kind {
	case Defined:
		size += len(r.Definition)
	case Paused:
		size += len(r.Payload)
	}
	return size
}

// Append encodes r at the end of dst and returns the longer slice. It does not
// allocate where dst has Size bytes of room. The record must be of a known
// kind: anything else is a defect of the caller and panics.
func Append(dst []byte, r *Record) []byte {
	le := binary.LittleEndian
	dst = append(dst, byte(r.Kind))
	dst = le.AppendUint16(dst, uint16(r.Campaign))
	dst = le.AppendUint32(dst, uint32(r.Version))
	dst = le.AppendUint64(dst, uint64(r.At))
	if r.Kind.OfPerson() {
		return appendOfPerson(append(dst, r.Person[:]...), r)
	}
	switch r.Kind {
	case Defined:
		dst = le.AppendUint32(dst, uint32(len(r.Definition)))
		return append(dst, r.Definition...)
	case DrawOpened:
		dst = append(le.AppendUint16(dst, uint16(r.Draw)), r.Payload[:SecretSize]...)
		dst = le.AppendUint16(dst, r.Cohort)
		return le.AppendUint64(dst, uint64(r.Until))
	case Drawn:
		return append(le.AppendUint16(dst, uint16(r.Draw)), r.Payload[:SecretSize]...)
	case Served:
		return le.AppendUint32(dst, uint32(r.Number))
	case Paused:
		return append(le.AppendUint16(dst, uint16(len(r.Payload))), r.Payload...)
	case Resumed:
		return dst
	}
	panic("event: append of a record of unknown " + r.Kind.String())
}

func appendOfPerson(dst []byte, r *Record) []byte {
	le := binary.LittleEndian
	switch r.Kind {
	case Joined:
		dst = le.AppendUint32(dst, uint32(r.Number))
		return le.AppendUint16(dst, r.Cohort)
	case Left:
		return le.AppendUint32(dst, uint32(r.Number))
	case Entered:
		dst = le.AppendUint32(dst, uint32(r.Index))
		dst = le.AppendUint16(dst, r.Cohort)
		return le.AppendUint16(dst, uint16(r.Draw))
	}
	dst = le.AppendUint32(dst, uint32(r.Slot))
	switch r.Kind {
	case Held:
		dst = le.AppendUint32(dst, uint32(r.From))
		dst = le.AppendUint64(dst, uint64(r.Until))
		return le.AppendUint16(dst, r.Cohort)
	case Booked:
		dst = le.AppendUint32(dst, uint32(r.From))
		dst = le.AppendUint64(dst, uint64(r.Ref))
		dst = le.AppendUint64(dst, r.Request)
		return le.AppendUint16(dst, r.Cohort)
	case Changed:
		dst = le.AppendUint32(dst, uint32(r.From))
	}
	return le.AppendUint64(dst, uint64(r.Ref))
}

// Decode reads one record from the start of src into r and returns what
// follows it. A record's Definition and Payload alias src. Errors wrap
// ErrMalformed and leave r undefined.
func Decode(r *Record, src []byte) (rest []byte, err error) {
	if len(src) < headerSize {
		return nil, fmt.Errorf("%w: %d bytes left, a header has %d", ErrMalformed, len(src), headerSize)
	}
	le := binary.LittleEndian
	kind := Kind(src[0])
	if kind == 0 || kind >= kindEnd {
		return nil, fmt.Errorf("%w: unknown %v", ErrMalformed, kind)
	}
	*r = Record{
		Kind:     kind,
		Campaign: CampaignID(le.Uint16(src[1:])),
		Version:  Version(le.Uint32(src[3:])),
		At:       Time(le.Uint64(src[7:])),
	}
	body := src[headerSize:]
	size := bodySizes[kind]
	if len(body) < size {
		return nil, fmt.Errorf("%w: %v cut short: %d of %d bytes", ErrMalformed, kind, len(body), size)
	}
	switch {
	case kind == Defined:
		return decodeDefinition(r, body)
	case kind == Paused:
		return decodeReason(r, body)
	case kind.OfPerson():
		copy(r.Person[:], body)
		decodeOfPerson(r, body[16:])
	default:
		decodeOfCampaign(r, body)
	}
	return body[size:], nil
}

func decodeDefinition(r *Record, body []byte) (rest []byte, err error) {
	size := uint64(binary.LittleEndian.Uint32(body))
	body = body[4:]
	if size > MaxDefinition || size > uint64(len(body)) {
		return nil, fmt.Errorf("%w: definition of %d bytes in %d", ErrMalformed, size, len(body))
	}
	r.Definition = body[:size:size]
	return body[size:], nil
}

func decodeReason(r *Record, body []byte) (rest []byte, err error) {
	size := int(binary.LittleEndian.Uint16(body))
	body = body[2:]
	if size > MaxReason || size > len(body) {
		return nil, fmt.Errorf("%w: reason of %d bytes in %d", ErrMalformed, size, len(body))
	}
	if !utf8.Valid(body[:size]) {
		return nil, fmt.Errorf("%w: reason is not in UTF-8", ErrMalformed)
	}
	if size > 0 {
		r.Payload = body[:size:size]
	}
	return body[size:], nil
}

func decodeOfPerson(r *Record, body []byte) {
	le := binary.LittleEndian
	first := le.Uint32(body)
	switch r.Kind {
	case Joined:
		r.Number, r.Cohort = Number(first), le.Uint16(body[4:])
		return
	case Left:
		r.Number = Number(first)
		return
	case Entered:
		r.Index, r.Cohort, r.Draw = Index(first), le.Uint16(body[4:]), Draw(le.Uint16(body[6:]))
		return
	}
	r.Slot = SlotID(first)
	switch r.Kind {
	case Held:
		r.From, r.Until = SlotID(le.Uint32(body[4:])), Time(le.Uint64(body[8:]))
		r.Cohort = le.Uint16(body[16:])
	case Booked:
		r.From, r.Ref = SlotID(le.Uint32(body[4:])), Seq(le.Uint64(body[8:]))
		r.Request, r.Cohort = le.Uint64(body[16:]), le.Uint16(body[24:])
	case Changed:
		r.From, r.Ref = SlotID(le.Uint32(body[4:])), Seq(le.Uint64(body[8:]))
	case Released, Expired, Cancelled:
		r.Ref = Seq(le.Uint64(body[4:]))
	}
}

func decodeOfCampaign(r *Record, body []byte) {
	le := binary.LittleEndian
	switch r.Kind {
	case DrawOpened, Drawn:
		r.Draw, r.Payload = Draw(le.Uint16(body)), body[2:2+SecretSize:2+SecretSize]
		if r.Kind == DrawOpened {
			body = body[2+SecretSize:]
			r.Cohort, r.Until = le.Uint16(body), Time(le.Uint64(body[2:]))
		}
	case Served:
		r.Number = Number(le.Uint32(body))
	}
}
