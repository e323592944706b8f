// Package recovery folds the log of a data directory into a state: for the
// server, which goes on writing the log, and for tools that only read it. Both
// run the same code, and the state is changed by its normal Apply.
//
// The package does not protect against a state that applies the same records in
// two ways: whoever folds the log twice and compares digests notices that.
package recovery

import (
	"bytes"
	"fmt"

	"weir/core/event"
	"weir/persist/wal"
)

// State is what the log is folded into. Apply is called with every record in
// order, by one goroutine, before anything else may change the state. The
// record is reused after it returns; its Definition and Payload must be copied
// where they are kept. An error ends the recovery.
type State interface {
	Apply(seq event.Seq, r *event.Record) error
}

// Open opens the data directory dir to be written, repairs a torn tail and
// brings state, which must be empty, to the end of the log. Errors are those of
// wal.Open and of State.Apply; state is useless after one.
func Open(dir string, o wal.Options, state State, progress func(wal.Progress)) (*wal.Log, wal.Report, error) {
	l, report, err := wal.Open(dir, o, owned(state.Apply), progress)
	if err != nil {
		return nil, report, fmt.Errorf("recover: %w", err)
	}
	return l, report, nil
}

// Replay brings state, which must be empty, to the end of the log of dir, and
// changes nothing on disk. It refuses, with wal.ErrLocked, while a server has
// the directory open. Errors are those of wal.Scan and of State.Apply.
func Replay(dir string, state State, progress func(wal.Progress)) (wal.Report, error) {
	report, err := wal.Scan(dir, wal.ScanOptions{}, owned(state.Apply), progress)
	if err != nil {
		return report, fmt.Errorf("replay: %w", err)
	}
	return report, nil
}

// owned copies definitions and payloads, which otherwise end with the envelope
// that they came in. They are few, and a state may well keep them.
func owned(apply wal.Replay) wal.Replay {
	return func(seq event.Seq, r *event.Record) error {
		if r.Definition != nil {
			r.Definition = bytes.Clone(r.Definition)
		}
		if r.Payload != nil {
			r.Payload = bytes.Clone(r.Payload)
		}
		return apply(seq, r)
	}
}
