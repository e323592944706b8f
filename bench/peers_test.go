//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"weir/core/event"
	"weir/loadtest/loader"
)

const awaitMax = time.Minute

// reachableDir is a temporary directory that other users may pass through:
// PostgreSQL, which refuses to run as root, is another one where that runs the
// tests.
func reachableDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "weir-peers-")
	if err == nil {
		err = os.Chmod(dir, 0o711)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// enterAlone starts one contender and nothing else.
func enterAlone(t *testing.T, c contender, p plan) (*field, *entrant) {
	t.Helper()
	field, err := newField(t.Context(), &options{weir: "not started"}, reachableDir(t), p)
	if err != nil {
		t.Fatal(err)
	}
	f := &peers{field: field}
	t.Cleanup(func() {
		if err := f.stop(); err != nil {
			t.Error(err)
		}
	})
	answer := &bareTask{bareRequest: bookingRequest, Status: http.StatusCreated, Body: `{"code":"7K2QF-93TMD"}`}
	if err := f.enter(t.Context(), c, "peer", answer); err != nil {
		t.Fatal(err)
	}
	return field, f.entrants[0]
}

// ask sends all requests at once, as far as the connections go, and counts the
// answers: "" is a booking, the rest are refusals.
func ask(t *testing.T, e *entrant, requests int, next func(conn int, dst []byte) []byte) map[string]int {
	t.Helper()
	answers := map[string]int{}
	result, err := loader.Run(t.Context(), loader.Options{
		Addr: e.target.addr, Connections: 32, Requests: int64(requests), Next: next,
		Check: func(_, status int, body []byte) error {
			switch status {
			case http.StatusCreated:
				answers[""]++
			case http.StatusConflict:
				answers[string(body)]++
			default:
				return fmt.Errorf("status %d: %s", status, body)
			}
			return nil
		},
	})
	if err != nil || result.Errors > 0 || result.Requests != int64(requests) {
		t.Fatalf("%d answers of %d: %v, %v", result.Requests, requests, err, errors.Join(result.FirstErrors...))
	}
	return answers
}

// TestPeersBookRight has each peer take a crowd at one hot slot, and then the
// same people again, everybody twice at the same time for two other slots.
func TestPeersBookRight(t *testing.T) {
	const people, capacity = 300, 40
	for _, c := range contenders() {
		t.Run(c.name, func(t *testing.T) {
			f, e := enterAlone(t, c, plan{slots: slotsPerSite, capacity: capacity})
			first, err := f.crowd(0, people, func(uint64) event.SlotID { return 0 })
			if err != nil {
				t.Fatal(err)
			}
			got := ask(t, e, people, first.asks())
			if got[""] != capacity || got["slot_full"] != people-capacity || len(got) != 2 {
				t.Errorf("at a slot of %d places: %v", capacity, got)
			}
			got = ask(t, e, 2*people, everybodyTwice(t, f, people))
			if got[""] != people-capacity || got["already_booked"] != people+capacity || len(got) != 2 {
				t.Errorf("everybody twice, %d of %d with a booking: %v", capacity, people, got)
			}
			if err := audit(t.Context(), e.server, people); err != nil {
				t.Error(err)
			}
			checkKept(t, e, people, capacity)
		})
	}
}

// everybodyTwice asks twice for each of the people, one request behind the
// other, for two slots of which neither is the first.
func everybodyTwice(t *testing.T, f *field, people int) func(conn int, dst []byte) []byte {
	t.Helper()
	var asks [2]func(conn int, dst []byte) []byte
	for i := range asks {
		again, err := f.crowd(0, people, func(n uint64) event.SlotID {
			return event.SlotID(1 + scatter(2*n+uint64(i))%(slotsPerSite-1))
		})
		if err != nil {
			t.Fatal(err)
		}
		asks[i] = again.asks()
	}
	n := 0
	return func(conn int, dst []byte) []byte {
		n++
		return asks[n%2](conn, dst)
	}
}

// checkKept counts the bookings that the store holds, slot by slot, and not the
// places that it says are taken.
func checkKept(t *testing.T, e *entrant, people, capacity int) {
	t.Helper()
	var kept map[event.SlotID]int
	var err error
	switch server := e.server.(type) {
	case *redisServer:
		kept, err = server.kept(t.Context())
	case *postgresServer:
		kept, err = server.kept(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	sum := 0
	for slot, bookings := range kept {
		if sum += bookings; bookings > capacity {
			t.Errorf("slot %d of %d places holds %d bookings", slot, capacity, bookings)
		}
	}
	if sum != people || kept[0] != capacity {
		t.Errorf("%d bookings, %d of them at the hot slot, want %d and %d", sum, kept[0], people, capacity)
	}
}

func (s *redisServer) kept(ctx context.Context) (map[event.SlotID]int, error) {
	kept := map[event.SlotID]int{}
	keys := s.client.Scan(ctx, 0, "p:*", redisChunk).Iterator()
	for keys.Next(ctx) {
		slot, err := s.client.Get(ctx, keys.Val()).Int()
		if err != nil {
			return nil, err
		}
		kept[event.SlotID(slot)]++
	}
	return kept, keys.Err()
}

func (s *postgresServer) kept(ctx context.Context) (map[event.SlotID]int, error) {
	rows, err := s.pool.Query(ctx, "SELECT slot, count(*) FROM bookings GROUP BY slot")
	if err != nil {
		return nil, err
	}
	kept := map[event.SlotID]int{}
	for rows.Next() {
		var slot, bookings int32
		if err := rows.Scan(&slot, &bookings); err != nil {
			return nil, err
		}
		kept[event.SlotID(slot)] = int(bookings)
	}
	return kept, rows.Err()
}

// TestWhatAPeerWasSet asks the servers for the settings that decide what a
// booking costs and what it is worth.
func TestWhatAPeerWasSet(t *testing.T) {
	p := plan{slots: 1, capacity: 1}
	for _, appendfsync := range []string{"always", "everysec"} {
		s, err := startRedis(t.Context(), reachableDir(t), "redis", appendfsync, p)
		if err != nil {
			t.Fatal(err)
		}
		set, err := s.client.ConfigGet(t.Context(), "append*").Result()
		if err != nil || set["appendonly"] != "yes" || set["appendfsync"] != appendfsync {
			t.Errorf("Redis: %v, %v", set, err)
		}
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	}
	s, err := startPostgres(t.Context(), reachableDir(t), "postgres", p)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"fsync", "synchronous_commit", "full_page_writes"} {
		var set string
		if err := s.pool.QueryRow(t.Context(), "SELECT current_setting($1)", name).Scan(&set); err != nil || set != "on" {
			t.Errorf("PostgreSQL: %s is %q, %v", name, set, err)
		}
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
}

// TestAsOneWritesItFirst asks the servers who has come: a client as it comes
// books over TCP, on as many connections as it takes by itself, and another one
// on the socket.
func TestAsOneWritesItFirst(t *testing.T) {
	const people = 200
	for _, c := range contenders() {
		if c.batch > 1 {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			f, e := enterAlone(t, c, plan{slots: slotsPerSite, capacity: people})
			crowd, err := f.crowd(0, people, f.anySlot)
			if err != nil {
				t.Fatal(err)
			}
			if got := ask(t, e, people, crowd.asks()); got[""] != people {
				t.Fatalf("%v", got)
			}
			var overTCP, most int
			switch server := e.server.(type) {
			case *redisServer:
				list, err := server.client.ClientList(t.Context()).Result()
				if err != nil {
					t.Fatal(err)
				}
				overTCP, most = strings.Count(list, " addr=127.0.0.1:"), 10*runtime.GOMAXPROCS(0) // go-redis's preset
			case *postgresServer:
				query := "SELECT count(*) FROM pg_stat_activity WHERE client_addr = '127.0.0.1'"
				if err := server.pool.QueryRow(t.Context(), query).Scan(&overTCP); err != nil {
					t.Fatal(err)
				}
				most = max(4, runtime.NumCPU()) // pgx's preset
			}
			if first := c.connections == asItComes; first != (overTCP > 0) || overTCP > most {
				t.Errorf("%d connections over TCP, as it comes: %v, which is %d at most", overTCP, first, most)
			}
		})
	}
}

// TestAuditFindsALostBooking takes a booking away behind the front's back.
func TestAuditFindsALostBooking(t *testing.T) {
	f, e := enterAlone(t, contenders()[0], plan{slots: slotsPerSite, capacity: 2})
	crowd, err := f.crowd(0, 3, f.anySlot)
	if err != nil {
		t.Fatal(err)
	}
	if got := ask(t, e, 3, crowd.asks()); got[""] != 3 {
		t.Fatalf("%v", got)
	}
	lost := person(1)
	if err := e.server.(*redisServer).client.Del(t.Context(), "p:"+string(lost[:])).Err(); err != nil {
		t.Fatal(err)
	}
	if err := audit(t.Context(), e.server, 3); !errors.Is(err, errBooks) {
		t.Errorf("audit: %v", err)
	}
}

// TestInterruptLeavesNothing presses Ctrl-C while the peers are at work: no
// process and no file stays.
func TestInterruptLeavesNothing(t *testing.T) {
	dir := reachableDir(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(self, wholeBench, "-quick", "-sections", "peers", "-rounds", "1000000", "-dir", dir, "-out", "")
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	var output strings.Builder
	command.Stdout, command.Stderr = &output, &output
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	last := fmt.Sprintf("peer-%d", len(contenders())-1)
	awaited := await(func() bool {
		found, err := filepath.Glob(filepath.Join(dir, "*", last, ".s.PGSQL.*"))
		return err == nil && len(found) > 0 && len(processesIn(t, dir)) > 0
	})
	if !awaited {
		t.Error("the last peer does not start")
	}
	if err := syscall.Kill(-command.Process.Pid, syscall.SIGINT); err != nil { // as a terminal does
		t.Error(err)
	}
	var exit *exec.ExitError
	if err := command.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("%v, want exit code 1\n%s", err, output.String())
	}
	if left := processesIn(t, dir); len(left) > 0 {
		t.Errorf("processes left: %v", left)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v\n%s", left, err, output.String())
	}
}

// await polls until it holds, and false where it takes too long.
func await(holds func() bool) bool {
	tick := time.NewTicker(daemonPoll)
	defer tick.Stop()
	for end := time.Now().Add(awaitMax); time.Now().Before(end); <-tick.C {
		if holds() {
			return true
		}
	}
	return false
}

// processesIn are the processes that work in the directory.
func processesIn(t *testing.T, dir string) (found []string) {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		if cwd, err := os.Readlink(link); err == nil && strings.HasPrefix(cwd, dir) {
			found = append(found, link+" is "+cwd)
		}
	}
	return found
}

func TestDaemonThatEndsIsReported(t *testing.T) {
	dir := t.TempDir()
	d, err := startDaemon("peer", dir, exec.Command("sh", "-c", "echo no licence >&2; exit 3"), syscall.SIGTERM)
	if err != nil {
		t.Fatal(err)
	}
	never := func(context.Context) error { return errors.New("not ready") }
	if err := d.await(t.Context(), never); !errors.Is(err, errDaemonEnded) || !strings.Contains(err.Error(), "no licence") {
		t.Errorf("await: %v", err)
	}
	if err := d.stop(); !errors.Is(err, errDaemonEnded) {
		t.Errorf("stop: %v", err)
	}
}

// TestUsageOfTrees has a shell's child do the work: one that the shell has
// awaited, and one that still runs.
func TestUsageOfTrees(t *testing.T) {
	const work = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done"
	for name, script := range map[string]string{
		"awaited": "(" + work + "); echo done; read end; true",
		"running": "(" + work + "; echo done; read end); true",
	} {
		command := exec.Command("sh", "-c", script)
		input, err1 := command.StdinPipe()
		output, err2 := command.StdoutPipe()
		if err := errors.Join(err1, err2, command.Start()); err != nil {
			t.Fatal(err)
		}
		if _, err := bufio.NewReader(output).ReadString('\n'); err != nil {
			t.Error(err)
		}
		alone, err1 := usageOf(command.Process.Pid)
		all, err2 := usageOfTrees(command.Process.Pid)
		if err := errors.Join(err1, err2); err != nil || all.since(alone).cpu < 5*clockTick {
			t.Errorf("%s: shell %v, with its children %v, %v", name, alone.cpu, all.cpu, err)
		}
		_, err := io.WriteString(input, "\n")
		if err := errors.Join(err, command.Wait()); err != nil {
			t.Error(err)
		}
	}
	if _, err := usageOfTrees(1 << 30); err == nil {
		t.Error("a process that does not exist has used something")
	}
}

// scripted is a store that answers as its function does.
type scripted func(bookings []*booking) error

func (s scripted) book(_ context.Context, bookings []*booking) error { return s(bookings) }
func (s scripted) close() error                                      { return nil }

// TestGroupAnswersEachCaller has many callers book through few senders, of
// which every third batch fails.
func TestGroupAnswersEachCaller(t *testing.T) {
	const callers, senders, batchMax = 200, 3, 8
	errBatch := errors.New("batch failed")
	var mu sync.Mutex
	failed, batches := map[event.SlotID]bool{}, 0
	g := newGroup(scripted(func(bookings []*booking) error {
		mu.Lock()
		defer mu.Unlock()
		if len(bookings) == 0 || len(bookings) > batchMax {
			t.Errorf("batch of %d", len(bookings))
		}
		batches++
		for _, b := range bookings {
			b.outcome = outcome(b.slot % 3)
			failed[b.slot] = batches%3 == 0
		}
		if batches%3 == 0 {
			return errBatch
		}
		return nil
	}), senders, batchMax)
	var running sync.WaitGroup
	for n := range callers {
		running.Go(func() {
			slot := event.SlotID(n)
			got, err := g.book(booking{slot: slot})
			mu.Lock()
			defer mu.Unlock()
			if errors.Is(err, errBatch) != failed[slot] || (err == nil && got != outcome(slot%3)) {
				t.Errorf("slot %d: outcome %d, %v; failed: %v", slot, got, err, failed[slot])
			}
		})
	}
	running.Wait()
	g.close()
	if len(failed) != callers {
		t.Errorf("%d bookings came to the store, want %d", len(failed), callers)
	}
}
