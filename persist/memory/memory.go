// Package memory is a journal that keeps nothing. NOTHING IS DURABLE: every
// record is acknowledged and thrown away, and what it changed is gone when the
// process ends. It exists to measure the core without a disk, and for demos.
//
// It protects against nothing that core.Journal is there to protect against.
package memory

import (
	"sync/atomic"

	"weir/core"
	"weir/core/event"
)

// Journal numbers records and forgets them. NOTHING IS DURABLE. Its methods
// are safe for concurrent use and do not allocate. The zero value is ready.
type Journal struct {
	seq    atomic.Uint64
	closed atomic.Bool
}

var _ core.Journal = (*Journal)(nil)

// Reserve never refuses while the journal is open: there is nothing to fill.
func (j *Journal) Reserve(int) error {
	if j.closed.Load() {
		return core.ErrClosed
	}
	return nil
}

// Release does nothing.
func (j *Journal) Release(int) {}

// Append returns the next sequence number and forgets the record.
func (j *Journal) Append(*event.Record) event.Seq { return event.Seq(j.seq.Add(1)) }

// Wait returns nil at once. NOTHING IS DURABLE.
func (j *Journal) Wait(event.Seq) error { return nil }

// Durable returns the newest sequence number given. NOTHING IS DURABLE.
func (j *Journal) Durable() event.Seq { return event.Seq(j.seq.Load()) }

// Close refuses what is reserved from now on.
func (j *Journal) Close() error {
	j.closed.Store(true)
	return nil
}
