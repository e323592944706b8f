package main

import (
	"io"

	"github.com/spf13/cobra"

	"weir/core"
	"weir/server/roster"
)

func exportBookingsCommand() *cobra.Command {
	var format, out string
	cmd := &cobra.Command{
		Use:   "bookings",
		Short: "Write out the bookings",
		Long: `Reads the data directory, changes nothing in it and writes a line for every
booking that stands and for the newest cancelled ones of each person, three at
most, in no particular order. Older cancelled ones are in the log alone: weir
wal dump prints them.

sequence is the record that changed the booking last, booked_sequence the one
that made it. With --out the file appears whole or not at all.`,
		Example: "  weir export bookings --data weir-data --format csv --out bookings.csv\n  weir export bookings --data weir-data --format ndjson | jq -c 'select(.state == \"booked\")'",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if format != "csv" && format != "ndjson" {
				return usagef("--format: %q is none of csv, ndjson", format)
			}
			return exportBookings(cmd, format, out)
		},
	}
	addSettingFlags(cmd, "data")
	cmd.Flags().StringVar(&format, "format", "ndjson", "`form`: csv or ndjson")
	cmd.Flags().StringVar(&out, "out", "", "`file` to write instead of standard output")
	return cmd
}

func exportBookings(cmd *cobra.Command, format, out string) error {
	c, _, err := loadConfig(cmd, environment())
	if err != nil {
		return err
	}
	engine := core.New()
	if _, err := replayInto(cmd, c.data, engine); err != nil {
		return err
	}
	write := func(w io.Writer) error { return roster.Write(w, roster.Format(format), engine.Campaigns()...) }
	if out == "" {
		return write(cmd.OutOrStdout())
	}
	return writeAtomically(out, write)
}
