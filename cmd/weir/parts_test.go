package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"weir/core/event"
	"weir/server/identity"
)

func TestHeapPercentKeepsTheSlack(t *testing.T) {
	for _, test := range []struct {
		live  uint64
		slack uint64 // at least; a hundredth of live more is fine
	}{
		{0, 64 << 20},
		{8 << 20, 64 << 20},
		{64 << 20, 64 << 20},
		{640 << 20, 64 << 20},
		{2 << 30, 2 << 30 / 10},
		{1 << 40, 1 << 40 / 10},
	} {
		live := max(test.live, liveMin)
		slack := live * uint64(heapPercent(test.live)) / 100
		if off := int64(slack) - int64(test.slack); off < 0 || off > int64(live/100)+1 {
			t.Errorf("live %d: slack %d, want %d", test.live, slack, test.slack)
		}
	}
}

// sweeps counts what it is asked to sweep.
type sweeps struct{ calls, most int }

func (s *sweeps) Sweep(_ event.Time, limit int) int {
	s.calls++
	s.most = max(s.most, limit)
	return 0
}

func TestSweepIsBoundedAndEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, done, ended := &sweeps{}, make(chan struct{}), make(chan struct{})
		go func() {
			defer close(ended)
			sweep(s, time.Now, done)
		}()
		<-time.After(time.Second + sweepPeriod/2) // of the bubble's clock
		close(done)
		<-ended
		if s.calls != 20 || s.most != sweepMax {
			t.Errorf("%d calls in a second, %d holds each", s.calls, s.most)
		}
	})
}

func TestWriteAtomicallyAllOrNothing(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "out.csv")
	if err := os.WriteFile(name, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	err := writeAtomically(name, func(w io.Writer) error {
		_, _ = io.WriteString(w, "half")
		return broken
	})
	if !errors.Is(err, broken) {
		t.Errorf("err %v", err)
	}
	wantFiles(t, dir, map[string]string{"out.csv": "old"})
	if err := writeAtomically(name, func(w io.Writer) error {
		_, err := io.WriteString(w, "new")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	wantFiles(t, dir, map[string]string{"out.csv": "new"})
}

func wantFiles(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != len(want) {
		t.Fatalf("%d files, err %v", len(entries), err)
	}
	for name, text := range want {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != text {
			t.Errorf("%s has %q, err %v", name, got, err)
		}
	}
}

func TestToken(t *testing.T) {
	dir := t.TempDir()
	secret := newSecretFile(t, dir)
	a := weir(t, "token", "--hs256-file", secret, "--issuer", "i", "--audience", "a", "--sub", "s", "--born", "1968-03-01", "--ttl", "10m").want(t, exitDone)
	v, err := identity.Open(identity.Config{Issuers: []identity.Issuer{{Name: "i", Audience: "a", HS256File: secret}}})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	token := []byte(strings.TrimSpace(a.stdout))
	claims, err := v.Verify(token, time.Now())
	if err != nil || claims.Subject != "s" || claims.Born.String() != "1968-03-01" {
		t.Errorf("%+v, err %v", claims, err)
	}
	if _, err := v.Verify(token, time.Now().Add(11*time.Minute)); !errors.Is(err, identity.ErrExpired) {
		t.Errorf("after its time: %v", err)
	}
	weir(t, "token", "--hs256-file", filepath.Join(dir, "none"), "--issuer", "i", "--audience", "a", "--sub", "s", "--born", "1968-03-01").
		want(t, exitWrong, "secret")
}

func newSecretFile(t *testing.T, dir string) string {
	t.Helper()
	name := filepath.Join(dir, "identity.secret")
	if err := makeSecret(name); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestSecretsAreMadeOnce: a second start has the same secret.
func TestSecretsAreMadeOnce(t *testing.T) {
	name := newSecretFile(t, t.TempDir())
	first, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := makeSecret(name); err != nil {
		t.Fatal(err)
	}
	second, err := os.ReadFile(name)
	info, statErr := os.Stat(name)
	if err != nil || statErr != nil || string(first) != string(second) || info.Mode().Perm() != 0o600 {
		t.Errorf("%q then %q, %v, %v, mode %v", first, second, err, statErr, info.Mode())
	}
}

// signalChild, set in the environment, makes this test binary a process that
// waits for signals.
const signalChild = "TEST_SIGNAL_CHILD"

// waitForSignals tells of the first signal and then never ends by itself, as a
// server whose disk hangs.
func waitForSignals() int {
	ctx, stop := interruptible(context.Background())
	defer stop()
	fmt.Println("waiting")
	<-ctx.Done()
	fmt.Println("asked to end")
	<-time.After(testDeadline)
	return exitDone
}

// TestLaterSignalEndsAtOnce: the first asks for an end in good order, its echo
// changes nothing, a later one does not wait for the end.
func TestLaterSignalEndsAtOnce(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := contextWithDeadline(t)
	defer cancel()
	child := exec.CommandContext(ctx, self)
	child.Env = append(os.Environ(), signalChild+"=1")
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	began := time.Now()
	for _, want := range []string{"waiting", "asked to end"} {
		if !lines.Scan() || lines.Text() != want {
			t.Fatalf("%q, want %q", lines.Text(), want)
		}
		if err := child.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
	}
	ended := make(chan error, 1)
	go func() { ended <- child.Wait() }()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		select {
		case <-again.C:
			_ = child.Process.Signal(syscall.SIGTERM) // it may have ended
			continue
		case err = <-ended:
		}
		break
	}
	var exit *exec.ExitError
	if took := time.Since(began); !errors.As(err, &exit) || exit.ExitCode() != exitWrong || took < echoWithin {
		t.Errorf("after %v: %v", took, err)
	}
}
