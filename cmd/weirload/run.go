//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"weir/core/campaign"
	"weir/core/campaign/sample"
	"weir/loadtest/crowd"
	"weir/loadtest/openloop"
	"weir/loadtest/report"
	loadrun "weir/loadtest/run"
	"weir/loadtest/scenario"
	"weir/server/identity"
)

// runFlags are the flags of weirload run.
type runFlags struct {
	scenario  string
	requests  int64
	duration  time.Duration
	seed      uint64
	loops     int
	weir      string
	killEvery time.Duration
	kills     int
	keep      string
	json      bool
	out       string
	html      string
	svg       string
	hlog      string
	line      string

	target           string
	campaign         string
	secret           string
	issuer, audience string
	anyAddress       bool
}

func runCommand() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Let a crowd loose on a server and judge what it was told",
		Long: `Starts a server of its own, on free ports of this machine and in a directory of
its own, and lets the scenario's people come. With --target it takes a server
that runs; then the campaign and the identity secret have to be given, and what
people were told is judged later, by weirload judge, once the server has been
stopped: keep it with --keep.

A scenario may say what the operator does to the server: kills it, pauses the
campaign, sets the rate at which people are called (--scenario fairness does all
three). That needs a server of its own.

A run that could not offer what the scenario asks for is not valid and says so.`,
		Example: `  weirload run --scenario smoke
  weirload run --scenario fairness
  weirload run --scenario opening-2021-07-19 --requests 100000 --kill-every 5s --json
  weirload run --scenario smoke --target http://127.0.0.1:8080 --campaign sample:kr-2021-50s \
    --identity-hs256-file secret --identity-issuer demo --identity-audience weir`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	fs := cmd.Flags()
	fs.StringVar(&f.scenario, "scenario", "smoke", "`name` of a scenario that is built in, or a file")
	fs.Int64Var(&f.requests, "requests", 0, "`number` of requests to scale the scenario to, about (default: the scenario's)")
	fs.DurationVar(&f.duration, "duration", 0, "`how long` people come (default: the scenario's, scaled)")
	fs.Uint64Var(&f.seed, "seed", 1, "`number` that people and their choices follow from")
	fs.IntVar(&f.loops, "loops", 1, "`number` of threads of the loader")
	fs.StringVar(&f.weir, "weir", "", "weir `binary` (default: beside this program, or on the path)")
	fs.DurationVar(&f.killEvery, "kill-every", 0, "SIGKILL the server so `often` and start it again")
	fs.IntVar(&f.kills, "kills", 0, "at most so `many` times (default: as often as there is time)")
	fs.StringVar(&f.keep, "keep", "", "`directory` to keep answers and data in (default: they are removed)")
	fs.BoolVar(&f.json, "json", false, "print the report as JSON")
	fs.StringVar(&f.out, "out", "", "`file` for the report as JSON")
	fs.StringVar(&f.html, "html", "", "`file` for the report as a page")
	fs.StringVar(&f.svg, "svg", "", "`file` for the report's first pictures as SVG")
	fs.StringVar(&f.hlog, "hlog", "", "`file` for the latency histograms (HdrHistogram log)")
	fs.StringVar(&f.line, "line", "", "wait in line: `order` draw or arrival, or off (default: the scenario's)")
	fs.StringVar(&f.target, "target", "", "`URL` of a server that runs")
	fs.StringVar(&f.campaign, "campaign", "sample:"+sampleName, "with --target: definition `file` of its campaign")
	fs.StringVar(&f.secret, "identity-hs256-file", "", "with --target: `file` with the secret that signs identity tokens")
	fs.StringVar(&f.issuer, "identity-issuer", "", "with --target: `name` that identity tokens carry as iss")
	fs.StringVar(&f.audience, "identity-audience", "", "with --target: `name` that identity tokens carry as aud")
	fs.BoolVar(&f.anyAddress, "any-address", false, "with --target: allow a server that is not this machine, and is yours")
	return cmd
}

const sampleName = "kr-2021-50s"

func (f *runFlags) run(cmd *cobra.Command) (err error) {
	s, err := f.load()
	if err != nil {
		return err
	}
	dir, done, err := f.directory()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	o := loadrun.Options{
		Scenario: s, Seed: f.seed, Loops: f.loops, Dir: dir, KillEvery: f.killEvery, Kills: f.kills,
	}
	if err := f.aim(&o); err != nil {
		return err
	}
	view := newView(cmd.ErrOrStderr())
	o.Progress = view.show
	r, result, err := loadrun.Run(cmd.Context(), o)
	view.close()
	if err != nil {
		return err
	}
	if err := f.write(cmd.OutOrStdout(), r, result); err != nil {
		return err
	}
	if !r.Passed() {
		return errReported
	}
	return nil
}

// load reads the scenario and scales it.
func (f *runFlags) load() (*scenario.Scenario, error) {
	s, err := scenario.Load(f.scenario)
	if err != nil {
		return nil, usageError{err}
	}
	if f.requests < 0 || f.duration < 0 || f.kills < 0 || f.loops < 1 || f.killEvery < 0 {
		return nil, usagef("a number is negative, or --loops is 0")
	}
	s = s.Scaled(f.requests)
	if f.duration > 0 {
		s = s.Lasting(f.duration)
	}
	switch f.line {
	case "":
	case "off":
		s.Campaign.Line = scenario.CampaignsLine{}
	case "draw", "arrival":
		s.Campaign.Line = scenario.CampaignsLine{Enabled: true, Order: f.line, OpensBefore: max(s.Campaign.Line.OpensBefore, s.Opening/2)}
	default:
		return nil, usagef("--line: %q is none of draw, arrival, off", f.line)
	}
	return s, nil
}

// directory is where the run keeps its files, and what to do with it afterwards.
func (f *runFlags) directory() (dir string, done func() error, err error) {
	if f.keep != "" {
		if err := os.MkdirAll(f.keep, 0o700); err != nil {
			return "", nil, fmt.Errorf("make directory: %w", err)
		}
		return f.keep, func() error { return nil }, nil
	}
	dir, err = os.MkdirTemp("", "weirload-")
	if err != nil {
		return "", nil, fmt.Errorf("make directory: %w", err)
	}
	return dir, func() error { return os.RemoveAll(dir) }, nil
}

// aim fills in the server: one to start, or the target.
func (f *runFlags) aim(o *loadrun.Options) (err error) {
	if f.target == "" {
		o.Binary, err = findWeir(f.weir)
		return err
	}
	if f.killEvery > 0 {
		return usagef("--kill-every: only a server that weirload starts itself is killed; leave --target out")
	}
	if f.secret == "" || f.issuer == "" || f.audience == "" {
		return usagef("--target needs --identity-hs256-file, --identity-issuer and --identity-audience, as the server has them")
	}
	t := &loadrun.Target{
		URL: f.target, Issuer: crowd.Issuer{Name: f.issuer, Audience: f.audience}, AnyAddress: f.anyAddress,
	}
	if t.Issuer.Secret, err = identity.ReadSecret(f.secret); err != nil {
		return err
	}
	if t.Rules, err = readCampaign(f.campaign); err != nil {
		return usageError{err}
	}
	o.Target = t
	return nil
}

// findWeir finds weir: as it was named, beside this program, or on the path.
func findWeir(named string) (string, error) {
	if named != "" {
		return named, nil
	}
	if own, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(own), "weir")
		if _, err := os.Stat(beside); err == nil {
			return beside, nil
		}
	}
	found, err := exec.LookPath("weir")
	if err != nil {
		return "", usagef("there is no weir beside this program and none on the path; name it with --weir, or build it: make build")
	}
	return found, nil
}

func readCampaign(name string) (*campaign.Definition, error) {
	if name == "sample:"+sampleName {
		return sample.Definition()
	}
	source, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read campaign: %w", err)
	}
	return campaign.Parse(name, source, func(file string) ([]byte, error) {
		return os.ReadFile(filepath.Join(filepath.Dir(name), file))
	})
}

// write prints the report and writes the files that were asked for.
func (f *runFlags) write(stdout io.Writer, r *report.Report, result *openloop.Result) error {
	show := r.Print
	if f.json {
		show = r.Write
	}
	return errors.Join(
		show(stdout),
		intoFile(f.out, r.Write),
		intoFile(f.html, r.HTML),
		intoFile(f.svg, r.Picture),
		intoFile(f.hlog, func(to io.Writer) error { return report.WriteHistograms(to, r.Started, result) }),
	)
}

// intoFile writes a file; none where its name is empty.
func intoFile(name string, write func(io.Writer) error) (err error) {
	if name == "" {
		return nil
	}
	file, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return write(file)
}
