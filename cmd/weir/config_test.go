package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"pgregory.net/rapid"
)

var rewrite = flag.Bool("rewrite", false, "write what the scripted cases give into testdata instead of comparing")

// TestConfigScripts runs the scripted cases of testdata/config. A case is a
// text of sections, each begun by a line "-- name --": "file" (weir.yaml, with
// --config to it), "env" and "args" (a line each) and "want": the settings
// that are not defaults, or the error.
func TestConfigScripts(t *testing.T) {
	names, err := filepath.Glob("testdata/config/*.txt")
	if err != nil || len(names) < 30 {
		t.Fatalf("%d scripted cases, err %v", len(names), err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txt"), func(t *testing.T) {
			script, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			sections := parseScript(string(script))
			got := runConfigScript(t, sections)
			if *rewrite {
				before, _, _ := strings.Cut(string(script), "-- want --\n")
				if err := os.WriteFile(name, []byte(before+"-- want --\n"+got), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if want := sections["want"]; got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func parseScript(script string) map[string]string {
	sections := make(map[string]string)
	name := ""
	for line := range strings.Lines(script) {
		trimmed := strings.TrimSpace(line)
		if strings.HasPrefix(trimmed, "-- ") && strings.HasSuffix(trimmed, " --") {
			name = strings.TrimSuffix(strings.TrimPrefix(trimmed, "-- "), " --")
			continue
		}
		sections[name] += line
	}
	return sections
}

func runConfigScript(t *testing.T, sections map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	args := strings.Fields(sections["args"])
	if text, ok := sections["file"]; ok {
		name := filepath.Join(dir, "weir.yaml")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--config", name)
	}
	cmd := &cobra.Command{Use: "serve", SilenceErrors: true, SilenceUsage: true}
	addSettingFlags(cmd)
	var c *config
	var l *layers
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		c, l, err = loadConfig(cmd, strings.Split(sections["env"], "\n"))
		return err
	}
	cmd.SetArgs(args)
	if err := cmd.Execute(); err != nil {
		return "error: " + strings.ReplaceAll(err.Error(), dir+string(filepath.Separator), "") + "\n"
	}
	var b strings.Builder
	for _, line := range printed(c, l) {
		if line.From != fromDefault && line.From != "not set" {
			fmt.Fprintf(&b, "%s = %s  (%s)\n", line.Name, strings.Join(line.Values, " + "), line.From)
		}
	}
	return strings.ReplaceAll(b.String(), dir+string(filepath.Separator), "")
}

// TestKeysDirBesideData: secrets are kept apart from the data.
func TestKeysDirBesideData(t *testing.T) {
	dir := t.TempDir()
	cmd := &cobra.Command{Use: "serve"}
	addSettingFlags(cmd)
	if err := cmd.Flags().Set("data", filepath.Join(dir, "data")); err != nil {
		t.Fatal(err)
	}
	c, _, err := loadConfig(cmd, nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(dir, "weir.keys"); c.keysDir != want {
		t.Errorf("keys-dir %q, want %q", c.keysDir, want)
	}
}

// TestEverySettingHasAllItsNames: a flag, a variable and a key each, no two
// the same, and a default that its own parser takes.
func TestEverySettingHasAllItsNames(t *testing.T) {
	seen := make(map[string]string)
	for i := range settings {
		s := &settings[i]
		if s.usage == "" {
			t.Errorf("%s says nothing of itself", s.name)
		}
		for _, name := range []string{"--" + s.name, s.variable(), s.fileKey()} {
			if other := seen[name]; other != "" {
				t.Errorf("%s and %s are both %s", other, s.name, name)
			}
			seen[name] = s.name
		}
		if s.value == "" {
			continue
		}
		if err := s.apply(&config{}, s.value); err != nil {
			t.Errorf("%s refuses its own default: %v", s.name, err)
		}
	}
}

// TestPrintConfigHidesSecrets: names of secret files are printed, what is in
// them is not, and neither is the password in an address.
func TestPrintConfigHidesSecrets(t *testing.T) {
	dir := t.TempDir()
	secret := strings.Repeat("verysecret", 4)
	name := filepath.Join(dir, "secret")
	if err := os.WriteFile(name, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, asJSON := range []bool{false, true} {
		args := []string{
			"serve", "--print-config", "--admin-token-file", name,
			"--identity-jwks-url", "https://user:hunter2@id.example/keys", "--identity-issuer", "i", "--identity-audience", "a",
		}
		if asJSON {
			args = append(args, "--json")
		}
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), args, &stdout, &stderr); code != exitDone {
			t.Fatalf("exit %d: %s", code, &stderr)
		}
		if strings.Contains(stdout.String(), secret) || strings.Contains(stdout.String(), "hunter2") {
			t.Errorf("a secret was printed:\n%s", &stdout)
		}
		if !strings.Contains(stdout.String(), name) || !strings.Contains(stdout.String(), "--admin-token-file") {
			t.Errorf("the file and where it was given are not there:\n%s", &stdout)
		}
	}
}

// TestExampleNamesEverySetting: the example is read as it stands, and with its
// commented settings, and leaves none out.
func TestExampleNamesEverySetting(t *testing.T) {
	text, err := os.ReadFile("weir.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	all := regexp.MustCompile(`(?m)^#(?:([a-z_]+:)|(  - \{))`).ReplaceAllString(string(text), "$1$2")
	var l *layers
	for _, content := range []string{string(text), all} {
		l = &layers{given: make(map[string]given)}
		r := &fileReader{name: "weir.yaml", layers: l}
		if err := r.read([]byte(content)); err != nil {
			t.Fatal(err)
		}
		if _, err := l.parse(); err != nil {
			t.Fatal(err)
		}
	}
	if len(l.issuers) < 2 {
		t.Errorf("%d issuers", len(l.issuers))
	}
	for i := range settings {
		s := &settings[i]
		if _, ok := l.given[s.name]; !ok && !s.ofIssuer() {
			t.Errorf("%s is not in the example", s.fileKey())
		}
		if got := l.given[s.name]; s.value != "" && len(got.values) > 0 && !s.path && got.values[0] != s.value {
			t.Errorf("%s is %q in the example, %q by default", s.fileKey(), got.values[0], s.value)
		}
	}
}

func TestEditDistanceIsAMetric(t *testing.T) {
	word := rapid.StringMatching(`[a-d]{0,6}`)
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := word.Draw(t, "a"), word.Draw(t, "b"), word.Draw(t, "c")
		ab, ba := editDistance(a, b), editDistance(b, a)
		if ab != ba || (ab == 0) != (a == b) || ab > max(len(a), len(b)) {
			t.Fatalf("%q to %q: %d and %d", a, b, ab, ba)
		}
		if editDistance(a, c) > ab+editDistance(b, c) {
			t.Fatalf("%q over %q to %q is shorter than straight", a, b, c)
		}
	})
}

// FuzzConfigFile: whatever the file holds, it is read or refused with its
// name, and never panics.
func FuzzConfigFile(f *testing.F) {
	names, err := filepath.Glob("testdata/config/*.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range names {
		script, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(parseScript(string(script))["file"]))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		l := &layers{given: make(map[string]given)}
		r := &fileReader{name: "weir.yaml", layers: l}
		if err := r.read(content); err != nil && !strings.HasPrefix(err.Error(), "weir.yaml:") {
			t.Errorf("error without its place: %v", err)
		}
	})
}
