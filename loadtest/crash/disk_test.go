//go:build linux

package crash

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"weir/loadtest/process"
)

const (
	diskActors  = 8
	diskTimeout = 2 * time.Minute
	diskSize    = 1 << 30   // bytes: more than the server wants free
	nearlyFull  = 100 << 20 // bytes free: less than the server wants
	remountsMax = 100       // tries to take all room while the server takes some, too
	pollEvery   = 5 * time.Millisecond
	loadLength  = 300 * time.Millisecond
	// A write fails where it needs more room before the server looks how much
	// there is: at about one try in three, and at fewer on a slow machine.
	fullTries    = 150
	firstFailure = 60 // fsyncs of a thread that succeed, at least: a start has a dozen of its own
)

// faultRun is a run on a directory, and a context with a deadline for it.
func faultRun(t *testing.T, dir string) (*campaignRun, context.Context) {
	t.Helper()
	seed := numberFrom(t, seedVariable, uint64(time.Now().UnixNano()))
	t.Logf("seed %d (replay: %s=%d)", seed, seedVariable, seed)
	c, err := newRun(Options{Binary: binary, Dir: dir, Seed: seed, Actors: diskActors, Log: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), diskTimeout)
	t.Cleanup(cancel)
	return c, ctx
}

// TestFailingFsync lets every fsync fail from a random one on. Nothing may be
// acknowledged after that, the process must end and say why, and a restart
// must have everything that was acknowledged.
func TestFailingFsync(t *testing.T) {
	if _, err := exec.LookPath("strace"); err != nil {
		t.Fatalf("this test makes fsync fail with strace, which is not here (apt-get install strace): %v", err)
	}
	dir := keptDir(t)
	c, ctx := faultRun(t, dir)
	trace := filepath.Join(dir, "trace")
	from := firstFailure + c.random.IntN(3*firstFailure)
	server, client, err := c.start(ctx, "strace", "-f", "--seccomp-bpf", "-q", "-ttt", "-o", trace,
		"-e", "trace=fsync,fdatasync", "-e", fmt.Sprintf("inject=fsync,fdatasync:error=EIO:when=%d+", from))
	if err != nil {
		t.Fatal(err)
	}
	defer server.Kill()
	defer client.close()
	if err := c.each(func(a *actor) error { return a.run(ctx, client) }); err != nil {
		t.Fatal(err)
	}
	checkFailed(ctx, t, server)
	failed := firstFailed(t, trace)
	for _, a := range c.actors {
		if a.lastChange.After(failed) {
			t.Errorf("%s: a change begun %v after the first failed fsync was acknowledged", a.name, a.lastChange.Sub(failed))
		}
	}
	checkAllThere(ctx, t, c)
}

// checkFailed wants the process to end by itself, with exit code 1 and words
// that an operator can act on.
func checkFailed(ctx context.Context, t *testing.T, server *process.Server) {
	t.Helper()
	code, err := server.Wait(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if code != 1 || !strings.Contains(server.Log(), "the log could not be written") {
		t.Errorf("exit code %d\n%s", code, server.Log())
	}
}

// firstFailed reads when the first fsync failed.
func firstFailed(t *testing.T, trace string) time.Time {
	t.Helper()
	file, err := os.Open(trace)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		fields := strings.Fields(lines.Text()) // thread, seconds, call
		if len(fields) < 3 || !strings.Contains(lines.Text(), "EIO") {
			continue
		}
		seconds, fraction, _ := strings.Cut(fields[1], ".")
		whole, err1 := strconv.ParseInt(seconds, 10, 64)
		micros, err2 := strconv.ParseInt(fraction, 10, 64)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		return time.Unix(whole, micros*int64(time.Microsecond))
	}
	t.Fatalf("no fsync failed: see %s", trace)
	return time.Time{}
}

// checkAllThere judges the disk, starts the server again, asks everybody and
// judges once more.
func checkAllThere(ctx context.Context, t *testing.T, c *campaignRun) {
	t.Helper()
	if err := errors.Join(c.judge(ctx, "after the fault"), c.last(ctx)); err != nil {
		t.Error(err)
	}
	if c.summary.Answered < 50 || c.summary.Bookings == 0 {
		t.Errorf("too little was tried to find anything: %+v", c.summary)
	}
}

// smallDisk mounts a file system with room enough and returns its directory.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "weir-crash-disk-")
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("weir-crash", dir, "tmpfs", 0, diskOption(diskSize)); err != nil {
		t.Fatalf("this test fills a disk of its own and must mount one: run it as root (CAP_SYS_ADMIN): %v", err)
	}
	t.Cleanup(func() {
		if err := errors.Join(unix.Unmount(dir, unix.MNT_DETACH), os.Remove(dir)); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func diskOption(size int64) string { return fmt.Sprintf("size=%d", size) }

// leave makes the disk so small that left bytes are free: at once, as if
// somebody had taken the rest.
func leave(t *testing.T, dir string, left int64) {
	t.Helper()
	var err error
	for range remountsMax {
		var disk unix.Statfs_t
		if err = unix.Statfs(dir, &disk); err != nil {
			t.Fatal(err)
		}
		used := int64(disk.Blocks-disk.Bfree) * disk.Bsize
		if err = resize(dir, used+left); !errors.Is(err, unix.EINVAL) {
			break
		} // else the server has taken more meanwhile
	}
	if err != nil {
		t.Fatalf("fill the disk: %v", err)
	}
}

// free gives the disk its size back.
func free(t *testing.T, dir string) {
	t.Helper()
	if err := resize(dir, diskSize); err != nil {
		t.Fatalf("free the disk: %v", err)
	}
}

func resize(dir string, size int64) error {
	return unix.Mount("weir-crash", dir, "tmpfs", unix.MS_REMOUNT, diskOption(size))
}

// probe is one more person, who asks for holds in turn until the answer is of
// the kind that is waited for.
func probe(c *campaignRun) *actor {
	a := &actor{
		name: "probe", slots: c.stage.slots, random: rand.New(rand.NewPCG(c.Seed, 0)),
		people: []*Person{{Subject: "probe"}},
	}
	c.actors = append(c.actors, a)
	return a
}

// await asks until the server says what is expected, and returns false where
// it ends instead.
func (a *actor) await(ctx context.Context, t *testing.T, c *client, server *process.Server, expected func(*answer) bool) bool {
	t.Helper()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for p := a.people[0]; ; {
		r := &Request{Kind: Join}
		if p.Pass != "" {
			r = &Request{Kind: Take, Slot: a.slots[a.random.IntN(len(a.slots))]}
		}
		got, err := c.send(ctx, p, r)
		if err == nil {
			err = p.settle(r, &got)
		} else {
			p.unanswered(r)
		}
		if err == nil && expected(&got) {
			return true
		}
		if err != nil && ended(err) != nil {
			t.Fatal(err)
		}
		select {
		case <-tick.C:
		case <-server.Done():
			return false
		case <-ctx.Done():
			t.Fatalf("still not answered as expected, but %d %q: %v", got.status, got.body, context.Cause(ctx))
		}
	}
}

func made(a *answer) bool { return a.status == http.StatusCreated && a.problem() == "" }

func readOnly(a *answer) bool {
	return a.status == http.StatusServiceUnavailable && a.problem() == "read_only"
}

// load has all actors but the last, the probe, ask for a while.
func (c *campaignRun) load(ctx context.Context, client *client, length time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	return c.eachOf(c.actors[:len(c.actors)-1], func(a *actor) error { return a.run(ctx, client) })
}

// TestNearlyFullDisk leaves less room on the disk than the server wants free. It
// must refuse changes before there is no room, take them again when there is,
// and lose nothing.
func TestNearlyFullDisk(t *testing.T) {
	dir := smallDisk(t)
	c, ctx := faultRun(t, dir)
	probe := probe(c)
	server, client, err := c.start(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Kill()
	defer client.close()
	for range 2 {
		if err := c.load(ctx, client, loadLength); err != nil {
			t.Fatal(err)
		}
		leave(t, dir, nearlyFull)
		if !probe.await(ctx, t, client, server, readOnly) {
			t.Fatalf("the server ended\n%s", server.Log())
		}
		changed := c.acknowledged()
		if err := c.load(ctx, client, loadLength); err != nil {
			t.Fatal(err)
		}
		if now := c.acknowledged(); now != changed {
			t.Errorf("%d changes were acknowledged while read-only", now-changed)
		}
		free(t, dir)
		if !probe.await(ctx, t, client, server, made) {
			t.Fatalf("the server ended\n%s", server.Log())
		}
	}
	server.Kill()
	checkAllThere(ctx, t, c)
}

func (c *campaignRun) acknowledged() (changes int) {
	for _, p := range c.people() {
		changes += p.acknowledged
	}
	return changes
}

// TestFullDisk takes all room at once, quicker than the server can notice, so
// that a write fails under it. It must end and say why, and with room again a
// restart must have everything that was acknowledged.
func TestFullDisk(t *testing.T) {
	dir := smallDisk(t)
	c, ctx := faultRun(t, dir)
	probe := probe(c)
	server, client, err := c.start(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Kill()
	defer client.close()
	if err := c.load(ctx, client, loadLength); err != nil {
		t.Fatal(err)
	}
	loaded := make(chan error, 1)
	go func() {
		loaded <- c.eachOf(c.actors[:len(c.actors)-1], func(a *actor) error { return a.run(ctx, client) })
	}()
	failed, tries := false, 0
	for ; tries < fullTries && !failed; tries++ {
		leave(t, dir, 0)
		failed = !probe.await(ctx, t, client, server, readOnly) // it noticed in time: once more
		free(t, dir)
		failed = failed || !probe.await(ctx, t, client, server, made)
	}
	if !failed {
		t.Fatalf("no write failed in %d tries", fullTries)
	}
	t.Logf("a write failed at try %d", tries)
	checkFailed(ctx, t, server)
	if err := <-loaded; err != nil {
		t.Fatal(err)
	}
	checkAllThere(ctx, t, c)
}
