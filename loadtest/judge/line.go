package judge

import (
	"cmp"
	"slices"
	"time"

	"weir/core/event"
	"weir/loadtest/answers"
)

// The serving mark only rises, and whose number is at or below it may come in.
// So every answer bounds it: somebody who is let in shows that it had come to
// their number by then, somebody who is told to wait that it had not come to
// theirs when they asked.

// came is that somebody was given a number, or was let in or told to wait with
// one.
type came struct {
	sent, at time.Duration
	number   event.Number
	person   answers.Person
	draw     event.Draw // that number is an index of; 0: it is a number in line
}

// lineLog collects what was told of the line. It belongs to one goroutine.
type lineLog struct {
	clock   clock
	joined  []came // 201 with a final number
	entered []came // 201 with an index in a draw, which stands for the number
	in      []came // let in
	waiting []came // told to wait, or that it is not their turn
	public  []publicLine
}

type publicLine struct {
	sent, at time.Duration
	answers.Serving
}

// toldLine is what the whole run told of numbers.
type toldLine struct {
	given  map[event.Number]answers.Person
	early  map[answers.Person]bool // told to be early
	unsure int64                   // joins that got no answer
	draws  map[event.Draw]*toldDraw
	lots   map[lot]toldLot
}

// untold is how many numbers people may have that they were not told.
func (l *toldLine) untold() int64 {
	known := make(map[answers.Person]bool, len(l.given))
	for _, person := range l.given {
		known[person] = true
	}
	untold := l.unsure
	for _, told := range l.lots {
		if known[told.person] = true; told.number == 0 {
			untold++ // they left before the draw, or never asked behind it
		}
	}
	for person := range l.early {
		if !known[person] {
			untold++
		}
	}
	return untold
}

// place notes the place that a told.
func (l *lineLog) place(a *answers.Answer) {
	c := came{sent: a.Sent, at: a.Answered, number: a.Place.Number, person: a.Person}
	created := a.Kind == answers.Join && a.Outcome == answers.Created
	if created && a.Place.Index != 0 {
		l.entered = append(l.entered, came{a.Sent, a.Answered, event.Number(a.Place.Index), a.Person, a.Place.Draw})
	}
	switch a.Place.State {
	case answers.Admitted:
		l.in = append(l.in, c)
	case answers.Waiting:
		l.waiting = append(l.waiting, c)
	default:
		return
	}
	if created && a.Place.Index == 0 {
		l.joined = append(l.joined, c)
	}
}

// turn notes what a shows of the turn of somebody with that number, 0 where it
// is not known.
func (l *lineLog) turn(number event.Number, a *answers.Answer) {
	if number == 0 {
		return
	}
	c := came{sent: a.Sent, at: a.Answered, number: number, person: a.Person}
	switch {
	case a.Outcome == answers.NotYourTurn && a.Credential == answers.Pass:
		l.waiting = append(l.waiting, c)
	case !a.Outcome.Success():
	case a.Kind == answers.Hold, a.Kind == answers.Change, a.Kind == answers.Book && a.Outcome == answers.Created:
		l.in = append(l.in, c)
	}
}

func (l *lineLog) add(o *lineLog) {
	l.joined, l.in = append(l.joined, o.joined...), append(l.in, o.in...)
	l.entered = append(l.entered, o.entered...)
	l.waiting, l.public = append(l.waiting, o.waiting...), append(l.public, o.public...)
}

// publicAgeMax is how old the line's public state may be when it is told.
const publicAgeMax = 5 * time.Second

// checkLine asks for the order of the numbers and of the turns.
func (c *court) checkLine() {
	c.checkNumbers()
	c.checkDraws()
	c.checkPublic()
	c.checkStill()
	if c.rules.Line.Enabled {
		c.checkTurns()
	}
	c.record.count(func(checked *Checked) { checked.Numbers = int64(len(c.line.given)) })
}

// checkNumbers asks that whoever joined after another had been answered has the
// higher number, or index, and that who joined after a draw is behind it.
func (c *court) checkNumbers() {
	drawn := map[event.Draw][]came{}
	for _, one := range c.log.entered {
		drawn[one.draw] = append(drawn[one.draw], one)
	}
	for _, entered := range drawn {
		c.checkOrder(entered, slices.Clone(entered))
	}
	before := slices.Clone(c.log.joined)
	for _, d := range c.line.draws {
		if d.Drawn && d.Size > 0 {
			before = append(before, came{at: d.drawn, number: d.Base + event.Number(d.Size), person: answers.Nobody, draw: d.Ordinal})
		}
	}
	c.checkOrder(c.log.joined, before)
}

// checkOrder asks that each of joined has a higher number than those of byAnswer
// who had been answered by then.
func (c *court) checkOrder(joined, byAnswer []came) {
	slices.SortFunc(joined, func(a, b came) int { return cmp.Compare(a.sent, b.sent) })
	slices.SortFunc(byAnswer, func(a, b came) int { return cmp.Compare(a.at, b.at) })
	next, before := 0, came{} // with the highest number of those answered before
	for i := range joined {
		j := &joined[i]
		for ; next < len(byAnswer) && byAnswer[next].at < j.sent; next++ {
			if byAnswer[next].number > before.number {
				before = byAnswer[next]
			}
		}
		if j.number < before.number {
			c.record.fault(ErrOrder, "person %d joined at %v with number %d (draw %d), after person %d had been given %d at %v",
				j.person, j.sent, j.number, j.draw, before.person, before.number, before.at)
		}
	}
}

// checkTurns asks that nobody is let in while a later answer shows that the
// mark had not come to them.
func (c *court) checkTurns() {
	in, upper := c.log.in, c.log.waiting
	for i := range c.log.public {
		p := &c.log.public[i]
		if p.Serving.Serving > 0 { // whoever is let in by then has at most that number
			at := c.clock.earliest(p.AsOf)
			upper = append(upper, came{sent: at, at: at, number: p.Serving.Serving + 1, person: answers.Nobody})
			in = append(in, came{sent: p.sent, at: p.at, number: p.Serving.Serving, person: answers.Nobody})
		}
	}
	slices.SortFunc(in, func(a, b came) int { return cmp.Compare(a.at, b.at) })
	slices.SortFunc(upper, func(a, b came) int { return cmp.Compare(a.sent, b.sent) })
	var furthest came
	next := 0
	for i := range upper {
		u := &upper[i]
		for ; next < len(in) && in[next].at < u.sent; next++ {
			if in[next].number > furthest.number {
				furthest = in[next]
			}
		}
		if furthest.number >= u.number {
			c.record.fault(ErrTurn, "person %d with number %d was let in by %v, when the line had not come to number %d at %v (person %d)",
				furthest.person, furthest.number, furthest.at, u.number, u.sent, u.person)
		}
	}
}

// checkStill asks that the mark stands while the campaign is paused, and that
// everybody is told so. What is told was read at some time from its as_of until
// it was answered.
func (c *court) checkStill() {
	for _, pause := range c.pauses {
		var first *publicLine
		for i := range c.log.public {
			p := &c.log.public[i]
			if c.clock.earliest(p.AsOf) < pause.Paused || p.at > pause.Ending {
				continue
			}
			if first == nil {
				first = p
			}
			if p.Serving.Serving != first.Serving.Serving || !p.Paused {
				c.record.fault(ErrPaused, "the line from %v to %v: %+v and %+v", first.sent, p.at, first.Serving, p.Serving)
			}
		}
	}
}

// checkPublic asks that the public state is fresh and never goes back.
func (c *court) checkPublic() {
	public := c.log.public
	slices.SortFunc(public, func(a, b publicLine) int {
		return cmp.Or(cmp.Compare(a.AsOf, b.AsOf), cmp.Compare(a.Issued, b.Issued), cmp.Compare(a.Serving.Serving, b.Serving.Serving))
	})
	for i := range public {
		p := &public[i]
		told := answers.Answer{Sent: p.sent, Answered: p.at}
		if told.Sent = min(told.Sent, c.clock.earliest(p.AsOf)); p.Paused && !c.pauses.possible(&told) {
			c.record.fault(ErrUnjustified, "the line was told to be paused at %v", p.at)
		}
		if from := c.clock.latest(p.AsOf); from+publicAgeMax+c.stalled(from, p.sent) < p.sent {
			c.record.fault(ErrStale, "the line as of %v was told at %v", c.clock.latest(p.AsOf), p.sent)
		}
		if i == 0 || public[i-1].AsOf == p.AsOf {
			continue
		}
		if last := &public[i-1]; last.Serving.Serving > p.Serving.Serving || last.Issued > p.Issued {
			c.record.fault(ErrStale, "the line went back from %+v to %+v", last.Serving, p.Serving)
		}
	}
}
