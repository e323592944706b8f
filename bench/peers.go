//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"weir/core/event"
)

const (
	peersCapacity = 50_000 // places of a slot that everybody wants
	peersHotShare = 40_000 // of them for those who want that one, the rest for those who come by
	batchMax      = 512    // bookings that a front sends together

	// What is wanted of weir beside a peer, however that is set up.
	redisLeast       = 3.5  // times the requests of a Redis that syncs always
	redisCPUMost     = 0.25 // of a Redis's CPU a booking
	postgresLeast    = 8    // times PostgreSQL's requests
	postgresHotLeast = 20   // the same where everybody wants one slot
)

// errNoPeers says what is missing where it is a program of a peer.
var errNoPeers = errors.New("the peers are not installed (apt-get install redis-server postgresql)")

// contender is a way to book at a peer: a server of its own, and a front of its
// own before it.
type contender struct {
	name        string
	start       func(ctx context.Context, dir, name string, p plan) (storeServer, error)
	connections int  // from the front to the server, or asItComes
	batch       int  // bookings sent together; 1: each by itself
	hot         bool // asked at one hot slot as well

	// What is wanted of weir beside it; 0: nothing.
	spreadLeast float64 // times its requests, slots spread
	hotLeast    float64 // times its requests, one hot slot
	cpuMost     float64 // of its CPU a request, slots spread
}

// contenders are the peers as a team would set them up, in up to three ways:
//
//   - as one writes it first: one command a request, over the client's pool as
//     it comes, on TCP
//   - the same over a larger pool on the Unix socket. Redis has many
//     connections, so that one fsync serves all that are in flight; PostgreSQL
//     has fewer, each of which is a process on the same cores.
//   - batched, its best: together with what came at the same time, which costs
//     less. Batches for Redis take turns on two connections: while one is
//     decided, the next is written. PostgreSQL has one connection for them, since
//     transactions of many bookings side by side only wait for each other's
//     rows.
//
// The larger pool is for Redis only in the strict case; and Redis is not asked
// at one hot slot in all ways: one thread does all its work, so that one slot is
// no different from many.
func contenders() []contender {
	redis := func(appendfsync string) func(ctx context.Context, dir, name string, p plan) (storeServer, error) {
		return func(ctx context.Context, dir, name string, p plan) (storeServer, error) {
			return startRedis(ctx, dir, name, appendfsync, p)
		}
	}
	postgres := func(ctx context.Context, dir, name string, p plan) (storeServer, error) {
		return startPostgres(ctx, dir, name, p)
	}
	return []contender{
		{
			name: "Redis everysec, as one writes it first", start: redis("everysec"), connections: asItComes, batch: 1,
			cpuMost: redisCPUMost,
		},
		{
			name: "Redis everysec, batched, its best", start: redis("everysec"), connections: 2, batch: batchMax,
			cpuMost: redisCPUMost,
		},
		{
			name: "Redis always, as one writes it first", start: redis("always"), connections: asItComes, batch: 1,
			spreadLeast: redisLeast, cpuMost: redisCPUMost,
		},
		{
			name: "Redis always, pool of 128", start: redis("always"), connections: 128, batch: 1,
			spreadLeast: redisLeast, cpuMost: redisCPUMost,
		},
		{
			name: "Redis always, batched, its best", start: redis("always"), connections: 2, batch: batchMax, hot: true,
			spreadLeast: redisLeast, cpuMost: redisCPUMost,
		},
		{
			name: "PostgreSQL, as one writes it first", start: postgres, connections: asItComes, batch: 1, hot: true,
			spreadLeast: postgresLeast, hotLeast: postgresHotLeast,
		},
		{
			name: "PostgreSQL, pool of 32", start: postgres, connections: 32, batch: 1, hot: true,
			spreadLeast: postgresLeast, hotLeast: postgresHotLeast,
		},
		{
			name: "PostgreSQL, batched, its best", start: postgres, connections: 1, batch: batchMax, hot: true,
			spreadLeast: postgresLeast, hotLeast: postgresHotLeast,
		},
	}
}

// peers is the field with the contenders on it.
type peers struct {
	*field
	weir     *target
	entrants []*entrant
	quiet    quiet
}

// entrant is a contender that runs.
type entrant struct {
	contender
	server       storeServer
	target       *target
	acknowledged int64
}

// The names of the scenarios, and of the figures that compare weir with a peer.
const (
	spreadScenario = "spread"
	hotScenario    = "hot"

	timesPeer  = "weir/peer"
	ofPeersCPU = "weir/peer CPU"
)

// scenario is where people want to go.
type scenario struct {
	name string
	slot func(n uint64) event.SlotID
	hot  bool // for contenders that are asked there
}

// runPeers has weir and its peers take the same bookings in turns, and compares
// the peers' books with what they acknowledged.
func runPeers(ctx context.Context, o *options, s *Section) error {
	return withField(ctx, o, peersCapacity, func(served *field) error {
		if err := os.Chmod(served.dir, 0o711); err != nil { // PostgreSQL passes through as another user
			return fmt.Errorf("make directory: %w", err)
		}
		if err := noteVersions(ctx, s, served.dir); err != nil {
			return err
		}
		f := &peers{field: served}
		if err := f.start(ctx); err != nil {
			return err
		}
		if err := o.inRounds(func(n int) error { return f.round(ctx, o, s, n) }); err != nil {
			return err
		}
		return f.conclude(ctx, o, s)
	})
}

// conclude compares the peers' books with what they acknowledged, and says what
// was measured.
func (f *peers) conclude(ctx context.Context, o *options, s *Section) error {
	for _, e := range f.entrants {
		if err := audit(ctx, e.server, e.acknowledged); err != nil {
			return fmt.Errorf("%s: invalid, do not quote: %w", e.name, err)
		}
	}
	f.want(s)
	s.note("every answer was 201, and every peer's books agree with its answers; %d connections, %v a round and at most %d requests, each by another person",
		o.connections, o.duration, o.requests)
	s.note("spread: a random one of %d slots; hot: all at one slot, after %d people at the next", f.rules.SlotCount(), peersHotShare)
	s.note("%v", &f.quiet)
	s.note("server CPU is that of all processes of a contender: the front, the peer's server and what that started")
	return nil
}

// want sets the goals.
func (f *peers) want(s *Section) {
	for _, e := range f.entrants {
		spread, hot := spreadScenario+": "+e.name, hotScenario+": "+e.name
		if e.spreadLeast > 0 {
			s.wantAtLeast(spread, timesPeer, e.spreadLeast)
		}
		if e.hot && e.hotLeast > 0 {
			s.wantAtLeast(hot, timesPeer, e.hotLeast)
		}
		if e.cpuMost > 0 {
			s.wantAtMost(spread, ofPeersCPU, e.cpuMost)
		}
	}
}

// noteVersions says what is compared, and on what disk.
func noteVersions(ctx context.Context, s *Section, dir string) error {
	binaries, err := postgresBinaries()
	if err != nil {
		return err
	}
	for _, binary := range []string{"redis-server", filepath.Join(binaries, "postgres")} {
		output, err := exec.CommandContext(ctx, binary, "--version").Output()
		if err != nil {
			return fmt.Errorf("%w: %w", errNoPeers, err)
		}
		s.note("%s", strings.TrimSpace(string(output)))
	}
	libraries := thisMachine().Libraries
	for _, module := range []string{"github.com/redis/go-redis/v9", "github.com/jackc/pgx/v5"} {
		s.note("%s %s", module, libraries[module])
	}
	p50, p99, err := syncTime(dir)
	if err != nil {
		return err
	}
	s.note("an append of %d bytes and its fdatasync, alone on this disk: median %v, 99th percentile %v",
		syncProbeSize, p50.Round(time.Microsecond), p99.Round(time.Microsecond))
	return nil
}

// start starts weir and the contenders, each with processes of its own.
func (f *peers) start(ctx context.Context) (err error) {
	if f.weir, err = f.startWeir(ctx, "durable"); err != nil {
		return err
	}
	answer, err := f.answerOf(ctx, f.weir)
	if err != nil {
		return err
	}
	for i, c := range contenders() {
		if err := f.enter(ctx, c, fmt.Sprintf("peer-%d", i), answer); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	return nil
}

func (f *peers) enter(ctx context.Context, c contender, dir string, answer *bareTask) error {
	server, err := c.start(ctx, f.dir, dir, f.plan)
	if err != nil {
		return err
	}
	f.last = append(f.last, server.stop) // its front holds connections to it
	e := &entrant{contender: c, server: server}
	f.entrants = append(f.entrants, e)
	address := server.address()
	address.Connections = c.connections
	front, err := f.startChild(ctx, "front", &frontTask{
		Answer: *answer, Keys: f.keysDir(), Slots: f.plan.slots, Capacity: f.plan.capacity, Store: address, Batch: c.batch,
	})
	if err != nil {
		return err
	}
	e.target = &target{name: c.name, addr: front.addr, pids: []int{front.pid(), server.pid()}}
	return nil
}

// hotSlot is the slot that everybody wants: the next one when it is full.
func (f *peers) hotSlot(n uint64) event.SlotID {
	return event.SlotID(n / peersHotShare % uint64(f.rules.SlotCount()))
}

// round has all take the same bookings, one after the other. Round 0 warms up
// and is dropped.
func (f *peers) round(ctx context.Context, o *options, s *Section, n int) error {
	for i, sc := range []scenario{{spreadScenario, f.anySlot, false}, {hotScenario, f.hotSlot, true}} {
		crowd, err := f.crowd((2*n+i)*o.requests, o.requests, sc.slot)
		if err != nil {
			return err
		}
		if err := f.play(ctx, o, s, &sc, crowd, n > 0); err != nil {
			return fmt.Errorf("%s: %w", sc.name, err)
		}
	}
	return nil
}

func (f *peers) play(ctx context.Context, o *options, s *Section, sc *scenario, crowd *crowd, counts bool) error {
	weir, err := f.turn(ctx, o, f.weir, crowd)
	if err != nil {
		return err
	}
	if counts {
		s.entry(sc.name+": "+f.weir.name).addPeerRound(f.weir, weir, weir)
	}
	for _, e := range f.entrants {
		if sc.hot && !e.hot {
			continue
		}
		r, err := f.turn(ctx, o, e.target, crowd)
		if err != nil {
			return err
		}
		e.acknowledged += r.answered
		if counts {
			s.entry(sc.name+": "+e.name).addPeerRound(e.target, r, weir)
		}
	}
	return nil
}

// turn puts the crowd on the target, for as long as a round may take, once all
// are at rest.
func (f *peers) turn(ctx context.Context, o *options, t *target, crowd *crowd) (round, error) {
	if err := f.quiet.settle(ctx, f.pids()...); err != nil {
		return round{}, fmt.Errorf("before %s: %w", t.name, err)
	}
	load := crowd.load(o)
	load.Duration = o.duration
	load.Timeout = 2 * requestTimeout // the front gives up first, and says why
	r, err := t.measure(ctx, load)
	if err != nil {
		return round{}, fmt.Errorf("%s: %w", t.name, err)
	}
	return r, nil
}

// pids are the processes of all who take part.
func (f *peers) pids() []int {
	pids := slices.Clone(f.weir.pids)
	for _, e := range f.entrants {
		pids = append(pids, e.target.pids...)
	}
	return pids
}

// addPeerRound notes also what weir did and used in the same round: how many
// times as many requests, and which part of the CPU time a request.
func (c *Case) addPeerRound(t *target, r, weir round) {
	c.add("requests", "1/s", r.perSecond)
	c.add(timesPeer, "", weir.perSecond/r.perSecond)
	c.add("server CPU", "µs/request", r.cpu)
	c.add(ofPeersCPU, "", weir.cpu/r.cpu)
	c.addDetails(t, r)
}
