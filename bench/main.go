//go:build linux

// Command bench measures every layer of weir by itself and all of them
// together, beside a bare fasthttp server that does the same work at the
// socket and keeps nothing. It prints a table and writes the figures of every
// round as JSON.
//
// It does not protect against a busy machine: other work shows in the figures.
// Rounds of what is compared alternate, so that it shows on all sides, and a
// ratio is taken round by round before the median is. README.md says what each
// section means and what it leaves out.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// options are what the flags say.
type options struct {
	sections    []string
	rounds      int
	operations  int           // of the engine, a round
	bookings    int           // of the memory section
	slots       int           // of the memory section, at least
	duration    time.Duration // of a journal round
	waiters     []int         // of the journal section
	requests    int           // over HTTP, a round
	connections int
	dir         string // for logs and keys, on the disk that is measured
	out         string
	weir        string // binary; "": built
	quick       bool
}

// section is one part of the bench.
type section struct {
	name  string
	about string
	asked bool // only where it is asked for: it needs programs of others
	run   func(ctx context.Context, o *options, s *Section) error
}

var sections = []section{
	{name: "engine", about: "the booking core in one process, no disk and no network", run: runEngine},
	{name: "memory", about: "what bookings take in memory", run: runMemory},
	{name: "journal", about: "the write-ahead log alone", run: runJournal},
	{name: "durable", about: "the booking core and its log in one process", run: runDurable},
	{name: "http", about: "bookings over HTTP, side by side with a bare fasthttp server", run: runHTTP},
	{name: "line", about: "joining the line, asking for it, and refusing, side by side with a bare fasthttp server", asked: true, run: runLine},
	{name: "profile", about: "where the CPU time of a booking over HTTP goes", asked: true, run: runProfile},
	{name: "snapshots", about: "durable bookings with and without snapshots being taken", asked: true, run: runSnapshots},
	{name: "recovery", about: "the time until a server could serve again, beside Redis with as many keys", asked: true, run: runRecovery},
	{name: "peers", about: "the same bookings at weir, Redis and PostgreSQL", asked: true, run: runPeers},
}

// childFlag makes the bench run one of its parts as a process of its own.
const childFlag = "child"

var children = map[string]func(ctx context.Context, in io.Reader, out io.Writer) error{
	"memory":   memoryChild,
	"recovery": recoveryChild,
	"bare":     bareChild,
	"front":    frontChild,
}

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run returns the exit code: 0 measured, 1 failed, 2 usage.
func run(args []string, out, problems io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(args) == 2 && args[0] == "-"+childFlag {
		return code(problems, runChild(ctx, args[1], out))
	}
	o, err := parseOptions(args, problems)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return max(2, code(problems, err))
	}
	return code(problems, measure(ctx, o, out, problems))
}

func code(problems io.Writer, err error) int {
	if err == nil {
		return 0
	}
	_, _ = fmt.Fprintln(problems, "bench:", err) // there is no one left to tell
	return 1
}

func runChild(ctx context.Context, name string, out io.Writer) error {
	child, ok := children[name]
	if !ok {
		return fmt.Errorf("no child %q", name)
	}
	return child(ctx, os.Stdin, out)
}

func parseOptions(args []string, usage io.Writer) (*options, error) {
	var names, usual []string
	for _, s := range sections {
		names = append(names, s.name)
		if !s.asked {
			usual = append(usual, s.name)
		}
	}
	o := &options{waiters: []int{1, 64, 1024, 4096}}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(usage)
	list := flags.String("sections", strings.Join(usual, ","), "`names` of the sections to run, of "+strings.Join(names, ", "))
	flags.IntVar(&o.rounds, "rounds", 5, "measured rounds of each case; one more is run first and dropped")
	flags.IntVar(&o.operations, "operations", 1_000_000, "operations a round of the engine section")
	flags.IntVar(&o.bookings, "bookings", 10_000_000, "bookings of the memory section")
	flags.IntVar(&o.slots, "slots", 2_500_000, "slots of the memory section, at least")
	flags.DurationVar(&o.duration, "duration", 2*time.Second, "`length` of a round of the journal, durable and peers sections")
	flags.IntVar(&o.requests, "requests", 250_000, "requests a round of the http, line and profile sections; of the peers section at most")
	flags.IntVar(&o.connections, "connections", 512, "keep-alive connections of the http, line, profile and peers sections")
	flags.StringVar(&o.dir, "dir", "", "`directory` on the disk to measure (default: the system's for temporary files)")
	flags.StringVar(&o.out, "out", "out/bench.json", "`file` for the figures; empty: none")
	flags.StringVar(&o.weir, "weir", "", "weir `binary` (default: built from this module)")
	flags.BoolVar(&o.quick, "quick", false, "small sizes that only show that everything runs; no figures to quote")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	o.sections = strings.Split(*list, ",")
	for _, name := range o.sections {
		if !slices.Contains(names, name) {
			return nil, fmt.Errorf("no section %q: there are %s", name, strings.Join(names, ", "))
		}
	}
	if o.quick {
		o.shrink(flags)
	}
	if min(o.rounds, o.operations, o.bookings, o.slots, o.requests, o.connections) < 1 || o.duration <= 0 {
		return nil, errors.New("sizes, rounds and durations must be positive")
	}
	return o, nil
}

// shrink makes all sizes that were not given small.
func (o *options) shrink(flags *flag.FlagSet) {
	given := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	for name, size := range map[string]struct {
		field *int
		small int
	}{
		"rounds": {&o.rounds, 1}, "operations": {&o.operations, 20_000}, "bookings": {&o.bookings, 50_000},
		"slots": {&o.slots, 10_000}, "requests": {&o.requests, 2_000}, "connections": {&o.connections, 16},
	} {
		if !given[name] {
			*size.field = size.small
		}
	}
	if !given["duration"] {
		o.duration = 50 * time.Millisecond
	}
	o.waiters = []int{1, 64}
}

// measure runs the sections, prints each as it is done and writes the report.
// The figures of what was done before an error are written as well.
func measure(ctx context.Context, o *options, out, problems io.Writer) error {
	report := newReport(o)
	if err := report.Machine.print(out); err != nil {
		return err
	}
	var failed error
	for _, s := range sections {
		if !slices.Contains(o.sections, s.name) {
			continue
		}
		_, _ = fmt.Fprintf(problems, "bench: %s: %s\n", s.name, s.about)
		measured := &Section{Name: s.name, About: s.about}
		failed = s.run(ctx, o, measured)
		measured.summarize()
		report.Sections = append(report.Sections, measured)
		if err := measured.print(out); err != nil {
			return err
		}
		if failed != nil {
			failed = fmt.Errorf("%s: %w", s.name, failed)
			break
		}
	}
	report.Took = time.Since(report.Started).Round(time.Second).String()
	return errors.Join(failed, report.write(o.out))
}
