// Package availability publishes what is free as ready-made bytes.
//
// The life of a read:
//
//  1. A summary of the campaign (places left by site, day and product) is made
//     from the slots at most once every maxAge, by whoever comes first. Others
//     are served from the summary before it meanwhile, until that is a second
//     old.
//  2. A document is rendered from the summary when it is first asked for,
//     compressed once in each encoding that is asked for, and kept beside the
//     summary. From then on it is served by pointer, without allocation.
//  3. The next summary starts with no documents, so nothing has to be
//     invalidated, and a document cannot outlive its summary.
//
// A document of one site's slots reads the slots themselves when it is
// rendered: it is as new as that moment.
//
// Whole-campaign lists, region lists and slot lists without filters have a
// place each; everything else goes by its normalised query into a bounded
// store. Where a store is full, documents are rendered and not kept, without
// compression: a flood of distinct queries costs a rendering each and no more.
// Lists near a point are nearly as many as there are people, so they are
// compressed only from the second time that the same one is asked for.
//
// Keeping summaries current by feeding every booking into them was rejected:
// it puts work and shared memory on the booking path, where reading all slots
// of a large campaign twice a second costs half a percent of one core.
//
// The package does not protect against acting on what it says: it takes no
// lock, so a slot shown free may be full by the time it is asked for, and only
// the booking write decides. It does not check who asks, and bounds what one
// query costs, not how many come.
package availability

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"weir/core/campaign"
	"weir/core/event"
)

// Source is the campaign whose availability is published. Its methods are safe
// for concurrent use, take no lock and are cheap: Slot is called for every slot
// of the campaign several times a second.
type Source interface {
	// Definition returns the definition in force: the same pointer until
	// another one is.
	Definition() (*campaign.Definition, event.Version)
	// Slot returns how many places of s are taken, and how many it has. It
	// answers for every slot of every definition that Definition returned.
	Slot(s event.SlotID) (taken, capacity uint16)
}

// MaxStale is the age that nothing published passes.
const MaxStale = time.Second

const defaultAge = 500 * time.Millisecond

// The errors of a query. The tests of their fields that need no summary are
// the caller's.
var (
	// ErrCursor: the cursor was not given out for this query, or its site is
	// no longer in the campaign. Start from the first page.
	ErrCursor = errors.New("availability: cursor of no page of this query")
	// ErrPoint: Lat and Lon are no point on Earth.
	ErrPoint = errors.New("availability: no point on Earth")
)

// Document is one answer, ready to send. Its bytes are shared and must not be
// changed; they stay as they are for as long as they are referred to.
type Document struct {
	Body     []byte
	ETag     string     // weak, over all of the content but as_of
	AsOf     event.Time // when it was true
	Encoding Encoding   // of Body: the one asked for, or Identity where that would not pay
}

// Publisher publishes the availability of one campaign. It has no goroutine of
// its own, and its methods are safe for concurrent use. Times handed in come
// from one clock that does not go backwards; they may arrive slightly out of
// order.
//
// Invariants:
//
//  1. What is returned for time now is of the definition in force at the call
//     and has now - AsOf <= MaxStale.
//  2. AsOf is at or before the moment at which any slot was read for it.
//  3. At most one summary is being made at any time.
type Publisher struct {
	source Source
	maxAge event.Time // milliseconds

	making  sync.Mutex               // held by whoever makes the next summary
	current atomic.Pointer[snapshot] // nil before the first; stored under making
}

// New returns a publisher of src that looks at the slots anew when what it
// knows is maxAge old. Zero or less means 500 ms; more than MaxStale means
// MaxStale.
func New(src Source, maxAge time.Duration) *Publisher {
	if maxAge <= 0 {
		maxAge = defaultAge
	}
	maxAge = max(time.Millisecond, min(maxAge, MaxStale))
	return &Publisher{source: src, maxAge: event.Time(maxAge.Milliseconds())}
}

// Refresh makes a new summary if the one there is has reached maxAge. Reads do
// the same; a caller that comes regularly spares them the wait.
func (p *Publisher) Refresh(now event.Time) { p.snapshot(now) }

// snapshot returns the summary to answer from at now.
func (p *Publisher) snapshot(now event.Time) *snapshot {
	s := p.current.Load()
	if p.serves(s, now, p.maxAge-1) {
		return s
	}
	if !p.making.TryLock() {
		if p.serves(s, now, event.Time(MaxStale.Milliseconds())) {
			return s
		}
		p.making.Lock()
	}
	defer p.making.Unlock()
	s = p.current.Load()
	if p.serves(s, now, p.maxAge-1) {
		return s
	}
	s = p.make(s, now)
	p.current.Store(s)
	return s
}

// serves says whether s, which may be nil, is of the definition in force and at
// most age old.
func (p *Publisher) serves(s *snapshot, now, age event.Time) bool {
	if s == nil || now-s.asOf > age {
		return false
	}
	d, _ := p.source.Definition()
	return s.definition == d
}

// make returns the summary that follows old, which may be nil. p.making is held.
func (p *Publisher) make(old *snapshot, now event.Time) *snapshot {
	d, _ := p.source.Definition()
	if old == nil {
		return newSnapshot(newLayout(d), p.source, now)
	}
	now = max(now, old.asOf)
	if old.definition == d {
		return newSnapshot(old.layout, p.source, now)
	}
	return newSnapshot(newLayout(d), p.source, now)
}
