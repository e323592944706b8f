package wal

import (
	"fmt"

	"weir/core/event"
)

// head is the end of a chain of envelopes: all that the next one must agree
// with.
type head struct {
	seq    event.Seq  // newest record
	time   event.Time // newest record time; it never falls
	epoch  uint32     // of the newest envelope; 0: there is none
	digest digest     // of the newest envelope; of none, the identity's id
}

// check says why e, found in the directory of the given epoch, cannot follow h.
func (h *head) check(e *envelope, epoch uint32) error {
	switch {
	case e.epoch != epoch:
		return fmt.Errorf("%w: it is of epoch %d", errMalformed, e.epoch)
	case e.first != h.seq+1:
		return fmt.Errorf("%w: it begins with record %d where %d was to follow", errMalformed, e.first, h.seq+1)
	case e.previous != h.digest:
		return fmt.Errorf("%w: the envelope before it is not the one it was written after", errMalformed)
	case e.newest < h.time:
		return fmt.Errorf("%w: its time lies before that of the envelope before it", errMalformed)
	}
	return nil
}

// follow moves h to e, which is stored as given.
func (h *head) follow(e *envelope, stored []byte) {
	*h = head{seq: e.last(), time: e.newest, epoch: e.epoch, digest: digestOf(stored)}
}

// walk hands every record of an envelope to visit, in order. The record handed
// over is reused, and its Definition aliases records.
func (e *envelope) walk(records []byte, r *event.Record, visit func(event.Seq, *event.Record) error) error {
	seq := e.first
	for range e.count {
		rest, err := event.Decode(r, records)
		if err != nil {
			return fmt.Errorf("%w: record %d: %w", errMalformed, seq, err)
		}
		if r.At > e.newest {
			return fmt.Errorf("%w: record %d is newer than its envelope", errMalformed, seq)
		}
		if visit != nil {
			if err := visit(seq, r); err != nil {
				return &replayError{seq, err}
			}
		}
		records = rest
		seq++
	}
	if len(records) != 0 {
		return fmt.Errorf("%w: %d bytes behind the last record", errMalformed, len(records))
	}
	return nil
}

// replayError says that the reader of the log refused a sound record.
type replayError struct {
	seq event.Seq
	err error
}

func (e *replayError) Error() string { return fmt.Sprintf("replay record %d: %v", e.seq, e.err) }
func (e *replayError) Unwrap() error { return e.err }
