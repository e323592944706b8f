package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

// `weir admin` talks to the admin listener of a running server. Which one, and
// with which token, it takes from the server's own configuration.

func adminCommand() *cobra.Command {
	return group("admin", "Look after a running server",
		adminStatusCommand(), adminPauseCommand(), adminResumeCommand(), adminLineCommand(), adminStatsCommand(), adminAuditCommand())
}

// adminDo makes a command of the operator: run gets a client and prints.
func adminDo(cmd *cobra.Command, run func(cmd *cobra.Command, c *adminClient, args []string) error) *cobra.Command {
	addSettingFlags(cmd, "admin", "admin-token-file")
	cmd.Flags().String("cacert", "", "certificate `file` (PEM) of an admin listener that speaks TLS (default: admin_tls_cert of the configuration)")
	cmd.Flags().Bool("json", false, "print JSON, as the server answers it")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		client, err := newAdminClient(cmd)
		if err != nil {
			return err
		}
		return run(cmd, client, args)
	}
	return cmd
}

// oneCampaign is the argument of the commands that concern a campaign.
func oneCampaign(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("%s needs the id of one campaign; weir admin status lists them", cmd.CommandPath())
	}
	return nil
}

func campaignPath(args []string, what string) string {
	return "/admin/v1/campaigns/" + url.PathEscape(args[0]) + "/" + what
}

// answered prints an answer: as it is for programs, or by text for people. The
// answer is decoded into v first.
func answered(cmd *cobra.Command, body []byte, v any, text func() string) error {
	if asJSON, _ := cmd.Flags().GetBool("json"); asJSON {
		_, err := cmd.OutOrStdout().Write(append(body, '\n'))
		return err
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("read the server's answer: %w", err)
	}
	_, err := io.WriteString(cmd.OutOrStdout(), text())
	return err
}

func adminStatusCommand() *cobra.Command {
	return adminDo(&cobra.Command{
		Use:   "status",
		Short: "Print how a server stands: its campaigns, its lines, its alarms",
		Long: `Prints how a running server stands: its campaigns and their lines, how long its
log takes, and the alarms that stand.

It ends with 1 where the server is not ready or an alarm stands, so that a
script can ask.`,
		Example: "  weir admin status --config /etc/weir/weir.yaml\n  weir admin status --admin 127.0.0.1:8081 --admin-token-file admin.token --json | jq .alarms",
		Args:    cobra.NoArgs,
	}, func(cmd *cobra.Command, c *adminClient, _ []string) error {
		body, err := c.do(cmd.Context(), http.MethodGet, "/admin/v1/status", nil)
		if err != nil {
			return err
		}
		var status adminStatus
		if err := answered(cmd, body, &status, status.text); err != nil {
			return err
		}
		if err := json.Unmarshal(body, &status); err != nil || !status.Ready || len(status.Alarms) > 0 {
			return errReported
		}
		return nil
	})
}

func adminPauseCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "pause CAMPAIGN",
		Short: "Stop a campaign's booking for a while",
		Long: `Stops booking. Nobody loses anything: places in line, turns, passes and holds
stand, and their time stands still. The reason is shown to everybody who waits.
Pausing a paused campaign changes the reason.`,
		Example: "  weir admin pause kr-2021-50s --reason '서버를 늘리고 있습니다. 22시에 다시 시작합니다.'",
		Args:    oneCampaign,
	}
	cmd.Flags().String("reason", "", "`text` for everybody who waits")
	return adminDo(cmd, func(cmd *cobra.Command, c *adminClient, args []string) error {
		reason, _ := cmd.Flags().GetString("reason")
		if reason == "" {
			return usagef("--reason is missing: everybody who waits will read it")
		}
		return pauseOrResume(cmd, c, campaignPath(args, "pause"), map[string]any{"reason": reason})
	})
}

func adminResumeCommand() *cobra.Command {
	return adminDo(&cobra.Command{
		Use:   "resume CAMPAIGN",
		Short: "Let a paused campaign go on",
		Long: `Lets booking go on. Passes and holds end as much later as the pause was long,
and the line goes on where it stood.`,
		Example: "  weir admin resume kr-2021-50s",
		Args:    oneCampaign,
	}, func(cmd *cobra.Command, c *adminClient, args []string) error {
		return pauseOrResume(cmd, c, campaignPath(args, "resume"), nil)
	})
}

func pauseOrResume(cmd *cobra.Command, c *adminClient, path string, wish any) error {
	body, err := c.do(cmd.Context(), http.MethodPost, path, wish)
	if err != nil {
		return err
	}
	var state adminPause
	return answered(cmd, body, &state, state.text)
}

func adminLineCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "line CAMPAIGN",
		Short: "Print how a campaign's line is steered, or steer it",
		Long: `Without flags, prints how the line is steered. With flags, changes it; what no
flag names stays. A server keeps the settings over restarts.

  --admit-per-minute auto   as many as the server can carry, as it measures it
  --admit-per-minute 30000  that many a minute, whatever it measures
  --floor, --ceiling        bounds of the sessions in progress that are aimed at`,
		Example: "  weir admin line kr-2021-50s\n  weir admin line kr-2021-50s --admit-per-minute 30000\n  weir admin line kr-2021-50s --admit-per-minute auto --ceiling 50000",
		Args:    oneCampaign,
	}
	cmd.Flags().String("admit-per-minute", "", "`rate`: a number, or auto")
	cmd.Flags().Uint32("floor", 0, "sessions in progress that are aimed at, at least; 0: the preset")
	cmd.Flags().Uint32("ceiling", 0, "sessions in progress that are aimed at, at most; 0: no bound")
	return adminDo(cmd, func(cmd *cobra.Command, c *adminClient, args []string) error {
		wish, err := lineWish(cmd)
		if err != nil {
			return err
		}
		method, body := http.MethodGet, any(nil)
		if len(wish) > 0 {
			method, body = http.MethodPut, wish
		}
		answer, err := c.do(cmd.Context(), method, campaignPath(args, "line"), body)
		if err != nil {
			return err
		}
		var settings adminLine
		return answered(cmd, answer, &settings, settings.text)
	})
}

// lineWish is what the flags ask to change.
func lineWish(cmd *cobra.Command) (map[string]any, error) {
	wish := map[string]any{}
	if cmd.Flags().Changed("admit-per-minute") {
		rate, _ := cmd.Flags().GetString("admit-per-minute")
		wish["admit_per_minute"] = rate
		if rate != "auto" {
			n, err := strconv.ParseFloat(rate, 64)
			if err != nil {
				return nil, usagef("--admit-per-minute: %q is neither a number nor auto", rate)
			}
			wish["admit_per_minute"] = n
		}
	}
	for _, name := range []string{"floor", "ceiling"} {
		if cmd.Flags().Changed(name) {
			wish[name], _ = cmd.Flags().GetUint32(name)
		}
	}
	return wish, nil
}

func adminStatsCommand() *cobra.Command {
	return adminDo(&cobra.Command{
		Use:   "stats CAMPAIGN",
		Short: "Print who came, who was refused and why, who waits, who booked",
		Long: `Prints a campaign in figures, by cohort. Places and bookings come from the log;
who came to the door and why they were refused is counted since the server
started. Different people are estimated, within 2 % or so.`,
		Example: "  weir admin stats kr-2021-50s\n  weir admin stats kr-2021-50s --json | jq .door.refused",
		Args:    oneCampaign,
	}, func(cmd *cobra.Command, c *adminClient, args []string) error {
		body, err := c.do(cmd.Context(), http.MethodGet, campaignPath(args, "stats"), nil)
		if err != nil {
			return err
		}
		var stats adminStats
		return answered(cmd, body, &stats, stats.text)
	})
}

func adminAuditCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit [CAMPAIGN]",
		Short: "Print who changed what, and when",
		Long: `Prints the newest entries of the audit, the newest first. What is from the log
has its sequence number; the rest is gone when the server ends.`,
		Example: "  weir admin audit\n  weir admin audit kr-2021-50s --limit 20",
		Args:    cobra.MaximumNArgs(1),
	}
	cmd.Flags().Int("limit", 100, "`number` of entries at most")
	return adminDo(cmd, func(cmd *cobra.Command, c *adminClient, args []string) error {
		query := url.Values{}
		limit, _ := cmd.Flags().GetInt("limit")
		query.Set("limit", strconv.Itoa(limit))
		if len(args) == 1 {
			query.Set("campaign", args[0])
		}
		body, err := c.do(cmd.Context(), http.MethodGet, "/admin/v1/audit?"+query.Encode(), nil)
		if err != nil {
			return err
		}
		var audit adminAudit
		return answered(cmd, body, &audit, audit.text)
	})
}

// operatorName is who asks, for the audit: the name of the account, as far as a
// header can carry it.
func operatorName(account string) string {
	name := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, account)
	return name[:min(len(name), 64)]
}
