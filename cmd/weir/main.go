// Command weir is the booking server and its operator's tools.
//
// The commands are one file each. What they share is little: the settings
// (settings.go, and how they are layered in config.go), the exit codes below
// and the progress line of long work (progress.go).
//
// What the tool does not protect against: an operator with the rights to write
// the data directory or to read the directory of secrets can do what the rules
// forbid. Keep the two apart, on different disks where that is possible.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
)

// The exit codes, the same for every command.
const (
	exitDone  = 0
	exitWrong = 1 // the work was done and something is wrong, or it could not be done
	exitUsage = 2 // the command line or the configuration is at fault
)

// usageError is a fault of the command line or the configuration.
type usageError struct{ cause error }

func (e usageError) Error() string { return e.cause.Error() }
func (e usageError) Unwrap() error { return e.cause }

// usagef makes a usageError.
func usagef(format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...)}
}

// errReported ends a command whose findings are on its output already.
var errReported = errors.New("found wrong")

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}

// run executes one command line and returns its exit code. It does not end the
// process, so that tests can call it.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := rootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	started := false
	root.PersistentPreRun = func(*cobra.Command, []string) { started = true }
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitDone
	}
	if errors.Is(err, errReported) {
		return exitWrong
	}
	_, _ = fmt.Fprintf(stderr, "weir: %v\n", err)
	// What goes wrong before a command runs is its flags and arguments.
	var usage usageError
	if started && !errors.As(err, &usage) {
		return exitWrong
	}
	_, _ = fmt.Fprintf(stderr, "See: %s --help\n", cmd.CommandPath())
	return exitUsage
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "weir",
		Short: "An in-memory booking server that keeps every booking it confirms",
		Long: `weir books places: many people, few places, one moment in which all of them ask.

It keeps its state in memory and every change in a write-ahead log; nobody is
told "booked" before the booking is on disk.

Exit codes: 0 done, 1 found wrong, 2 usage.`,
		Example: `  weir demo
  weir serve --identity-hs256-file secret --identity-issuer demo --identity-audience weir
  weir verify --data weir-data`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.AddCommand(
		serveCommand(), demoCommand(),
		group("campaign", "Check and try out a campaign's definition", campaignCheckCommand(), campaignSimulateCommand()),
		recoverCommand(), verifyCommand(), stateCommand(), backupCommand(), restoreCommand(),
		group("wal", "Look into the write-ahead log", walDumpCommand()),
		group("keys", "Look after the server's secrets", keysRotateCommand()),
		adminCommand(),
		group("draw", "Check the draws of a line", drawVerifyCommand()),
		group("export", "Write out what the state holds", exportBookingsCommand()),
		tokenCommand(), versionCommand(),
	)
	return root
}

// group is a command that only holds others.
func group(name, short string, members ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use:   name,
		Short: short,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usagef("%s needs one of its commands", cmd.CommandPath())
		},
	}
	cmd.AddCommand(members...)
	return cmd
}
