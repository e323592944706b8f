//go:build linux

package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"weir/loadtest/report"
	"weir/loadtest/scenario"
)

func reportCommand() *cobra.Command {
	var page, picture string
	cmd := &cobra.Command{
		Use:   "report FILE [FILE]",
		Short: "Print the report of a run, or compare two",
		Long: `Reads reports that weirload run wrote with --out. One is printed, and written as
a page with --html; two are set side by side, the second in proportion to the
first.`,
		Example: "  weirload report run.json --html run.html\n  weirload report before.json after.json",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			first, err := report.Load(args[0])
			if err != nil {
				return err
			}
			if len(args) == 1 {
				if err := first.Print(cmd.OutOrStdout()); err != nil {
					return err
				}
				err := errors.Join(intoFile(page, first.HTML), intoFile(picture, first.Picture))
				if err != nil || first.Passed() {
					return err
				}
				return errReported
			}
			if page != "" || picture != "" {
				return usagef("--html and --svg are for one report")
			}
			second, err := report.Load(args[1])
			if err != nil {
				return err
			}
			return report.Compare(cmd.OutOrStdout(), first, second)
		},
	}
	cmd.Flags().StringVar(&page, "html", "", "`file` for the report as a page")
	cmd.Flags().StringVar(&picture, "svg", "", "`file` for its first pictures as SVG")
	return cmd
}

func scenariosCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "scenarios",
		Short: "List the scenarios that are built in",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, name := range scenario.Names() {
				s, err := scenario.Load(name)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%-20s %s; about %d requests in %v\n", name, s.About, s.Requests, s.Duration.Of())
				if err != nil {
					return fmt.Errorf("list scenarios: %w", err)
				}
			}
			return nil
		},
	}
}
