//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"weir/core"
	"weir/core/campaign"
	"weir/core/event"
	"weir/persist/memory"
)

const (
	hotCapacity   = 50_000  // places of the slot that everybody wants
	roomyCapacity = 1000    // places of a slot that never fills
	checkEvery    = 1 << 12 // operations between looks at the context
)

// stand is an engine with one campaign, ready to take bookings.
type stand struct {
	engine *core.Engine
	rules  *campaign.Definition
	id     event.CampaignID
	born   campaign.Date
	now    event.Time
	slots  uint64
}

func newStand(rules *campaign.Definition, journal core.Journal) (*stand, error) {
	born, err := campaign.ParseDate(bornOn)
	if err != nil {
		return nil, fmt.Errorf("set up engine: %w", err)
	}
	s := &stand{
		engine: core.New(), rules: rules, born: born,
		now: event.Time(time.Now().UnixMilli()), slots: uint64(rules.SlotCount()),
	}
	s.engine.Start(journal)
	c, seq, err := s.engine.Define(s.now, rules)
	if err == nil {
		err = s.engine.Wait(seq)
	}
	if err != nil {
		return nil, fmt.Errorf("set up engine: %w", err)
	}
	s.id = c.ID()
	return s, nil
}

// anySlot is a slot for the nth operation, spread over all of them.
func (s *stand) anySlot(n uint64) event.SlotID { return event.SlotID(scatter(n^0x5107) % s.slots) }

func (s *stand) command(op core.Op, n uint64, slot event.SlotID) core.Command {
	return core.Command{Op: op, Campaign: s.id, Person: person(n), Born: s.born, Slot: slot}
}

// book books a slot for a new person and waits until that is durable.
func (s *stand) book(n uint64, slot event.SlotID) error {
	command := s.command(core.Book, n, slot)
	return s.do(&command)
}

func (s *stand) do(c *core.Command) error {
	out, err := s.engine.Do(s.now, c)
	if err != nil {
		return fmt.Errorf("command %d: %w", c.Op, err)
	}
	if !out.Done {
		return errors.New("the command changed nothing")
	}
	return s.engine.Wait(out.Seq)
}

// holdAndBook takes a hold and books it.
func (s *stand) holdAndBook(n uint64) error {
	command := s.command(core.Hold, n, s.anySlot(n))
	out, err := s.engine.Do(s.now, &command)
	if err != nil {
		return fmt.Errorf("hold: %w", err)
	}
	command.Op, command.Ref, command.Slot = core.Book, out.Hold.Seq, event.NoSlot
	return s.do(&command)
}

// refused asks for a slot that is full.
func (s *stand) refused(n uint64) error {
	command := s.command(core.Book, n, 0)
	if _, err := s.engine.Do(s.now, &command); !errors.Is(err, core.SlotFull) {
		return fmt.Errorf("booking a full slot: %w", err)
	}
	return nil
}

// engineCase is one thing that the engine is asked to do, an operation at a
// time, by as many goroutines as there are processors.
type engineCase struct {
	name    string
	plan    plan
	prepare func(*stand) error
	do      func(s *stand, n uint64) error
}

func engineCases(o *options) []engineCase {
	spread := plan{slots: o.slots, capacity: roomyCapacity}
	hot := plan{slots: o.operations/hotCapacity + 1, capacity: hotCapacity}
	nothing := func(*stand) error { return nil }
	return []engineCase{
		{"book, slots spread", spread, nothing, func(s *stand, n uint64) error { return s.book(n, s.anySlot(n)) }},
		// Everybody is at the same slot, and goes on to the next when it is full.
		{"book, one hot slot", hot, nothing, func(s *stand, n uint64) error { return s.book(n, event.SlotID(n/hotCapacity)) }},
		{"hold, then book", spread, nothing, (*stand).holdAndBook},
		{"refuse: slot full", hot, fillFirst, (*stand).refused},
	}
}

// fillFirst books all places of the first slot.
func fillFirst(s *stand) error {
	for n := range uint64(hotCapacity) {
		if err := s.book(1<<40+n, 0); err != nil {
			return fmt.Errorf("fill a slot: %w", err)
		}
	}
	return nil
}

// runEngine measures the cases in turn, with a new engine each time.
func runEngine(ctx context.Context, o *options, s *Section) error {
	rules := map[plan]*campaign.Definition{}
	for round := range o.rounds + 1 {
		for _, c := range engineCases(o) {
			if rules[c.plan] == nil {
				definition, err := c.plan.definition()
				if err != nil {
					return err
				}
				rules[c.plan] = definition
			}
			if err := c.measure(ctx, o, s, rules[c.plan], round > 0); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
		}
	}
	s.note("%d goroutines; journal that keeps nothing; %d operations a round on a new engine", runtime.GOMAXPROCS(0), o.operations)
	return nil
}

func (c *engineCase) measure(ctx context.Context, o *options, s *Section, rules *campaign.Definition, counts bool) error {
	stand, err := newStand(rules, &memory.Journal{})
	if err != nil {
		return err
	}
	if err := c.prepare(stand); err != nil {
		return err
	}
	runtime.GC() // what the rounds before left is not this one's
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	took, err := spread(ctx, uint64(o.operations), func(n uint64) error { return c.do(stand, n) })
	runtime.ReadMemStats(&after)
	if err != nil {
		return err
	}
	if err := stand.engine.Check(); err != nil {
		return fmt.Errorf("the engine's own check: %w", err)
	}
	if counts {
		entry, operations := s.entry(c.name), float64(o.operations)
		entry.add("operations", "1/s", operations/took.Seconds())
		entry.add("time x cores", "ns/op", float64(took)*float64(runtime.GOMAXPROCS(0))/operations)
		entry.add("allocations", "1/op", float64(after.Mallocs-before.Mallocs)/operations)
		entry.add("allocated", "B/op", float64(after.TotalAlloc-before.TotalAlloc)/operations)
	}
	return nil
}

// spread has all processors do the operations 0 to count-1, interleaved, and
// returns how long that took.
func spread(ctx context.Context, count uint64, do func(n uint64) error) (time.Duration, error) {
	workers := uint64(runtime.GOMAXPROCS(0))
	failures := make([]error, workers)
	var running sync.WaitGroup
	began := time.Now()
	for w := range workers {
		running.Go(func() {
			for n := w; n < count && failures[w] == nil; n += workers {
				failures[w] = do(n)
				if n/workers%checkEvery == 0 && ctx.Err() != nil {
					failures[w] = context.Cause(ctx)
				}
			}
		})
	}
	running.Wait()
	return time.Since(began), errors.Join(failures...)
}
