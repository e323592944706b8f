package keys

import (
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/core/event"
	"weir/server/token"
)

var testNow = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func mustOpen(t *testing.T, dir string) *Keys {
	t.Helper()
	k, err := open(dir, testNow)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func ticket(k *Keys) []byte {
	return k.Ring.Append(nil, &token.Claims{Kind: token.Ticket, Person: event.PersonKey{1}, Number: 7, Expires: 1 << 60})
}

func accepts(k *Keys, tok []byte) bool {
	got, err := k.Ring.Open(tok, 0)
	return err == nil && got.Number == 7
}

func TestOpenMakesWhatIsMissingAndKeepsIt(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "weir.keys")
	first, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]os.FileMode{"": 0o700, personFile: 0o600, drawFile: 0o600, tokenFile(1): 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%q: %v, %v; want mode %v", name, info, err, want)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 3 {
		t.Errorf("the directory has %v, %v; want three files", entries, err)
	}
	second, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if first.Fingerprint != second.Fingerprint || first.Hasher.Person("i", "s") != second.Hasher.Person("i", "s") {
		t.Error("the person key did not stay")
	}
	if !accepts(second, ticket(first)) {
		t.Error("the token key did not stay")
	}
	if raw, err := hex.DecodeString(first.Fingerprint); err != nil || len(raw) != 8 {
		t.Errorf("the fingerprint is %q, want 16 hex digits", first.Fingerprint)
	}
	if first.Seed("c", 1) != second.Seed("c", 1) || first.Seed("c", 1) == first.Seed("c", 2) || first.Seed("c", 1) == first.Seed("d", 1) {
		t.Error("the seeds of draws did not stay, or are not each their own")
	}
	other := mustOpen(t, t.TempDir())
	if other.Seed("c", 1) == first.Seed("c", 1) {
		t.Error("another directory has the same seeds")
	}
	if other.Fingerprint == first.Fingerprint || accepts(other, ticket(first)) {
		t.Error("another directory has the same keys")
	}
}

// The formats are golden: directories that are out must stay readable, and
// their fingerprint must stay what the data remembers.
func TestGoldenDirectory(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, personFile, "weir-person-key 1 "+strings.Repeat("0a", 32)+"\n", 0o600)
	write(t, dir, drawFile, "weir-draw-key 1 "+strings.Repeat("2b", 32)+"\n", 0o600)
	write(t, dir, tokenFile(3), "weir-token-key 1 3 2026-01-02T03:04:05Z "+strings.Repeat("1f", 32)+"\n", 0o600)
	k := mustOpen(t, dir)
	if want := "1dd78532b1b58d6b"; k.Fingerprint != want {
		t.Errorf("the fingerprint is %s, want %s", k.Fingerprint, want)
	}
	seed := k.Seed("kr-2021-50s", 1)
	if want := "9eb5896b37b86685595dd9d87350a448fb5d29d8701c81bc17c9c154346dcfc6"; hex.EncodeToString(seed[:]) != want {
		t.Errorf("the seed is %x, want %s", seed, want)
	}
	if got := k.Ring.Signer(); got != 3 {
		t.Errorf("key %d signs, want 3", got)
	}
}

func write(t *testing.T, dir, name, text string, mode os.FileMode) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func TestDirectoriesThatAreRefused(t *testing.T) {
	secret := strings.Repeat("0a", 32)
	for name, test := range map[string]struct {
		spoil func(t *testing.T, dir string)
		want  string
	}{
		"others read the person key":  {func(t *testing.T, dir string) { chmod(t, 0o644, dir, personFile) }, "chmod 600 "},
		"the group reads a token key": {func(t *testing.T, dir string) { chmod(t, 0o640, dir, tokenFile(1)) }, "chmod 600 "},
		"others write the directory":  {func(t *testing.T, dir string) { chmod(t, 0o777, dir) }, "chmod 700 "},
		"the group does":              {func(t *testing.T, dir string) { chmod(t, 0o770, dir) }, "chmod 700 "},
		"the person key is gone": {func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, personFile)); err != nil {
				t.Fatal(err)
			}
		}, "bring it back from its backup"},
		"the person key is a directory": {func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, personFile)); err != nil {
				t.Fatal(err)
			}
			if err := os.Mkdir(filepath.Join(dir, personFile), 0o700); err != nil {
				t.Fatal(err)
			}
		}, "is no file"},
		"empty":                {person(""), "not one line"},
		"without a line's end": {person("weir-person-key 1 " + secret), "not one line"},
		"two lines":            {person("weir-person-key 1 " + secret + "\n\n"), "not one line"},
		"very long":            {person(strings.Repeat("x", maxFileSize) + "\n"), "not one line"},
		"another format":       {person("weir-person-key 2 " + secret + "\n"), "no person key"},
		"cut short":            {person("weir-person-key 1 " + secret[2:] + "\n"), "damaged"},
		"in capitals":          {person("weir-person-key 1 " + strings.ToUpper(secret) + "\n"), "damaged"},
		"not hex":              {person("weir-person-key 1 " + strings.Repeat("0g", 32) + "\n"), "damaged"},
		"all zeros":            {person("weir-person-key 1 " + strings.Repeat("00", 32) + "\n"), "damaged"},
		"a token key under another name": {func(t *testing.T, dir string) {
			copyFile(t, filepath.Join(dir, tokenFile(1)), filepath.Join(dir, tokenFile(2)))
		}, "renamed or copied"},
		"a token key's name":   {tokenKey("token-02.key", "weir-token-key 1 2 2026-01-01T00:00:00Z "+secret+"\n"), "not named as one"},
		"a token key's id":     {tokenKey("token-0.key", "weir-token-key 1 0 2026-01-01T00:00:00Z "+secret+"\n"), "not named as one"},
		"a token key's fields": {tokenKey("token-2.key", "weir-token-key 1 2 "+secret+"\n"), "no token key"},
		"a token key's format": {tokenKey("token-2.key", "weir-token-key 9 2 2026-01-01T00:00:00Z "+secret+"\n"), "no token key"},
		"a token key's start":  {tokenKey("token-2.key", "weir-token-key 1 2 yesterday "+secret+"\n"), "its start"},
		"a token key's secret": {tokenKey("token-2.key", "weir-token-key 1 2 2026-01-01T00:00:00Z 00\n"), "damaged"},
		"token keys to come only": {func(t *testing.T, dir string) {
			tokenKey(tokenFile(1), "weir-token-key 1 1 2999-01-01T00:00:00Z "+secret+"\n")(t, dir)
		}, "may sign yet"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			mustOpen(t, dir)
			test.spoil(t, dir)
			k, err := open(dir, testNow)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%+v, %v; want an error with %q", k, err, test.want)
			}
			if err != nil && strings.Contains(err.Error(), secret[:16]) {
				t.Errorf("the error tells the secret: %v", err)
			}
		})
	}
	if _, err := Open(filepath.Join(t.TempDir(), "a\x00b")); err == nil {
		t.Error("a directory that cannot be was opened")
	}
}

func chmod(t *testing.T, mode os.FileMode, path ...string) {
	t.Helper()
	if err := os.Chmod(filepath.Join(path...), mode); err != nil {
		t.Fatal(err)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func person(text string) func(*testing.T, string) {
	return func(t *testing.T, dir string) { write(t, dir, personFile, text, 0o600) }
}

func tokenKey(name, text string) func(*testing.T, string) {
	return func(t *testing.T, dir string) { write(t, dir, name, text, 0o600) }
}

func TestAnUnfinishedStartIsFinished(t *testing.T) {
	dir := t.TempDir()
	first := mustOpen(t, dir)
	if err := os.Remove(filepath.Join(dir, tokenFile(1))); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "."+tokenFile(1)+".123", "half a draft", 0o600)
	if second := mustOpen(t, dir); second.Fingerprint != first.Fingerprint || second.Ring.Signer() != 1 {
		t.Errorf("opened %+v after %+v", second, first)
	}
}

func TestRotation(t *testing.T) {
	dir := t.TempDir()
	k := mustOpen(t, dir)
	old := ticket(k)
	id, err := Rotate(dir, testNow.Add(time.Hour))
	if err != nil || id != 2 {
		t.Fatalf("rotated to %d, %v; want 2", id, err)
	}
	if !accepts(k, old) || k.Ring.Signer() != 1 {
		t.Errorf("key %d signs before any reload", k.Ring.Signer())
	}
	if err := k.reload(testNow.Add(time.Hour - time.Millisecond)); err != nil || k.Ring.Signer() != 1 {
		t.Errorf("before its start key %d signs, %v; want 1", k.Ring.Signer(), err)
	}
	if err := k.reload(testNow.Add(time.Hour)); err != nil || k.Ring.Signer() != 2 {
		t.Errorf("at its start key %d signs, %v; want 2", k.Ring.Signer(), err)
	}
	if !accepts(k, old) || !accepts(k, ticket(k)) {
		t.Error("both keys must verify")
	}
	if err := os.Remove(filepath.Join(dir, tokenFile(1))); err != nil {
		t.Fatal(err)
	}
	if err := k.reload(testNow.Add(time.Hour)); err != nil || accepts(k, old) || !accepts(k, ticket(k)) {
		t.Errorf("retired: %v, old accepted %v", err, accepts(k, old))
	}
	write(t, dir, tokenFile(9), "nonsense\n", 0o600)
	if err := k.Reload(); err == nil || !accepts(k, ticket(k)) {
		t.Errorf("a damaged key beside: %v; the ring must stay", err)
	}
}

func TestRotateNeedsADirectoryOfKeys(t *testing.T) {
	if id, err := Rotate(t.TempDir(), testNow); err == nil {
		t.Errorf("rotated an empty directory to %d", id)
	}
	if id, err := Rotate(filepath.Join(t.TempDir(), "none"), testNow); err == nil {
		t.Errorf("rotated no directory to %d", id)
	}
}

func TestManyRotateAtOnce(t *testing.T) {
	dir := t.TempDir()
	mustOpen(t, dir)
	var (
		mu    sync.Mutex
		ids   = make(map[uint32]bool)
		group sync.WaitGroup
	)
	for range 8 {
		group.Go(func() {
			id, err := Rotate(dir, testNow)
			mu.Lock()
			defer mu.Unlock()
			if err != nil || ids[id] {
				t.Errorf("id %d, %v", id, err)
			}
			ids[id] = true
		})
	}
	group.Wait()
	if k := mustOpen(t, dir); k.Ring.Signer() != 9 || len(ids) != 8 {
		t.Errorf("key %d signs after ids %v", k.Ring.Signer(), ids)
	}
}

// TestMain lets the test binary stand in for a second process: with the
// variable set it opens the directory that it names and prints what it found.
func TestMain(m *testing.M) {
	dir := os.Getenv("WEIR_TEST_KEYS_DIR")
	if dir == "" {
		os.Exit(m.Run())
	}
	k, err := Open(dir)
	if err != nil {
		_, _ = os.Stderr.WriteString(err.Error())
		os.Exit(1)
	}
	_, _ = os.Stdout.WriteString(k.Fingerprint + " " + string(ticket(k)))
}

func TestTwoProcessesAgree(t *testing.T) {
	for range 3 {
		dir := filepath.Join(t.TempDir(), "weir.keys")
		outputs := make([]string, 6)
		var group sync.WaitGroup
		for i := range outputs {
			group.Go(func() {
				cmd := exec.CommandContext(t.Context(), os.Args[0])
				cmd.Env = append(os.Environ(), "WEIR_TEST_KEYS_DIR="+dir)
				text, err := cmd.Output()
				if err != nil {
					t.Errorf("process %d: %v", i, err)
				}
				outputs[i] = string(text)
			})
		}
		group.Wait()
		k, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		for i, output := range outputs {
			fingerprint, tok, _ := strings.Cut(output, " ")
			if fingerprint != k.Fingerprint || !accepts(k, []byte(tok)) {
				t.Errorf("process %d went its own way: %q, want %s", i, output, k.Fingerprint)
			}
		}
	}
}
