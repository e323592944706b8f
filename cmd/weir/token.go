package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"weir/core/campaign"
	"weir/server/identity"
)

// tokenFlags describe the identity token that is asked for.
type tokenFlags struct {
	secretFile string
	issuer     string
	audience   string
	subject    string
	born       string
	at         string // empty: now
	ttl        time.Duration
}

func tokenCommand() *cobra.Command {
	var f tokenFlags
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Make an identity token for a test or a rehearsal",
		Long: `Prints an identity token (a JWT signed with HS256) as an issuer would give it
to the person. Whoever holds the secret can be anybody: keep rehearsal secrets
away from servers in earnest.

A rehearsal has a clock of its own, and a token that was issued in its future is
refused there: give such a token the rehearsal's time with --at.`,
		Example: "  weir token --hs256-file secret --issuer demo --audience weir --sub person-1 --born 1968-03-01\n  weir token --hs256-file secret --issuer demo --audience weir --sub person-2 --born 1967-01-31 --ttl 10m\n  weir token --hs256-file secret --issuer demo --audience weir --sub person-3 --born 1967-01-31 --at 2021-07-19T19:59:00+09:00 --ttl 24h",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			token, err := mintToken(&f, time.Now())
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), token)
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.secretFile, "hs256-file", "", "`file` with the HS256 secret")
	flags.StringVar(&f.issuer, "issuer", "", "`name` of the issuer (iss)")
	flags.StringVar(&f.audience, "audience", "", "`name` of the audience (aud)")
	flags.StringVar(&f.subject, "sub", "", "`name` of the person at the issuer (sub)")
	flags.StringVar(&f.born, "born", "", "`date` of birth (birthdate), as 1968-03-01")
	flags.StringVar(&f.at, "at", "", "`time` of issue (RFC 3339), for a rehearsal (default: now)")
	flags.DurationVar(&f.ttl, "ttl", time.Hour, "`how long` the token is good for")
	return cmd
}

func mintToken(f *tokenFlags, now time.Time) (string, error) {
	for _, needed := range [][2]string{
		{"hs256-file", f.secretFile}, {"issuer", f.issuer}, {"audience", f.audience}, {"sub", f.subject}, {"born", f.born},
	} {
		if needed[1] == "" {
			return "", usagef("--%s is missing", needed[0])
		}
	}
	born, err := campaign.ParseDate(f.born)
	if err != nil {
		return "", usagef("--born: %w", err)
	}
	if f.at != "" {
		if now, err = time.Parse(time.RFC3339, f.at); err != nil {
			return "", usagef("--at: %q is no time with its offset: it has the form 2021-07-19T19:59:00+09:00", f.at)
		}
	}
	if f.ttl < time.Second {
		return "", usagef("--ttl: %v is too short: a second is the least", f.ttl)
	}
	if len(f.subject) > identity.MaxSubject {
		return "", usagef("--sub has %d bytes: %d is the most", len(f.subject), identity.MaxSubject)
	}
	secret, err := identity.ReadSecret(f.secretFile)
	if err != nil {
		return "", fmt.Errorf("read the secret: %w", err)
	}
	return identity.Mint(secret, f.issuer, f.audience, f.subject, born, now, f.ttl), nil
}
