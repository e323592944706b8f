package core

import (
	"weir/core/campaign"
	"weir/core/event"
	"weir/core/people"
)

// ID returns the campaign's number in this log.
func (c *Campaign) ID() event.CampaignID { return c.id }

// Definition returns the definition in force and its version.
func (c *Campaign) Definition() (*campaign.Definition, event.Version) {
	rules := c.rules.Load()
	return rules.Definition, rules.version
}

// Slot returns how many places of s are taken and how many it has. It takes no
// lock and only advises.
func (c *Campaign) Slot(s event.SlotID) (taken, capacity uint16) { return c.slots.Load(s) }

// Person is what one person has in a campaign.
type Person struct {
	Newest   event.Seq // no record behind it has changed what stands here
	Place    Place     // Place.None: none
	Hold     Held      // Seq 0: none; it may have expired
	Bookings []Booking // newest first: all that stand, and three cancelled ones at most
}

// Person returns what the person has, durable or not: the caller waits for
// Newest before telling it. Bookings are appended to bookings. Of the cancelled
// ones only the newest stay, three at most: without a bound, booking and
// cancelling in turn would fill the memory. Older ones are in the log alone.
func (c *Campaign) Person(key event.PersonKey, bookings []Booking) Person {
	shard := c.people.Shard(key)
	shard.Lock()
	defer shard.Unlock()
	row := shard.Find(key)
	if row == 0 {
		return Person{Bookings: bookings}
	}
	person := shard.Person(row)
	state := c.line.state.Load()
	p := Person{Newest: max(shard.Newest, state.Newest), Place: state.place(person)}
	if person.Hold != 0 {
		p.Hold = heldOf(shard.Hold(person.Hold))
	}
	for b := person.Bookings; b != 0; b = shard.Booking(b).Next {
		bookings = append(bookings, bookingOf(shard.Booking(b)))
	}
	p.Bookings = bookings
	return p
}

// Issued returns how many numbers in line were given.
func (c *Campaign) Issued() event.Number { return event.Number(c.line.issued.Load()) }

// Totals are a campaign's figures.
type Totals struct {
	Slots     int   `json:"slots"`
	Places    int64 `json:"places"`
	Taken     int64 `json:"taken"`     // of the places, by bookings and holds
	Booked    int64 `json:"booked"`    // bookings that stand
	Cancelled int64 `json:"cancelled"` // cancellations ever
	Holds     int64 `json:"holds"`     // holds that stand
	People    int64 `json:"people"`    // people of whom anything is known
	InLine    int64 `json:"in_line"`   // people who have a place in line, called or not
	Issued    int64 `json:"issued"`    // numbers in line given
	Early     int64 `json:"early"`     // people who entered a draw that is not drawn yet
	Serving   int64 `json:"serving"`   // numbers called
}

// Totals returns the campaign's figures. While bookings go on, each is right
// by itself at some moment of the call.
func (c *Campaign) Totals() Totals {
	line := c.Line()
	t := Totals{Slots: c.slots.Len(), Issued: int64(line.Issued), Early: int64(line.Early), Serving: int64(line.Serving)}
	for s := event.SlotID(0); c.slots.Has(s); s++ {
		taken, capacity := c.slots.Load(s)
		t.Taken += int64(taken)
		t.Places += int64(capacity)
	}
	for i := range people.Shards {
		shard := c.people.At(i)
		shard.Lock()
		t.People += int64(shard.People())
		t.Holds += int64(shard.Holds())
		for _, count := range shard.Counts() {
			t.InLine += count.Joined - count.Left
			t.Booked += count.Booked
			t.Cancelled += count.Cancelled
		}
		shard.Unlock()
	}
	return t
}

// EachBooking calls yield with every booking that stands and the newest
// cancelled ones of each person, three at most (see Person), and whose it is,
// until yield returns false. Each shard of people is copied under its lock
// before yield sees it.
func (c *Campaign) EachBooking(yield func(event.PersonKey, Booking) bool) {
	type entry struct {
		key     event.PersonKey
		booking Booking
	}
	var entries []entry
	for i := range people.Shards {
		shard := c.people.At(i)
		entries = entries[:0]
		shard.Lock()
		for row := people.Row(1); row <= shard.People(); row++ {
			person := shard.Person(row)
			for b := person.Bookings; b != 0; b = shard.Booking(b).Next {
				entries = append(entries, entry{person.Key, bookingOf(shard.Booking(b))})
			}
		}
		shard.Unlock()
		for i := range entries {
			if !yield(entries[i].key, entries[i].booking) {
				return
			}
		}
	}
}
