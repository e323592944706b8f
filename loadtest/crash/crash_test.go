//go:build linux

package crash

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"weir/loadtest/process"
)

// binary is weir, built once for all tests.
var binary string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "weir-crash-binary-")
	if err == nil {
		defer func() { _ = os.RemoveAll(dir) }()
		binary, err = process.Build(context.Background(), dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

const (
	roundsVariable = "WEIR_CRASH_ROUNDS"
	seedVariable   = "WEIR_CRASH_SEED"
	roundsUsual    = 50
	crashActors    = 16
	roundTimeMax   = 10 * time.Second
)

// TestCrash kills the server WEIR_CRASH_ROUNDS times (50 where it is not set).
func TestCrash(t *testing.T) {
	rounds := int(numberFrom(t, roundsVariable, roundsUsual))
	seed := numberFrom(t, seedVariable, uint64(time.Now().UnixNano()))
	dir := keptDir(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rounds+5)*roundTimeMax)
	defer cancel()
	summary, err := Run(ctx, Options{Binary: binary, Dir: dir, Seed: seed, Rounds: rounds, Actors: crashActors, Log: t.Logf})
	t.Logf("seed %d: %+v", seed, summary)
	if err != nil {
		t.Fatalf("%v\nthe directory is kept: %s\nreplay: %s=%d %s=%d go test ./loadtest/crash -run '^TestCrash$' -count=1 -v",
			err, dir, seedVariable, seed, roundsVariable, rounds)
	}
	if summary.Rounds != rounds || summary.Bookings == 0 || summary.Answered < 100*rounds {
		t.Errorf("too little was tried to find anything: %+v", summary)
	}
}

// TestCrashNoticesLoss puts an older copy of the data back behind the server's
// back, as a disk that lost writes would, and wants the judge to notice.
func TestCrashNoticesLoss(t *testing.T) {
	seed := numberFrom(t, seedVariable, uint64(time.Now().UnixNano()))
	c, err := newRun(Options{Binary: binary, Dir: t.TempDir(), Seed: seed, Actors: crashActors, Log: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.round(t.Context()); err != nil {
		t.Fatal(err)
	}
	older := c.stage.path("older")
	if err := os.CopyFS(older, os.DirFS(c.stage.data())); err != nil {
		t.Fatal(err)
	}
	if err := c.round(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.RemoveAll(c.stage.data()), os.Rename(older, c.stage.data())); err != nil {
		t.Fatal(err)
	}
	if err := c.judge(t.Context(), "with older data"); !errors.Is(err, ErrLost) {
		t.Errorf("on disk: %v, want %v", err, ErrLost)
	}
	server, _, err := c.start(t.Context())
	if err == nil {
		server.Kill()
	}
	if !errors.Is(err, ErrLost) {
		t.Errorf("over HTTP: %v, want %v", err, ErrLost)
	}
}

// keptDir is a directory that is kept where the test fails.
func keptDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "weir-crash-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			return
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func numberFrom(t *testing.T, variable string, usual uint64) uint64 {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return usual
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n == 0 {
		t.Fatalf("%s: %q is no number from 1", variable, text)
	}
	return n
}
