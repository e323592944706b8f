// Package evidence reads what a server left on disk, with the operator's own
// commands: `weir verify`, `weir state` and `weir export bookings`. The judges
// of the crash campaign and of the load test hold it against what people were
// told.
//
// It does not protect against an operator's command that reads the log as
// wrongly as the server does: both run the same code over it.
package evidence

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"time"

	"weir/loadtest/process"
)

// What a judge can find. Each finding wraps one of them.
var (
	ErrLost     = errors.New("acknowledged, but lost")
	ErrAltered  = errors.New("not as it was acknowledged")
	ErrInvented = errors.New("nobody asked for it")
	ErrDouble   = errors.New("twice")
	ErrOversold = errors.New("more than there is room for")
	ErrTotals   = errors.New("totals do not add up")
	ErrAnswer   = errors.New("an answer that cannot be")
)

// The states of a booking, as the server tells them.
const (
	Booked    = "booked"
	Cancelled = "cancelled"
)

// Totals are a campaign's figures as `weir state` prints them.
type Totals struct {
	ID        string `json:"id"`
	Slots     int    `json:"slots"`
	Places    int64  `json:"places"`
	Taken     int64  `json:"taken"`
	Booked    int64  `json:"booked"`
	Cancelled int64  `json:"cancelled"` // cancellations ever
	Holds     int64  `json:"holds"`
	Issued    int64  `json:"issued"` // numbers in line
}

// Booking is a line of the export.
type Booking struct {
	Campaign string `json:"campaign"`
	Code     string `json:"code"`
	Slot     string `json:"slot"`
	State    string `json:"state"`
	Sequence uint64 `json:"sequence"` // of the record that changed it last
	Person   string `json:"person"`   // keyed hash, hex
}

// Directory is a data directory and the binary to read it with.
type Directory struct {
	Binary string
	Data   string
}

// commandTimeout bounds one command. A log of ten million records is read in
// well under a minute.
const commandTimeout = 5 * time.Minute

// Verify runs `weir verify`, and fails where the log is not sound.
func (d Directory) Verify(ctx context.Context) error {
	return d.run(ctx, func(io.Reader) error { return nil }, "verify")
}

// Totals returns the figures of every campaign.
func (d Directory) Totals(ctx context.Context) ([]Totals, error) {
	var report struct {
		Campaigns []Totals `json:"campaigns"`
	}
	err := d.run(ctx, func(out io.Reader) error { return json.NewDecoder(out).Decode(&report) }, "state", "--format", "json")
	return report.Campaigns, err
}

// Bookings hands every booking of the export to yield, until it fails.
func (d Directory) Bookings(ctx context.Context, yield func(*Booking) error) error {
	return d.run(ctx, func(out io.Reader) error { return ReadBookings(out, yield) }, "export", "bookings", "--format", "ndjson")
}

// ReadBookings hands every booking of an export to yield, until it fails.
func ReadBookings(export io.Reader, yield func(*Booking) error) error {
	lines := json.NewDecoder(bufio.NewReaderSize(export, 1<<20))
	for n := 1; ; n++ {
		var b Booking
		if err := lines.Decode(&b); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read export: line %d: %w", n, err)
		}
		if err := yield(&b); err != nil {
			return fmt.Errorf("read export: line %d: %w", n, err)
		}
	}
}

// run runs `weir ARGS --data …` and hands its standard output to read. An exit
// code other than 0 is an error that says what the command wrote.
func (d Directory) run(ctx context.Context, read func(io.Reader) error, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	command := exec.CommandContext(ctx, d.Binary, append(args, "--data", d.Data)...)
	var problems, seen bytes.Buffer
	command.Env, command.Stderr = process.Environment(), &problems
	out, err := command.StdoutPipe()
	if err != nil {
		return fmt.Errorf("weir %v: %w", args, err)
	}
	if err := command.Start(); err != nil {
		return fmt.Errorf("weir %v: %w", args, err)
	}
	wrong := read(io.TeeReader(out, limited{&seen}))
	_, rest := io.Copy(limited{&seen}, out)
	if err := command.Wait(); err != nil {
		return fmt.Errorf("weir %v: %w\n%s%s", args, err, seen.Bytes(), problems.Bytes())
	}
	if err := errors.Join(wrong, rest); err != nil {
		return fmt.Errorf("weir %v: %w", args, err)
	}
	return nil
}

// limited keeps the beginning of what is written to it, for an error.
type limited struct{ to *bytes.Buffer }

func (l limited) Write(p []byte) (int, error) {
	const most = 8 << 10
	if room := most - l.to.Len(); room > 0 {
		l.to.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}
