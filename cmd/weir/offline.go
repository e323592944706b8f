package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"weir/persist/recovery"
)

// replayInto reads the data directory into state and changes nothing in it.
func replayInto(cmd *cobra.Command, dir string, state recovery.State) (recovery.Report, error) {
	shown := newProgress(cmd.ErrOrStderr(), "reading")
	defer shown.finish()
	report, err := recovery.Replay(cmd.Context(), dir, state, shown.recovery)
	return report, explainOffline(err)
}

// explainOffline adds what to do where there is no data.
func explainOffline(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w; name the data directory with --data", err)
	}
	return err
}
