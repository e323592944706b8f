//go:build linux

package overload

import (
	"os/exec"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// TestOneProcessor: a process started so has one CPU, and this one has as many
// as before.
func TestOneProcessor(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, after, child unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		t.Fatal(err)
	}
	waiting := exec.CommandContext(t.Context(), "cat") // until its input ends
	input, err := waiting.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := onOneProcessor(waiting.Start); err != nil {
		t.Fatal(err)
	}
	if err := unix.SchedGetaffinity(waiting.Process.Pid, &child); err != nil {
		t.Error(err)
	}
	if err := unix.SchedGetaffinity(0, &after); err != nil {
		t.Error(err)
	}
	if _, err = input.Close(), waiting.Wait(); err != nil {
		t.Error(err)
	}
	if child.Count() != 1 || after != before {
		t.Errorf("the child may use %d CPUs, this process %d of %d", child.Count(), after.Count(), before.Count())
	}
}
