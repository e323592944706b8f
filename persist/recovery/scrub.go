package recovery

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"weir/core"
	"weir/core/event"
	"weir/persist/snapshot"
	"weir/persist/wal"
)

// Scrub reads the whole log of a data directory that is in use, at the given
// pace, and verifies it without applying anything. It returns the *wal.Damage
// that it finds. Old log that goes while it is read looks like damage, so what
// is found counts only when it is found again.
func Scrub(ctx context.Context, dir string, pace snapshot.Pace) error {
	var err error
	for range 2 {
		err = scrub(ctx, dir, pace)
		if !errors.Is(err, core.ErrCorrupt) && !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("scrub: %w", err)
	}
	return nil
}

func scrub(ctx context.Context, dir string, pace snapshot.Pace) error {
	pacer, before := snapshot.NewPacer(pace), int64(0)
	rest := func(p wal.Progress) {
		bytes := p.Bytes - before
		before = p.Bytes
		_ = pacer.Rest(ctx, int(bytes)) // an end is noticed at the next record
	}
	ended := func(event.Seq, *event.Record) error { return context.Cause(ctx) }
	_, err := wal.Scan(dir, wal.ScanOptions{Unlocked: true, Base: whole}, ended, rest)
	return err
}

// whole is a wal.Base for who wants all the log that there is and has no state.
func whole(_ wal.Identity, removed, _ event.Seq) (from, newest event.Seq, err error) {
	return removed, removed, nil
}
