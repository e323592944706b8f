package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"weir/core"
	"weir/core/event"
	"weir/persist/recovery"
)

// stateReport is what `weir state --format json` prints. Two logs with the
// same records give the same digest.
type stateReport struct {
	LastSequence event.Seq       `json:"last_sequence"`
	NewestTime   string          `json:"newest_time,omitempty"` // UTC
	Digest       string          `json:"digest"`
	Campaigns    []campaignState `json:"campaigns"`
}

type campaignState struct {
	ID      string        `json:"id"`
	Version event.Version `json:"version"`
	core.Totals
}

func stateCommand() *cobra.Command {
	var format string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "state",
		Short: "Print the totals and the digest of the state in a data directory",
		Long: `Reads the data directory, changes nothing in it and prints the totals of every
campaign and a digest of the whole state. The same log gives the same digest on
every machine.`,
		Example: "  weir state --data weir-data\n  weir state --data weir-data --format json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if format != "text" && format != "json" {
				return usagef("--format: %q is none of text, json", format)
			}
			return printState(cmd, asJSON || format == "json")
		},
	}
	addSettingFlags(cmd, "data")
	cmd.Flags().StringVar(&format, "format", "text", "`form`: text or json")
	cmd.Flags().BoolVar(&asJSON, "json", false, "the same as --format json")
	return cmd
}

func printState(cmd *cobra.Command, asJSON bool) error {
	c, _, err := loadConfig(cmd, environment())
	if err != nil {
		return err
	}
	engine := core.New()
	log, err := replayInto(cmd, c.data, engine)
	if err != nil {
		return err
	}
	report := newStateReport(engine, log)
	if asJSON {
		return writeJSON(cmd.OutOrStdout(), report)
	}
	return report.print(cmd.OutOrStdout())
}

func (r *stateReport) print(w io.Writer) error {
	text := fmt.Sprintf("last sequence  %d\nnewest time    %s\ndigest         %s\n", r.LastSequence, orDash(r.NewestTime), r.Digest)
	for i := range r.Campaigns {
		text += r.Campaigns[i].describe()
	}
	_, err := io.WriteString(w, text)
	return err
}

func (c *campaignState) describe() string {
	return fmt.Sprintf(`campaign %s, version %d
  places     %d in %d slots, %d taken
  bookings   %d stand, %d were cancelled
  holds      %d stand
  people     %d, numbers in line %d
`, c.ID, c.Version, c.Places, c.Slots, c.Taken, c.Booked, c.Cancelled, c.Holds, c.People, c.Issued)
}

func newStateReport(engine *core.Engine, log recovery.Report) *stateReport {
	r := &stateReport{LastSequence: log.LastSeq, Digest: engine.Digest(), Campaigns: campaignStates(engine)}
	if log.LastTime != 0 {
		r.NewestTime = utcTime(log.LastTime)
	}
	return r
}

func campaignStates(engine *core.Engine) []campaignState {
	states := []campaignState{}
	for _, c := range engine.Campaigns() {
		d, version := c.Definition()
		states = append(states, campaignState{ID: d.ID, Version: version, Totals: c.Totals()})
	}
	return states
}
