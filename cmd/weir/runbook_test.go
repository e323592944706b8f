package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/core"
	"weir/core/event"
	"weir/persist/recovery"
	"weir/persist/snapshot"
	"weir/persist/wal"
)

// recipe is what a section of the runbook is tried on: how DIR is hurt before,
// and the exit codes of its commands, 0 where there are fewer.
type recipe struct {
	prepare func(t *testing.T, dirs map[string]string)
	codes   []int
}

// TestRunbook types every command of persist/RUNBOOK.md, section by section,
// into a data directory that is in the trouble the section is about.
func TestRunbook(t *testing.T) {
	text, err := os.ReadFile("../../persist/RUNBOOK.md")
	if err != nil {
		t.Fatal(err)
	}
	recipes := map[string]recipe{
		"After a crash":           {func(t *testing.T, d map[string]string) { appendTo(t, newestSegment(t, d["DIR"]), "torn") }, nil},
		"A full disk":             {func(t *testing.T, d map[string]string) { mustBallast(t, d["DIR"]) }, nil},
		"A damaged file":          {func(t *testing.T, d map[string]string) { damageLog(t, d["DIR"]) }, []int{exitWrong}},
		"A damaged snapshot":      {func(t *testing.T, d map[string]string) { damageSnapshot(t, d["DIR"]) }, []int{exitWrong}},
		"Backups":                 {func(*testing.T, map[string]string) {}, nil},
		"A lost disk":             {loseDisk, nil},
		"A wrong campaign change": {func(*testing.T, map[string]string) {}, nil},
		"Looking inside":          {func(*testing.T, map[string]string) {}, nil},
	}
	for section, commands := range runbookCommands(string(text)) {
		r, known := recipes[section]
		if !known {
			t.Errorf("section %q has commands and no test", section)
			continue
		}
		delete(recipes, section)
		t.Run(section, func(t *testing.T) {
			dirs := map[string]string{"DIR": filepath.Join(t.TempDir(), "data"), "BACKUP": filepath.Join(t.TempDir(), "backup"), "NEW": filepath.Join(t.TempDir(), "new")}
			lived(t, dirs["DIR"])
			r.prepare(t, dirs)
			for i, command := range commands {
				code := exitDone
				if i < len(r.codes) {
					code = r.codes[i]
				}
				try(t, command, dirs, code)
			}
		})
	}
	for section := range recipes {
		t.Errorf("section %q has no commands", section)
	}
}

// runbookCommands are the lines of the blocks marked sh, by section.
func runbookCommands(text string) map[string][]string {
	commands := map[string][]string{}
	section, inside := "", false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "```"):
			inside = line == "```sh"
		case strings.HasPrefix(line, "## "):
			section = strings.TrimPrefix(line, "## ")
		case inside:
			commands[section] = append(commands[section], line)
		}
	}
	return commands
}

// try runs one command with the names of directories filled in.
func try(t *testing.T, command string, dirs map[string]string, code int) {
	t.Helper()
	args := strings.Fields(command)
	for i, arg := range args {
		name, rest, _ := strings.Cut(arg, "/")
		if dir, known := dirs[name]; known {
			args[i] = filepath.Join(dir, rest)
		}
	}
	switch args[0] {
	case "weir":
		t.Log(command)
		weir(t, args[1:]...).want(t, code)
	case "rm":
		if err := os.Remove(args[1]); err != nil {
			t.Fatal(err)
		}
	default:
		t.Fatalf("%q is no command that a test knows", command)
	}
}

// lived makes a data directory with a log, two snapshots and what came after.
func lived(t *testing.T, dir string) {
	t.Helper()
	engine := core.New()
	log, _, err := recovery.Open(t.Context(), dir, wal.Options{SegmentSize: 1 << 10}, engine, nil)
	if err != nil {
		t.Fatal(err)
	}
	engine.Start(log)
	d, err := loadDefinition(smallFile)
	if err != nil {
		t.Fatal(err)
	}
	camp, _, err := engine.Define(1, d)
	if err != nil {
		t.Fatal(err)
	}
	keeper, err := recovery.NewKeeper(dir, log, engine, snapshot.Plan{KeepLog: time.Hour}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		for n := range 50 {
			seq, err := engine.Pause(event.Time(n), camp, strings.Repeat("x", n))
			if err == nil {
				err = log.Wait(seq)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if r := keeper.Once(t.Context()); r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	if _, err := engine.Resume(100, camp); err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
}

func segmentsOf(t *testing.T, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "wal", "epoch-*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(paths, func(path string) bool {
		info, err := os.Stat(path)
		return err != nil || info.Size() == 0
	})
}

func newestSegment(t *testing.T, dir string) string {
	t.Helper()
	all := segmentsOf(t, dir)
	return all[len(all)-1]
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, append(data, text...), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func flip(t *testing.T, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err == nil {
		data[len(bytes.TrimRight(data, "\x00"))/2] ^= 1 // zeros behind the log are room for more
		err = os.WriteFile(path, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// damageLog hurts the newest record of the log, which no snapshot has.
func damageLog(t *testing.T, dir string) {
	t.Helper()
	flip(t, newestSegment(t, dir))
}

func damageSnapshot(t *testing.T, dir string) {
	t.Helper()
	tables, err := filepath.Glob(filepath.Join(dir, "snapshot", "a", "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatal(tables, err)
	}
	flip(t, tables[0])
}

func mustBallast(t *testing.T, dir string) {
	t.Helper()
	if made, err := recovery.Ballast(dir, 1<<20, 0); !made || err != nil {
		t.Fatal(made, err)
	}
}

func loseDisk(t *testing.T, dirs map[string]string) {
	t.Helper()
	weir(t, "backup", "--data", dirs["DIR"], "--to", dirs["BACKUP"]).want(t, exitDone, "backed up")
	if err := os.RemoveAll(dirs["DIR"]); err != nil {
		t.Fatal(err)
	}
}
