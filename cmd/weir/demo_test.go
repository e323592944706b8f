package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func contextWithDeadline(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), testDeadline)
}

// instance is a server of this site within this process, on free ports.
func (s *site) instance(stderr io.Writer) *instance {
	s.t.Helper()
	c, err := defaultConfig()
	if err != nil {
		s.t.Fatal(err)
	}
	c.data, c.keysDir = s.data(), filepath.Join(s.dir, "weir.keys")
	c.listen, c.admin = "127.0.0.1:0", "127.0.0.1:0"
	c.campaigns = []string{smallFile}
	c.issuers = []issuer{{name: "i", audience: "a", hs256File: s.secret}}
	in, err := newInstance(c, stderr)
	if err != nil {
		s.t.Fatal(err)
	}
	return in
}

// demoProcess is a running `weir demo`.
type demoProcess struct {
	t      *testing.T
	cmd    *exec.Cmd
	output *bufio.Reader
	stderr bytes.Buffer
}

func startDemo(t *testing.T, args ...string) *demoProcess {
	t.Helper()
	d := &demoProcess{t: t}
	ctx, cancel := contextWithDeadline(t)
	t.Cleanup(cancel)
	d.cmd = exec.CommandContext(ctx, binary, append([]string{"demo"}, args...)...)
	d.cmd.Stderr = &d.stderr
	stdout, err := d.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	d.output = bufio.NewReader(stdout)
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return d
}

// until reads the output up to the line that holds text. The process's deadline
// ends it, too.
func (d *demoProcess) until(text string) (lines []string) {
	d.t.Helper()
	for {
		line, err := d.output.ReadString('\n')
		lines = append(lines, strings.TrimSuffix(line, "\n"))
		if strings.Contains(line, text) {
			return lines
		}
		if err != nil {
			_ = d.cmd.Wait() // the test fails anyway
			d.t.Fatalf("%q did not come: %v\n%s\n%s", text, err, strings.Join(lines, "\n"), &d.stderr)
		}
	}
}

// end interrupts the demo and wants it to end in good order.
func (d *demoProcess) end() {
	d.t.Helper()
	if err := d.cmd.Process.Signal(syscall.SIGINT); err != nil {
		d.t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, d.output); err != nil {
		d.t.Fatal(err)
	}
	if err := d.cmd.Wait(); err != nil {
		d.t.Fatalf("demo: %v\n%s", err, &d.stderr)
	}
}

// field is what the demo printed behind a word.
func field(lines []string, word string) string {
	for _, line := range lines {
		if parts := strings.Fields(line); len(parts) > 1 && parts[0] == word {
			return parts[1]
		}
	}
	return ""
}

// TestDemoLines runs the four lines that the demo prints in a shell.
func TestDemoLines(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:8080") // or somebody else has it
	if err == nil {
		defer func() { _ = taken.Close() }() // nothing was written
	}
	demo := startDemo(t, "--open-in", "0s")
	lines := demo.until("Ctrl-C")
	if public := field(lines, "public"); public == "" || strings.Contains(public, ":8080/") {
		t.Errorf("port 8080 is taken, and yet the demo is at %q", public)
	}
	var script []string
	for _, line := range lines {
		if strings.Contains(line, "curl ") {
			script = append(script, line)
		}
	}
	if len(script) != 4 {
		t.Fatalf("%d lines to paste:\n%s", len(script), strings.Join(lines, "\n"))
	}
	ctx, cancel := contextWithDeadline(t)
	defer cancel()
	output, err := exec.CommandContext(ctx, "sh", "-euc", strings.Join(script, "\n")).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	for _, part := range []string{`"state":"admitted"`, `"pass":"wp1.`, `"code":"`, `"state":"booked"`} {
		if !strings.Contains(string(output), part) {
			t.Errorf("%s is not in\n%s", part, output)
		}
	}
	dir := field(lines, "data")
	if _, err := os.Stat(dir); err != nil {
		t.Errorf("data %q: %v", dir, err)
	}
	demo.end()
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("%q is still there: %v", dir, err)
	}
}

// TestDemoKnowsItsWindows: a demo whose data was kept goes on where the campaign
// is by then, and does not say that it is open where nobody may book.
func TestDemoKnowsItsWindows(t *testing.T) {
	opens := time.Date(2030, 5, 6, 11, 0, 0, 0, time.UTC)
	d, err := shiftedSample(opens)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		after, next time.Duration // from the opening on; next < 0: no more
		words       string
	}{
		{-time.Minute, 0, "in 1m0s\n"},
		{0, 0, "opens      now\n"},
		{23 * time.Hour, 24 * time.Hour, "in 1h0m0s\n"}, // between two windows
		{50 * time.Hour, 50 * time.Hour, "opens      now\n"},
		{200 * time.Hour, -1, "opens      no more\n"},
	} {
		now := opens.Add(step.after)
		want := opens.Add(step.next)
		if step.next < 0 {
			want = time.Time{}
		}
		next := nextOpening(d, now)
		if !next.Equal(want) {
			t.Errorf("%v after the opening: %v, want %v", step.after, next, want)
		}
		text := (&greeting{demo: &demo{}, definition: d, now: now, opens: next}).text()
		if lines := strings.Count(text, "curl "); !strings.Contains(text, step.words) || (lines > 0) != (step.next >= 0) || !strings.HasSuffix(text, endText) {
			t.Errorf("%v after the opening:\n%s", step.after, text)
		}
	}
}

// TestDemoOpens says when, and when it is so; its data is kept where asked.
func TestDemoOpens(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "demo")
	began := time.Now()
	demo := startDemo(t, "--open-in", "5s", "--data", dir, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")
	if lines := demo.until("Ctrl-C"); field(lines, "data") != dir {
		t.Errorf("%s", strings.Join(lines, "\n"))
	}
	demo.until("It is open: paste")
	if took := time.Since(began); took < time.Second {
		t.Errorf("opened after %v", took)
	}
	demo.end()
	weir(t, "state", "--data", filepath.Join(dir, "data")).want(t, exitDone, "campaign "+sampleName)

	again := startDemo(t, "--data", dir, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")
	again.until("Ctrl-C")
	again.end()
	weir(t, "state", "--data", filepath.Join(dir, "data")).want(t, exitDone, "version 1")
}
