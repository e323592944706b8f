//go:build linux

package crash

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/loadtest/process"
)

const (
	commandTimeout = 30 * time.Second
	damageReach    = 64 << 10 // bytes at the log's end that are damaged
	damageTries    = 16       // of each kind
	damageLength   = 700 * time.Millisecond
)

// logReport is the part of `weir verify --json` that is looked at.
type logReport struct {
	OK     bool            `json:"ok"`
	Error  string          `json:"error"`
	Damage json.RawMessage `json:"damage"`
	Log    struct {
		Last uint64 `json:"last_seq"`
		Torn *struct {
			Quarantine string `json:"quarantine"`
		} `json:"torn"`
	} `json:"log"`
	State struct {
		Digest string `json:"digest"`
	} `json:"state"`
}

// TestDamagedLog cuts the log of a killed server and flips bits in it. `weir
// recover` must repair it to a state that holds or refuse it and change
// nothing, and `weir verify` must have said which.
func TestDamagedLog(t *testing.T) {
	seed := numberFrom(t, seedVariable, uint64(time.Now().UnixNano()))
	t.Logf("seed %d", seed)
	stage, whole := killedStage(t, seed)
	random := rand.New(rand.NewPCG(seed, 0))
	log := newestSegment(t, stage.data())
	size := writtenSize(t, log)
	if size < 1000 {
		t.Fatalf("%s has %d bytes: too little to damage", log, size)
	}
	outcomes := map[string]int{}
	for i := range 2 * damageTries {
		at := size - 1 - random.Int64N(min(size, damageReach))
		damage, what := cutAt(at), fmt.Sprintf("cut at byte %d of %d", at, size)
		if i%2 == 1 {
			bit := random.IntN(8)
			damage, what = flipAt(at, bit), fmt.Sprintf("bit %d of byte %d of %d flipped", bit, at, size)
		}
		outcome := checkDamage(t, stage, whole, what, log, damage)
		outcomes[strings.Fields(what)[0]+", "+outcome]++
	}
	t.Logf("%v", outcomes)
	if outcomes["cut, repaired"] == 0 {
		t.Errorf("no cut was repaired: %v (replay: %s=%d)", outcomes, seedVariable, seed)
	}
}

// killedStage is the directory of a server that was killed under load, and
// what it held.
func killedStage(t *testing.T, seed uint64) (*stage, *logReport) {
	t.Helper()
	c, err := newRun(Options{Binary: binary, Dir: keptDir(t), Seed: seed, Actors: crashActors, Log: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	server, client, err := c.start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer server.Kill()
	defer client.close()
	ctx, cancel := context.WithTimeout(t.Context(), damageLength)
	defer cancel()
	defer context.AfterFunc(ctx, server.Kill)()
	if err := c.each(func(a *actor) error { return a.run(t.Context(), client) }); err != nil {
		t.Fatal(err)
	}
	whole := c.stage.report(t, "verify", c.stage.data())
	if !whole.OK {
		t.Fatalf("damaged by a kill alone: %s", whole.Error)
	}
	return c.stage, whole
}

// checkDamage damages a copy and returns what became of it.
func checkDamage(t *testing.T, s *stage, whole *logReport, what, log string, damage func(string) error) string {
	t.Helper()
	copied := filepath.Join(s.dir, "copy")
	if err := errors.Join(os.RemoveAll(copied), os.CopyFS(copied, os.DirFS(s.data()))); err != nil {
		t.Fatal(err)
	}
	name, err := filepath.Rel(s.data(), log)
	if err != nil {
		t.Fatal(err)
	}
	if err := damage(filepath.Join(copied, name)); err != nil {
		t.Fatal(err)
	}
	damaged := contents(t, copied)
	told := s.report(t, "verify", copied)
	if !sameContents(damaged, contents(t, copied)) {
		t.Errorf("%s: verify changed the directory", what)
	}
	if told.OK && told.Log.Last >= whole.Log.Last {
		t.Errorf("%s: not noticed", what)
	}
	did := s.report(t, "recover", copied)
	switch {
	case did.OK != told.OK:
		t.Errorf("%s: verify says ok: %v (%s), recover ok: %v (%s)", what, told.OK, told.Error, did.OK, did.Error)
	case !did.OK && !sameContents(damaged, contents(t, copied)):
		t.Errorf("%s: refused, but the directory was changed", what)
	case !did.OK && len(did.Damage) == 0:
		t.Errorf("%s: refused without saying where: %s", what, did.Error)
	case !did.OK:
		return "refused"
	}
	if did.State.Digest != told.State.Digest || did.Log.Last != told.Log.Last {
		t.Errorf("%s: verify saw %d records and state %s, recover %d and %s",
			what, told.Log.Last, told.State.Digest, did.Log.Last, did.State.Digest)
	}
	if did.Log.Torn != nil && fileSize(t, did.Log.Torn.Quarantine) == 0 {
		t.Errorf("%s: what was cut off is not kept", what)
	}
	again := s.report(t, "verify", copied)
	if !again.OK || again.Log.Torn != nil || again.State.Digest != did.State.Digest {
		t.Errorf("%s: after the repair: %+v", what, again)
	}
	return "repaired"
}

// report runs `weir verify` or `weir recover`: a refusal is a report, too.
func (s *stage) report(t *testing.T, command, dir string) *logReport {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), commandTimeout)
	defer cancel()
	run := exec.CommandContext(ctx, s.binary, command, "--data", dir, "--json")
	run.Env = process.Environment()
	var problems bytes.Buffer
	run.Stderr = &problems
	out, err := run.Output()
	var r logReport
	if json.Unmarshal(out, &r) != nil || r.OK != (err == nil) || run.ProcessState.ExitCode() > 1 {
		t.Fatalf("weir %s: %v\n%s%s", command, err, out, problems.Bytes())
	}
	return &r
}

func cutAt(at int64) func(string) error {
	return func(name string) error { return os.Truncate(name, at) }
}

func flipAt(at int64, bit int) func(string) error {
	return func(name string) error {
		all, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		all[at] ^= 1 << bit
		return os.WriteFile(name, all, 0o600)
	}
}

// newestSegment is the file of the log that was written last.
func newestSegment(t *testing.T, data string) string {
	t.Helper()
	segments, err := filepath.Glob(filepath.Join(data, "wal", "epoch-*", "*"))
	if err != nil || len(segments) == 0 {
		t.Fatalf("no segments in %s: %v", data, err)
	}
	slices.Sort(segments)
	return segments[len(segments)-1]
}

func fileSize(t *testing.T, name string) int64 {
	t.Helper()
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// writtenSize is the length of a segment without the zeros behind its last
// envelope, which are room for more.
func writtenSize(t *testing.T, name string) int64 {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return int64(len(bytes.TrimRight(content, "\x00")))
}

// contents are all files of a directory, by name.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(filepath.Join(dir, name))
		files[name] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// sameContents compares all but the lock file, which may come and go.
func sameContents(a, b map[string]string) bool {
	for _, files := range []map[string]string{a, b} {
		for name := range files {
			if name != "LOCK" && a[name] != b[name] {
				return false
			}
		}
	}
	return true
}
