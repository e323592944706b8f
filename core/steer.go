package core

import (
	"errors"
	"fmt"

	"weir/core/event"
)

// Who steers a campaign (its operator, the keeper of its line) changes it as a
// whole. Such a record is appended and applied with all of the campaign's
// people locked, like a definition: so what it changes can be read under any
// person's lock, and every record behind it was decided by it, none before.

// steer appends and applies r where needed says, under the locks, that it
// changes something, and completes it. It returns 0 where it does not. Errors
// are those of needed and of Journal.Reserve.
func (e *Engine) steer(c *Campaign, r *event.Record, needed func(*LineState) (bool, error)) (event.Seq, error) {
	size := r.Size()
	if err := e.journal.Reserve(size); err != nil {
		return 0, err
	}
	c.people.LockAll()
	defer c.people.UnlockAll()
	need, err := needed(c.line.state.Load())
	if err != nil || !need {
		e.journal.Release(size)
		return 0, err
	}
	r.Campaign, r.Version = c.id, c.rules.Load().version
	seq := e.journal.Append(r)
	if err := c.applyToAll(seq, r); err != nil {
		panic(corrupt(seq, r, err)) // as in Campaign.commit
	}
	return seq, nil
}

// replayToAll is applyToAll for a record of the log, which the line may have
// already because it was restored as it stood after it.
func (c *Campaign) replayToAll(seq event.Seq, r *event.Record) error {
	if seq > c.restored {
		return c.applyToAll(seq, r)
	}
	for _, pause := range c.line.state.Load().pauses {
		if pause.endedBy == seq {
			c.delayHolds(pause)
		}
	}
	return nil
}

// applyToAll changes the campaign as r says. All shards of people are locked.
// An error says that r does not fit the state; what was changed by then is not
// undone.
func (c *Campaign) applyToAll(seq event.Seq, r *event.Record) error {
	next := *c.line.state.Load()
	var err error
	switch r.Kind {
	case event.DrawOpened:
		err = c.applyDrawOpened(&next, r)
	case event.Drawn:
		err = c.applyDrawn(&next, r)
	case event.Served:
		err = next.applyServed(r)
	case event.Paused:
		next.applyPaused(r)
	case event.Resumed:
		err = c.applyResumed(&next, seq, r)
	default:
		err = errors.New("unknown kind of record")
	}
	if err != nil {
		return err
	}
	next.Newest = seq
	c.line.state.Store(&next)
	return nil
}

func (s *LineState) applyServed(r *event.Record) error {
	if s.Paused || r.Number <= s.Serving {
		return fmt.Errorf("serving mark %d follows %d, paused: %v", r.Number, s.Serving, s.Paused)
	}
	s.Serving = r.Number
	return nil
}
