package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"weir/core"
	"weir/persist/recovery"
	"weir/persist/wal"
)

// recoverReport is what `weir recover --json` and `weir verify --json` print.
type recoverReport struct {
	OK     bool             `json:"ok"`
	Error  string           `json:"error,omitempty"`
	Damage *wal.Damage      `json:"damage,omitempty"`
	Log    *recovery.Report `json:"log,omitempty"`
	State  *stateReport     `json:"state,omitempty"`
}

func recoverCommand() *cobra.Command {
	var acceptLoss, asJSON bool
	cmd := &cobra.Command{
		Use:   "recover",
		Short: "Recover a data directory and report what was found",
		Long: `Opens the data directory as the server does at its start, repairs what a crash
left behind (a write that nobody was told of), checks the whole state and closes
the log again.

A damaged log is refused: nothing is changed, and the report says which records
are affected. --accept-loss cuts the log at the damage. What is behind it is set
aside under wal/quarantine, never deleted; but bookings that were confirmed to
people may be among it. It asks nothing: read the report of a run without it
first.`,
		Example: "  weir recover --data weir-data\n  weir recover --data weir-data --json\n  weir recover --data weir-data --accept-loss",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, _, err := loadConfig(cmd, environment())
			if err != nil {
				return err
			}
			r, err := recoverData(cmd.Context(), cmd.ErrOrStderr(), c.data, acceptLoss)
			return report(cmd.OutOrStdout(), r, err, asJSON, "recovered")
		},
	}
	addSettingFlags(cmd, "data")
	cmd.Flags().BoolVar(&acceptLoss, "accept-loss", false, "cut a damaged log at the damage and set the rest aside")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// recoverData does what the server does at its start, whatever the directory
// was made for.
func recoverData(ctx context.Context, stderr io.Writer, dir string, acceptLoss bool) (*recoverReport, error) {
	shown := newProgress(stderr, "recovering")
	engine := core.New()
	options := wal.Options{AcceptLoss: acceptLoss, AnyIdentity: true, MustExist: true}
	log, found, err := recovery.Open(ctx, dir, options, engine, shown.recovery)
	shown.finish()
	if err != nil {
		return nil, explainOffline(err)
	}
	if err := errors.Join(engine.Check(), log.Close()); err != nil {
		return nil, err
	}
	return &recoverReport{OK: true, Log: &found, State: newStateReport(engine, found)}, nil
}

func verifyCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Read a whole data directory, change nothing, say whether it is sound",
		Long: `Reads every byte of the log and of every snapshot and checks what binds them
together; recovers the state from the log alone, where the log is whole, and from
each snapshot with the log behind it; and compares what these lead to. Nothing is
changed, so it can run on a copy or a backup, or on a directory whose server is
stopped. It takes as much memory as the server. Exit code 0: sound; 1: damaged.

A write that a crash cut short and that nobody was told of is no damage: it is
reported, and the next start sets it aside.`,
		Example: "  weir verify --data weir-data\n  weir verify --data weir-data --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, _, err := loadConfig(cmd, environment())
			if err != nil {
				return err
			}
			shown := newProgress(cmd.ErrOrStderr(), "reading")
			found, err := recovery.Verify(cmd.Context(), c.data, shown.recovery)
			shown.finish()
			if err != nil {
				return explainOffline(err)
			}
			return printVerified(cmd.OutOrStdout(), &found, asJSON)
		},
	}
	addSettingFlags(cmd, "data")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// report prints what was found, or the damage. Damage is a finding and goes to
// w; an error that is none (no such directory, in use) is returned.
func report(w io.Writer, r *recoverReport, fault error, asJSON bool, word string) error {
	if fault != nil && !errors.Is(fault, core.ErrCorrupt) {
		return fault
	}
	if fault != nil {
		r = &recoverReport{Error: fault.Error()}
		_ = errors.As(fault, &r.Damage) // a state that does not hold has none
	}
	if asJSON {
		if err := writeJSON(w, r); err != nil {
			return err
		}
	} else if _, err := io.WriteString(w, r.describe(word)); err != nil {
		return fmt.Errorf("print the report: %w", err)
	}
	if fault != nil {
		return errReported
	}
	return nil
}

// describe is the report as people read it.
func (r *recoverReport) describe(word string) string {
	if !r.OK {
		return "damaged: " + r.Error + "\n"
	}
	log := r.Log
	text := fmt.Sprintf("%s: records %d to %d in %d envelopes, %d segments, %d epochs, %d bytes, read in %v\n",
		word, log.FirstSeq, log.LastSeq, log.Envelopes, log.Segments, log.Epochs, log.Bytes, log.Duration.Round(time.Millisecond))
	if !log.CleanClose {
		text += "the log was not closed in good order: the process or the machine stopped\n"
	}
	if t := log.Torn; t != nil {
		text += fmt.Sprintf("a write that nobody was told of was cut short: %s at byte %d, %d bytes: %s\n", t.Path, t.Offset, t.Bytes, t.What)
		if t.Quarantine != "" {
			text += "  set aside in " + t.Quarantine + "\n"
		}
	}
	if log.Lost != nil {
		text += "given up: " + log.Lost.Error() + "\n"
	}
	for _, path := range log.SetAside {
		text += "  set aside in " + path + "\n"
	}
	text += "digest " + r.State.Digest + "\n"
	for i := range r.State.Campaigns {
		text += r.State.Campaigns[i].describe()
	}
	return text
}
