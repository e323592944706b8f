package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"weir/core"
	"weir/persist/recovery"
)

// backupReport is what `weir backup --json` and `weir restore --json` print.
type backupReport struct {
	OK     bool             `json:"ok"`
	Backup *recovery.Backup `json:"backup,omitempty"`
	State  *stateReport     `json:"state"`
}

func backupCommand() *cobra.Command {
	var to, since string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "backup",
		Short: "Copy a data directory while its server goes on",
		Long: `Copies the log and the snapshots to another directory, consistent as of one
moment, and recovers the copy in memory to see that it is good: that takes as
much memory as the server has. The server goes on meanwhile.

The copy is a data directory: weir verify, weir state and weir restore read it.
With --since, files that an earlier backup has already are shared with it instead
of written again, where both lie on one file system.

The secrets (keys-dir) are not in it. Keep person.key apart, and safe: without it
nobody's booking can be found.`,
		Example: "  weir backup --data weir-data --to /backup/monday\n  weir backup --data weir-data --to /backup/tuesday --since /backup/monday",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if to == "" {
				return usagef("--to names the directory of the backup")
			}
			c, _, err := loadConfig(cmd, environment())
			if err != nil {
				return err
			}
			began, engine := time.Now(), core.New()
			b, err := recovery.MakeBackup(cmd.Context(), c.data, to, since, engine)
			if err = errors.Join(err, engine.Check()); err != nil {
				return explainOffline(err)
			}
			text := fmt.Sprintf("backed up: %d files, %d bytes (%d files, %d bytes shared with the earlier backup), in %v\n",
				b.Files, b.Bytes, b.LinkedFiles, b.LinkedBytes, time.Since(began).Round(time.Millisecond))
			r := backupReport{OK: true, Backup: &b, State: newStateReport(engine, b.Recovered)}
			return r.print(cmd.OutOrStdout(), text, asJSON)
		},
	}
	addSettingFlags(cmd, "data")
	cmd.Flags().StringVar(&to, "to", "", "`directory` to make, empty or not there yet")
	cmd.Flags().StringVar(&since, "since", "", "`directory` of an earlier backup to share files with")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func restoreCommand() *cobra.Command {
	var from, to, until string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "restore",
		Short: "Make a data directory as it was at the end of a backup, or at any moment",
		Long: `Copies a backup, or the data directory of a server that is stopped, to a new
directory, and recovers it as a server would at its start.

--until TIME leaves out everything from the first record on that is later than
TIME (with its offset, like 2021-07-19T20:40:00+09:00); --until SEQ everything
behind that record. Records keep their numbers. How far back that can go is what
keep_log said when the log was written.

Nothing is changed in the directory restored from.`,
		Example: "  weir restore --from /backup/monday --to weir-data\n  weir restore --from weir-data --to before-the-change --until 2021-07-19T20:40:00+09:00",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if from == "" || to == "" {
				return usagef("--from and --to name the directories")
			}
			var moment recovery.Until
			if until != "" {
				var err error
				if moment, err = recovery.ParseUntil(until); err != nil {
					return usagef("--until: %w", err)
				}
			}
			engine := core.New()
			report, err := recovery.Restore(cmd.Context(), from, to, moment, engine)
			if err == nil {
				err = engine.Check()
			}
			if err != nil {
				return explainOffline(err)
			}
			r := backupReport{OK: true, State: newStateReport(engine, report)}
			return r.print(cmd.OutOrStdout(), "restored to "+to+"\n", asJSON)
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "`directory` of a backup, or of a server that is stopped")
	cmd.Flags().StringVar(&to, "to", "", "`directory` to make, empty or not there yet")
	cmd.Flags().StringVar(&until, "until", "", "`moment`: a time with its offset, or a sequence number (default: the end)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (r *backupReport) print(w io.Writer, text string, asJSON bool) error {
	if asJSON {
		return writeJSON(w, r)
	}
	if _, err := io.WriteString(w, text); err != nil {
		return fmt.Errorf("print the report: %w", err)
	}
	return r.State.print(w)
}
