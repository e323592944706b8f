//go:build linux

package overload

import (
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// onOneProcessor calls start, and a process that it starts has one CPU: the last
// of those that this process may use.
func onOneProcessor(start func() error) (err error) {
	runtime.LockOSThread() // the process inherits from the thread that starts it
	defer runtime.UnlockOSThread()
	var all, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return fmt.Errorf("ask which CPUs may be used: %w", err)
	}
	last := 0
	for n := range len(all) * 64 {
		if all.IsSet(n) {
			last = n
		}
	}
	one.Set(last)
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return fmt.Errorf("use one CPU: %w", err)
	}
	defer func() { err = errors.Join(err, unix.SchedSetaffinity(0, &all)) }()
	return start()
}
