//go:build linux

package flood

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"weir/loadtest/process"
)

// binary is weir, built once for all tests.
var binary string

func TestMain(m *testing.M) {
	if order := os.Getenv(OrderVariable); order != "" {
		if err := AttackOn(order, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "weir-flood-binary-")
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

// wholeVariable has the large floods run, which take some minutes.
const wholeVariable = "WEIR_FLOOD_WHOLE"

// small is a server of 2,000 descriptors with short deadlines.
func small(t *testing.T) Options {
	return Options{
		Binary: binary, Dir: t.TempDir(), Attacker: []string{os.Args[0]}, Log: t.Logf,
		Files: 2000, Processes: 2, PerSecond: 1000, Kept: 20, Fresh: 20,
		Read: 2 * time.Second, Write: 2 * time.Second, Idle: 3 * time.Second, Length: 3 * time.Second,
		AnswerMax: 5 * time.Second, EbbMax: 5 * time.Second,
	}
}

// large is one of 20,000 with the deadlines that it has by itself.
func large(t *testing.T) Options {
	o := small(t)
	o.Files, o.Processes, o.PerSecond, o.Kept, o.Fresh = 20_000, 3, 1500, 200, 50
	o.Read, o.Write, o.Idle, o.Length = 5*time.Second, 10*time.Second, 30*time.Second, 40*time.Second
	return o
}

func options(t *testing.T) Options {
	if os.Getenv(wholeVariable) != "" {
		return large(t)
	}
	return small(t)
}

// mostlyIdle are all ways at once: idle callers, whom the latest deadline ends,
// hold two thirds, so that few need to come anew for the server to be full.
func mostlyIdle() []Kind {
	return append([]Kind{Silent, Slow, Half, Odd, Deaf}, slices.Repeat([]Kind{Idle}, 10)...)
}

// TestFlood floods a server in all ways at once.
func TestFlood(t *testing.T) {
	o := options(t)
	o.Ways = mostlyIdle()
	flood(t, o)
}

// TestIdleFlood floods a server with callers whom no deadline ends for half a
// minute.
func TestIdleFlood(t *testing.T) {
	o := options(t)
	o.Ways, o.Idle = []Kind{Idle}, 30*time.Second
	flood(t, o)
}

func flood(t *testing.T, o Options) {
	defer goleak.VerifyNone(t)
	r, err := Run(t.Context(), o)
	t.Logf("%s", r)
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range r.Faults() {
		t.Error(fault)
	}
}

// TestFaultsAreFound spoils a good report in each way.
func TestFaultsAreFound(t *testing.T) {
	good := func() *Report {
		r := &Report{Options: Options{Files: 1000, Ways: []Kind{Silent, Idle, Slow, Half, Odd, Deaf}, Read: time.Second, Write: time.Second, Idle: time.Second, AnswerMax: time.Second, EbbMax: time.Second}, Booked: 7}
		for p := range Parts {
			r.Peaks[p] = Sample{Files: 1000, Connections: 800, Failed: float64(p)}
			r.Kept[p], r.Fresh[p] = Timing{Count: 1}, Timing{Count: 1}
		}
		for k := range Kinds {
			r.Attack[k].Opened = 1
		}
		r.Last = Sample{Displaced: 1, Booked: 7}
		return r
	}
	if faults := good().Faults(); len(faults) > 0 {
		t.Fatalf("a good report has faults: %q", faults)
	}
	for want, spoil := range map[string]func(r *Report){
		"person":        func(r *Report) { r.Failures = []string{"a person waited"} },
		"kept":          func(r *Report) { r.Kept[Drought].Most = time.Minute },
		"new":           func(r *Report) { r.Fresh[Flood].Most = time.Minute },
		"nobody booked": func(r *Report) { r.Fresh[Flood].Count = 0 },
		"descriptors":   func(r *Report) { r.Peaks[Flood].Files = 1001 },
		"memory":        func(r *Report) { r.Peaks[Flood].Resident = 1 << 30 },
		"not full":      func(r *Report) { r.Peaks[Flood].Connections = 100 },
		"no drought":    func(r *Report) { r.Peaks[Drought].Failed = 1 },
		"make room":     func(r *Report) { r.Last.Displaced = 0 },
		"acknowledged":  func(r *Report) { r.Last.Booked = 6 },
		"strangers":     func(r *Report) { r.Strangers.Hung = 1 },
		"as before":     func(r *Report) { r.Ebbed = time.Minute },
		"nobody was":    func(r *Report) { r.Attack[Odd].Opened = 0 },
		"attackers":     func(r *Report) { r.Attack[Half].Hung = 1 },
		"held":          func(r *Report) { r.Attack[Slow].Longest = time.Minute },
		"held a":        func(r *Report) { r.Attack[Silent].Oldest = time.Minute },
	} {
		r := good()
		spoil(r)
		if faults := r.Faults(); len(faults) != 1 || !strings.Contains(faults[0], want) {
			t.Errorf("%s: faults %q", want, faults)
		}
	}
}
