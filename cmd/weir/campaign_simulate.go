package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"weir/core/campaign"
	"weir/core/event"
)

// moment is a boundary of the campaign, or the moment that was asked for.
type moment struct {
	at    event.Time
	what  []string // which boundaries fall on it
	asked bool     // asked for: nothing is said of the time before
}

// births is a range of birth dates to which every rule answers the same, both
// ends included. An end that is not known has no bound.
type births struct {
	from, to         campaign.Date
	fromOpen, toOpen bool
	cohorts          []string
}

// simulated is one line of the table: who may book just before a moment (one
// millisecond) and at it.
type simulated struct {
	At      string   `json:"at"`
	AtUTC   string   `json:"at_utc"`
	What    []string `json:"what"`
	Born    string   `json:"born"`
	Cohorts []string `json:"cohorts"`
	Before  string   `json:"just_before,omitempty"`
	Now     string   `json:"reason"`
	Next    string   `json:"next_window_opens_at,omitempty"`
	State   string   `json:"campaign_state"`
}

func campaignSimulateCommand() *cobra.Command {
	var born, at string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "simulate FILE",
		Short: "Show who may book just before and at every boundary of a campaign",
		Long: `Prints a line for every moment at which something opens or closes and every
range of birth dates that the rules treat alike: whether those people may book
one millisecond before that moment, and at it. It asks the very code that
decides a booking.`,
		Example: "  weir campaign simulate kr-2021-50s.yaml\n  weir campaign simulate kr-2021-50s.yaml --born 1968-12-31\n  weir campaign simulate kr-2021-50s.yaml --at 2021-07-20T18:00:00+09:00",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := loadDefinition(args[0])
			if err != nil {
				return explainDefinition(args[0], err)
			}
			table, err := simulate(d, born, at)
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), table)
			}
			return printSimulated(cmd.OutOrStdout(), d, table)
		},
	}
	cmd.Flags().StringVar(&born, "born", "", "only people born on this `date`")
	cmd.Flags().StringVar(&at, "at", "", "only this `time` (RFC 3339)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func simulate(d *campaign.Definition, born, at string) ([]simulated, error) {
	moments, ranges := boundaries(d), birthRanges(d)
	if at != "" {
		t, err := time.Parse(time.RFC3339, at)
		if err != nil {
			return nil, usagef("--at: %q is no time with its offset: it has the form 2021-07-19T20:00:00+09:00", at)
		}
		moments = []moment{{at: event.Time(t.UnixMilli()), what: []string{"asked for"}, asked: true}}
	}
	if born != "" {
		date, err := campaign.ParseDate(born)
		if err != nil {
			return nil, usagef("--born: %w", err)
		}
		ranges = []births{{from: date, to: date, cohorts: cohortsOf(d, date)}}
	}
	table := make([]simulated, 0, len(moments)*len(ranges))
	for _, m := range moments {
		for _, b := range ranges {
			table = append(table, simulateOne(d, m, b))
		}
	}
	return table, nil
}

func simulateOne(d *campaign.Definition, m moment, b births) simulated {
	person := b.from
	if b.fromOpen {
		person = b.to
	}
	decision := d.Decide(person, m.at)
	row := simulated{
		At: localTime(d, m.at), AtUTC: utcTime(m.at), What: m.what,
		Born: b.String(), Cohorts: b.cohorts,
		Now: decision.Reason.String(), State: d.State(m.at).String(),
	}
	if !m.asked {
		row.Before = d.Decide(person, m.at-1).Reason.String()
	}
	if decision.Next >= 0 {
		row.Next = localTime(d, d.Windows[decision.Next].Opens)
	}
	return row
}

// boundaries returns every moment at which a window or its line opens or
// closes, in order.
func boundaries(d *campaign.Definition) []moment {
	what := make(map[event.Time][]string)
	for i, w := range d.Windows {
		what[w.Opens] = append(what[w.Opens], fmt.Sprintf("window %d opens", i+1))
		what[w.Closes] = append(what[w.Closes], fmt.Sprintf("window %d closes", i+1))
		if line := d.LineOpens(i); d.Line.Enabled && line != w.Opens {
			what[line] = append(what[line], fmt.Sprintf("line of window %d opens", i+1))
		}
	}
	moments := make([]moment, 0, len(what))
	for at, names := range what {
		moments = append(moments, moment{at: at, what: names})
	}
	slices.SortFunc(moments, func(a, b moment) int { return int(a.at - b.at) })
	return moments
}

// birthRanges cuts all birth dates where a cohort begins or ends: within a
// range everybody is in the same cohorts.
func birthRanges(d *campaign.Definition) []births {
	var cuts []campaign.Date
	for _, c := range d.Cohorts {
		cuts = append(cuts, c.From, c.To+1)
	}
	slices.Sort(cuts)
	cuts = slices.Compact(cuts)
	if len(cuts) == 0 {
		return nil
	}
	ranges := []births{{to: cuts[0] - 1, fromOpen: true}}
	for i, from := range cuts[:len(cuts)-1] {
		ranges = append(ranges, births{from: from, to: cuts[i+1] - 1, cohorts: cohortsOf(d, from)})
	}
	return append(ranges, births{from: cuts[len(cuts)-1], toOpen: true})
}

func cohortsOf(d *campaign.Definition, born campaign.Date) []string {
	var names []string
	for _, c := range d.Cohorts {
		if c.From <= born && born <= c.To {
			names = append(names, c.ID)
		}
	}
	return names
}

// String gives the range as people read it.
func (b births) String() string {
	switch {
	case b.fromOpen:
		return "to " + b.to.String()
	case b.toOpen:
		return "from " + b.from.String()
	case b.from == b.to:
		return b.from.String()
	}
	return b.from.String() + " to " + b.to.String()
}

func printSimulated(w io.Writer, d *campaign.Definition, table []simulated) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	rows := []string{"TIME (" + d.TimeZone + ")\tMOMENT\tBORN\tCOHORTS\tJUST BEFORE\tAT IT\tNEXT WINDOW"}
	for _, row := range table {
		rows = append(rows, strings.Join([]string{
			row.At, strings.Join(row.What, ", "), row.Born, orDash(strings.Join(row.Cohorts, ", ")),
			orDash(row.Before), row.Now, orDash(row.Next),
		}, "\t"))
	}
	if _, err := fmt.Fprintln(t, strings.Join(rows, "\n")); err != nil {
		return fmt.Errorf("print the table: %w", err)
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("print the table: %w", err)
	}
	return nil
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
