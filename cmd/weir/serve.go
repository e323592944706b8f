package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

func serveCommand() *cobra.Command {
	var printOnly, asJSON bool
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve a data directory",
		Long: `Recovers the data directory and serves it. Both listeners open at once:
/livez and /readyz of the admin listener answer while the log is being read.

Served are the campaigns of the log, and those that are given: a new one, or the
next version of one that is there. Where the log is empty and none is given, it
is the built-in sample:kr-2021-50s, and the log of the process says so.

Every setting has a flag, a variable (--pass-ttl is WEIR_PASS_TTL; several
values are separated by commas) and a key in the configuration file (pass_ttl).
A flag goes over a variable, a variable over the file, the file over the
default. Unknown keys and variables are refused.

Several issuers of identity tokens are a list in the file:

  identity:
    - {issuer: https://id.example, audience: weir, jwks_url: https://id.example/keys}
    - {issuer: rehearsal, audience: weir, hs256_file: /etc/weir/rehearsal.secret}

A rehearsal (--rehearse-at) lives in a data directory of its own, which its
first start marks. Its clock is shifted for identity tokens, too: see weir token.
Give it secrets of its own with --keys-dir: a pass that was made in a rehearsal
of tomorrow would be good tomorrow.

SIGTERM and SIGINT end it in good order within ten seconds, a later one at
once. SIGHUP reads the keys of tickets and passes (weir keys rotate) and the
certificates again.`,
		Example: `  openssl rand -hex 32 > secret && chmod 600 secret
  weir serve --identity-hs256-file secret --identity-issuer demo --identity-audience weir

  weir serve --config /etc/weir/weir.yaml
  weir serve --config /etc/weir/weir.yaml --print-config
  weir serve --config rehearsal.yaml --data rehearsal-data --keys-dir rehearsal-keys --rehearse-at 2021-07-19T19:59:00+09:00`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, l, err := loadConfig(cmd, environment())
			if err != nil {
				return err
			}
			if printOnly {
				return printConfig(cmd.OutOrStdout(), c, l, asJSON)
			}
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			in, err := newInstance(c, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			return in.run(ctx)
		},
	}
	addSettingFlags(cmd)
	cmd.Flags().BoolVar(&printOnly, "print-config", false, "print what is in force and where it came from, and do no more")
	cmd.Flags().BoolVar(&asJSON, "json", false, "with --print-config: print JSON")
	return cmd
}

// echoWithin is how long after the first signal another is taken for an echo of
// it: tools that run others send one to the process and one to its group.
const echoWithin = time.Second

// interruptible returns a context that ends with the first SIGINT or SIGTERM.
// Another one later ends the process at once: whoever sends it does not want to
// wait for good order, and the log needs none.
func interruptible(parent context.Context) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancel(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	done := make(chan struct{})
	var waiting sync.WaitGroup
	waiting.Go(func() {
		var first time.Time
		for {
			select {
			case <-done:
				return
			case <-signals:
			}
			switch {
			case first.IsZero():
				first = time.Now()
				cancel()
			case time.Since(first) > echoWithin:
				os.Exit(exitWrong)
			}
		}
	})
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		waiting.Wait()
		cancel()
	}
}

// newLogger is the process's own log. Nothing personal goes into it.
func newLogger(w io.Writer, c *config) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.logLevel)); err != nil {
		return nil, fmt.Errorf("log level: %w", err)
	}
	o := &slog.HandlerOptions{Level: level}
	if c.logFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, o)), nil
	}
	return slog.New(slog.NewTextHandler(w, o)), nil
}
