//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"golang.org/x/text/language"
	"golang.org/x/text/message"
	"golang.org/x/text/number"

	"weir/loadtest/stats"
)

// Report is the file that a bench writes.
type Report struct {
	Started  time.Time      `json:"started"`
	Took     string         `json:"took"`
	Machine  Machine        `json:"machine"`
	Options  map[string]any `json:"options"`
	Sections []*Section     `json:"sections"`
}

// Section is one part of the bench.
type Section struct {
	Name  string   `json:"name"`
	About string   `json:"about"`
	Cases []*Case  `json:"cases"`
	Goals []*Goal  `json:"goals,omitempty"`
	Notes []string `json:"notes,omitempty"`
}

// Case is one thing that was measured, round by round.
type Case struct {
	Name    string    `json:"name"`
	Figures []*Figure `json:"figures"`
}

// Figure is one figure of a case: of each round, and the median of them.
type Figure struct {
	Name   string    `json:"name"`
	Unit   string    `json:"unit"`
	Rounds []float64 `json:"rounds"`
	Median float64   `json:"median"`
}

func newReport(o *options) *Report {
	return &Report{
		Started: time.Now(),
		Machine: thisMachine(),
		Options: map[string]any{
			"rounds": o.rounds, "operations": o.operations, "bookings": o.bookings, "slots": o.slots,
			"duration": o.duration.String(), "requests": o.requests, "connections": o.connections,
			"waiters": o.waiters, "quick": o.quick,
		},
	}
}

// entry returns the case of that name, a new one where there is none.
func (s *Section) entry(name string) *Case {
	for _, c := range s.Cases {
		if c.Name == name {
			return c
		}
	}
	c := &Case{Name: name}
	s.Cases = append(s.Cases, c)
	return c
}

func (s *Section) note(format string, args ...any) {
	s.Notes = append(s.Notes, fmt.Sprintf(format, args...))
}

// add notes a round's figure.
func (c *Case) add(name, unit string, value float64) {
	if math.IsNaN(value) || math.IsInf(value, 0) {
		value = 0 // JSON has no such number, and a rate over nothing says nothing
	}
	i := slices.IndexFunc(c.Figures, func(f *Figure) bool { return f.Name == name })
	if i < 0 {
		c.Figures = append(c.Figures, &Figure{Name: name, Unit: unit})
		i = len(c.Figures) - 1
	}
	c.Figures[i].Rounds = append(c.Figures[i].Rounds, value)
}

// summarize fills in the medians, and says which goals they reach.
func (s *Section) summarize() {
	for _, c := range s.Cases {
		for _, f := range c.Figures {
			f.Median = stats.Median(f.Rounds)
		}
	}
	for _, g := range s.Goals {
		g.compare(s)
	}
}

// print writes the medians as a table: a line for each case, a column for each
// figure that any case has.
func (s *Section) print(out io.Writer) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	columns := s.columns()
	_, _ = fmt.Fprintf(table, "\n%s\t", s.Name) // errors stick until Flush
	for _, f := range columns {
		_, _ = fmt.Fprintf(table, "%s\t", f.title())
	}
	_, _ = fmt.Fprintln(table)
	for _, c := range s.Cases {
		_, _ = fmt.Fprintf(table, "%s\t", c.Name)
		for _, column := range columns {
			_, _ = fmt.Fprintf(table, "%s\t", c.cell(column.Name))
		}
		_, _ = fmt.Fprintln(table)
	}
	for _, g := range s.Goals {
		_, _ = fmt.Fprintln(table, g)
	}
	for _, note := range s.Notes {
		_, _ = fmt.Fprintln(table, note)
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

func (s *Section) columns() []*Figure {
	var columns []*Figure
	for _, c := range s.Cases {
		for _, f := range c.Figures {
			if !slices.ContainsFunc(columns, func(known *Figure) bool { return known.Name == f.Name }) {
				columns = append(columns, f)
			}
		}
	}
	return columns
}

func (f *Figure) title() string {
	if f.Unit == "" {
		return f.Name
	}
	return f.Name + " [" + f.Unit + "]"
}

func (c *Case) cell(name string) string {
	for _, f := range c.Figures {
		if f.Name == name {
			return readable(f.Median)
		}
	}
	return "-"
}

// readable writes four digits that matter, with thousands apart.
func readable(v float64) string {
	if math.Abs(v) < 1000 {
		return strconv.FormatFloat(v, 'g', 4, 64)
	}
	return message.NewPrinter(language.English).Sprint(number.Decimal(v, number.MaxFractionDigits(0)))
}

// write puts the report into a file, whole or not at all; "" writes none.
func (r *Report) write(name string) error {
	if name == "" {
		return nil
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	if err := os.WriteFile(name+".tmp", append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	if err := os.Rename(name+".tmp", name); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}
