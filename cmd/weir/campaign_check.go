package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"weir/core/campaign"
	"weir/core/event"
)

// checkReport is what `weir campaign check --json` prints.
type checkReport struct {
	OK       bool             `json:"ok"`
	Problems []checkedProblem `json:"problems,omitempty"`
	Omitted  int              `json:"problems_omitted,omitempty"`
	Campaign *checkedCampaign `json:"campaign,omitempty"`
}

type checkedProblem struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Message string `json:"message"`
	Remedy  string `json:"remedy,omitempty"`
}

type checkedCampaign struct {
	ID       string          `json:"id"`
	Name     checkedText     `json:"name"`
	TimeZone string          `json:"time_zone"`
	Cohorts  []checkedCohort `json:"cohorts"`
	Windows  []checkedWindow `json:"windows"`
	Products []string        `json:"products"`
	Sites    int             `json:"sites"`
	Slots    int             `json:"slots"`
	Places   int             `json:"places"`
	Warnings []string        `json:"warnings"`
}

type checkedText struct {
	KO string `json:"ko"`
	EN string `json:"en"`
}

type checkedCohort struct {
	ID   string `json:"id"`
	From string `json:"born_from"`
	To   string `json:"born_to"`
}

type checkedWindow struct {
	Cohorts   []string `json:"cohorts"`
	Opens     string   `json:"opens_at"`
	Closes    string   `json:"closes_at"`
	OpensUTC  string   `json:"opens_at_utc"`
	ClosesUTC string   `json:"closes_at_utc"`
	LineOpens string   `json:"line_opens_at,omitempty"`
}

func campaignCheckCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check FILE",
		Short: "Check a campaign's definition and sum it up",
		Long: `Reads a definition and the files that it names, and prints everything that is
wrong with it, each problem with its place and what to do about it; or, where
nothing is, what the definition says. Nothing is changed.`,
		Example: "  weir campaign check kr-2021-50s.yaml\n  weir campaign check --json kr-2021-50s.yaml\n  weir campaign check sample:kr-2021-50s",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return campaignCheck(cmd.OutOrStdout(), args[0], asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func campaignCheck(w io.Writer, name string, asJSON bool) error {
	d, err := loadDefinition(name)
	var problems *campaign.Problems
	if err != nil && !errors.As(err, &problems) {
		return err
	}
	if asJSON {
		if err := writeJSON(w, newCheckReport(d, problems)); err != nil {
			return err
		}
	} else if err := printCheck(w, d, problems); err != nil {
		return err
	}
	if problems != nil {
		return errReported
	}
	return nil
}

func printCheck(w io.Writer, d *campaign.Definition, problems *campaign.Problems) error {
	var text string
	if problems != nil {
		text = describeProblems(problems)
	} else {
		text = summarize(sumUp(d))
	}
	if _, err := io.WriteString(w, text); err != nil {
		return fmt.Errorf("print the check: %w", err)
	}
	return nil
}

func newCheckReport(d *campaign.Definition, problems *campaign.Problems) checkReport {
	if problems == nil {
		return checkReport{OK: true, Campaign: sumUp(d)}
	}
	r := checkReport{Omitted: problems.Omitted}
	for _, p := range problems.List {
		r.Problems = append(r.Problems, checkedProblem(p))
	}
	return r
}

// sumUp gathers what a definition says.
func sumUp(d *campaign.Definition) *checkedCampaign {
	c := &checkedCampaign{
		ID: d.ID, Name: checkedText(d.Name), TimeZone: d.TimeZone,
		Sites: len(d.Sites), Slots: d.SlotCount(), Places: d.Places(),
		Warnings: append([]string{}, d.Warnings()...),
	}
	for _, k := range d.Cohorts {
		c.Cohorts = append(c.Cohorts, checkedCohort{ID: k.ID, From: k.From.String(), To: k.To.String()})
	}
	for i, w := range d.Windows {
		line := ""
		if d.Line.Enabled {
			line = localTime(d, d.LineOpens(i))
		}
		c.Windows = append(c.Windows, checkedWindow{
			Cohorts: cohortNames(d, w.Cohorts), LineOpens: line,
			Opens: localTime(d, w.Opens), Closes: localTime(d, w.Closes),
			OpensUTC: utcTime(w.Opens), ClosesUTC: utcTime(w.Closes),
		})
	}
	for _, p := range d.Products {
		c.Products = append(c.Products, p.ID)
	}
	return c
}

func summarize(c *checkedCampaign) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s / %s\n", c.ID, c.Name.KO, c.Name.EN)
	fmt.Fprintf(&b, "time zone  %s\n", c.TimeZone)
	for _, k := range c.Cohorts {
		fmt.Fprintf(&b, "cohort     %s: born %s to %s\n", k.ID, k.From, k.To)
	}
	for _, w := range c.Windows {
		fmt.Fprintf(&b, "window     %s to %s (UTC %s to %s): %s\n", w.Opens, w.Closes, w.OpensUTC, w.ClosesUTC, strings.Join(w.Cohorts, ", "))
		if w.LineOpens != "" {
			fmt.Fprintf(&b, "           the line opens at %s\n", w.LineOpens)
		}
	}
	fmt.Fprintf(&b, "products   %s\n", strings.Join(c.Products, ", "))
	fmt.Fprintf(&b, "places     %d in %d slots at %d sites\n", c.Places, c.Slots, c.Sites)
	for _, warning := range c.Warnings {
		fmt.Fprintf(&b, "warning    %s\n", warning)
	}
	b.WriteString("The definition is sound.\n")
	return b.String()
}

func cohortNames(d *campaign.Definition, cohorts []int) []string {
	names := make([]string, 0, len(cohorts))
	for _, i := range cohorts {
		names = append(names, d.Cohorts[i].ID)
	}
	return names
}

// localTime is t in the campaign's zone, with its offset.
func localTime(d *campaign.Definition, t event.Time) string {
	return string(d.AppendTime(nil, t))
}

func utcTime(t event.Time) string {
	return time.UnixMilli(int64(t)).UTC().Format("2006-01-02T15:04:05.999Z")
}
