package main

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/spf13/cobra"

	"weir/server/keys"
)

func keysRotateCommand() *cobra.Command {
	var starts string
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Add a key for tickets and passes",
		Long: `Adds a key to the directory of secrets, from which on tickets and passes are
signed with it: now, or at --starts. A running server takes it up with SIGHUP;
what older keys have signed stays good.

Once the last ticket of an old key has expired (ticket_ttl), delete the key's
file and send SIGHUP again. person.key is never changed.

Run it as the user that the server runs as: nobody else may read the new file.`,
		Example: "  weir keys rotate --keys-dir weir.keys\n  weir keys rotate --config /etc/weir/weir.yaml --starts 2021-07-19T03:00:00+09:00",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, _, err := loadConfig(cmd, environment())
			if err != nil {
				return err
			}
			text, err := rotateKeys(c.keysDir, starts, time.Now())
			if err != nil {
				return err
			}
			_, err = fmt.Fprint(cmd.OutOrStdout(), text)
			return err
		},
	}
	addSettingFlags(cmd, "keys-dir")
	cmd.Flags().StringVar(&starts, "starts", "", "`time` from which on the key signs (RFC 3339), by the machine's clock (default: now)")
	return cmd
}

// rotateKeys adds a key and returns what is to be done next.
func rotateKeys(dir, starts string, now time.Time) (string, error) {
	from, when := now, ""
	if starts != "" {
		var err error
		if from, err = time.Parse(time.RFC3339, starts); err != nil {
			return "", usagef("--starts: %q is no time with its offset: it has the form 2021-07-19T03:00:00+09:00", starts)
		}
	}
	if from.After(now) {
		when = " at that time or later"
	}
	id, err := keys.Rotate(dir, from)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%w; name the directory of secrets with --keys-dir", err)
	}
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("key %d is in %s; it signs from %s on.\nSend SIGHUP to the running server%s: kill -HUP PID, or systemctl reload weir.\n",
		id, dir, from.Format(time.RFC3339), when), nil
}
