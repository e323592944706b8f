package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"weir/core/campaign"
	"weir/core/campaign/sample"
	"weir/core/event"
	"weir/server/identity"
)

// demo is a server with a sample campaign, secrets of its own and a person to
// try it as.
type demo struct {
	dir       string // data, secrets and all
	temporary bool   // dir is removed at the end
	openIn    time.Duration
	listen    string // empty: the default, or a free port where that is taken
	admin     string
	out       io.Writer
	stderr    io.Writer
}

// The demo's issuer and its person, who belongs to a cohort of the sample.
const (
	demoIssuer   = "weir-demo"
	demoAudience = "weir"
	demoPerson   = "demo-person"
	demoTokenTTL = 24 * time.Hour
)

var demoBorn, _ = campaign.ParseDate("1967-08-15") // a valid date

func demoCommand() *cobra.Command {
	var d demo
	var keep bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Start a server with a sample campaign that opens in a minute",
		Long: `Starts a server on this machine alone, with the built-in campaign moved so that
it opens in a minute, and prints four lines to paste: they join the line, come in
once it is open, look for a slot, and book. Its data and secrets are in a fresh directory that is removed at
the end, unless --keep or --data says otherwise.`,
		Example: "  weir demo\n  weir demo --open-in 0s --keep\n  weir demo --data ./weir-demo",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			d.out, d.stderr = cmd.OutOrStdout(), cmd.ErrOrStderr()
			if d.openIn < 0 || d.openIn > 24*time.Hour {
				return usagef("--open-in: %v is out of range: from 0s to 24h", d.openIn)
			}
			if err := d.makeDirectory(keep); err != nil {
				return err
			}
			if d.temporary {
				defer func() { err = errors.Join(err, os.RemoveAll(d.dir)) }()
			}
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			return d.run(ctx)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&d.dir, "data", "", "`directory` for data and secrets; kept at the end (default: a fresh temporary one)")
	flags.BoolVar(&keep, "keep", false, "keep the temporary directory at the end")
	flags.DurationVar(&d.openIn, "open-in", time.Minute, "`how long` until the campaign opens")
	flags.StringVar(&d.listen, "listen", "", "`address` of the public listener (default: 127.0.0.1:8080, or a free port)")
	flags.StringVar(&d.admin, "admin", "", "`address` of the admin listener (default: 127.0.0.1:8081, or a free port)")
	return cmd
}

func (d *demo) makeDirectory(keep bool) error {
	if d.dir != "" {
		if err := os.MkdirAll(d.dir, 0o700); err != nil {
			return fmt.Errorf("make the demo's directory: %w", err)
		}
		return nil
	}
	dir, err := os.MkdirTemp("", "weir-demo-")
	if err != nil {
		return fmt.Errorf("make the demo's directory: %w", err)
	}
	d.dir, d.temporary = dir, !keep
	return nil
}

// run serves until ctx ends.
func (d *demo) run(ctx context.Context) error {
	c, err := d.config()
	if err != nil {
		return err
	}
	in, err := newInstance(c, d.stderr)
	if err != nil {
		return err
	}
	in.initial = func() (*campaign.Definition, error) { return shiftedSample(time.Now().Add(d.openIn)) }
	var greeting error
	in.ready = func(in *instance) { greeting = d.greet(in) }
	return errors.Join(in.run(ctx), greeting)
}

// shiftedSample is the sample campaign, opening at the whole second of opens.
func shiftedSample(opens time.Time) (*campaign.Definition, error) {
	d, err := campaign.Parse(sample.Name, sample.Shifted(opens.Truncate(time.Second)), sample.Open)
	if err != nil {
		return nil, fmt.Errorf("move the sample campaign: %w", err)
	}
	return d, nil
}

// config is the demo's configuration: the defaults, and everything in one
// directory.
func (d *demo) config() (*config, error) {
	c, err := defaultConfig()
	if err != nil {
		return nil, err
	}
	c.data = filepath.Join(d.dir, "data")
	c.keysDir = filepath.Join(d.dir, "weir.keys")
	c.adminTokenFile = d.tokenFile()
	c.logLevel = "warn"
	c.freePorts = d.listen == "" && d.admin == ""
	if d.listen != "" {
		c.listen = d.listen
	}
	if d.admin != "" {
		c.admin = d.admin
	}
	c.issuers = []issuer{{name: demoIssuer, audience: demoAudience, hs256File: d.secretFile()}}
	return c, errors.Join(makeSecret(d.secretFile()), makeSecret(c.adminTokenFile))
}

func (d *demo) tokenFile() string { return filepath.Join(d.dir, "admin.token") }

func (d *demo) secretFile() string { return filepath.Join(d.dir, "identity.secret") }

// makeSecret makes a file with a random secret that only its owner can read,
// unless it is there.
func makeSecret(name string) error {
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // it never fails
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("make a secret: %w", err)
	}
	_, err = fmt.Fprintln(f, hex.EncodeToString(secret[:]))
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("make a secret: %w", err)
	}
	return nil
}

// greet prints what to do, and sees to it that the opening is told.
func (d *demo) greet(in *instance) error {
	secret, err := identity.ReadSecret(d.secretFile())
	if err != nil {
		return fmt.Errorf("greet: %w", err)
	}
	definition, _ := in.engine.Campaigns()[0].Definition()
	now := in.clock.Now()
	g := &greeting{
		demo: d, definition: definition, now: now,
		public: in.listeners.public.Addr().String(),
		admin:  in.listeners.admin.Addr().String(),
		opens:  nextOpening(definition, now),
		token:  identity.Mint(secret, demoIssuer, demoAudience, demoPerson, demoBorn, now, demoTokenTTL),
	}
	if _, err := io.WriteString(d.out, g.text()); err != nil {
		return fmt.Errorf("greet: %w", err)
	}
	if g.opens.After(now) {
		in.workers.Go(func() { d.tellOpening(in, g.opens) })
	}
	return nil
}

// nextOpening is when the demo's person may book: now, where they may already,
// and the zero time where they may no more.
func nextOpening(d *campaign.Definition, now time.Time) time.Time {
	decision := d.Decide(demoBorn, event.Time(now.UnixMilli()))
	switch {
	case decision.Reason == campaign.Eligible:
		return now
	case decision.Next >= 0:
		return d.Time(d.Windows[decision.Next].Opens)
	}
	return time.Time{}
}

func (d *demo) tellOpening(in *instance, opens time.Time) {
	timer := time.NewTimer(opens.Sub(in.clock.Now()))
	defer timer.Stop()
	select {
	case <-in.ended:
	case <-timer.C:
		_, _ = io.WriteString(d.out, openedText) // who does not see it sees the answers
	}
}
