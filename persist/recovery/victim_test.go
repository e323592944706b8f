package recovery_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A victim is this test's program again, as a process of its own. The kernel
// stops it, for its tracer, at each call by which any of its threads changes a
// file; the tracer kills it at the nth of them, before the call does anything.

// taskVariable tells a process that it is a victim, and what to do.
const taskVariable = "WEIR_TEST_VICTIM"

const victimPatience = time.Minute

// changes are the calls that are counted. Syncs are not: to a kill, a file that
// is not synced is as good as one that is. Nor are those that make an empty
// file: what follows is a write to it.
var changes = [...]uint32{
	unix.SYS_WRITE, unix.SYS_PWRITE64, unix.SYS_FTRUNCATE, unix.SYS_TRUNCATE, unix.SYS_FALLOCATE,
	unix.SYS_MKDIRAT, unix.SYS_LINKAT, unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2, unix.SYS_UNLINKAT,
}

// expose asks the kernel to stop all threads of this process at each of changes.
func expose() error {
	const numberOffset = 0 // of seccomp_data
	filter := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: numberOffset}}
	for i, number := range changes {
		filter = append(filter, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: uint8(len(changes) - i), K: number})
	}
	filter = append(filter,
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_TRACE})
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no new privileges: %w", err)
	}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return fmt.Errorf("filter calls: %w", errno)
	}
	return nil
}

// forks is held by whoever forks, and to be read by whoever opens a data
// directory in this process: a child has all open files until it begins its
// program, and the locks on them.
var forks sync.RWMutex

// victim is a process that was sent to its death.
type victim struct {
	Out    []byte
	Killed bool // at the nth call; else it came to its end before
}

// sacrifice runs a task in a process of its own and kills that at the nth change
// of a file.
func sacrifice(t *testing.T, task string, nth int) victim {
	t.Helper()
	dir := t.TempDir()
	out, errOut := create(t, filepath.Join(dir, "out")), create(t, filepath.Join(dir, "err"))
	v := victim{}
	status, err := v.trace(task, nth, out, errOut)
	if err := errors.Join(err, out.Close(), errOut.Close()); err != nil {
		t.Fatal(err)
	}
	problems, wrong := os.ReadFile(errOut.Name())
	v.Out, err = os.ReadFile(out.Name())
	if err := errors.Join(err, wrong, os.RemoveAll(dir)); err != nil {
		t.Fatal(err)
	}
	if !v.Killed && (!status.Exited() || status.ExitStatus() != 0) {
		t.Fatalf("%s: ended with %#x\n%s", task, status, problems)
	}
	return v
}

func create(t *testing.T, name string) *os.File {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// trace runs the victim from the thread that traces it, since only that one may.
func (v *victim) trace(task string, nth int, out, errOut *os.File) (status syscall.WaitStatus, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	forks.Lock()
	process, err := os.StartProcess(self, []string{self}, &os.ProcAttr{
		Files: []*os.File{nil, out, errOut}, Env: append(os.Environ(), taskVariable+"="+task),
		Sys: &syscall.SysProcAttr{Ptrace: true, Pdeathsig: syscall.SIGKILL},
	})
	forks.Unlock()
	if err != nil {
		return 0, err
	}
	pid := process.Pid
	late := time.AfterFunc(victimPatience, func() { _ = unix.Kill(pid, unix.SIGKILL) })
	defer late.Stop()
	seen, calls := map[int]bool{}, 0
	for {
		// Those of this thread alone: others trace victims of their own.
		thread, err := syscall.Wait4(-1, &status, unix.WALL|unix.WNOTHREAD, nil)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return status, fmt.Errorf("wait for the victim: %w", err)
		case thread == pid && !status.Stopped():
			return status, process.Release()
		case !status.Stopped():
			continue
		}
		signal := status.StopSignal()
		switch {
		case !seen[thread]: // it begins stopped
			if thread == pid {
				if err := syscall.PtraceSetOptions(pid, unix.PTRACE_O_TRACECLONE|unix.PTRACE_O_TRACESECCOMP|unix.PTRACE_O_EXITKILL); err != nil {
					return status, fmt.Errorf("trace the victim: %w", err)
				}
			}
			seen[thread], signal = true, 0
		case status.TrapCause() == unix.PTRACE_EVENT_SECCOMP:
			if calls++; calls == nth {
				v.Killed = true
				if err := unix.Kill(pid, unix.SIGKILL); err != nil {
					return status, fmt.Errorf("kill the victim: %w", err)
				}
				continue
			}
			signal = 0
		case signal == unix.SIGTRAP:
			signal = 0
		}
		// One that is being killed is gone already.
		if err := syscall.PtraceCont(thread, int(signal)); err != nil && !errors.Is(err, unix.ESRCH) {
			return status, fmt.Errorf("go on with the victim: %w", err)
		}
	}
}
