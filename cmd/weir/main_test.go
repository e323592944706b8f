package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"weir/loadtest/process"
)

// binary is the command, built once for the tests that need a process.
var binary string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	if os.Getenv(signalChild) != "" {
		return waitForSignals()
	}
	// A setting of whoever runs the tests is none of theirs.
	for _, line := range os.Environ() {
		if name, _, _ := strings.Cut(line, "="); strings.HasPrefix(name, environmentPrefix) {
			_ = os.Unsetenv(name)
		}
	}
	dir, err := os.MkdirTemp("", "weir-command-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if binary, err = process.Build(ctx, dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// answer is what a command line gave.
type answer struct {
	code           int
	stdout, stderr string
}

// weir runs a command line within this process.
func weir(t *testing.T, args ...string) answer {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), args, &stdout, &stderr)
	return answer{code, stdout.String(), stderr.String()}
}

// want fails the test unless the exit code is code and all parts are in what
// was printed.
func (a answer) want(t *testing.T, code int, parts ...string) answer {
	t.Helper()
	if a.code != code {
		t.Fatalf("exit code %d, want %d\nstdout: %s\nstderr: %s", a.code, code, a.stdout, a.stderr)
	}
	for _, part := range parts {
		if !strings.Contains(a.stdout+a.stderr, part) {
			t.Errorf("%q is not in\nstdout: %s\nstderr: %s", part, a.stdout, a.stderr)
		}
	}
	return a
}

// TestEveryCommandExplainsItself: help, an example and exit codes everywhere.
func TestEveryCommandExplainsItself(t *testing.T) {
	var walk func(cmd *cobra.Command, path []string)
	walk = func(cmd *cobra.Command, path []string) {
		a := weir(t, append(path[1:len(path):len(path)], "--help")...).want(t, exitDone, "Usage:")
		if cmd.Short == "" {
			t.Errorf("%s has no summary", strings.Join(path, " "))
		}
		if !cmd.HasSubCommands() && !strings.Contains(a.stdout, "Examples:") {
			t.Errorf("%s has no example", strings.Join(path, " "))
		}
		for _, sub := range cmd.Commands() {
			walk(sub, append(path[:len(path):len(path)], sub.Name()))
		}
	}
	walk(rootCommand(), []string{"weir"})
}

func TestUsageErrors(t *testing.T) {
	for name, args := range map[string][]string{
		"unknown command":        {"sevre"},
		"unknown subcommand":     {"campaign", "chekc"},
		"group alone":            {"campaign"},
		"unknown flag":           {"serve", "--quick"},
		"flag of another kind":   {"wal", "dump", "--from", "x"},
		"argument too many":      {"state", "x"},
		"argument missing":       {"campaign", "check"},
		"format of export":       {"export", "bookings", "--format", "xml"},
		"format of state":        {"state", "--format", "xml"},
		"format of dump":         {"wal", "dump", "--format", "xml"},
		"range of dump":          {"wal", "dump", "--from", "3", "--to", "2"},
		"token without subject":  {"token", "--hs256-file", "x", "--issuer", "i", "--audience", "a", "--born", "1968-01-01"},
		"token with half a date": {"token", "--hs256-file", "x", "--issuer", "i", "--audience", "a", "--born", "1968", "--sub", "s"},
		"unknown sample":         {"campaign", "check", "sample:other"},
		"simulate at no time":    {"campaign", "simulate", "sample:kr-2021-50s", "--at", "noon"},
		"simulate born never":    {"campaign", "simulate", "sample:kr-2021-50s", "--born", "1968-02-30"},
		"keys start at no time":  {"keys", "rotate", "--starts", "noon"},
		"demo opens never":       {"demo", "--open-in", "-1s"},
		"serve without issuer":   {"serve", "--data", t.TempDir()},
		"bad setting":            {"serve", "--journal", "fast"},
	} {
		t.Run(name, func(t *testing.T) {
			a := weir(t, args...).want(t, exitUsage, "weir: ", "--help")
			if a.stdout != "" {
				t.Errorf("a usage error printed to stdout: %s", a.stdout)
			}
		})
	}
}

func TestVersion(t *testing.T) {
	weir(t, "version").want(t, exitDone, "weir ", "go1.")
	weir(t, "version", "--json").want(t, exitDone, `"go": "go1.`, `"platform": "`)
}

func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if a := weir(t, "completion", shell).want(t, exitDone); len(a.stdout) < 1000 {
			t.Errorf("completion for %s has %d bytes", shell, len(a.stdout))
		}
	}
}
