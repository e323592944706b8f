//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"
)

// stacks is a CPU profile, folded: the time by stack of functions, each stack
// written from the outermost function to the innermost, with semicolons between
// them.
type stacks map[string]time.Duration

var errTraces = errors.New("no traces of a CPU profile")

// readStacks has the toolchain's pprof write a profile out, and folds it.
func readStacks(ctx context.Context, profile string) (stacks, error) {
	command := exec.CommandContext(ctx, "go", "tool", "pprof", "-symbolize=none", "-unit=ms", "-traces", profile)
	command.Env = append(os.Environ(), "GOTOOLCHAIN=local", "PPROF_TMPDIR="+os.TempDir())
	var problems bytes.Buffer
	command.Stderr = &problems
	text, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("read profile: %w\n%s", err, problems.Bytes())
	}
	return foldTraces(text)
}

// Text of pprof: ten columns for a value, three that are empty, and a function.
// The innermost function of a stack comes first, with the stack's time.
const (
	tracesRule   = "-----------+"
	valueColumns = 10
	nameColumn   = 13
	inlined      = " (inline)"
)

// foldTraces folds what pprof writes with -traces and -unit=ms.
func foldTraces(text []byte) (stacks, error) {
	folded := stacks{}
	var names []string // innermost first
	var took time.Duration
	begun := false
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, tracesRule):
			folded.add(names, took)
			begun, names, took = true, names[:0], 0
			continue
		case !begun, len(line) <= nameColumn, line[valueColumns:nameColumn] != "   ": // the head, and labels
			continue
		}
		if value := strings.TrimSpace(line[:valueColumns]); value != "" {
			millis, err := strconv.ParseFloat(strings.TrimSuffix(value, "ms"), 64)
			if err != nil {
				return nil, fmt.Errorf("%w: %q", errTraces, line)
			}
			took = time.Duration(millis * float64(time.Millisecond))
		}
		names = append(names, plainName(strings.TrimSuffix(line[nameColumn:], inlined)))
	}
	if !begun {
		return nil, fmt.Errorf("%w: %.200q", errTraces, text)
	}
	return folded, nil
}

// plainName is a function's name without the types that it was made for, which
// may hold semicolons.
func plainName(name string) string {
	var plain strings.Builder
	depth := 0
	for _, c := range name {
		switch c {
		case '[':
			depth++
		case ']':
			depth--
		default:
			if depth == 0 {
				plain.WriteRune(c)
			}
		}
	}
	return plain.String()
}

// add adds the time of a stack whose innermost function comes first.
func (s stacks) add(names []string, took time.Duration) {
	if len(names) == 0 {
		return
	}
	outermost := slices.Clone(names)
	slices.Reverse(outermost)
	s[strings.Join(outermost, ";")] += took
}

// merge adds what is in another.
func (s stacks) merge(other stacks) {
	for stack, took := range other {
		s[stack] += took
	}
}

func (s stacks) total() (sum time.Duration) {
	for _, took := range s {
		sum += took
	}
	return sum
}

// folded writes a line for each stack, with its milliseconds at the end: what
// programs that draw flame graphs read.
func (s stacks) folded() []byte {
	var text []byte
	for _, stack := range slices.Sorted(maps.Keys(s)) {
		text = fmt.Appendf(text, "%s %d\n", stack, s[stack].Milliseconds())
	}
	return text
}
