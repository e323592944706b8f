package snapshot

import (
	"context"

	"github.com/cockroachdb/pebble/v2"
)

// compactions is Pebble's scheduler of compactions, which begins none by itself:
// they run one after the other, when run is called, and at a pace. So none is
// under way while a store is being opened, where Pebble cannot deal with one if
// the opening fails, nor after a failure, nor beside the pages that go in.
type compactions struct {
	db    pebble.DBForCompaction
	pacer *Pacer
	ctx   context.Context // of run
	bytes uint64          // that the compaction has written
	done  chan struct{}
}

func newCompactions(p Pace) *compactions {
	return &compactions{pacer: NewPacer(p), done: make(chan struct{}, 1)}
}

// Register is called once, by Open.
func (c *compactions) Register(_ int, db pebble.DBForCompaction) { c.db = db }

// Unregister has nothing to wait for: run has ended.
func (*compactions) Unregister() {}

// TrySchedule leaves it to run.
func (*compactions) TrySchedule() (bool, pebble.CompactionGrantHandle) { return false, nil }

// UpdateGetAllowedWithoutPermission changes nothing.
func (*compactions) UpdateGetAllowedWithoutPermission() {}

// run does the compactions that Pebble asks for until it asks for none, ctx
// ends or something has failed.
func (c *compactions) run(ctx context.Context, failed func() error) error {
	c.ctx = ctx
	for {
		if waiting, _ := c.db.GetWaitingCompaction(); !waiting {
			return nil
		}
		c.bytes = 0
		if !c.db.Schedule(c) {
			return nil
		}
		<-c.done
		if err := failed(); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// Started begins a compaction's first step.
func (c *compactions) Started() { c.pacer = NewPacer(c.pacer.pace) }

// CumulativeStats is called by the compaction now and then, and rests there. One
// that is to end goes on without.
func (c *compactions) CumulativeStats(s pebble.CompactionGrantHandleStats) {
	_ = c.pacer.Rest(c.ctx, int(s.CumWriteBytes-c.bytes))
	c.bytes = s.CumWriteBytes
}

// MeasureCPU measures nothing.
func (*compactions) MeasureCPU(pebble.CompactionGoroutineKind) {}

// Done ends a compaction.
func (c *compactions) Done() { c.done <- struct{}{} }
