//go:build linux

package crash

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"weir/loadtest/process"
)

// Options say how to run a crash campaign. All fields must be given.
type Options struct {
	Binary string // of weir
	Dir    string // empty; keeps data, keys and the campaign's files
	Seed   uint64 // of who asks for what and of when the server is killed
	Rounds int
	Actors int
	Log    func(format string, args ...any) // progress
}

// Summary is what a campaign did.
type Summary struct {
	Rounds     int
	KilledCold int           // servers killed before they were ready
	Answered   int           // requests
	Unanswered int           // requests that the kills left without an answer
	Bookings   int           // at the end, cancelled ones too
	Slowest    time.Duration // from a start to ready
}

const (
	readyTimeout  = 20 * time.Second
	coldKillMax   = 60 * time.Millisecond // about a start with an empty log
	loadMin       = 30 * time.Millisecond
	loadMax       = 700 * time.Millisecond
	coldKillOneIn = 4
	killStream    = 1 // of the seed; the actors have the next ones
)

// Run kills and judges until the rounds are done or the judge finds something.
// A schedule follows from the seed; how the requests of several people fall
// does not, so the same seed finds the same again only often, not always.
func Run(ctx context.Context, o Options) (Summary, error) {
	c, err := newRun(o)
	if err != nil {
		return Summary{}, fmt.Errorf("crash campaign: %w", err)
	}
	for c.summary.Rounds < o.Rounds {
		if err := c.round(ctx); err != nil {
			return c.summary, fmt.Errorf("crash campaign: round %d: %w", c.summary.Rounds+1, err)
		}
		c.summary.Rounds++
	}
	if err := c.last(ctx); err != nil {
		return c.summary, fmt.Errorf("crash campaign: after the last round: %w", err)
	}
	return c.summary, nil
}

func newRun(o Options) (*campaignRun, error) {
	s, err := newStage(o.Dir, o.Binary, o.Seed)
	if err != nil {
		return nil, err
	}
	c := &campaignRun{Options: o, stage: s, random: rand.New(rand.NewPCG(o.Seed, killStream))}
	for i := range o.Actors {
		c.actors = append(c.actors, &actor{
			name: fmt.Sprintf("p%d", i), slots: s.slots,
			random: rand.New(rand.NewPCG(o.Seed, uint64(killStream+1+i))),
		})
	}
	return c, nil
}

// campaignRun is one Run.
type campaignRun struct {
	Options
	stage   *stage
	random  *rand.Rand // of the kills
	actors  []*actor
	summary Summary
}

// round is one life of the server: start, settle what the last one left open,
// load, kill, judge.
func (c *campaignRun) round(ctx context.Context) error {
	if c.random.IntN(coldKillOneIn) == 0 {
		if err := c.killCold(); err != nil {
			return err
		}
	}
	server, client, err := c.start(ctx)
	if err != nil {
		return err
	}
	defer server.Kill()
	defer client.close()
	if err := c.loadAndKill(ctx, server, client); err != nil {
		return fmt.Errorf("under load: %w\n%s", err, server.Log())
	}
	return c.judge(ctx, fmt.Sprintf("round %d", c.summary.Rounds+1))
}

// killCold kills a server that is about to be ready, or just is.
func (c *campaignRun) killCold() error {
	server, err := process.Start(c.Binary, nil, c.stage.serveArgs()...)
	if err != nil {
		return err
	}
	defer server.Kill()
	c.summary.KilledCold++
	select {
	case <-server.Done():
		return fmt.Errorf("the server ended by itself at its start\n%s", server.Log())
	case <-time.After(c.duration(0, coldKillMax)):
		return nil
	}
}

func (c *campaignRun) duration(from, to time.Duration) time.Duration {
	return from + time.Duration(c.random.Int64N(int64(to-from)))
}

// start starts the server, behind prefix where there is one, and settles what
// its last end left open.
func (c *campaignRun) start(ctx context.Context, prefix ...string) (*process.Server, *client, error) {
	began := time.Now()
	server, err := process.Start(c.Binary, prefix, c.stage.serveArgs()...)
	if err != nil {
		return nil, nil, err
	}
	ready, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	if err := server.Ready(ready); err != nil {
		server.Kill()
		return nil, nil, err
	}
	c.summary.Slowest = max(c.summary.Slowest, time.Since(began))
	client := newClient(server.Addr, campaignID, len(c.actors), c.stage.issuer)
	if err := c.each(func(a *actor) error { return a.resolve(ctx, client) }); err != nil {
		client.close()
		server.Kill()
		return nil, nil, fmt.Errorf("what people have: %w\n%s", err, server.Log())
	}
	return server, client, nil
}

func (c *campaignRun) loadAndKill(ctx context.Context, server *process.Server, client *client) error {
	killed := make(chan error, 1)
	wait := c.duration(loadMin, loadMax)
	go func() {
		var early error
		select {
		case <-server.Done():
			early = fmt.Errorf("the server ended by itself")
		case <-time.After(wait):
		}
		server.Kill()
		killed <- early // not before it is gone, and its directory free
	}()
	err := c.each(func(a *actor) error { return a.run(ctx, client) })
	return errors.Join(err, <-killed)
}

// each runs f for all actors at once.
func (c *campaignRun) each(f func(*actor) error) error { return c.eachOf(c.actors, f) }

func (c *campaignRun) eachOf(actors []*actor, f func(*actor) error) error {
	faults := make([]error, len(actors))
	var running sync.WaitGroup
	for i, a := range actors {
		running.Go(func() { faults[i] = f(a) })
	}
	running.Wait()
	return errors.Join(faults...)
}

func (c *campaignRun) judge(ctx context.Context, when string) error {
	world, err := c.stage.inspect(ctx)
	if err != nil {
		return fmt.Errorf("what is on disk: %w", err)
	}
	people := c.people()
	if err := errors.Join(Judge(people, world)...); err != nil {
		return fmt.Errorf("what is on disk: %w", err)
	}
	c.summary.Answered, c.summary.Bookings = 0, len(world.Bookings)
	for _, a := range c.actors {
		c.summary.Answered += a.asked
	}
	for _, p := range people {
		if p.Pending != nil {
			c.summary.Unanswered++
		}
	}
	c.Log("%s: %d requests answered, %d people, %d bookings, %d of %d places taken",
		when, c.summary.Answered, len(people), len(world.Bookings), world.Totals.Taken, world.Totals.Places)
	return nil
}

func (c *campaignRun) people() []*Person {
	var people []*Person
	for _, a := range c.actors {
		people = append(people, a.people...)
	}
	return people
}

// last starts the server once more, settles what the last kill left open, and
// stops it in good order.
func (c *campaignRun) last(ctx context.Context) error {
	server, client, err := c.start(ctx)
	if err != nil {
		return err
	}
	defer server.Kill()
	defer client.close()
	if err := server.Stop(); err != nil {
		return err
	}
	return c.judge(ctx, "at the end")
}
