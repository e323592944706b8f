package core

import (
	"encoding/binary"
	"encoding/hex"

	"github.com/zeebo/xxh3"

	"weir/core/event"
	"weir/core/people"
)

// Digest returns 32 hexadecimal digits that are the same for the same state,
// whatever path led to it. Each person, each slot and each definition is
// hashed by itself and the hashes are added up, so neither the order nor the
// place of rows matters. It is for comparing states, not for guarding against
// a forger. It locks one campaign's people at a time.
func (e *Engine) Digest() string {
	var sum digest
	for _, camp := range e.Campaigns() {
		camp.digest(&sum)
	}
	var out [16]byte
	binary.BigEndian.PutUint64(out[:], sum.Hi)
	binary.BigEndian.PutUint64(out[8:], sum.Lo)
	return hex.EncodeToString(out[:])
}

// digest is a sum of 128-bit hashes, modulo 2^128.
type digest struct{ xxh3.Uint128 }

func (d *digest) add(b []byte) {
	h := xxh3.Hash128(b)
	low := d.Lo + h.Lo
	if low < h.Lo {
		d.Hi++
	}
	d.Lo, d.Hi = low, d.Hi+h.Hi
}

func (c *Campaign) digest(sum *digest) {
	c.people.LockAll()
	defer c.people.UnlockAll()
	le := binary.LittleEndian
	buf := make([]byte, 0, 512)
	head := func(what byte) []byte { return le.AppendUint16(append(buf[:0], what), uint16(c.id)) }

	rules := c.rules.Load()
	definition := rules.Digest()
	buf = append(le.AppendUint32(head('d'), uint32(rules.version)), definition[:]...)
	sum.add(le.AppendUint32(buf, c.line.issued.Load()))
	sum.add(c.appendLine(head('l')))
	var cohorts []CohortTotals
	for i := range people.Shards {
		cohorts = addCounts(cohorts, c.people.At(i))
	}
	for i, cohort := range c.named(cohorts) {
		sum.add(appendCohort(le.AppendUint16(head('c'), uint16(i)), &cohort))
	}
	for s := event.SlotID(0); c.slots.Has(s); s++ {
		taken, capacity := c.slots.Load(s)
		buf = le.AppendUint32(head('s'), uint32(s))
		sum.add(le.AppendUint16(le.AppendUint16(buf, taken), capacity))
	}
	for i := range people.Shards {
		shard := c.people.At(i)
		for row := people.Row(1); row <= shard.People(); row++ {
			buf = appendPerson(head('p'), shard, row)
			sum.add(buf)
		}
	}
}

// appendLine appends what the line has besides the people's rows: the mark, the
// draws and the pauses. All shards of people are locked.
func (c *Campaign) appendLine(dst []byte) []byte {
	le := binary.LittleEndian
	state := c.Line()
	dst = le.AppendUint64(dst, uint64(state.Newest))
	dst = le.AppendUint32(dst, state.Early)
	dst = le.AppendUint32(dst, uint32(state.Serving))
	for i, draw := range state.Draws {
		list := c.line.lists[i]
		dst = le.AppendUint64(append(dst, 'd'), uint64(draw.Opens))
		dst = append(append(dst, draw.Commitment[:]...), draw.Seed[:]...)
		dst = le.AppendUint32(le.AppendUint32(dst, list.size), uint32(draw.Base))
		for _, e := range list.cohorts {
			dst = le.AppendUint64(le.AppendUint16(dst, e.cohort), uint64(e.since))
		}
	}
	for _, pause := range state.pauses {
		dst = le.AppendUint64(le.AppendUint64(append(dst, 'p'), uint64(pause.from)), uint64(pause.to))
	}
	if state.Paused {
		dst = append(le.AppendUint64(append(dst, 'P'), uint64(state.Since)), state.Reason...)
	}
	return dst
}

func appendCohort(dst []byte, t *CohortTotals) []byte {
	for _, n := range [...]int64{t.Joined, t.Left, t.Booked, t.Cancelled} {
		dst = binary.LittleEndian.AppendUint64(dst, uint64(n))
	}
	return append(dst, t.ID...)
}

func appendPerson(dst []byte, shard *people.Shard, row people.Row) []byte {
	le := binary.LittleEndian
	person := shard.Person(row)
	dst = append(dst, person.Key[:]...)
	dst = le.AppendUint32(dst, person.Place)
	dst = le.AppendUint16(dst, person.Cohort)
	dst = le.AppendUint16(dst, uint16(person.Draw))
	if person.Hold != 0 {
		h := shard.Hold(person.Hold)
		dst = le.AppendUint64(append(dst, 'h'), uint64(h.Seq))
		dst = le.AppendUint64(dst, uint64(h.Expires))
		dst = le.AppendUint32(dst, uint32(h.Slot))
		dst = le.AppendUint16(dst, h.Cohort)
	}
	for r := person.Bookings; r != 0; r = shard.Booking(r).Next {
		b := shard.Booking(r)
		dst = le.AppendUint64(append(dst, 'b', byte(b.State)), uint64(b.Seq))
		dst = le.AppendUint64(dst, uint64(b.Last))
		dst = le.AppendUint64(dst, uint64(b.BookedAt))
		dst = le.AppendUint64(dst, b.Request)
		dst = le.AppendUint32(dst, uint32(b.Slot))
		dst = le.AppendUint32(dst, b.HeldFor)
		dst = le.AppendUint32(dst, uint32(b.Version))
		dst = le.AppendUint16(dst, b.Cohort)
	}
	return dst
}
