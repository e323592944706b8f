//go:build linux

package main

import "fmt"

// Goal is what the median of a figure is wanted to be.
type Goal struct {
	Case    string  `json:"case"`
	Figure  string  `json:"figure"`
	Wanted  float64 `json:"wanted"`
	AtMost  bool    `json:"at_most"` // false: at least
	Median  float64 `json:"median"`
	Reached bool    `json:"reached"`

	measured bool
}

// wantAtLeast sets a goal for a figure of a case.
func (s *Section) wantAtLeast(name, figure string, wanted float64) {
	s.Goals = append(s.Goals, &Goal{Case: name, Figure: figure, Wanted: wanted})
}

// wantAtMost sets a goal for a figure of a case.
func (s *Section) wantAtMost(name, figure string, wanted float64) {
	s.Goals = append(s.Goals, &Goal{Case: name, Figure: figure, Wanted: wanted, AtMost: true})
}

// compare looks up the median. A figure that was not measured reaches nothing.
func (g *Goal) compare(s *Section) {
	for _, c := range s.Cases {
		for _, f := range c.Figures {
			if c.Name != g.Case || f.Name != g.Figure {
				continue
			}
			g.Median, g.measured = f.Median, true
			g.Reached = f.Median >= g.Wanted
			if g.AtMost {
				g.Reached = f.Median <= g.Wanted
			}
		}
	}
}

// String says it in a line.
func (g *Goal) String() string {
	bound, outcome := "at least", "not reached"
	if g.AtMost {
		bound = "at most"
	}
	if g.Reached {
		outcome = "reached"
	}
	if !g.measured {
		return fmt.Sprintf("wanted: %s, %s %s %s: not measured", g.Case, g.Figure, bound, readable(g.Wanted))
	}
	return fmt.Sprintf("wanted: %s, %s %s %s: %s, %s", g.Case, g.Figure, bound, readable(g.Wanted), readable(g.Median), outcome)
}
