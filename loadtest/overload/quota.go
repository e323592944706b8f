//go:build linux

package overload

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ErrQuota says that this machine gives no CPU quota, without which no loader
// on it could offer many times what the server can do.
var ErrQuota = errors.New("no CPU quota can be set here")

const (
	groupRoot = "/sys/fs/cgroup"
	quotaMin  = time.Millisecond // the kernel's least
	periodMax = time.Second      // and its longest period
)

// quota is a control group whose processes together get a share of one CPU.
type quota struct {
	dir string
}

// newQuota makes a control group, of version 2 where the CPU controller is
// there and of version 1 else. The period is as short as the kernel allows,
// so that a server is stopped often and shortly.
func newQuota(name string, share float64) (*quota, error) {
	period := max(time.Duration(float64(quotaMin)/share), 10*time.Millisecond)
	if period > periodMax {
		return nil, fmt.Errorf("%w: %.4f of a CPU is too small a share, from %.4f", ErrQuota, share, float64(quotaMin)/float64(periodMax))
	}
	micros := int64(share * float64(period.Microseconds()))
	if hasController(groupRoot, "cpu") {
		return makeGroup(filepath.Join(groupRoot, name), [][2]string{
			{"cpu.max", fmt.Sprintf("%d %d", micros, period.Microseconds())},
		})
	}
	return makeGroup(filepath.Join(groupRoot, "cpu", name), [][2]string{
		{"cpu.cfs_period_us", strconv.FormatInt(period.Microseconds(), 10)},
		{"cpu.cfs_quota_us", strconv.FormatInt(micros, 10)},
	})
}

// hasController tells whether groups below dir of a version 2 hierarchy can
// have the controller.
func hasController(dir, controller string) bool {
	enabled, err := os.ReadFile(filepath.Join(dir, "cgroup.subtree_control"))
	return err == nil && strings.Contains(" "+strings.TrimSpace(string(enabled))+" ", " "+controller+" ")
}

func makeGroup(dir string, settings [][2]string) (*quota, error) {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, fmt.Errorf("%w: %w; it takes root and a writable %s", ErrQuota, err, filepath.Dir(dir))
	}
	q := &quota{dir: dir}
	for _, s := range settings {
		if err := os.WriteFile(filepath.Join(dir, s[0]), []byte(s[1]), 0o644); err != nil {
			return nil, errors.Join(fmt.Errorf("%w: %w", ErrQuota, err), q.remove())
		}
	}
	return q, nil
}

// add puts a process into the group.
func (q *quota) add(pid int) error {
	if err := os.WriteFile(filepath.Join(q.dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0o644); err != nil {
		return fmt.Errorf("%w: %w", ErrQuota, err)
	}
	return nil
}

// remove removes the group. Its processes must have ended.
func (q *quota) remove() error {
	if err := os.Remove(q.dir); err != nil {
		return fmt.Errorf("remove control group: %w", err)
	}
	return nil
}

// processCPU is the user and system time that all threads of a process have
// used, also of those that ended.
func processCPU(pid int) (time.Duration, error) {
	const schedulerClock = 2 // CPUCLOCK_SCHED of the kernel
	var used unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|schedulerClock), &used); err != nil {
		return 0, fmt.Errorf("read CPU time of process %d: %w", pid, err)
	}
	return time.Duration(used.Nano()), nil
}
