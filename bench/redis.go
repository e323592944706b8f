//go:build linux

package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/redis/go-redis/v9"

	"weir/core/event"
)

//go:embed book.lua
var bookScript string

const redisChunk = 10_000 // keys that are written or read together

// redisServer is a Redis of the bench's own. People and slots are one key each:
// "p:" and the 16 bytes of the person hold the number of the slot, "s:" and
// that number hold how many places are left.
type redisServer struct {
	*daemon
	port   int
	plan   plan
	slots  int
	client *redis.Client
}

// startRedis starts a Redis whose append-only file is synced as appendfsync
// says. Nothing else writes to its disk: no snapshots, and no rewriting of
// that file, which a long-lived server would have to do as well.
func startRedis(ctx context.Context, parent, name, appendfsync string, p plan) (_ *redisServer, err error) {
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoPeers, err)
	}
	dir, err := daemonDir(parent, name)
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	socket := filepath.Join(dir, "socket")
	d, err := startDaemon(name, dir, exec.Command(binary, "--bind", "127.0.0.1", "--port", strconv.Itoa(port),
		"--unixsocket", socket, "--unixsocketperm", "700",
		"--dir", dir, "--daemonize", "no", "--save", "", "--appendonly", "yes", "--appendfsync", appendfsync,
		"--auto-aof-rewrite-percentage", "0"), syscall.SIGTERM)
	if err != nil {
		return nil, err
	}
	s := &redisServer{daemon: d, port: port, plan: p, slots: p.sites() * slotsPerSite}
	s.client = redisClient(s.address())
	defer func() {
		if err != nil {
			err = errors.Join(err, s.stop())
		}
	}()
	if err := d.await(ctx, func(ctx context.Context) error { return s.client.Ping(ctx).Err() }); err != nil {
		return nil, err
	}
	if err := s.fill(ctx); err != nil {
		return nil, fmt.Errorf("fill %s: %w", name, err)
	}
	return s, nil
}

func (s *redisServer) fill(ctx context.Context) error {
	for from := 0; from < s.slots; from += redisChunk {
		var pairs []any
		for n := from; n < min(from+redisChunk, s.slots); n++ {
			pairs = append(pairs, slotKey(event.SlotID(n)), s.plan.capacity)
		}
		if err := s.client.MSet(ctx, pairs...).Err(); err != nil {
			return err
		}
	}
	return nil
}

func (s *redisServer) address() storeAddress {
	return storeAddress{
		Kind: "redis", Socket: filepath.Join(s.command.Dir, "socket"), TCP: fmt.Sprintf("127.0.0.1:%d", s.port), Connections: 1,
	}
}

func (s *redisServer) books(ctx context.Context) (bookings, taken int64, err error) {
	all, err := s.client.DBSize(ctx).Result()
	if err != nil {
		return 0, 0, fmt.Errorf("read books: %w", err)
	}
	for from := 0; from < s.slots; from += redisChunk {
		var keys []string
		for n := from; n < min(from+redisChunk, s.slots); n++ {
			keys = append(keys, slotKey(event.SlotID(n)))
		}
		values, err := s.client.MGet(ctx, keys...).Result()
		if err != nil {
			return 0, 0, fmt.Errorf("read books: %w", err)
		}
		for i, value := range values {
			text, _ := value.(string)
			left, err := strconv.Atoi(text)
			if err != nil || left < 0 || left > s.plan.capacity {
				return 0, 0, fmt.Errorf("read books: %w: %s has %q places left of %d", errBooks, keys[i], text, s.plan.capacity)
			}
			taken += int64(s.plan.capacity - left)
		}
	}
	return all - int64(s.slots), taken, nil
}

func (s *redisServer) stop() error { return errors.Join(s.client.Close(), s.daemon.stop()) }

// redisStore books at a Redis by the script.
type redisStore struct {
	client *redis.Client
	hash   string // of the script, which Redis keeps
}

func openRedis(ctx context.Context, address *storeAddress) (*redisStore, error) {
	s := &redisStore{client: redisClient(*address)}
	var err error
	if s.hash, err = s.client.ScriptLoad(ctx, bookScript).Result(); err != nil {
		return nil, errors.Join(fmt.Errorf("load script: %w", err), s.client.Close())
	}
	return s, nil
}

// redisClient repeats nothing, unless it is as it comes: a booking that was
// repeated would find itself, and so show in the answers.
func redisClient(address storeAddress) *redis.Client {
	if address.Connections == asItComes {
		return redis.NewClient(&redis.Options{Addr: address.TCP})
	}
	return redis.NewClient(&redis.Options{
		Network: "unix", Addr: address.Socket, MaxRetries: -1, DisableIdentity: true,
		PoolSize: address.Connections, MinIdleConns: address.Connections, PoolTimeout: requestTimeout,
		DialTimeout: requestTimeout, ReadTimeout: requestTimeout, WriteTimeout: requestTimeout,
	})
}

// book sends all bookings in one pipeline.
func (s *redisStore) book(ctx context.Context, bookings []*booking) error {
	if len(bookings) == 1 {
		return bookings[0].decided(s.ask(ctx, s.client, bookings[0]))
	}
	pipeline := s.client.Pipeline()
	answers := make([]*redis.Cmd, len(bookings))
	for i, b := range bookings {
		answers[i] = s.ask(ctx, pipeline, b)
	}
	if _, err := pipeline.Exec(ctx); err != nil {
		return fmt.Errorf("book at Redis: %w", err)
	}
	for i, b := range bookings {
		if err := b.decided(answers[i]); err != nil {
			return err
		}
	}
	return nil
}

func (s *redisStore) ask(ctx context.Context, to redis.Scripter, b *booking) *redis.Cmd {
	person := "p:" + string(b.person[:])
	return to.EvalSha(ctx, s.hash, []string{person, slotKey(b.slot)}, int64(b.slot))
}

func (b *booking) decided(answer *redis.Cmd) error {
	n, err := answer.Int()
	if err != nil {
		return fmt.Errorf("book at Redis: %w", err)
	}
	b.outcome = outcome(n)
	return nil
}

func (s *redisStore) close() error { return s.client.Close() }

func slotKey(slot event.SlotID) string { return "s:" + strconv.FormatUint(uint64(slot), 10) }
