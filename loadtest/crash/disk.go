//go:build linux

package crash

import (
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

const commandTimeout = 30 * time.Second

// command runs `weir ARGS` and returns its standard output. An exit code other
// than 0 is an error that says what the command wrote.
func (s *stage) command(ctx context.Context, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	var out, problems bytes.Buffer
	run := exec.CommandContext(ctx, s.binary, args...)
	run.Env, run.Stdout, run.Stderr = process.Environment(), &out, &problems
	if err := run.Run(); err != nil {
		return nil, fmt.Errorf("weir %v: %w\n%s%s", args, err, out.Bytes(), problems.Bytes())
	}
	return out.Bytes(), nil
}

// inspect reads what is on disk with the operator's commands.
func (s *stage) inspect(ctx context.Context) (*World, error) {
	if _, err := s.command(ctx, "verify", "--data", s.data()); err != nil {
		return nil, err
	}
	w := &World{Capacity: s.holding, PerPerson: s.rules.Bookings.PerPerson}
	state, err := s.command(ctx, "state", "--data", s.data(), "--format", "json")
	if err != nil {
		return nil, err
	}
	var report struct {
		Campaigns []Totals `json:"campaigns"`
	}
	if err := json.Unmarshal(state, &report); err != nil {
		return nil, fmt.Errorf("read state: %w", err)
	}
	if len(report.Campaigns) > 1 {
		return nil, fmt.Errorf("read state: %d campaigns", len(report.Campaigns))
	}
	if len(report.Campaigns) == 1 { // else killed before the campaign was known
		w.Totals = report.Campaigns[0]
	}
	export, err := s.command(ctx, "export", "bookings", "--data", s.data(), "--format", "ndjson")
	if err != nil {
		return nil, err
	}
	w.Bookings, err = readExport(export)
	return w, err
}

func readExport(export []byte) ([]Booking, error) {
	var bookings []Booking
	lines := json.NewDecoder(bytes.NewReader(export))
	for {
		var line struct {
			Booking
			Person string `json:"person"`
		}
		if err := lines.Decode(&line); errors.Is(err, io.EOF) {
			return bookings, nil
		} else if err != nil {
			return nil, fmt.Errorf("read export: %w", err)
		}
		line.Booking.Person = line.Person
		bookings = append(bookings, line.Booking)
	}
}
