//go:build linux

package flood

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"weir/loadtest/process"
)

// readyTimeout bounds a server's start.
const readyTimeout = 20 * time.Second

// start starts a server that may open so many files.
func (r *run) start(ctx context.Context) (*process.Server, error) {
	limited := []string{"sh", "-c", fmt.Sprintf(`ulimit -n %d && exec "$0" "$@"`, r.Files)}
	args := append(r.stage.ServeArgs("data"), "--max-connections", strconv.Itoa(r.Files),
		"--read-timeout", r.Read.String(), "--write-timeout", r.Write.String(), "--idle-timeout", r.Idle.String())
	s, err := process.Start(r.Binary, limited, args...)
	if err != nil {
		return nil, err
	}
	ready, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	if err := s.Ready(ready); err != nil {
		s.Kill()
		return nil, err
	}
	return s, nil
}

// complaints are the lines of a log that are no mere information.
func complaints(log string) (lines []string) {
	for line := range strings.Lines(log) {
		if !strings.Contains(line, "level=INFO") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// Sample is the server at one moment.
type Sample struct {
	Files       int     // open descriptors
	Resident    int     // bytes of memory
	Kernel      int     // bytes that TCP's buffers take, of the whole machine
	Connections float64 // of the public listener
	Displaced   float64 // so far
	Refused     float64
	Failed      float64 // calls of accept
	Booked      float64
	Overflows   int     // connections that the kernel had no room for in a listener's queue, of the whole machine
	AcceptEvery float64 // seconds between two connections that are accepted, where admission slows that down
}

// sample looks at the server from outside, and asks its admin listener.
func (r *run) sample(ctx context.Context) (s Sample, err error) {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", r.server.PID()))
	if err != nil {
		return s, fmt.Errorf("count the server's descriptors: %w", err)
	}
	s.Files = len(entries)
	if s.Resident, err = figure(fmt.Sprintf("/proc/%d/status", r.server.PID()), "VmRSS:"); err != nil {
		return s, err
	}
	s.Resident <<= 10 // told in kB
	if s.Kernel, err = figure("/proc/net/sockstat", "mem"); err != nil {
		return s, err
	}
	s.Kernel *= os.Getpagesize()
	if s.Overflows, err = overflows(); err != nil {
		return s, err
	}
	return s, r.metrics(ctx, map[string]*float64{
		`weir_connections{listener="public"}`:                 &s.Connections,
		`weir_connections_displaced_total{listener="public"}`: &s.Displaced,
		`weir_connections_refused_total{listener="public"}`:   &s.Refused,
		`weir_accept_errors_total{listener="public"}`:         &s.Failed,
		`weir_admission_accept_interval_seconds`:              &s.AcceptEvery,
		`weir_campaign_booked{campaign="` + campaignID + `"}`: &s.Booked,
	})
}

// figure finds the number behind the first such word of a file.
func figure(name, word string) (n int, err error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return 0, err
	}
	_, rest, found := strings.Cut(string(text), word)
	if !found {
		return 0, fmt.Errorf("%s has no %s", name, word)
	}
	if _, err := fmt.Sscan(rest, &n); err != nil {
		return 0, fmt.Errorf("%s: %s: %w", name, word, err)
	}
	return n, nil
}

// overflows reads ListenOverflows of the kernel's extended TCP figures: a line
// of names, and a line of numbers.
func overflows() (n int, err error) {
	text, err := os.ReadFile("/proc/net/netstat")
	if err != nil {
		return 0, err
	}
	lines := strings.SplitN(string(text), "\n", 3)
	if len(lines) < 3 {
		return 0, errors.New("/proc/net/netstat is empty")
	}
	names, numbers := strings.Fields(lines[0]), strings.Fields(lines[1])
	at := slices.Index(names, "ListenOverflows")
	if at < 0 || at >= len(numbers) {
		return 0, errors.New("/proc/net/netstat has no ListenOverflows")
	}
	return strconv.Atoi(numbers[at])
}

// metrics fills in figures of the server's /metrics. It connects anew each
// time: that the admin listener answers is part of what is asked for.
func (r *run) metrics(ctx context.Context, figures map[string]*float64) error {
	client := http.Client{Timeout: r.AnswerMax, Transport: &http.Transport{DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.server.Admin+"/metrics", nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("ask for the metrics: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	found := 0
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		at := strings.LastIndexByte(lines.Text(), ' ')
		if at < 0 || figures[lines.Text()[:at]] == nil {
			continue
		}
		if *figures[lines.Text()[:at]], err = strconv.ParseFloat(lines.Text()[at+1:], 64); err != nil {
			return fmt.Errorf("metrics: %w", err)
		}
		found++
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read the metrics: %w", err)
	}
	if found != len(figures) {
		return errors.New("the metrics lack some of what is looked for")
	}
	return nil
}

// allow sets how many files the server may open from now on.
func (r *run) allow(files int) error {
	limit := unix.Rlimit{Cur: uint64(files), Max: uint64(r.Files)}
	if err := unix.Prlimit(r.server.PID(), unix.RLIMIT_NOFILE, &limit, nil); err != nil {
		return fmt.Errorf("set the server's limit of open files: %w", err)
	}
	return nil
}
