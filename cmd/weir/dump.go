package main

import (
	"github.com/spf13/cobra"

	"weir/core/event"
	"weir/persist/recovery"
)

func walDumpCommand() *cobra.Command {
	var format string
	var asJSON bool
	var from, to uint64
	cmd := &cobra.Command{
		Use:   "dump",
		Short: "Print the records of the log, one a line",
		Long: `Reads the log, changes nothing in it and prints a line for every record. People
are keyed hashes; a definition is its size and digest.`,
		Example: "  weir wal dump --data weir-data\n  weir wal dump --data weir-data --from 1000 --to 1100 --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asJSON {
				format = "json"
			}
			form, err := recovery.ParseFormat(format)
			if err != nil {
				return usagef("--format: %w", err)
			}
			if to != 0 && from > to {
				return usagef("--from %d is behind --to %d", from, to)
			}
			c, _, err := loadConfig(cmd, environment())
			if err != nil {
				return err
			}
			_, err = recovery.Dump(cmd.OutOrStdout(), c.data, form, event.Seq(from), event.Seq(to))
			return explainOffline(err)
		},
	}
	addSettingFlags(cmd, "data")
	cmd.Flags().StringVar(&format, "format", "text", "`form`: text or json (a JSON object a line)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "the same as --format json")
	cmd.Flags().Uint64Var(&from, "from", 1, "first sequence `number`")
	cmd.Flags().Uint64Var(&to, "to", 0, "last sequence `number`; 0 for the end")
	return cmd
}
