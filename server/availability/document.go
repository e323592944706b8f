package availability

import (
	"bytes"
	"sync"

	"github.com/zeebo/xxh3"

	"weir/core/event"
)

// Sites returns the page of sites that q asks for at now: an object of `sites`,
// `next` where there is another page, and `as_of`. An encoding that is unknown
// counts as Identity. Errors are ErrCursor and ErrPoint.
func (p *Publisher) Sites(now event.Time, q *SitesQuery, enc Encoding) (Document, error) {
	s := p.snapshot(now)
	k, err := s.sitesKey(q)
	if err != nil {
		return Document{}, err
	}
	e, room := s.place(&k)
	if d := e.ready(enc); d != nil {
		return *d, nil
	}
	return s.make(e, room, enc, k.near, func(b []byte) ([]byte, event.Time) {
		return s.appendSites(b, q, &k), s.asOf
	}), nil
}

// Slots returns the slots that q asks for at now: an object of `slots` and
// `as_of`. A site or product that the campaign does not have has none. An
// encoding that is unknown counts as Identity. The error is always nil: it is
// there for queries that can be wrong.
func (p *Publisher) Slots(now event.Time, q *SlotsQuery, enc Encoding) (Document, error) {
	s := p.snapshot(now)
	k := s.slotsKey(q)
	e, room := s.place(&k)
	if d := e.ready(enc); d != nil {
		return *d, nil
	}
	now = max(now, s.asOf) // the summary may have been made for a reader slightly ahead
	return s.make(e, room, enc, false, func(b []byte) ([]byte, event.Time) {
		return s.appendSlots(b, &k, now), now
	}), nil
}

// ready returns the document if it was made. The entry may be nil.
func (e *entry) ready(enc Encoding) *Document {
	if e == nil || enc >= encodings {
		return nil
	}
	return e.made[enc].Load()
}

// scratch holds the buffers that documents are rendered in.
var scratch = sync.Pool{New: func() any { return new([]byte) }}

// scratchMax is the size in bytes from which a buffer is not used again.
const scratchMax = 1 << 20

// make renders a document, and keeps it in e where there is an entry and room.
// A document that is rare is compressed from the second time only. The function
// render appends the content up to as_of, and says what as_of is.
func (s *snapshot) make(e *entry, room *budget, enc Encoding, rare bool, render func([]byte) ([]byte, event.Time)) Document {
	if enc >= encodings {
		enc = Identity
	}
	if e == nil {
		return s.encode(Identity, render)
	}
	e.making.Lock()
	defer e.making.Unlock()
	identity := e.made[Identity].Load()
	if d := e.made[enc].Load(); d != nil {
		return *d
	}
	if room.full() || rare && identity == nil {
		enc = Identity
	}
	var d Document
	switch {
	case identity == nil:
		d = s.encode(enc, render)
	case enc == Identity:
		return *identity
	default:
		d = identity.compressed(enc)
	}
	if room.take(len(d.Body)) {
		e.made[enc].Store(&d)
	}
	return d
}

// encode renders a document into bytes of its own.
func (s *snapshot) encode(enc Encoding, render func([]byte) ([]byte, event.Time)) Document {
	buffer, _ := scratch.Get().(*[]byte)
	body, asOf := render((*buffer)[:0])
	d := Document{ETag: etag(body), AsOf: asOf}
	body = s.definition.AppendTime(append(body, `,"as_of":"`...), asOf)
	body = append(body, `"}`...)
	d.Body = body
	if d = d.compressed(enc); d.Encoding == Identity {
		d.Body = bytes.Clone(body)
	}
	if cap(body) <= scratchMax {
		*buffer = body
		scratch.Put(buffer)
	}
	return d
}

// compressed returns d in another encoding, and d itself where that does not
// pay.
func (d Document) compressed(enc Encoding) Document {
	if enc == Identity {
		return d
	}
	if body := compress(d.Body, enc); body != nil {
		d.Body, d.Encoding = body, enc
	}
	return d
}

// etag names content: weakly, as it goes for all encodings and leaves as_of out.
func etag(content []byte) string {
	var b [20]byte
	copy(b[:], `W/"`)
	h := xxh3.Hash(content)
	for i := 18; i > 2; i-- {
		b[i] = hexDigits[h&15]
		h >>= 4
	}
	b[19] = '"'
	return string(b[:])
}
