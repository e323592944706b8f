//go:build linux

package run

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"weir/loadtest/answers"
	"weir/loadtest/crowd"
	"weir/loadtest/evidence"
	"weir/loadtest/judge"
	"weir/loadtest/process"
	"weir/loadtest/report"
	"weir/loadtest/scenario"
)

// binary is weir, built once for all tests.
var binary string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "weir-run-binary-")
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

func smoke(t *testing.T, requests int64, duration time.Duration) *scenario.Scenario {
	t.Helper()
	s, err := scenario.Load("smoke")
	if err != nil {
		t.Fatal(err)
	}
	return s.Scaled(requests).Lasting(duration)
}

// TestAHundredThousandRequestsAndTwoKills is the whole of it, small: a crowd, a
// server that is killed twice under it, and a judge that must find nothing.
func TestAHundredThousandRequestsAndTwoKills(t *testing.T) {
	defer goleak.VerifyNone(t)
	dir := t.TempDir()
	seed := uint64(time.Now().UnixNano())
	r, result, err := Run(t.Context(), Options{
		Scenario: smoke(t, 90_000, 14*time.Second), Seed: seed, Dir: dir, Binary: binary,
		KillEvery: 5 * time.Second, Kills: 2,
		Progress: func(e Event) {
			if e.Sample == nil {
				t.Log(e.Text)
			}
		},
	})
	if err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	if v := r.Verdict; v == nil || !v.Sound() {
		t.Errorf("seed %d: %v", seed, v)
	}
	if r.Requests < 100_000 || len(r.Kills) != 2 || r.Booked < 5000 || r.Verdict.Checked.Unanswered == 0 || r.Verdict.Checked.SlotFull == 0 {
		t.Errorf("seed %d: too little was tried: %d requests, kills %v, %d booked, looked at %+v", seed, r.Requests, r.Kills, r.Booked, r.Verdict.Checked)
	}
	if result.Answered == 0 || len(r.Samples) < 14 || r.Server.CPUSeconds == 0 || r.Server.Syncs == 0 {
		t.Errorf("the figures are missing: %d samples, %+v", len(r.Samples), r.Server)
	}
	writeAll(t, r)
	if !t.Failed() {
		judgeAgain(t, dir)
	}
}

// writeAll writes the report in all its forms.
func writeAll(t *testing.T, r *report.Report) {
	t.Helper()
	var page, text, file strings.Builder
	if err := errors.Join(r.HTML(&page), r.Print(&text), r.Write(&file)); err != nil {
		t.Fatal(err)
	}
	if strings.Count(page.String(), "<svg") != 7 || strings.Contains(page.String(), "NaN") || !strings.Contains(page.String(), "0 violations") {
		t.Errorf("the page is not whole: %d pictures", strings.Count(page.String(), "<svg"))
	}
}

// judgeAgain takes one booking out of what the run left on disk: the judge must
// miss it.
func judgeAgain(t *testing.T, dir string) {
	t.Helper()
	left := &server{dir: dir}
	rules := campaignOf(t, dir)
	found, err := readFound(t.Context(), evidence.Directory{Binary: binary, Data: left.data()}, rules)
	if err != nil {
		t.Fatal(err)
	}
	key, err := keyOf(left.keys(), issuerName)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, answersFile)
	header, err := answers.ReadHeader(file)
	if err != nil {
		t.Fatal(err)
	}
	born, err := crowd.BornOf(header.Seed, header.Eligible)
	if err != nil {
		t.Fatal(err)
	}
	at := 0
	for found.Bookings[at].Cancelled {
		at++
	}
	found.Bookings = append(found.Bookings[:at], found.Bookings[at+1:]...)
	found.Totals.Booked--
	found.Totals.Taken--
	v, err := judge.Judge(t.Context(), judge.Case{
		Files: []string{file}, Rules: rules, Born: born, Key: key, Found: found,
		Downs: []judge.Down{{From: 0, To: time.Hour}}, Seed: header.Seed,
	})
	if err != nil {
		t.Fatal(err)
	}
	if v.Counts[judge.ErrLost.Error()] != 1 || v.Violations() != 1 {
		t.Errorf("one booking was taken away: %v", v)
	}
}
