package judge

import (
	"time"

	"weir/core/event"
	"weir/core/line"
	"weir/loadtest/answers"
)

// Who came before the opening is in a draw: they have an index in its list, in
// the order of their coming, and a number that follows from it and from a seed.
// The seed was committed to before the opening and is public behind it, so that
// everybody's number can be worked out again, here as by anybody.

// lot is a place in the list of a draw.
type lot struct {
	draw  event.Draw
	index event.Index
}

// toldLot is whose a lot is, and the number that it was told to have: 0 where
// none was.
type toldLot struct {
	person answers.Person
	number event.Number
}

// toldDraw is what was told of one draw in all.
type toldDraw struct {
	answers.Draw
	committed bool          // that its commitment was told before its opening
	hidden    time.Duration // when the public state was last asked for and did not tell the seed
	seeded    time.Duration // by when it had told it; forever: never
	drawn     time.Duration // by when somebody had been told what only the draw decides; forever: never
	early     came          // told last, by when they asked, that they are early
}

// seeDraws notes what an answer tells of draws. What was told once stays.
func (c *court) seeDraws(a *answers.Answer) {
	at := c.clock.span(a)
	for i := range a.Draws {
		told := &a.Draws[i]
		d := c.drawOf(told.Ordinal)
		switch {
		case d.Opens == 0:
			d.Draw = *told
		case d.Commitment != told.Commitment || d.Opens != told.Opens || d.Drawn && told.Drawn && d.Draw != *told:
			c.record.fault(ErrDraw, "%s: draw %d was %+v and is %+v", describe(a), told.Ordinal, d.Draw, *told)
		case told.Drawn:
			d.Draw = *told
		}
		d.committed = d.committed || at.to < told.Opens
		if !told.Drawn {
			d.hidden = max(d.hidden, a.Sent)
			continue
		}
		if at.to < told.Opens {
			c.record.fault(ErrDraw, "%s: the seed of draw %d was told %d ms before the opening", describe(a), told.Ordinal, told.Opens-at.to)
		}
		if told.Seed.Commitment() != told.Commitment {
			c.record.fault(ErrDraw, "%s: the seed of draw %d is not the one that was committed to", describe(a), told.Ordinal)
		}
		d.seeded, d.drawn = min(d.seeded, a.Answered), min(d.drawn, a.Answered)
	}
}

func (c *court) drawOf(ordinal event.Draw) *toldDraw {
	d := c.line.draws[ordinal]
	if d == nil {
		d = &toldDraw{seeded: forever, drawn: forever}
		c.line.draws[ordinal] = d
	}
	return d
}

// seeLot notes a place that comes from a draw.
func (c *court) seeLot(a *answers.Answer) {
	p := &a.Place
	one, d := lot{p.Draw, p.Index}, c.drawOf(p.Draw)
	before, known := c.line.lots[one]
	if known && before.person != a.Person {
		c.record.fault(ErrDouble, "index %d of draw %d was given to person %d and to person %d", p.Index, p.Draw, before.person, a.Person)
	}
	c.line.lots[one] = toldLot{a.Person, max(before.number, p.Number)}
	switch {
	case p.Number != 0:
		d.drawn = min(d.drawn, a.Answered)
	case p.State == answers.Early && a.Sent >= d.early.sent:
		d.early = came{sent: a.Sent, at: a.Answered, person: a.Person}
	}
}

// checkDraws works every number of the draws out again.
func (c *court) checkDraws() {
	for ordinal, d := range c.line.draws {
		c.checkDraw(ordinal, d)
	}
	sizes, ranks := map[event.Draw]uint32{}, map[event.Draw]*line.Permutation{}
	checked := int64(0)
	for one, told := range c.line.lots {
		d := c.line.draws[one.draw]
		sizes[one.draw]++
		switch {
		case !d.Drawn:
			continue // checkDraw says so where it matters
		case uint32(one.index) > d.Size:
			c.record.fault(ErrDraw, "person %d has index %d of draw %d, of which the size was told to be %d", told.person, one.index, one.draw, d.Size)
			continue
		case told.number == 0:
			continue
		}
		if ranks[one.draw] == nil {
			ranks[one.draw] = line.NewPermutation(d.Seed, d.Size)
		}
		checked++
		if want := d.Base + 1 + event.Number(ranks[one.draw].Rank(uint32(one.index)-1)); told.number != want {
			c.record.fault(ErrDraw, "person %d with index %d of draw %d was told number %d; the seed gives number %d", told.person, one.index, one.draw, told.number, want)
		}
	}
	for ordinal, d := range c.line.draws {
		c.checkRange(d, ranks[ordinal], sizes[ordinal])
	}
	c.record.count(func(k *Checked) { k.Lots = checked })
}

// checkDraw asks what a draw is by itself.
func (c *court) checkDraw(ordinal event.Draw, d *toldDraw) {
	if d.drawn < d.early.sent {
		c.record.fault(ErrStale, "person %d asked at %v and was told to be early in draw %d, which had been drawn by %v", d.early.person, d.early.sent, ordinal, d.drawn)
	}
	if d.seeded < d.hidden {
		c.record.fault(ErrStale, "the seed of draw %d was public by %v, and not when it was asked for at %v", ordinal, d.seeded, d.hidden)
	}
	opening := false
	for i := range c.rules.Windows {
		opening = opening || c.rules.Windows[i].Opens == d.Opens
	}
	switch {
	case d.Opens == 0:
		c.record.undecided("draw %d: nobody was told of it but those who are in it", ordinal)
	case !opening:
		c.record.fault(ErrDraw, "draw %d is for an opening at %d, when no window opens", ordinal, d.Opens)
	case !d.committed && d.early.sent > 0:
		c.record.undecided("draw %d: nobody was told its commitment before the opening", ordinal)
	case d.drawn < forever && !d.Drawn:
		c.record.undecided("draw %d: nobody was told its seed", ordinal)
	}
}

// checkRange asks that as many are in the draw as have an index, and that
// nobody else has one of its numbers.
func (c *court) checkRange(d *toldDraw, ranks *line.Permutation, told uint32) {
	if !d.Drawn {
		return
	}
	if !c.cut && int64(d.Size) > int64(told)+c.line.unsure {
		c.record.fault(ErrDraw, "draw %d has a size of %d; %d indices were told, and %d requests to join got no answer", d.Ordinal, d.Size, told, c.line.unsure)
	}
	if ranks == nil {
		return
	}
	for number, person := range c.line.given {
		if number <= d.Base || uint64(number) > uint64(d.Base)+uint64(d.Size) {
			continue
		}
		index := event.Index(ranks.Index(uint32(number-d.Base)-1)) + 1
		if c.line.lots[lot{d.Ordinal, index}].number != number {
			c.record.fault(ErrDraw, "person %d was told number %d, which draw %d gives to index %d", person, number, d.Ordinal, index)
		}
	}
}
