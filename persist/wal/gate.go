package wal

import (
	"sync/atomic"

	"weir/core/event"
)

// gate is where the waiters of one batch wait. The gates form a chain of two at
// most: that of the batch that is filling, and before it that of the batch
// being written. So a waiter finds its own without a lock.
type gate struct {
	first    event.Seq            // of the batch's first record
	prev     atomic.Pointer[gate] // of the batch being written; nil: all before first is durable
	deadline atomic.Int64         // Log.now at which the waiters are let go; 0: no record yet
	released atomic.Bool
	done     chan struct{}
}

func newGate(first event.Seq, prev *gate) *gate {
	g := &gate{first: first, done: make(chan struct{})}
	g.prev.Store(prev)
	return g
}

// release lets the waiters go, whatever became of their batch.
func (g *gate) release() {
	if g.released.CompareAndSwap(false, true) {
		close(g.done)
	}
}

// overdue says whether the deadline has passed.
func (g *gate) overdue(now int64) bool {
	deadline := g.deadline.Load()
	return deadline != 0 && now >= deadline
}

// batch is the records of one group commit. Log.mu guards the open one, the
// committer owns the one being written.
type batch struct {
	gate   *gate
	buf    []byte // room for the header, then the records
	count  uint32
	charge uint64     // of pending, given back once durable
	newest event.Time // newest record time of the log up to here
	opened int64      // Log.now of the first record
	target uint32     // at which the committer wants to be woken; 0: at none
}

// keptBuffer is the size up to which a batch's buffer is kept for the next, in
// bytes. Larger ones are the work of a stalled disk or a large definition.
const keptBuffer = 8 << 20

func (b *batch) reset(g *gate) {
	if cap(b.buf) == 0 || cap(b.buf) > keptBuffer {
		b.buf = make([]byte, headerSize, 256<<10)
	}
	*b = batch{gate: g, buf: b.buf[:headerSize]}
}
