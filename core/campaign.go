package core

import (
	"fmt"
	"sync/atomic"

	"weir/core/campaign"
	"weir/core/event"
	"weir/core/inventory"
	"weir/core/people"
)

// Campaign is one campaign's state: the definition in force, its slots and its
// people. Its exported methods are safe for concurrent use.
type Campaign struct {
	id     event.CampaignID
	rules  atomic.Pointer[rules] // replaced with all shards of people locked
	slots  *inventory.Table
	people people.Table
	line   waitingLine

	perPersonMax int // most active bookings a person that any version allowed; as rules
	restorable
}

// rules is a definition and the version that it is in force as.
type rules struct {
	*campaign.Definition
	version event.Version

	cohorts   []uint16 // by index in the definition: the cohort's number in the campaign
	cohortIDs []string // by number in the campaign
}

func newRules(known []string, d *campaign.Definition, version event.Version) *rules {
	r := &rules{Definition: d, version: version}
	r.cohorts, r.cohortIDs = numberCohorts(known, d)
	return r
}

// newCampaign begins a campaign with the definition of the record seq.
func newCampaign(id event.CampaignID, d *campaign.Definition, seq event.Seq) *Campaign {
	c := &Campaign{id: id, slots: inventory.New(d.SlotCount(), d.Capacity), perPersonMax: d.Bookings.PerPerson}
	rules := newRules(nil, d, 1)
	c.defined(seq, rules)
	c.rules.Store(rules)
	c.line.state.Store(&LineState{})
	return c
}

// redefine puts the next version, that of the record seq, in force. All shards
// of people are locked.
func (c *Campaign) redefine(d *campaign.Definition, version event.Version, seq event.Seq) {
	for s := event.SlotID(0); c.slots.Has(s); s++ {
		c.slots.Lock(s, event.NoSlot)
		c.slots.Resize(s, d.Capacity(s))
		c.slots.Unlock(s, event.NoSlot)
	}
	c.perPersonMax = max(c.perPersonMax, d.Bookings.PerPerson)
	next := newRules(c.rules.Load().cohortIDs, d, version)
	c.moveDraws(next)
	c.defined(seq, next)
	c.rules.Store(next)
}

// follows says why d cannot be the campaign's next definition, nil where it
// can.
func (c *Campaign) follows(d *campaign.Definition) error {
	inForce := c.rules.Load()
	if !inForce.SameSlots(d) {
		return fmt.Errorf("%w: its sites or slots differ from version %d", ErrIncompatible, inForce.version)
	}
	if _, ids := numberCohorts(inForce.cohortIDs, d); len(ids) > cohortsMax {
		return fmt.Errorf("%w: the versions of a campaign name %d cohorts at most", ErrIncompatible, cohortsMax)
	}
	return nil
}

// do is Engine.Do within one campaign; the journal has room for the record.
func (c *Campaign) do(j Journal, now event.Time, cmd *Command, out *Outcome) error {
	shard := c.people.Shard(cmd.Person)
	shard.Lock()
	defer shard.Unlock()
	rules := c.rules.Load()
	r := &shard.Scratch
	*r = event.Record{Campaign: c.id, Version: rules.version, At: now, Person: cmd.Person}

	d := decision{rules: rules, line: c.line.state.Load(), shard: shard, now: now, cmd: cmd, record: r, out: out}
	row := shard.Find(cmd.Person)
	if row != 0 {
		d.person = *shard.Person(row)
	}
	if err := d.decide(); err != nil || r.Kind == 0 {
		return err
	}
	return c.commit(j, shard, row, r, out)
}

// commit takes the places that r needs, appends and applies it. The person's
// shard is locked; row is 0 for somebody of whom nothing was known.
func (c *Campaign) commit(j Journal, shard *people.Shard, row people.Row, r *event.Record, out *Outcome) error {
	takes, gives := places(r)
	c.slots.Lock(takes, gives)
	defer c.slots.Unlock(takes, gives)
	if takes != event.NoSlot && c.slots.Full(takes) {
		return SlotFull
	}
	if r.Kind == event.Joined || r.Kind == event.Entered {
		c.line.Lock()
		defer c.line.Unlock()
		if !c.line.next(r) {
			return ErrOverloaded
		}
	}
	if row == 0 {
		row = shard.Add(r.Person)
	}
	seq := j.Append(r)
	if err := c.apply(shard, row, seq, r); err != nil {
		// The decision allowed a record that the state does not fit: a
		// defect, and nothing that can be gone on from.
		panic(corrupt(seq, r, err))
	}
	out.Seq, out.Done = seq, true
	c.show(shard, shard.Person(row), r, out)
	return nil
}

// show fills in what the person has now that r is applied.
func (c *Campaign) show(shard *people.Shard, person *people.Person, r *event.Record, out *Outcome) {
	switch r.Kind {
	case event.Joined, event.Entered:
		out.Place = c.line.state.Load().place(person)
	case event.Held:
		out.Hold = heldOf(shard.Hold(person.Hold))
	case event.Booked:
		out.Booking = bookingOf(shard.Booking(person.Bookings))
	case event.Changed, event.Cancelled:
		out.Booking = bookingOf(findBooking(shard, person, r.Ref))
	}
}

// sweep logs the end of up to limit expired holds of one shard.
func (c *Campaign) sweep(j Journal, shard *people.Shard, now event.Time, limit int) int {
	shard.Lock()
	defer shard.Unlock()
	if !shard.HasExpired(now) || c.line.state.Load().Paused {
		return 0
	}
	done := 0
	shard.EachExpired(now, func(row people.Row) bool {
		if done >= limit || j.Reserve(event.MaxSize) != nil {
			return false
		}
		person := shard.Person(row)
		hold := shard.Hold(person.Hold)
		r := &shard.Scratch
		*r = event.Record{
			Kind: event.Expired, Campaign: c.id, Version: c.rules.Load().version, At: now,
			Person: person.Key, Slot: hold.Slot, Ref: hold.Seq,
		}
		var out Outcome
		_ = c.commit(j, shard, row, r, &out) // takes no place, so it is never refused
		done++
		return true
	})
	return done
}
