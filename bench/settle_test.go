//go:build linux

package main

import (
	"context"
	"errors"
	"os/exec"
	"testing"
)

// TestSettle waits for a process that works until it is stopped, and not for
// one that does nothing.
func TestSettle(t *testing.T) {
	child := func(script string) int {
		c := exec.CommandContext(t.Context(), "sh", "-c", script)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = c.Process.Kill()
			_ = c.Wait()
		})
		return c.Process.Pid
	}
	resting, working := child("exec sleep 600"), child("while :; do :; done")

	var q quiet
	if err := q.settle(t.Context(), resting); err != nil || len(q.waited) != 1 {
		t.Fatalf("at rest: %v, waited %v", err, q.waited)
	}
	enough := errors.New("enough")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 3*settleWindow, enough)
	defer cancel()
	if err := q.settle(ctx, resting, working); !errors.Is(err, enough) || len(q.waited) != 1 {
		t.Errorf("with one at work: %v, waited %v", err, q.waited)
	}
	if err := q.settle(t.Context(), working+1<<22); err == nil {
		t.Error("a process that is not there is at rest")
	}
}
