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

// usage is what a process has used so far.
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

func usageOf(pid int) (usage, error) {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return usage{}, fmt.Errorf("read usage: %w", err)
	}
	// The second field is the command in brackets and may hold anything.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	const userField, systemField = 11, 12 // behind the command
	if len(fields) <= systemField {
		return usage{}, fmt.Errorf("read usage: %q", stat)
	}
	user, err1 := strconv.ParseInt(fields[userField], 10, 64)
	system, err2 := strconv.ParseInt(fields[systemField], 10, 64)
	if err1 != nil || err2 != nil {
		return usage{}, fmt.Errorf("read usage: %q", stat)
	}
	u := usage{cpu: time.Duration(user+system) * clockTick}
	threads, err := filepath.Glob(filepath.Join(dir, "task", "*", "status"))
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
