package judge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/bits"
	"runtime"
	"slices"
	"sync"
	"time"

	"weir/core/campaign"
	"weir/core/event"
	"weir/loadtest/answers"
)

// Case is all that is judged.
type Case struct {
	Files []string // of answers, all of one run
	Rules *campaign.Definition
	Born  func(answers.Person) campaign.Date
	// Key is what the server calls a person; nil where nobody knows.
	Key   func(answers.Person) event.PersonKey
	Found *Found
	Downs []Down // in their order
	// Pauses are the operator's, in their order.
	Pauses []Pause
	// Stalls are the times in which the client itself stood still, and with it
	// the machine that it shares with the server: nobody answers in them, and
	// what is told right behind them is as much older.
	Stalls []Stall
	Seed   uint64 // of the sample of slots whose histories are checked in full
}

// Down is a time in which the server was down: from when it was killed until it
// answered again.
type Down struct{ From, To time.Duration }

// Stall is a time in which the client stood still.
type Stall struct{ From, To time.Duration }

// ErrCase refuses what cannot be judged.
var ErrCase = errors.New("cannot be judged")

// loadMax is how many answers are in memory at a time, about.
const loadMax = 2 << 20

// court is one judgement.
type court struct {
	Case
	rules  *rules
	clock  clock
	record *record
	pauses pauses

	// Of all answers (survey.go).
	total         int64
	people        uint32
	cut           bool
	told          map[event.Seq]answers.Person // who was told of each booking
	booked        map[answers.Person]bool      // asked for a booking
	cancelled     map[event.Seq]bool           // told to be cancelled
	unsureBooks   map[event.SlotID]int         // requests to book that got no answer
	unsureCancels int64
	line          toldLine
	heard         []time.Duration // seconds in which the server answered

	owned []ownedBooking // of the export, by person
	slots slotLog
	log   lineLog
	calls calls

	shownBits uint // one of 2^shownBits slots is judged by what is shown of it
}

// Judge judges. It fails where the files cannot be read or the case is none
// (ErrCase), and where the context ends. What is found is in the verdict.
func Judge(ctx context.Context, k Case) (*Verdict, error) {
	c, err := newCourt(k)
	if err != nil {
		return nil, fmt.Errorf("judge: %w", err)
	}
	if err := c.survey(ctx); err != nil {
		return nil, fmt.Errorf("judge: %w", err)
	}
	c.calls = newCalls(c.log.public)
	c.checkExport()
	c.assign()
	// People are taken by their number's residue, so that one share of all
	// answers is in memory at a time.
	shares := 1 << max(0, bits.Len64(uint64(c.total/loadMax)))
	for share := range shares {
		if err := c.judgePeople(ctx, share, shares); err != nil {
			return nil, fmt.Errorf("judge: %w", err)
		}
	}
	c.checkSlots()
	c.linearize(ctx)
	c.checkLine()
	c.record.verdict.Cut = c.cut
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("judge: %w", context.Cause(ctx))
	}
	return &c.record.verdict, nil
}

func newCourt(k Case) (*court, error) {
	switch {
	case len(k.Files) == 0 || k.Rules == nil || k.Born == nil || k.Found == nil:
		return nil, fmt.Errorf("%w: something is missing", ErrCase)
	case k.Rules.Bookings.PerPerson > perPersonMax:
		return nil, fmt.Errorf("%w: %d bookings a person, at most %d", ErrCase, k.Rules.Bookings.PerPerson, perPersonMax)
	}
	return &court{
		Case: k, rules: newRules(k.Rules), record: newRecord(), pauses: newPauses(k.Pauses),
		told: map[event.Seq]answers.Person{}, booked: map[answers.Person]bool{}, cancelled: map[event.Seq]bool{},
		unsureBooks: map[event.SlotID]int{}, line: toldLine{
			given: map[event.Number]answers.Person{}, early: map[answers.Person]bool{},
			draws: map[event.Draw]*toldDraw{}, lots: map[lot]toldLot{},
		},
	}, nil
}

// judgePeople judges the people of one share, each by themselves.
func (c *court) judgePeople(ctx context.Context, share, shares int) error {
	asked, err := c.load(share, shares)
	if err != nil {
		return err
	}
	workers := runtime.GOMAXPROCS(0)
	judges := make([]*personJudge, workers)
	var running sync.WaitGroup
	from := 0
	for w := range workers {
		to := nextPerson(asked, max(from, len(asked)*(w+1)/workers))
		part := asked[from:to]
		from = to
		judges[w] = c.newPersonJudge()
		running.Go(func() { c.judgePart(ctx, judges[w], part) })
	}
	running.Wait()
	for _, j := range judges {
		c.slots.stays = append(c.slots.stays, j.slots.stays...)
		c.slots.refusals = append(c.slots.refusals, j.slots.refusals...)
		c.log.add(j.line)
	}
	return ctx.Err()
}

func (c *court) newPersonJudge() *personJudge {
	return &personJudge{
		model: model{rules: c.rules, clock: c.clock, pauses: c.pauses}, record: c.record, exact: c.Key != nil,
		slots: &slotLog{ends: holdEnds{c.clock, c.Downs, c.pauses, c.heard}}, line: &lineLog{clock: c.clock},
	}
}

// nextPerson is where the first person begins at i or behind it.
func nextPerson(asked []answers.Answer, i int) int {
	for i > 0 && i < len(asked) && asked[i].Person == asked[i-1].Person {
		i++
	}
	return i
}

func (c *court) judgePart(ctx context.Context, j *personJudge, asked []answers.Answer) {
	people, called, in, away := int64(0), int64(0), int64(0), int64(0)
	var found []answers.Booking
	for len(asked) > 0 && ctx.Err() == nil {
		n := nextPerson(asked, 1)
		h := history{person: asked[0].Person, asked: asked[:n]}
		found = c.foundOf(h.person, found[:0])
		h.found = found
		j.model.born = c.Born(h.person)
		j.judge(&h)
		for i := range h.asked {
			j.line.place(&h.asked[i])
		}
		turn, cameIn, turnedAway := c.checkTurn(&h)
		called, in, away = called+turn, in+cameIn, away+turnedAway
		asked = asked[n:]
		people++
	}
	c.record.count(func(checked *Checked) {
		checked.People += people
		checked.Called, checked.CameIn, checked.TurnedAway = checked.Called+called, checked.CameIn+in, checked.TurnedAway+away
	})
}

// load reads the answers of one share of the people, by person and by when they
// were sent.
func (c *court) load(share, shares int) ([]answers.Answer, error) {
	asked := make([]answers.Answer, 0, c.total/int64(shares)+c.total/int64(8*shares)+16)
	for _, name := range c.Files {
		_, err := answers.Read(name, func(a *answers.Answer) error {
			if a.Person == answers.Nobody || int(a.Person)%shares != share || public(a.Kind) {
				return nil
			}
			one := *a
			one.Bookings = slices.Clone(a.Bookings)
			asked = append(asked, one)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(asked, func(a, b answers.Answer) int {
		return cmp.Or(cmp.Compare(a.Person, b.Person), cmp.Compare(a.Sent, b.Sent), cmp.Compare(a.Answered, b.Answered))
	})
	return asked, nil
}

// public says whether the answer is the same for everybody.
func public(k answers.Kind) bool {
	switch k {
	case answers.Campaign, answers.Line, answers.Sites, answers.Slots:
		return true
	}
	return false
}
