//go:build linux

// Command main runs the overload test and writes its table, its figures and its
// pictures. It exits with 1 where a threshold is not kept or nothing could be
// measured, and with 2 where it is called wrongly.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"weir/loadtest/overload"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, out, problems io.Writer) (exit int) {
	o, dir, err := parse(args, problems)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		_, _ = fmt.Fprintln(problems, "overload:", err)
		return 2
	}
	o.Log = func(format string, args ...any) { _, _ = fmt.Fprintf(problems, format+"\n", args...) }
	report, failed := overload.Run(ctx, *o)
	if err := errors.Join(failed, write(report, dir, out)); err != nil {
		_, _ = fmt.Fprintln(problems, err)
		return 1
	}
	if !report.Passed() {
		return 1
	}
	return 0
}

func parse(args []string, problems io.Writer) (o *overload.Options, dir string, err error) {
	d := overload.Defaults()
	o = &d
	flags := flag.NewFlagSet("overload", flag.ContinueOnError)
	flags.SetOutput(problems)
	flags.StringVar(&o.Binary, "weir", "", "binary of weir (default: built)")
	flags.StringVar(&o.Dir, "dir", "", "directory for data, on the disk that is measured (default: the system's for temporary files)")
	flags.Float64Var(&o.Share, "share", d.Share, "of one CPU that the server may use")
	flags.IntVar(&o.Rounds, "rounds", d.Rounds, "of all loads on all servers; the medians count")
	flags.DurationVar(&o.Step, "step", d.Step, "length of each load")
	flags.DurationVar(&o.Settle, "settle", d.Settle, "start of each load that is not counted, half of a shorter load where it is not given")
	flags.DurationVar(&o.Fade, "fade", d.Fade, "that a load goes on for behind its step, not counted")
	flags.DurationVar(&o.After, "after", d.After, "how long is watched what follows an overload")
	flags.IntVar(&o.Connections, "connections", d.Connections, "most connections at a time (default: what the server does in 1.5 s)")
	flags.DurationVar(&o.Patience, "patience", d.Patience, "of people, from when they are due")
	flags.DurationVar(&o.ConnectWait, "connect-wait", d.ConnectWait, "for a free connection")
	flags.StringVar(&dir, "out", "out", "directory for overload.json, overload.svg and overload.png")
	multiples := flags.String("multiples", joined(d.Multiples), "loads, in multiples of the capacity")
	if err := flags.Parse(args); err != nil {
		return nil, "", err
	}
	if flags.NArg() > 0 {
		return nil, "", fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if o.Multiples, err = split(*multiples); err != nil {
		return nil, "", err
	}
	settled := false
	flags.Visit(func(f *flag.Flag) { settled = settled || f.Name == "settle" })
	if !settled {
		o.Settle = min(o.Settle, o.Step/2)
	}
	if o.Settle >= o.Step || o.Settle < 0 || o.Share <= 0 || o.After <= 0 || o.Fade <= 0 || o.Rounds < 1 || o.Connections < 0 {
		return nil, "", errors.New("lengths, rounds and the share must be positive, connections not negative, and the settling shorter than the step")
	}
	return o, dir, nil
}

func joined(multiples []float64) string {
	texts := make([]string, len(multiples))
	for i, m := range multiples {
		texts[i] = strconv.FormatFloat(m, 'g', -1, 64)
	}
	return strings.Join(texts, ",")
}

func split(list string) (multiples []float64, err error) {
	for text := range strings.SplitSeq(list, ",") {
		m, err := strconv.ParseFloat(text, 64)
		if err != nil || m <= 0 || m > 1000 {
			return nil, fmt.Errorf("--multiples: %q is no number above 0 and up to 1000", text)
		}
		multiples = append(multiples, m)
	}
	return multiples, nil
}

// write writes what there is, also of a run that failed in the middle.
func write(r *overload.Report, dir string, out io.Writer) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return errors.Join(
		r.WriteTable(out),
		writeFile(filepath.Join(dir, "overload.json"), r.WriteJSON),
		writeFile(filepath.Join(dir, "overload.svg"), r.WriteSVG),
		writeFile(filepath.Join(dir, "overload.png"), r.WritePNG),
	)
}

func writeFile(name string, write func(io.Writer) error) error {
	f, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return errors.Join(write(f), f.Close())
}
