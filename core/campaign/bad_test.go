package campaign

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write what came out into testdata instead of comparing")

// badCase is one way to spoil the sound definition of testdata:
//
//	case NAME
//	edit FILE
//	- "text to replace, once"      (without this line: the whole file)
//	+ "what comes in its place"
//	----
//	file:line:column: message
//		remedy
type badCase struct {
	name   string
	edits  []badEdit
	expect string
}

type badEdit struct {
	file, before, after string
	whole               bool
}

// TestBadFiles holds every message, place and remedy to what testdata/bad says.
// After a change that is meant: go test ./core/campaign -run BadFiles -rewrite
func TestBadFiles(t *testing.T) {
	scripts, err := filepath.Glob("testdata/bad/*.txt")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	total := 0
	for _, script := range scripts {
		cases := readBadCases(t, script)
		total += len(cases)
		for i := range cases {
			c := &cases[i]
			t.Run(strings.TrimSuffix(filepath.Base(script), ".txt")+"/"+c.name, func(t *testing.T) {
				got := c.run(t)
				if *rewrite {
					c.expect = got
				} else if got != c.expect {
					t.Errorf("got:\n%s\nwant:\n%s", got, c.expect)
				}
			})
		}
		if *rewrite {
			writeBadCases(t, script, cases)
		}
	}
	if total < 60 {
		t.Errorf("only %d cases", total)
	}
}

func (c *badCase) run(t *testing.T) string {
	t.Helper()
	content := springFiles(t)
	for _, e := range c.edits {
		old := content[e.file]
		if e.whole {
			content[e.file] = e.after
			continue
		}
		if content[e.file] = strings.Replace(old, e.before, e.after, 1); content[e.file] == old && e.before != e.after {
			t.Fatalf("%s has no %q", e.file, e.before)
		}
	}
	_, err := Parse("campaign.yaml", []byte(content["campaign.yaml"]), opener(content))
	var problems *Problems
	if !errors.As(err, &problems) {
		t.Fatalf("got %v, want problems", err)
	}
	var out strings.Builder
	for _, p := range problems.List {
		fmt.Fprintf(&out, "%s\n\t%s\n", p, p.Remedy)
	}
	return out.String()
}

// springFiles are the sound definition that the tests start from.
func springFiles(t testing.TB) map[string]string {
	t.Helper()
	content := map[string]string{}
	for name, from := range map[string]string{"campaign.yaml": "testdata/spring.yaml", "sites.csv": "testdata/sites.csv"} {
		b, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		content[name] = string(b)
	}
	return content
}

func opener(content map[string]string) func(string) ([]byte, error) {
	return func(name string) ([]byte, error) {
		if c, ok := content[name]; ok {
			return []byte(c), nil
		}
		return nil, fs.ErrNotExist
	}
}

func readBadCases(t *testing.T, script string) []badCase {
	t.Helper()
	b, err := os.ReadFile(script)
	if err != nil {
		t.Fatal(err)
	}
	var cases []badCase
	expecting := false
	for number, line := range strings.Split(string(b), "\n") {
		kind, rest, _ := strings.Cut(line, " ")
		if kind == "case" {
			cases = append(cases, badCase{name: rest})
			expecting = false
			continue
		}
		c := &cases[len(cases)-1]
		switch {
		case line == "":
		case expecting:
			c.expect += line + "\n"
		case line == "----":
			expecting = true
		case kind == "edit":
			c.edits = append(c.edits, badEdit{file: rest, whole: true})
		default:
			text, err := strconv.Unquote(rest)
			if err != nil || kind != "-" && kind != "+" {
				t.Fatalf("%s:%d: cannot read %q: %v", script, number+1, line, err)
			}
			e := &c.edits[len(c.edits)-1]
			if kind == "-" {
				e.before, e.whole = text, false
			} else {
				e.after = text
			}
		}
	}
	return cases
}

func writeBadCases(t *testing.T, script string, cases []badCase) {
	t.Helper()
	var out strings.Builder
	for i, c := range cases {
		if i > 0 {
			out.WriteString("\n")
		}
		fmt.Fprintf(&out, "case %s\n", c.name)
		for _, e := range c.edits {
			fmt.Fprintf(&out, "edit %s\n", e.file)
			if !e.whole {
				fmt.Fprintf(&out, "- %s\n", strconv.Quote(e.before))
			}
			fmt.Fprintf(&out, "+ %s\n", strconv.Quote(e.after))
		}
		fmt.Fprintf(&out, "----\n%s", c.expect)
	}
	if err := os.WriteFile(script, []byte(out.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}
