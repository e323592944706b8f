package wal

import (
	"math/bits"
	"sync/atomic"
	"time"

	"weir/core/event"
)

// counters are written by the committer, or by callers that are refused, and
// read by Stats.
type counters struct {
	envelopes, records, bytes atomic.Uint64
	syncs, syncNanos, syncMax atomic.Uint64
	queueNanos, queueMax      atomic.Uint64
	refused, stalls           atomic.Uint64
	sync, queue               durations
}

// DelayBuckets is the number of buckets of Stats.SyncBuckets and QueueBuckets.
const DelayBuckets = 24

// durations counts by duration: bucket i what took less than 2^i µs and not
// less than half of that, the last one all above.
type durations [DelayBuckets]atomic.Uint64

func (d *durations) add(took time.Duration) {
	d[min(bits.Len64(uint64(max(0, took.Microseconds()))), DelayBuckets-1)].Add(1)
}

func (d *durations) load() (counts [DelayBuckets]uint64) {
	for i := range d {
		counts[i] = d[i].Load()
	}
	return counts
}

func (c *counters) queued(nanos int64) {
	c.queueNanos.Add(uint64(nanos))
	raise(&c.queueMax, uint64(nanos))
	c.queue.add(time.Duration(nanos))
}

func (c *counters) committed(records uint32, bytes int, synced time.Duration) {
	c.envelopes.Add(1)
	c.records.Add(uint64(records))
	c.bytes.Add(uint64(bytes))
	c.syncs.Add(1)
	c.syncNanos.Add(uint64(synced))
	raise(&c.syncMax, uint64(synced))
	c.sync.add(synced)
}

// raise lifts v to at least n. Only one goroutine calls it for a given v.
func raise(v *atomic.Uint64, n uint64) {
	if n > v.Load() {
		v.Store(n)
	}
}

// Stats is what a log has done since it was opened, and how it stands.
type Stats struct {
	Appended event.Seq `json:"appended"`
	Durable  event.Seq `json:"durable"`
	Epoch    uint32    `json:"epoch"`

	PendingRecords int `json:"pending_records"` // reserved or appended, not durable
	PendingBytes   int `json:"pending_bytes"`

	Envelopes uint64 `json:"envelopes"`
	Records   uint64 `json:"records"`
	Bytes     uint64 `json:"bytes"` // of envelopes, as stored
	Refused   uint64 `json:"refused"`
	Stalls    uint64 `json:"stalls"` // batches that passed the commit deadline

	Syncs     uint64        `json:"syncs"`
	SyncTotal time.Duration `json:"sync_total_nanos"`
	SyncMax   time.Duration `json:"sync_max_nanos"`
	// SyncBuckets counts syncs by duration: bucket i those below 2^i µs and not
	// below half of that, the last one all above.
	SyncBuckets [DelayBuckets]uint64 `json:"sync_buckets"`

	// From a batch's first record until the committer took it.
	QueueTotal time.Duration `json:"queue_total_nanos"`
	QueueMax   time.Duration `json:"queue_max_nanos"`
	// QueueBuckets counts batches by that time, as SyncBuckets.
	QueueBuckets [DelayBuckets]uint64 `json:"queue_buckets"`
	// Oldest is the age of the oldest record that is not durable, 0 where all
	// are. While the disk stalls nothing else here moves.
	Oldest time.Duration `json:"oldest_nanos"`

	FreeBytes int64 `json:"free_bytes"`
	ReadOnly  bool  `json:"read_only"`
	Stalled   bool  `json:"stalled"`
	Failed    error `json:"-"` // nil: it has not
}

// Stats returns the log's figures. They are read one by one, not at one moment.
func (l *Log) Stats() Stats {
	pending, state := l.pending.Load(), l.state.Load()
	l.end.Lock()
	epoch := l.end.head.epoch
	l.end.Unlock()
	c := &l.count
	s := Stats{
		Appended: event.Seq(l.appended.Load()), Durable: l.Durable(), Epoch: epoch,
		PendingRecords: int(pending >> pendingShift), PendingBytes: int(pending & pendingBytes),
		Envelopes: c.envelopes.Load(), Records: c.records.Load(), Bytes: c.bytes.Load(),
		Refused: c.refused.Load(), Stalls: c.stalls.Load(),
		Syncs: c.syncs.Load(), SyncTotal: time.Duration(c.syncNanos.Load()), SyncMax: time.Duration(c.syncMax.Load()),
		QueueTotal: time.Duration(c.queueNanos.Load()), QueueMax: time.Duration(c.queueMax.Load()),
		FreeBytes: l.space.free.Load(), ReadOnly: state&stateReadOnly != 0, Stalled: state&stateStalled != 0,
	}
	s.SyncBuckets, s.QueueBuckets, s.Oldest = c.sync.load(), c.queue.load(), l.oldest()
	if state&stateFailed != 0 {
		s.Failed = l.failure
	}
	return s
}

// oldest returns the age of the oldest record that is not durable.
func (l *Log) oldest() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.flight != nil:
		return time.Duration(l.now() - l.flight.opened)
	case l.open.count > 0:
		return time.Duration(l.now() - l.open.opened)
	}
	return 0
}

// SyncQuantile returns the duration that the share q of all syncs, from 0 to 1,
// stayed below: a bucket's bound, so up to twice what it was.
func (s *Stats) SyncQuantile(q float64) time.Duration {
	var seen uint64
	for i, n := range s.SyncBuckets {
		seen += n
		if n > 0 && float64(seen) >= q*float64(s.Syncs) {
			return min(time.Microsecond<<i, s.SyncMax)
		}
	}
	return s.SyncMax
}
