//go:build linux

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir/loadtest/report"
	loadrun "weir/loadtest/run"
)

func weirload(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, problems bytes.Buffer
	code = run(t.Context(), args, &out, &problems)
	return code, out.String(), problems.String()
}

func TestUsage(t *testing.T) {
	for _, c := range []struct {
		args string
		code int
		want string // in either output
	}{
		{"", exitDone, "Usage"},
		{"scenarios", exitDone, "opening-2021-07-19"},
		{"run --help", exitDone, "--kill-every"},
		{"run --scenario nothing", exitUsage, "smoke"},
		{"run --requests -1", exitUsage, "negative"},
		{"run --line sideways", exitUsage, "none of draw, arrival, off"},
		{"run --no-such-flag", exitUsage, "no-such-flag"},
		{"run --target http://127.0.0.1:1", exitUsage, "--identity-hs256-file"},
		{"run --target http://127.0.0.1:1 --kill-every 1s", exitUsage, "--kill-every"},
		{"report", exitUsage, "arg"},
		{"report /no/such/file", exitWrong, "no such file"},
	} {
		code, out, problems := weirload(t, strings.Fields(c.args)...)
		if code != c.code || !strings.Contains(out+problems, c.want) {
			t.Errorf("weirload %s: exit %d, want %d, with %q in\n%s%s", c.args, code, c.code, c.want, out, problems)
		}
	}
}

func TestReportsArePrintedAndCompared(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, r *report.Report) string {
		path := filepath.Join(dir, name)
		if err := intoFile(path, r.Write); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := write("good.json", &report.Report{Version: report.Version, Scenario: "smoke"})
	bad := write("bad.json", &report.Report{Version: report.Version, Scenario: "smoke", Invalid: "the loader was late"})
	page := filepath.Join(dir, "page.html")
	if code, out, _ := weirload(t, "report", good, "--html", page); code != exitDone || !strings.Contains(out, "smoke") {
		t.Errorf("exit %d\n%s", code, out)
	}
	if text, err := os.ReadFile(page); err != nil || !bytes.Contains(text, []byte("</html>")) {
		t.Errorf("page: %v", err)
	}
	if code, out, _ := weirload(t, "report", bad); code != exitWrong || !strings.Contains(out, "NOT VALID") {
		t.Errorf("exit %d\n%s", code, out)
	}
	if code, out, _ := weirload(t, "report", good, bad); code != exitDone || !strings.Contains(out, "after/before") {
		t.Errorf("exit %d\n%s", code, out)
	}
}

func TestViewWritesPlainLinesWhereThereIsNoTerminal(t *testing.T) {
	var out bytes.Buffer
	v := newView(&out)
	v.show(loadrun.Event{Text: "begun"})
	last := &report.Sample{}
	for i := range 5 {
		one := &report.Sample{At: float64(i + 1), Answered: int64(100 * i)}
		v.show(loadrun.Event{Sample: one, Last: last})
		last = one
	}
	if lines := strings.Count(out.String(), "\n"); lines != 2 || strings.Contains(out.String(), "\x1b") {
		t.Errorf("%d lines: %q", lines, out.String())
	}
}

func TestSparkline(t *testing.T) {
	if got := sparkline([]float64{0, 50, 100}); got != "▁▅█" {
		t.Errorf("%q", got)
	}
	if got := sparkline(nil); got != "" {
		t.Errorf("%q", got)
	}
}
