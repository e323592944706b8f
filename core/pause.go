package core

import (
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"weir/core/event"
	"weir/core/people"
)

// While a campaign is paused nothing is held, booked, changed or served, and
// time stands still for what people have: no hold ends, and a pass can be
// stretched by PausedBetween. Joining, leaving, giving back and cancelling go
// on.

// ErrReason says that the reason of a pause is no text or too long.
var ErrReason = errors.New("bad reason")

// span is a time from its beginning to its end, excluded.
type span struct {
	from, to event.Time
	endedBy  event.Seq // the record that ended a pause
}

// Pause stops the campaign. The reason, in UTF-8 and of event.MaxReason bytes
// at most, is shown to everybody. Pausing again changes the reason and nothing
// else; the same reason again changes nothing and returns 0. Errors: ErrReason,
// and those of Journal.Reserve.
func (e *Engine) Pause(now event.Time, c *Campaign, reason string) (event.Seq, error) {
	if len(reason) > event.MaxReason || !utf8.ValidString(reason) {
		return 0, fmt.Errorf("pause: %w: it must be UTF-8 of %d bytes at most, and has %d", ErrReason, event.MaxReason, len(reason))
	}
	r := event.Record{Kind: event.Paused, At: now, Payload: []byte(reason)}
	return e.steer(c, &r, func(state *LineState) (bool, error) {
		return !state.Paused || state.Reason != reason, nil
	})
}

// Resume ends the pause. From then on every hold ends as much later as the
// pause was long. It takes some nanoseconds a hold, with all people locked.
// Where the campaign is not paused it changes nothing and returns 0. Errors are
// those of Journal.Reserve.
func (e *Engine) Resume(now event.Time, c *Campaign) (event.Seq, error) {
	r := event.Record{Kind: event.Resumed, At: now}
	return e.steer(c, &r, func(state *LineState) (bool, error) { return state.Paused, nil })
}

func (s *LineState) applyPaused(r *event.Record) {
	if !s.Paused {
		s.Paused, s.Since = true, r.At
	}
	s.Reason = string(r.Payload)
}

func (c *Campaign) applyResumed(next *LineState, seq event.Seq, r *event.Record) error {
	if !next.Paused {
		return errors.New("no pause to end")
	}
	pause := span{next.Since, max(next.Since, r.At), seq}
	next.Paused, next.Reason, next.Since = false, "", 0
	next.pauses = append(slices.Clip(next.pauses), pause)
	c.delayHolds(pause)
	return nil
}

// delayHolds lets every hold end as much later as the pause was long, but those
// of shards that were restored as they stood after it.
func (c *Campaign) delayHolds(pause span) {
	for i := range people.Shards {
		shard := c.people.At(i)
		if pause.endedBy > shard.Newest {
			shard.DelayHolds(pause.to - pause.from)
			shard.Newest = pause.endedBy
		}
	}
}

// PausedBetween returns how many milliseconds of the time from from to to the
// campaign was paused: by so much a term that began at from ends later.
func (s *LineState) PausedBetween(from, to event.Time) (millis event.Time) {
	if s.Paused {
		millis = overlap(s.Since, to, from, to)
	}
	for i := len(s.pauses) - 1; i >= 0 && s.pauses[i].to > from; i-- {
		millis += overlap(s.pauses[i].from, s.pauses[i].to, from, to)
	}
	return millis
}

func overlap(from, to, otherFrom, otherTo event.Time) event.Time {
	return max(0, min(to, otherTo)-max(from, otherFrom))
}

// holdTime returns the time by which holds end: it stands still while the
// campaign is paused.
func (s *LineState) holdTime(now event.Time) event.Time {
	if s.Paused {
		return min(now, s.Since)
	}
	return now
}
