package campaign

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// problemsMax bounds how many problems one reading reports.
const problemsMax = 50

// Problem is one thing wrong with a definition.
type Problem struct {
	File    string // as it was named to Parse, or by the definition
	Line    int    // from 1
	Column  int    // from 1, in characters
	Message string // what is wrong
	Remedy  string // what to do about it
}

// String gives the problem as "file:line:column: message".
func (p Problem) String() string {
	return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.Message)
}

// Problems is everything found wrong with a definition, by place: the
// definition file first, then the file of sites.
type Problems struct {
	List    []Problem // at most 50
	Omitted int       // how many more there were
}

// Error lists the problems, one a line, without their remedies.
func (p *Problems) Error() string {
	lines := make([]string, 0, len(p.List)+1)
	for _, problem := range p.List {
		lines = append(lines, problem.String())
	}
	if p.Omitted > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", p.Omitted))
	}
	return strings.Join(lines, "\n")
}

// The files of a definition, as places name them.
const (
	inDefinition = iota
	inSites
)

// place is a position in one of the files of a definition.
type place struct {
	file   int // index into report.files
	line   int // from 1
	column int // from 1, in characters; inSites in bytes
}

type finding struct {
	at              place
	message, remedy string
}

// report collects what is found while a definition is read.
type report struct {
	files    []bundleFile // the definition first; their names are what problems name
	problems []finding    // problemsMax at most
	omitted  int
	warnings []finding // likewise
}

// add reports a problem: what is wrong, and what to do about it.
func (r *report) add(at place, remedy, format string, args ...any) {
	if len(r.problems) == problemsMax {
		r.omitted++
		return
	}
	r.problems = append(r.problems, finding{at, fmt.Sprintf(format, args...), remedy})
}

// warn reports what is allowed and yet hardly meant.
func (r *report) warn(at place, format string, args ...any) {
	if len(r.warnings) < problemsMax {
		r.warnings = append(r.warnings, finding{at: at, message: fmt.Sprintf(format, args...)})
	}
}

// sound says that no problem was found so far.
func (r *report) sound() bool { return len(r.problems) == 0 }

// err returns all problems as one error, in the order of their places.
func (r *report) err() error {
	if r.sound() {
		return nil
	}
	return &Problems{List: r.listing(r.problems), Omitted: r.omitted}
}

func (r *report) listing(findings []finding) []Problem {
	slices.SortStableFunc(findings, func(a, b finding) int {
		return cmp.Or(cmp.Compare(a.at.file, b.at.file), cmp.Compare(a.at.line, b.at.line), cmp.Compare(a.at.column, b.at.column))
	})
	list := make([]Problem, 0, len(findings))
	for _, f := range findings {
		file := r.files[f.at.file]
		column := f.at.column
		if f.at.file == inSites {
			column = characters(file.content, f.at.line, column)
		}
		list = append(list, Problem{File: file.name, Line: f.at.line, Column: column, Message: f.message, Remedy: f.remedy})
	}
	return list
}

// characters turns a column in bytes into one in characters.
func characters(content []byte, line, column int) int {
	content = bytes.TrimPrefix(content, byteOrderMark)
	for range line - 1 {
		content = content[bytes.IndexByte(content, '\n')+1:]
	}
	return utf8.RuneCount(content[:min(max(column-1, 0), len(content))]) + 1
}

// clip shortens text of unknown size for a message.
func clip(s string) string {
	const limit = 60
	if len(s) <= limit {
		return s
	}
	cut := limit
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
