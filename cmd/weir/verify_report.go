package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"weir/persist/recovery"
)

// verifyReport is what `weir verify --json` prints.
type verifyReport struct {
	OK bool `json:"ok"`
	*recovery.Verified
	State *stateReport `json:"state,omitempty"`
}

// printVerified prints what weir verify found.
func printVerified(w io.Writer, v *recovery.Verified, asJSON bool) error {
	r := verifyReport{OK: len(v.Findings) == 0 && v.State != nil, Verified: v}
	if v.State != nil {
		r.State = newStateReport(v.State, recovery.Report{Report: v.Log})
	}
	if asJSON {
		if err := writeJSON(w, &r); err != nil {
			return err
		}
	} else if _, err := io.WriteString(w, r.describe()); err != nil {
		return fmt.Errorf("print the report: %w", err)
	}
	if !r.OK {
		return errReported
	}
	return nil
}

// describe is the report as people read it.
func (r *verifyReport) describe() string {
	var b strings.Builder
	word := "damaged"
	if r.OK {
		word = "sound"
	}
	log := &r.Log
	fmt.Fprintf(&b, "%s: records %d to %d in %d envelopes, %d segments, %d epochs, %d bytes, read in %v\n",
		word, log.FirstSeq, log.LastSeq, log.Envelopes, log.Segments, log.Epochs, log.Bytes, log.Duration.Round(time.Millisecond))
	if t := log.Torn; t != nil {
		fmt.Fprintf(&b, "a write that nobody was told of was cut short: %s at byte %d, %d bytes: %s\n", t.Path, t.Offset, t.Bytes, t.What)
	}
	for _, s := range r.Snapshots {
		if s.Sound {
			fmt.Fprintf(&b, "snapshot %s through record %d: with the log behind it digest %s\n", s.Name, s.From, s.Digest)
		}
	}
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "damaged: %s\n", f.What)
		if len(f.Bookings) > 0 {
			fmt.Fprintf(&b, "  bookings on it: %v", f.Bookings)
			if f.More > 0 {
				fmt.Fprintf(&b, " and %d more", f.More)
			}
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "  what to do: %s\n", f.Remedy)
	}
	if r.State == nil {
		return b.String()
	}
	fmt.Fprintf(&b, "digest %s\n", r.State.Digest)
	for i := range r.State.Campaigns {
		b.WriteString(r.State.Campaigns[i].describe())
	}
	return b.String()
}
