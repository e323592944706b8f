package core

import (
	"errors"
	"fmt"

	"weir/core/event"
	"weir/core/people"
)

// The state can be copied while it changes, and be restored from such copies.
//
// It is cut into parts: each campaign's own (its definitions and its line), and
// each of its shards of people. A part is copied under its own lock, as it
// stands after some record, its newest; different parts at different times. The
// records of the log behind the oldest of those times then go through Apply as
// ever, and a part that has a record already leaves it out.
//
// Slots are in no part. How many places are taken of a slot is what bookings
// and holds say, each counted by the part that it is in; what the slot has is
// what the definition says, or what is taken where that is more. So both come
// back with the people, no lock of slots is ever waited for by a copy, and a
// booking costs nothing more. Until the replay has passed the newest record of
// every part, what is taken is the sum of parts of different times and is not
// compared with anything.

// Part names a part of the state.
type Part struct {
	Campaign event.CampaignID
	Shard    uint16 // of people, from 1; 0: the campaign itself
}

// PartsPerCampaign is how many parts a campaign has.
const PartsPerCampaign = 1 + people.Shards

// String names the part for reports.
func (p Part) String() string {
	if p.Shard == 0 {
		return fmt.Sprintf("campaign %d", p.Campaign)
	}
	return fmt.Sprintf("campaign %d, people shard %d", p.Campaign, p.Shard-1)
}

// PageKind names what a page of a part holds. Its values are part of the format
// of what is stored.
type PageKind = people.PageKind

// DefinitionPage is the bundle of the definition in force: page 0, the only one.
const DefinitionPage PageKind = 16

// restorable is what a campaign keeps so that it can be copied and restored.
type restorable struct {
	definedBy event.Seq                    // the record that put the definition in force; as rules
	versions  [][]uint16                   // the cohorts of all versions, by version-1, as in rules; as rules
	copied    [people.Stores]event.Version // newest version copied for each store; owner: who copies for it

	// restored is the record that the campaign's own part was restored as it
	// stood after. ahead is not 0 while parts may be true at records up to it
	// that others have not seen. Both are changed before Start alone.
	restored, ahead event.Seq
}

func (r *restorable) defined(seq event.Seq, rules *rules) {
	r.definedBy = seq
	r.versions = append(r.versions, rules.cohorts)
}

// numbers returns the numbers of the cohorts of a version, none where there was
// no such version.
func (r *restorable) numbers(version event.Version) []uint16 {
	if version == 0 || int64(version) > int64(len(r.versions)) {
		return nil
	}
	return r.versions[version-1]
}

// CampaignCount returns the number of campaigns that there are now, whose parts
// can be copied. It counts every one whose record has been appended.
func (e *Engine) CampaignCount() int {
	e.defining.Lock()
	defer e.defining.Unlock()
	return len(e.Campaigns())
}

// Copy is a part as it stood at one moment, without the pages that are the same
// as when it was copied for the same store before. It is reused from part to
// part; its zero value is ready.
type Copy struct {
	Part   Part
	Newest event.Seq // the part is true at it: it has all records up to it, and none behind
	Header []byte    // what the part is besides its pages

	people people.Copy
	bundle []byte // nil: it has not changed
}

// Begin empties the copy for another part.
func (c *Copy) Begin(part Part) {
	c.Part = part
	c.people.Reset()
	c.bundle = nil
}

// Copy adds to c at most limit pages that changed since the part was copied for
// the store, and says whether c is whole now (see people.Shard.CopyChanged).
// One goroutine at a time copies for a store. What was copied and then could
// not be stored has to be marked again with Recopy.
func (e *Engine) Copy(c *Copy, store, limit int) (whole bool) {
	camp := e.byNumber(c.Part.Campaign)
	if c.Part.Shard == 0 {
		camp.copyOwn(c, store)
		return true
	}
	shard := camp.people.At(int(c.Part.Shard) - 1)
	shard.Lock()
	whole = shard.CopyChanged(&c.people, store, limit)
	shard.Unlock()
	if whole {
		c.Newest = c.people.Header.Newest
		c.Header = c.people.Header.Append(c.Header[:0])
	}
	return whole
}

// Pages returns how many pages c holds.
func (c *Copy) Pages() int {
	if c.bundle != nil {
		return 1
	}
	return c.people.Pages()
}

// Each calls yield with each page of a copy that is whole, in no order. buf is
// room to encode in; it is returned, grown where it had to be. The data is good
// until yield returns.
func (c *Copy) Each(buf []byte, yield func(kind PageKind, page int, data []byte) error) ([]byte, error) {
	if c.Part.Shard != 0 {
		return c.people.Each(buf, yield)
	}
	if c.bundle == nil {
		return buf, nil
	}
	return buf, yield(DefinitionPage, 0, c.bundle)
}

// Recopy marks all of the state as not yet copied for the store.
func (e *Engine) Recopy(store int) {
	for _, camp := range e.Campaigns() {
		camp.copied[store] = 0
		for i := range people.Shards {
			shard := camp.people.At(i)
			shard.Lock()
			shard.MarkAll(store)
			shard.Unlock()
		}
	}
}

// Restoring is a part on its way back into an engine. One goroutine owns it.
type Restoring struct {
	engine *Engine
	part   Part
	own    ownHeader // of a campaign's own part
	bundle []byte    // likewise
	camp   *Campaign
	shard  *people.Shard
}

// Restore begins to restore a part of which header was copied. Each part is
// restored once, into an engine that has applied nothing: the campaigns' own
// parts in the order of their numbers, then the people's, which may be restored
// at the same time as each other. Restored follows the last one. Errors wrap
// ErrCorrupt; the engine can then only be emptied with Reset.
func (e *Engine) Restore(part Part, header []byte) (*Restoring, error) {
	r := &Restoring{engine: e, part: part}
	if part.Shard == 0 {
		if int(part.Campaign) != len(e.Campaigns()) {
			return nil, r.corrupt(fmt.Errorf("it follows %d campaigns", len(e.Campaigns())))
		}
		return r, r.corrupt(r.own.decode(header))
	}
	var h people.Header
	if err := h.Decode(header); err != nil {
		return nil, r.corrupt(err)
	}
	if r.camp = e.byNumber(part.Campaign); r.camp == nil || part.Shard >= PartsPerCampaign {
		return nil, r.corrupt(errors.New("no such campaign, or shard, was restored"))
	}
	r.shard = r.camp.people.At(int(part.Shard) - 1)
	r.shard.Restore(&h)
	return r, nil
}

func (r *Restoring) corrupt(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: restore %v: %w", ErrCorrupt, r.part, err)
}

// Page restores one page. It keeps nothing of data.
func (r *Restoring) Page(kind PageKind, page int, data []byte) error {
	if r.shard != nil {
		return r.corrupt(r.shard.SetPage(kind, page, data))
	}
	if kind != DefinitionPage || page != 0 {
		return r.corrupt(fmt.Errorf("page %d of kind %d", page, kind))
	}
	r.bundle = append([]byte(nil), data...)
	return nil
}

// Done ends the part, which has all its pages.
func (r *Restoring) Done() error {
	if r.shard == nil {
		return r.corrupt(r.restoreOwn())
	}
	if err := r.shard.Restored(); err != nil {
		return r.corrupt(err)
	}
	slots := r.camp.slots
	return r.corrupt(r.shard.EachTaken(func(s event.SlotID) error {
		if !slots.Has(s) {
			return fmt.Errorf("slot %d of %d", s, slots.Len())
		}
		slots.Count(s, event.NoSlot)
		return nil
	}))
}

// Restored ends the restoring of parts. ahead is the newest record that any of
// them has: until the replay has passed it, the state is none that ever was.
func (e *Engine) Restored(ahead event.Seq) {
	e.ahead = ahead
	for _, camp := range e.Campaigns() {
		camp.ahead = ahead
	}
}

// settle ends the time in which parts are true at different records.
func (e *Engine) settle() {
	if e.ahead == 0 {
		return
	}
	e.ahead = 0
	for _, camp := range e.Campaigns() {
		camp.ahead = 0
		rules := camp.rules.Load()
		for s := event.SlotID(0); camp.slots.Has(s); s++ {
			camp.slots.Resize(s, rules.Capacity(s))
		}
	}
}

// Settle is for who restored a state and looks at it without Start: it ends the
// replay. The log must have reached the newest record of every part.
func (e *Engine) Settle() { e.settle() }

// Reset empties an engine that was not started, so that it can be filled again.
func (e *Engine) Reset() {
	e.ahead = 0
	e.campaigns.Store(&directory{byID: map[string]*Campaign{}})
}

// BookingsOn calls yield with whose they are and the bookings that a page of a
// people's part holds: those in the rows of a booking page, those of the people
// in the rows of a person page. So it can be said what a damaged page touches,
// in a state that came from elsewhere. Other pages hold none.
func (e *Engine) BookingsOn(part Part, kind PageKind, page int, yield func(event.PersonKey, Booking)) {
	camp := e.byNumber(part.Campaign)
	if camp == nil || part.Shard == 0 || part.Shard >= PartsPerCampaign {
		return
	}
	shard := camp.people.At(int(part.Shard) - 1)
	shard.Lock()
	defer shard.Unlock()
	for row := people.Row(1); row <= shard.People(); row++ {
		person := shard.Person(row)
		for b := person.Bookings; b != 0; b = shard.Booking(b).Next {
			if kind == people.PersonPage && people.PageOf(row) == page || kind == people.BookingPage && people.PageOf(b) == page {
				yield(person.Key, bookingOf(shard.Booking(b)))
			}
		}
	}
}
