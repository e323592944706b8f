package core

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"weir/core/campaign"
	"weir/core/event"
	"weir/core/people"
)

// Engine is the state of all campaigns of one log and the only way to change
// it. All methods are safe for concurrent use, but for the order New, Apply …
// Apply, Start, and then everything else.
//
// Invariants, which Check verifies over the whole state:
//
//  1. taken(slot) = active bookings of it + holds of it <= capacity(slot)
//  2. active bookings of a person in a campaign <= Bookings.PerPerson of the
//     version that allowed the newest of them
//  3. numbers in line are given once each, 1 to Issued, and indices of a draw
//     likewise (waitingLine)
//
// Records of a whole campaign are made with all shards of its people locked.
//
// Lock order: defining, then a person's shard, then slots' shards in ascending
// order, then a campaign's line, then the journal's own.
type Engine struct {
	journal   Journal // set once by Start
	campaigns atomic.Pointer[directory]
	defining  sync.Mutex // serialises Define and Apply of definitions
	swept     int        // the shard that Sweep looks at next; owner: the one caller of Sweep
	ahead     event.Seq  // as in restorable, of all campaigns; owner: the one caller of Apply
}

// directory is the list of campaigns; a changed one replaces it.
type directory struct {
	list []*Campaign // by CampaignID
	byID map[string]*Campaign
}

// New returns an empty engine that waits for the log's records.
func New() *Engine {
	e := &Engine{}
	e.campaigns.Store(&directory{byID: map[string]*Campaign{}})
	return e
}

// Start ends the replay: from here on changes are decided by Do and Define and
// go to j, whose next sequence number follows the last one applied.
func (e *Engine) Start(j Journal) {
	e.settle()
	e.journal = j
}

// Campaign returns the campaign with that id, or nil.
func (e *Engine) Campaign(id string) *Campaign { return e.campaigns.Load().byID[id] }

// Campaigns returns all campaigns in the order of their CampaignID.
func (e *Engine) Campaigns() []*Campaign { return e.campaigns.Load().list }

func (e *Engine) byNumber(id event.CampaignID) *Campaign {
	list := e.campaigns.Load().list
	if int(id) >= len(list) {
		return nil
	}
	return list[id]
}

// Do decides a command at the time now and, where the rules allow it, appends
// its record and applies it. It does not wait for the disk: nothing of the
// outcome may be told before Wait(Outcome.Seq), whether or not err is nil.
//
// Errors: a Rejection where the rules say no; ErrOverloaded, ErrReadOnly,
// ErrFailed or ErrClosed where nothing was tried. It allocates nothing but, now
// and then, a page of rows.
func (e *Engine) Do(now event.Time, c *Command) (out Outcome, err error) {
	camp := e.byNumber(c.Campaign)
	if camp == nil {
		return out, NotFound
	}
	if err = e.journal.Reserve(event.MaxSize); err != nil {
		return out, err
	}
	err = camp.do(e.journal, now, c, &out)
	if !out.Done {
		e.journal.Release(event.MaxSize)
	}
	return out, err
}

// Wait returns nil once the record seq is durable; at once for 0. Errors:
// ErrOutcomeUnknown, ErrFailed.
func (e *Engine) Wait(seq event.Seq) error {
	if seq == 0 {
		return nil
	}
	return e.journal.Wait(seq)
}

// Durable returns the newest sequence number that is durable.
func (e *Engine) Durable() event.Seq { return e.journal.Durable() }

// Sweep logs the end of at most limit holds whose time has passed and returns
// how many. Called often with a small limit it spreads the end of holds that
// were made together over time. One goroutine at a time may call it.
func (e *Engine) Sweep(now event.Time, limit int) int {
	list := e.Campaigns()
	done := 0
	for range len(list) * people.Shards {
		e.swept = (e.swept + 1) % (len(list) * people.Shards)
		camp := list[e.swept/people.Shards]
		done += camp.sweep(e.journal, camp.people.At(e.swept%people.Shards), now, limit-done)
		if done >= limit {
			break
		}
	}
	return done
}

// Apply puts a record of the log into force: the one way in which state
// changes, live and in replay. seq is the record's own. It reports a record
// that does not fit the state with an error that wraps ErrCorrupt; the state
// is then no longer to be used.
func (e *Engine) Apply(seq event.Seq, r *event.Record) error {
	if seq > e.ahead {
		e.settle()
	}
	if r.Kind == event.Defined {
		e.defining.Lock()
		defer e.defining.Unlock()
		return corrupt(seq, r, e.applyDefinition(seq, r))
	}
	camp := e.byNumber(r.Campaign)
	if camp == nil {
		return corrupt(seq, r, errors.New("no such campaign was defined"))
	}
	return corrupt(seq, r, camp.replay(seq, r))
}

func corrupt(seq event.Seq, r *event.Record, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: record %d (%v, campaign %d): %w", ErrCorrupt, seq, r.Kind, r.Campaign, err)
}

// ErrIncompatible says that a definition cannot follow the one in force.
var ErrIncompatible = errors.New("incompatible definition")

// Define puts a definition in force: a new campaign, or the next version of
// the one with its id. The very same definition again changes nothing and
// returns seq 0. The caller waits for seq. A version whose sites or slots are
// not those in force is refused with ErrIncompatible.
func (e *Engine) Define(now event.Time, d *campaign.Definition) (*Campaign, event.Seq, error) {
	e.defining.Lock()
	defer e.defining.Unlock()
	r := event.Record{Kind: event.Defined, At: now, Version: 1, Definition: d.Bundle()}
	camp := e.Campaign(d.ID)
	if camp == nil {
		r.Campaign = event.CampaignID(len(e.Campaigns()))
		if int(r.Campaign) != len(e.Campaigns()) {
			return nil, 0, fmt.Errorf("define campaign %q: a log holds %d campaigns at most", d.ID, 1<<16)
		}
	} else {
		inForce, version := camp.Definition()
		if inForce.Digest() == d.Digest() {
			return camp, 0, nil
		}
		if err := camp.follows(d); err != nil {
			return nil, 0, fmt.Errorf("define campaign %q: %w", d.ID, err)
		}
		r.Campaign, r.Version = camp.id, version+1
	}
	seq, err := e.appendDefinition(camp, &r, d)
	if err != nil {
		return nil, 0, fmt.Errorf("define campaign %q: %w", d.ID, err)
	}
	return e.Campaign(d.ID), seq, nil
}

// appendDefinition appends and applies r with all of the campaign's people
// locked, so that every record behind it was decided by it, and none before.
func (e *Engine) appendDefinition(camp *Campaign, r *event.Record, d *campaign.Definition) (event.Seq, error) {
	size := r.Size()
	if size > event.MaxDefinition {
		return 0, fmt.Errorf("it has %d bytes, %d at most are allowed", size, event.MaxDefinition)
	}
	if err := e.journal.Reserve(size); err != nil {
		return 0, err
	}
	if camp == nil {
		seq := e.journal.Append(r)
		e.addCampaign(newCampaign(r.Campaign, d, seq))
		return seq, nil
	}
	camp.people.LockAll()
	defer camp.people.UnlockAll()
	seq := e.journal.Append(r)
	camp.redefine(d, r.Version, seq)
	return seq, nil
}

func (e *Engine) applyDefinition(seq event.Seq, r *event.Record) error {
	if known := e.byNumber(r.Campaign); known != nil && seq <= known.definedBy {
		return nil // restored as it stood after r
	}
	d, err := campaign.Load(r.Definition)
	if err != nil {
		return fmt.Errorf("definition: %w", err)
	}
	camp := e.Campaign(d.ID)
	if camp == nil {
		if int(r.Campaign) != len(e.Campaigns()) || r.Version != 1 {
			return fmt.Errorf("campaign %q begins as number %d, version %d", d.ID, r.Campaign, r.Version)
		}
		e.addCampaign(newCampaign(r.Campaign, d, seq))
		return nil
	}
	if _, version := camp.Definition(); camp.id != r.Campaign || r.Version != version+1 {
		return fmt.Errorf("version %d of campaign %q does not follow version %d", r.Version, d.ID, version)
	}
	if err := camp.follows(d); err != nil {
		return fmt.Errorf("version %d of campaign %q: %w", r.Version, d.ID, err)
	}
	camp.people.LockAll()
	defer camp.people.UnlockAll()
	camp.redefine(d, r.Version, seq)
	return nil
}

func (e *Engine) addCampaign(camp *Campaign) {
	d, _ := camp.Definition()
	old := e.campaigns.Load()
	next := &directory{list: append(old.list[:len(old.list):len(old.list)], camp), byID: map[string]*Campaign{d.ID: camp}}
	for id, c := range old.byID {
		next.byID[id] = c
	}
	e.campaigns.Store(next)
}
