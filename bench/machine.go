//go:build linux

package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Machine is where and what was measured.
type Machine struct {
	CPU         string            `json:"cpu"`
	Cores       int               `json:"cores"`
	MemoryBytes uint64            `json:"memory_bytes"`
	Kernel      string            `json:"kernel"`
	Go          string            `json:"go"`
	Libraries   map[string]string `json:"libraries"` // versions by module
}

func thisMachine() Machine {
	m := Machine{Cores: runtime.NumCPU(), Go: runtime.Version(), Libraries: map[string]string{}}
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		m.CPU = procField(info, "model name")
	}
	if info, err := os.ReadFile("/proc/meminfo"); err == nil {
		kib, _ := strconv.ParseUint(strings.TrimSuffix(procField(info, "MemTotal"), " kB"), 10, 64)
		m.MemoryBytes = kib << 10
	}
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		m.Kernel = unix.ByteSliceToString(name.Release[:])
	}
	if build, ok := debug.ReadBuildInfo(); ok {
		for _, d := range build.Deps {
			m.Libraries[d.Path] = d.Version
		}
	}
	return m
}

func (m *Machine) print(out io.Writer) error {
	_, err := fmt.Fprintf(out, "%s, %d cores, %.1f GiB, Linux %s, %s\n",
		m.CPU, m.Cores, float64(m.MemoryBytes)/(1<<30), m.Kernel, m.Go)
	if err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

// procField returns the value of "name: value" in a file of /proc.
func procField(text []byte, name string) string {
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		if key, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// usage is what processes have used so far.
type usage struct {
	cpu      time.Duration // user and system; in steps of 10 ms
	switches int64         // of context, of all threads that still run
}

func (u usage) since(before usage) usage {
	return usage{u.cpu - before.cpu, u.switches - before.switches}
}

// clockTick is the unit of times in /proc: USER_HZ, 100 on every architecture
// that Go runs on.
const clockTick = time.Second / 100

// usageOf is what the process has used, without its children.
func usageOf(pid int) (usage, error) {
	stat, err := readStat(pid)
	if err != nil {
		return usage{}, fmt.Errorf("read usage: %w", err)
	}
	u := usage{cpu: stat.own}
	threads, err := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "task", "*", "status"))
	if err != nil {
		return usage{}, fmt.Errorf("read usage: %w", err)
	}
	for _, thread := range threads {
		text, err := os.ReadFile(thread)
		if err != nil {
			continue // the thread has ended
		}
		for _, name := range []string{"voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"} {
			n, _ := strconv.ParseInt(procField(text, name), 10, 64)
			u.switches += n
		}
	}
	return u, nil
}

// usageOfTrees is what processes with all their descendants have used: also
// those that ended, where their parent has awaited them.
func usageOfTrees(roots ...int) (usage, error) {
	pids, err := descendants(roots)
	if err != nil {
		return usage{}, err
	}
	var sum usage
	for i, pid := range pids {
		u, err := usageOf(pid)
		stat, wrong := readStat(pid)
		if err := errors.Join(err, wrong); err != nil {
			if i >= len(roots) && errors.Is(err, os.ErrNotExist) {
				continue // a child that has ended meanwhile
			}
			return usage{}, err
		}
		sum.cpu += u.cpu + stat.awaited
		sum.switches += u.switches
	}
	return sum, nil
}

// descendants returns the roots and then all processes below them.
func descendants(roots []int) ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	children := map[int][]int{}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue // no process
		}
		if stat, err := readStat(pid); err == nil { // else it has ended
			children[stat.parent] = append(children[stat.parent], pid)
		}
	}
	all := slices.Clone(roots)
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i]]...)
	}
	return all, nil
}

// processStat is what /proc/PID/stat says of a process.
type processStat struct {
	parent  int
	own     time.Duration // CPU time, user and system
	awaited time.Duration // that of children that have ended
}

func readStat(pid int) (processStat, error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return processStat{}, err
	}
	// The second field is the command in brackets and may hold anything.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	const parentField, timesField, times = 1, 11, 4 // behind the command
	if len(fields) < timesField+times {
		return processStat{}, fmt.Errorf("%q", text)
	}
	parent, err := strconv.Atoi(fields[parentField])
	var ticks [times]int64 // user, system, and both of children
	for i := range ticks {
		var wrong error
		ticks[i], wrong = strconv.ParseInt(fields[timesField+i], 10, 64)
		err = errors.Join(err, wrong)
	}
	if err != nil {
		return processStat{}, fmt.Errorf("%q: %w", text, err)
	}
	return processStat{
		parent:  parent,
		own:     time.Duration(ticks[0]+ticks[1]) * clockTick,
		awaited: time.Duration(ticks[2]+ticks[3]) * clockTick,
	}, nil
}

// resident is this process's memory after a collection, and the most that it
// ever had, in bytes.
func resident() (now, peak float64, err error) {
	debug.FreeOSMemory()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, 0, fmt.Errorf("read memory: %w", err)
	}
	bytesOf := func(name string) float64 {
		kib, wrong := strconv.ParseInt(strings.TrimSuffix(procField(text, name), " kB"), 10, 64)
		err = errors.Join(err, wrong)
		return float64(kib << 10)
	}
	now, peak = bytesOf("VmRSS"), bytesOf("VmHWM")
	if err != nil {
		return 0, 0, fmt.Errorf("read memory: %w", err)
	}
	return now, peak, nil
}
