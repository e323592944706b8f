package core

import (
	"weir/core/event"
)

// Journal is the ordered, durable record of every change. The engine declares
// it; the write-ahead log satisfies it, and so may a replicated log.
//
// A change takes three steps: Reserve before any lock, Append under the locks
// that order it, Wait after they are gone. A caller that reserved and then has
// nothing to append gives the room back with Release.
//
// All methods are safe for concurrent use. None of them retries: after the
// first failed write or sync the journal is poisoned for good, every Reserve
// and Wait answers ErrFailed, and the process has to be started again.
type Journal interface {
	// Reserve claims room for one record of at most size bytes. It never
	// blocks: where the journal is full it answers ErrOverloaded, where the
	// disk is nearly full ErrReadOnly, after a failure or Close ErrFailed or
	// ErrClosed.
	Reserve(size int) error

	// Release gives back reserved room that no record was appended to.
	Release(size int)

	// Append adds r in room that was reserved with at least r.Size() bytes,
	// and returns its sequence number: one more than that of the record
	// before it. It does no I/O and cannot fail; the record is durable only
	// when Wait says so. It keeps nothing of r.
	Append(r *event.Record) event.Seq

	// Wait returns nil once the record seq and all before it are durable. It
	// answers ErrOutcomeUnknown when the journal's commit deadline passes
	// first (the record may still become durable), ErrFailed after a failure.
	Wait(seq event.Seq) error

	// Durable returns the newest sequence number that is durable.
	Durable() event.Seq
}
