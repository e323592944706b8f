package judge

import (
	"context"
	"fmt"
	"slices"
	"time"

	"weir/loadtest/answers"
)

// survey reads all answers once and notes what concerns more than one person.
func (c *court) survey(ctx context.Context) error {
	seconds := map[time.Duration]bool{}
	first, err := answers.ReadHeader(c.Files[0])
	if err != nil {
		return err
	}
	c.clock, c.people = newClock(&first), first.People // before the answers, which are judged by it
	for _, name := range c.Files {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		summary, err := answers.Read(name, func(a *answers.Answer) error {
			c.see(a)
			if a.Outcome.Success() {
				seconds[a.Answered.Truncate(time.Second)] = true
			}
			return nil
		})
		if err != nil {
			return err
		}
		if h := &summary.Header; h.Campaign != c.Rules.ID || h.Began != c.clock.began {
			return fmt.Errorf("%w: %s is of another run or of campaign %q", ErrCase, name, h.Campaign)
		}
		c.cut = c.cut || !summary.Whole
		c.total += summary.Answers
	}
	if c.total == 0 {
		return fmt.Errorf("%w: there are no answers", ErrCase)
	}
	for second := range seconds {
		c.heard = append(c.heard, second)
	}
	slices.Sort(c.heard)
	return nil
}

func (c *court) see(a *answers.Answer) {
	checked := &c.record.verdict.Checked // nobody else is at work yet
	switch {
	case a.Outcome == answers.NoAnswer || a.Outcome == answers.NotSent:
		checked.Unanswered++
	case a.Outcome.Refused():
		checked.Refused++
		checked.Answers++
	default:
		checked.Answers++
	}
	if (a.Outcome == answers.Starting || a.Outcome == answers.Stopping) && !c.wasDown(a) {
		c.record.fault(ErrUnjustified, "%s, and the server was up", describe(a))
	}
	if a.Outcome == answers.CampaignPaused {
		checked.Paused++
	}
	if public(a.Kind) {
		c.seePublic(a)
		return
	}
	if a.Outcome.Unsure() {
		c.seeUnsure(a)
	}
	if a.Kind == answers.Book {
		c.booked[a.Person] = true
	}
	if a.Place.Number != 0 {
		c.give(a)
	}
	if a.Place.Index != 0 {
		c.seeLot(a)
	}
	if a.Place.State == answers.Early {
		c.line.early[a.Person] = true
	}
	for i := range a.Bookings {
		c.seeBooking(a, &a.Bookings[i])
	}
}

// wasDown says whether the server was down, or coming back, while a was under
// way.
func (c *court) wasDown(a *answers.Answer) bool {
	return slices.ContainsFunc(c.Downs, func(d Down) bool { return d.From <= a.Answered && a.Sent <= d.To })
}

// stalled is for how long the client stood still from one time to another.
func (c *court) stalled(from, to time.Duration) (still time.Duration) {
	for _, s := range c.Stalls {
		still += max(0, min(to, s.To)-max(from, s.From))
	}
	return still
}

// seePublic judges an answer that is the same for everybody: nothing justifies
// a refusal but want of room.
func (c *court) seePublic(a *answers.Answer) {
	switch {
	case a.Outcome.Success():
		if a.Kind == answers.Line && a.Outcome == answers.OK {
			c.log.public = append(c.log.public, publicLine{a.Sent, a.Answered, a.Serving})
			c.seeDraws(a)
		}
		c.seeShown(a)
	case a.Outcome == answers.Odd:
		c.record.fault(ErrAnswer, "%s: an answer that the surface does not have", describe(a))
	case !a.Outcome.Refused() && a.Outcome != answers.NoAnswer && a.Outcome != answers.NotSent && a.Outcome != answers.OutcomeUnknown:
		c.record.fault(ErrUnjustified, "%s", describe(a))
	}
}

func (c *court) seeUnsure(a *answers.Answer) {
	switch a.Kind {
	case answers.Book:
		c.unsureBooks[a.AskedSlot]++
	case answers.Cancel:
		c.unsureCancels++
	case answers.Join:
		c.line.unsure++
	}
}

// give notes whose number it is.
func (c *court) give(a *answers.Answer) {
	other, given := c.line.given[a.Place.Number]
	if given && other != a.Person {
		c.record.fault(ErrDouble, "number %d in line was given to person %d and to person %d", a.Place.Number, other, a.Person)
	}
	c.line.given[a.Place.Number] = a.Person
}

func (c *court) seeBooking(a *answers.Answer, b *answers.Booking) {
	if other, told := c.told[b.Ref]; told && other != a.Person {
		c.record.fault(ErrDouble, "booking %d was told to person %d and to person %d", b.Ref, other, a.Person)
	}
	c.told[b.Ref] = a.Person
	if b.Cancelled {
		c.cancelled[b.Ref] = true
	}
}
