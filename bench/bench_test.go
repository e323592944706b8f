//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"weir/core/event"
	"weir/loadtest/stats"
)

// wholeBench is the first argument that makes this binary the bench itself.
const wholeBench = "-whole-bench"

// TestMain lets this binary be the bench, and the children that it starts.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == wholeBench {
		os.Exit(run(os.Args[2:], os.Stdout, os.Stderr))
	}
	if len(os.Args) == 3 && os.Args[1] == "-"+childFlag {
		os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// TestQuick runs every section with small sizes, as make bench does with
// large ones.
func TestQuick(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "out", "bench.json")
	disk := reachableDir(t)
	var names []string
	for _, s := range sections {
		names = append(names, s.name)
	}
	var out, problems bytes.Buffer
	if code := run([]string{"-quick", "-sections", strings.Join(names, ","), "-rounds", "2", "-dir", disk, "-out", file}, &out, &problems); code != 0 {
		t.Fatalf("exit code %d\n%s%s", code, out.Bytes(), problems.Bytes())
	}
	left, err := os.ReadDir(disk)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	for _, name := range []string{"bench-profile.folded", "bench-profile.svg"} {
		if _, err := os.Stat(filepath.Join(filepath.Dir(file), name)); err != nil {
			t.Error(err)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var report Report
	if err := json.Unmarshal(text, &report); err != nil {
		t.Fatal(err)
	}
	if report.Machine.CPU == "" || report.Machine.Go == "" || report.Machine.Kernel == "" || report.Machine.MemoryBytes == 0 {
		t.Errorf("machine %+v", report.Machine)
	}
	if len(report.Sections) != len(sections) {
		t.Fatalf("%d sections, want %d", len(report.Sections), len(sections))
	}
	for i, s := range report.Sections {
		if s.Name != sections[i].name {
			t.Errorf("section %q, want %q", s.Name, sections[i].name)
		}
		checkSection(t, s, out.String())
	}
}

// checkSection wants a case or more with rounds, a line of the table for each,
// and a plausible first figure, which is the rate or size that the section is
// about.
func checkSection(t *testing.T, s *Section, table string) {
	t.Helper()
	if len(s.Cases) == 0 {
		t.Errorf("%s: no cases", s.Name)
	}
	for _, c := range s.Cases {
		for _, f := range c.Figures {
			rounds := 2
			if s.Name == "memory" || strings.HasPrefix(f.Name, "on disk") { // once is enough: it hardly varies
				rounds = 1
			}
			if len(f.Rounds) != rounds || f.Median < 0 || f.Median != stats.Median(f.Rounds) {
				t.Errorf("%s, %s, %s: %v, median %v", s.Name, c.Name, f.Name, f.Rounds, f.Median)
			}
		}
		if !strings.Contains(table, c.Name) {
			t.Errorf("%s, %s: not in the table", s.Name, c.Name)
		}
		if len(c.Figures) == 0 || c.Figures[0].Median <= 0 {
			t.Errorf("%s, %s: %+v", s.Name, c.Name, c.Figures)
		}
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{
		{"-sections", "engine,nothing"}, {"-rounds", "0"}, {"-duration", "0s"}, {"-nonsense"}, {"left over"},
	} {
		if code := run(args, io.Discard, io.Discard); code != 2 {
			t.Errorf("%q: exit code %d, want 2", args, code)
		}
	}
	if code := run([]string{"-help"}, io.Discard, io.Discard); code != 0 {
		t.Errorf("-help: exit code %d", code)
	}
	if code := run([]string{"-" + childFlag, "nobody"}, io.Discard, io.Discard); code != 1 {
		t.Errorf("unknown child: exit code %d, want 1", code)
	}
}

func TestFailureIsReported(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bench.json")
	args := []string{"-quick", "-sections", "journal", "-dir", filepath.Join(t.TempDir(), "missing"), "-out", file}
	var problems bytes.Buffer
	if code := run(args, io.Discard, &problems); code != 1 || !strings.Contains(problems.String(), "journal") {
		t.Errorf("exit code %d: %s", code, problems.Bytes())
	}
	if _, err := os.Stat(file); err != nil {
		t.Errorf("no report of what was measured before: %v", err)
	}
}

func TestCreatedTakesNothingElse(t *testing.T) {
	if err := created(0, 201, []byte(`{"code":"7K2QF-93TMD"}`)); err != nil {
		t.Error(err)
	}
	if created(0, 200, []byte(`{"code":"7K2QF-93TMD"}`)) == nil || created(0, 201, []byte(`{}`)) == nil {
		t.Error("an answer that is no new booking passes")
	}
}

// TestBareServerReadsTheRequest has a bare server take bookings, and nothing
// that is none.
func TestBareServerReadsTheRequest(t *testing.T) {
	task := &bareTask{bareRequest: bookingRequest, Status: 201, Body: `{"code":"7K2QF-93TMD"}`}
	handle := task.server(func(_, slot []byte) (string, error) {
		if string(slot) == "full" {
			return "slot_full", nil
		}
		return "", nil
	}).Handler
	for _, c := range []struct {
		method, path, credential, body string
		status                         int
	}{
		{"POST", bookingsPath, "wp1.x", `{"slot":"free"}`, 201},
		{"POST", bookingsPath, "wp1.x", `{"slot":"full"}`, 409},
		{"POST", bookingsPath, "wp1.x", `{"slot":1}`, 400},
		{"POST", bookingsPath, "wt1.x", `{"slot":"free"}`, 401},
		{"POST", linePath, "wp1.x", `{"slot":"free"}`, 401},
		{"GET", bookingsPath, "wp1.x", `{"slot":"free"}`, 401},
	} {
		var ctx fasthttp.RequestCtx
		ctx.Request.Header.SetMethod(c.method)
		ctx.Request.SetRequestURI(c.path)
		ctx.Request.Header.Set("Authorization", "Bearer "+c.credential)
		ctx.Request.SetBodyString(c.body)
		handle(&ctx)
		if ctx.Response.StatusCode() != c.status {
			t.Errorf("%+v: status %d", c, ctx.Response.StatusCode())
		}
	}
}

func TestGoals(t *testing.T) {
	s := &Section{}
	s.entry("fast").add("rate", "1/s", 7)
	s.wantAtLeast("fast", "rate", 7)
	s.wantAtLeast("fast", "rate", 8)
	s.wantAtMost("fast", "rate", 7)
	s.wantAtMost("fast", "rate", 6)
	s.wantAtLeast("slow", "rate", 1)
	s.wantAtMost("slow", "rate", 1)
	s.summarize()
	for i, reached := range []bool{true, false, true, false, false, false} {
		if g := s.Goals[i]; g.Reached != reached {
			t.Errorf("%v: reached %v, want %v", g, g.Reached, reached)
		}
	}
	if got := s.Goals[1].String(); got != "wanted: fast, rate at least 8: 7, not reached" {
		t.Error(got)
	}
	if got := s.Goals[4].String(); !strings.Contains(got, "not measured") {
		t.Error(got)
	}
}

func TestRefusedOrBookedTakesNothingElse(t *testing.T) {
	const booking, refusal = `{"code":"7K2QF-93TMD"}`, `{"status":429,"code":"too_many_requests"}`
	for _, c := range []struct {
		status int
		body   string
		passes bool
	}{
		{201, booking, true},
		{200, booking, true},
		{429, refusal, true},
		{201, refusal, false},
		{200, refusal, false},
		{429, booking, false},
		{503, refusal, false},
	} {
		if err := refusedOrBooked(0, c.status, []byte(c.body)); (err == nil) != c.passes {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestReadable(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 0.12345: "0.1235", 98.53: "98.53", 999: "999", 1000: "1,000", 1234567.8: "1,234,568", -12345: "-12,345",
	} {
		if got := readable(v); got != want {
			t.Errorf("%v: %q, want %q", v, got, want)
		}
	}
}

func TestFiguresAreNumbers(t *testing.T) {
	c := &Case{}
	for _, v := range []float64{math.NaN(), math.Inf(1), 7} {
		c.add("rate", "1/s", v)
	}
	if _, err := json.Marshal(c); err != nil {
		t.Error(err)
	}
	if got := c.Figures[0].Rounds; len(got) != 3 || got[2] != 7 {
		t.Errorf("rounds %v", got)
	}
}

func TestPeopleDiffer(t *testing.T) {
	seen := map[event.PersonKey]bool{}
	for n := range uint64(100_000) {
		for _, key := range []event.PersonKey{person(n), person(1<<40 + n)} {
			if seen[key] || key == (event.PersonKey{}) {
				t.Fatalf("person %d is somebody else, too", n)
			}
			seen[key] = true
		}
	}
}

func TestPlanHasTheSlots(t *testing.T) {
	rules, err := plan{slots: 1000, capacity: 7}.definition()
	if err != nil {
		t.Fatal(err)
	}
	want := 6 * slotsPerSite
	if rules.SlotCount() != want || rules.Places() != 7*want {
		t.Errorf("%d slots, %d places, want %d and %d", rules.SlotCount(), rules.Places(), want, 7*want)
	}
}

func TestUsageOfThisProcess(t *testing.T) {
	u, err := usageOf(os.Getpid())
	if err != nil || u.cpu < 0 || u.switches <= 0 {
		t.Errorf("%+v, %v", u, err)
	}
	if _, err := usageOf(1 << 30); err == nil {
		t.Error("a process that does not exist has used something")
	}
}
