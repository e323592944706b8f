//go:build linux

// Command weirload lets a crowd loose on a booking server, has what it was told
// judged, and reports.
//
// What it does not protect against: it is meant for servers on this machine and
// for those of its user. A load test of somebody else's server is an attack.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// The exit codes, the same for every command.
const (
	exitDone  = 0
	exitWrong = 1 // the run is not valid, a threshold is not kept, the judge found something, or it could not be done
	exitUsage = 2 // the command line or a scenario is at fault
)

// usageError is a fault of the command line.
type usageError struct{ cause error }

func (e usageError) Error() string { return e.cause.Error() }
func (e usageError) Unwrap() error { return e.cause }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// errReported ends a command whose findings are on its output already.
var errReported = errors.New("found wrong")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
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
	_, _ = fmt.Fprintf(stderr, "weirload: %v\n", err)
	var usage usageError
	if started && !errors.As(err, &usage) {
		return exitWrong
	}
	_, _ = fmt.Fprintf(stderr, "See: %s --help\n", cmd.CommandPath())
	return exitUsage
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "weirload",
		Short: "A crowd for a booking server, and a judge of what it was told",
		Long: `weirload plays the people of an opening: they come at the times of a curve,
whatever the server does with those before them; they join, look, hold, book,
change and cancel, as patient and as impatient as people are. Everything that
they are told is written down and held against what the server kept.

Exit codes: 0 done, 1 found wrong, 2 usage.`,
		Example: `  weirload run --scenario smoke
  weirload run --scenario opening-2021-07-19 --requests 1000000 --html report.html
  weirload report before.json after.json`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.AddCommand(runCommand(), judgeCommand(), reportCommand(), scenariosCommand())
	return root
}
