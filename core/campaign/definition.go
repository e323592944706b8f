// Package campaign is a campaign as data: what a definition file says, checked
// in full before anybody may book by it, and the decisions that follow from it.
//
// Parse reads a file and reports everything that is wrong with it at once, each
// problem with its place and what to do about it. Load does the same for the
// bundle of bytes that the log keeps. Decide says who may book when; the slot
// functions turn the readable name of a slot into its number and back.
//
// Everything here is a pure function of definition, person and the time handed
// in. A Definition does not change once it is made and may be read by any
// number of goroutines.
//
// The package does not protect against a plan that is well-formed but wrong: a
// cohort of the wrong years or a window of the wrong day is data like any
// other. It does not know who a person is, either: the birth date that Decide
// is given is taken as true. And it takes the rules of time zones from the
// machine, or where that has none, as they stood when the program was built: a
// government that changes them changes what a local time in a definition means,
// and machines with different zone files may read one definition differently.
package campaign

import (
	"sync/atomic"
	"time"

	"weir/core/event"
)

// Text is what people read, in the languages of the pages.
type Text struct{ KO, EN string }

// Definition is one version of a campaign, checked and ready to decide by.
type Definition struct {
	ID       string
	Name     Text
	TimeZone string         // IANA name
	Location *time.Location // of TimeZone
	Cohorts  []Cohort
	Windows  []Window // in the file's order
	Line     Line
	Products []Product
	Sites    []Site
	Bookings Bookings

	slots    slotTable     // where each SlotID is (slots.go)
	answers  decisionTable // who may book when (decide.go)
	bundle   []byte        // the files that it was made from (bundle.go)
	digest   [32]byte      // SHA-256 of bundle
	warnings []string

	offset atomic.Pointer[offsetStretch] // that AppendTime used last, nil before (zone.go)
}

// Cohort is the people born on one of the days From to To, both included.
// Cohorts may overlap.
type Cohort struct {
	ID       string
	From, To Date
}

// Window is a time in which the people of its cohorts may book: from Opens,
// included to the millisecond, to Closes, excluded.
type Window struct {
	Cohorts []int // indices into Definition.Cohorts
	Opens   event.Time
	Closes  event.Time
}

// Line is how people wait.
type Line struct {
	Enabled     bool
	OpensBefore time.Duration // how long before a window's opening people may join
	Order       Order
}

// Order is the order of the people who joined before the opening.
type Order uint8

// The orders: by lot, or as they came.
const (
	Draw Order = iota
	Arrival
)

// Product is what is given at a slot.
type Product struct {
	ID   string
	Name Text
}

// Site is a place that has slots.
type Site struct {
	ID       string
	Name     string
	Region   string // ISO 3166-2 where the campaign's file follows it
	Address  string
	Lat, Lon float64 // degrees, WGS 84
	Factor   float64 // of each slot's capacity; 1 unless the file says otherwise
}

// Bookings are the rules that bind a booking once it is made.
type Bookings struct {
	Hold         time.Duration // how long a hold stands
	CancelBefore time.Duration // a booking can be cancelled until this long before it begins
	ChangeBefore time.Duration // and changed until this long before it begins
	PerPerson    int           // active bookings that one person may have; 1 unless the file says otherwise
}

// Slot is one slot, but for its capacity (Definition.Capacity).
type Slot struct {
	Site, Product int // indices
	Date          Date
	Starts, Ends  event.Time
}
