//go:build linux

package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"weir/loadtest/evidence"
	loadrun "weir/loadtest/run"
)

func judgeCommand() *cobra.Command {
	var campaign, data, keys, issuer, weir string
	cmd := &cobra.Command{
		Use:   "judge ANSWERS…",
		Short: "Hold the answers that a run kept against what is on disk",
		Long: `Judges what people were told by a server that weirload did not start itself. The
answers are those that weirload run kept with --keep; the server must have been
stopped, and not been killed since the run began, nor the campaign paused. With --keys-dir the judge knows
whose each booking is, and misses nothing that nobody asked for.`,
		Example: "  weirload judge kept/answers --data weir-data --keys-dir weir.keys --identity-issuer demo",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			rules, err := readCampaign(campaign)
			if err != nil {
				return usageError{err}
			}
			if keys != "" && issuer == "" {
				return usagef("--keys-dir needs --identity-issuer: both together name a person")
			}
			binary, err := findWeir(weir)
			if err != nil {
				return err
			}
			verdict, err := loadrun.Judge(cmd.Context(), loadrun.Kept{
				Answers: args, Rules: rules, Disk: evidence.Directory{Binary: binary, Data: data}, Keys: keys, Issuer: issuer,
			})
			if err != nil {
				return err
			}
			if _, err := fmt.Fprint(cmd.OutOrStdout(), verdict.String()); err != nil {
				return fmt.Errorf("print verdict: %w", err)
			}
			if !verdict.Sound() {
				return errReported
			}
			return nil
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&campaign, "campaign", "sample:"+sampleName, "definition `file` of the campaign")
	fs.StringVar(&data, "data", "weir-data", "the server's data `directory`")
	fs.StringVar(&keys, "keys-dir", "", "the server's `directory` of secrets")
	fs.StringVar(&issuer, "identity-issuer", "", "`name` that identity tokens carried as iss")
	fs.StringVar(&weir, "weir", "", "weir `binary` (default: beside this program, or on the path)")
	return cmd
}
