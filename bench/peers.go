//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"weir/core/event"
)

const (
	peersCapacity = 50_000 // places of a slot that everybody wants
	peersHotShare = 40_000 // of them for those who want that one, the rest for those who come by
	batchMax      = 512    // bookings that a front sends together
)

// errNoPeers says what is missing where it is a program of a peer.
var errNoPeers = errors.New("the peers are not installed (apt-get install redis-server postgresql)")

// contender is a way to book at a peer: a server of its own, and a front of its
// own before it.
type contender struct {
	name        string
	start       func(ctx context.Context, dir, name string, p plan) (storeServer, error)
	connections int  // from the front to the server
	batch       int  // bookings sent together; 1: each by itself
	hot         bool // asked at one hot slot as well
}

// contenders are the peers as a team would set them up. Each comes in two
// ways: every request by itself over a pool of connections, as most programs
// do it, and together with those that came at the same time, which costs less.
// Redis has a connection for each request in flight, so that one fsync serves
// them all; PostgreSQL has fewer, each of which is a process on the same cores.
// Batches for Redis take turns on two connections: while one is decided, the
// next is written. PostgreSQL has one connection for them, since transactions of
// many bookings side by side only wait for each other's rows.
//
// Redis is asked both ways only in the strict case, and at one hot slot only
// the cheaper way: one thread does all its work, so that one slot is no
// different from many.
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
		{"Redis everysec, pipelined", redis("everysec"), 2, batchMax, false},
		{"Redis always, pipelined", redis("always"), 2, batchMax, true},
		{"Redis always, pool", redis("always"), 128, 1, false},
		{"PostgreSQL, pool", postgres, 32, 1, true},
		{"PostgreSQL, batched", postgres, 1, batchMax, true},
	}
}

// peers is the field with the contenders on it.
type peers struct {
	*field
	weir     *target
	entrants []*entrant
}

// entrant is a contender that runs.
type entrant struct {
	contender
	server       storeServer
	target       *target
	acknowledged int64
}

// scenario is where people want to go.
type scenario struct {
	name string
	slot func(n uint64) event.SlotID
	hot  bool // for contenders that are asked there
}

// runPeers has weir and its peers take the same bookings in turns, and compares
// the peers' books with what they acknowledged.
func runPeers(ctx context.Context, o *options, s *Section) (err error) {
	dir, err := os.MkdirTemp(o.dir, "weir-bench-")
	if err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := os.Chmod(dir, 0o711); err != nil { // PostgreSQL passes through as another user
		return fmt.Errorf("make directory: %w", err)
	}
	if err := noteVersions(ctx, s, dir); err != nil {
		return err
	}
	p := plan{slots: httpSlots, capacity: peersCapacity}
	if o.quick {
		p.slots = o.slots
	}
	field, err := newField(ctx, o, dir, p)
	if err != nil {
		return err
	}
	f := &peers{field: field}
	defer func() { err = errors.Join(err, f.stop()) }()
	if err := f.start(ctx); err != nil {
		return err
	}
	for n := range o.rounds + 1 {
		if err := f.round(ctx, o, s, n); err != nil {
			return fmt.Errorf("invalid, do not quote: %w", err)
		}
	}
	for _, e := range f.entrants {
		if err := audit(ctx, e.server, e.acknowledged); err != nil {
			return fmt.Errorf("%s: invalid, do not quote: %w", e.name, err)
		}
	}
	s.note("every answer was 201, and every peer's books agree with its answers; %d connections, %v a round and at most %d requests, each by another person",
		o.connections, o.duration, o.requests)
	s.note("spread: a random one of %d slots; hot: all at one slot, after %d people at the next", f.rules.SlotCount(), peersHotShare)
	s.note("server CPU is that of all processes of a contender: the front, the peer's server and what that started")
	return nil
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

// stop stops the fronts first: they hold connections to what is behind them.
func (f *peers) stop() error {
	failures := []error{f.field.stop()}
	for _, e := range f.entrants {
		failures = append(failures, e.server.stop())
	}
	return errors.Join(failures...)
}

// hotSlot is the slot that everybody wants: the next one when it is full.
func (f *peers) hotSlot(n uint64) event.SlotID {
	return event.SlotID(n / peersHotShare % uint64(f.rules.SlotCount()))
}

// round has all take the same bookings, one after the other. Round 0 warms up
// and is dropped.
func (f *peers) round(ctx context.Context, o *options, s *Section, n int) error {
	for i, sc := range []scenario{{"spread", f.anySlot, false}, {"hot", f.hotSlot, true}} {
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
	weir, err := f.weir.measureFor(ctx, o, crowd)
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
		r, err := e.target.measureFor(ctx, o, crowd)
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

// measureFor puts the crowd on the target, for as long as a round may take.
func (t *target) measureFor(ctx context.Context, o *options, crowd *crowd) (round, error) {
	load := crowd.load(o)
	load.Duration = o.duration
	load.Timeout = 2 * requestTimeout // the front gives up first, and says why
	r, err := t.measure(ctx, load)
	if err != nil {
		return round{}, fmt.Errorf("%s: %w", t.name, err)
	}
	return r, nil
}

// addPeerRound notes also how many times as much weir did in the same round.
func (c *Case) addPeerRound(t *target, r, weir round) {
	c.addRound(t, r, weir, "weir")
	c.add("weir's multiple", "", weir.perSecond/r.perSecond)
}
