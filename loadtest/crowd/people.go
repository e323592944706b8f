//go:build linux

package crowd

import (
	"fmt"
	"math"
	"strings"
	"time"

	"weir/core/campaign"
	"weir/core/event"
	"weir/loadtest/answers"
)

// person is what one of the crowd remembers. It has no pointers, since there are
// millions.
type person struct {
	ref     event.Seq    // of the hold or the booking that they have
	slot    event.SlotID // that they want; while they wait, their number in line
	pass    uint32       // index of their ticket or pass, plus one; 0: none
	step    step
	flags   flags
	tries   uint8 // of slots
	retries uint8 // of the request that they are at
	draws   uint16
	key     uint8 // of the newest request to book
	_       uint8
}

// step is what a person does next.
type step uint8

const (
	arrive step = iota
	join
	look     // at the sites near home
	poll     // the line's public state
	askPlace // their own place
	leave    // the line
	browse   // the slots of a site
	hold     // a slot
	release  // the hold
	bookHold // the slot of the hold
	bookSlot // without a hold
	change   // the booking
	cancel   // the booking
	review   // what they have
	inquire  // whether they may book
	forge    // a booking with a forged pass
	findOut  // what they have, since something was not answered
	gone
)

// flags are what else a person remembers.
type flags uint8

const (
	unsure   flags = 1 << iota // something was not answered
	booked                     // has a booking
	altered                    // has changed it, or has tried to
	reviewed                   // has asked what they have
	held                       // ref is a hold
	looked                     // at the sites near home
	away                       // has come late
)

// What hashes of a person are for, so that they do not depend on each other.
const (
	saltBorn = iota + 1
	saltBot
	saltHome
	saltDevice
	saltChoice
	saltNoShow
	saltLate
)

// scatter is a permutation of the 64-bit numbers that leaves no order in them
// (the finalizer of SplitMix64, public domain, Sebastiano Vigna).
func scatter(n uint64) uint64 {
	n += 0x9e3779b97f4a7c15
	n = (n ^ n>>30) * 0xbf58476d1ce4e5b9
	n = (n ^ n>>27) * 0x94d049bb133111eb
	return n ^ n>>31
}

// trait is a number in [0,1) that follows from the seed, the person and what it
// is for.
func (c *Crowd) trait(p answers.Person, salt, n uint64) float64 {
	return float64(scatter(scatter(c.plan.Seed^salt<<56)^uint64(p)<<20^n)>>11) / (1 << 53)
}

func (c *Crowd) mayBook(p answers.Person) bool {
	return c.trait(p, saltBorn, 0) < c.plan.Scenario.Eligible
}

// Born is a person's birth date.
func (c *Crowd) Born(p answers.Person) campaign.Date {
	cohort := &c.others
	if c.mayBook(p) {
		cohort = &c.eligible
	}
	days := float64(cohort[1] - cohort[0] + 1)
	return cohort[0] + campaign.Date(c.trait(p, saltBorn, 1)*days)
}

func (c *Crowd) isBot(p answers.Person) bool {
	return c.trait(p, saltBot, 0) < c.plan.Scenario.Behaviour.Bots
}

func (c *Crowd) hasTwoDevices(p answers.Person) bool {
	return c.trait(p, saltDevice, 0) < c.plan.Scenario.Behaviour.SecondDevice
}

func (c *Crowd) isNoShow(p answers.Person) bool {
	return c.trait(p, saltNoShow, 0) < c.plan.Scenario.Behaviour.NoShows
}

func (c *Crowd) isLate(p answers.Person) bool {
	return c.trait(p, saltLate, 0) < c.plan.Scenario.Behaviour.Late
}

// home is the index of the site that is nearest.
func (c *Crowd) home(p answers.Person) int {
	return int(c.trait(p, saltHome, 0) * float64(len(c.plan.Rules.Sites)))
}

// dates reads "1967-01-01..1968-12-31".
func dates(text string) (from, to campaign.Date, err error) {
	first, last, _ := strings.Cut(text, "..")
	if from, err = campaign.ParseDate(first); err != nil {
		return 0, 0, fmt.Errorf("%q: %w", text, err)
	}
	if to, err = campaign.ParseDate(last); err != nil {
		return 0, 0, fmt.Errorf("%q: %w", text, err)
	}
	return from, to, nil
}

// roll is the next of a person's choices: a number in [0,1).
func (d *driver) roll(at answers.Person, p *person) float64 {
	p.draws++
	return d.crowd.trait(at, saltChoice, uint64(p.draws))
}

// wants says whether a person does something that a share of all do.
func (d *driver) wants(at answers.Person, p *person, share float64) bool {
	return share > 0 && d.roll(at, p) < share
}

// pause is a time of that length on average, as waiting times are spread
// (exponential), five times as long at most.
func (d *driver) pause(at answers.Person, p *person, mean time.Duration) time.Duration {
	return time.Duration(min(-math.Log(1-d.roll(at, p)), 5) * float64(mean))
}
