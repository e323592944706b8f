package snapshot

import (
	"context"

	"github.com/cockroachdb/pebble/v2"
)

// compactions is Pebble's scheduler of compactions, which begins none by itself:
// they run one after the other, when run is called. So none is under way while a
// store is being opened, where Pebble cannot deal with one if the opening fails,
// nor after a failure, nor beside the pages that go in. The files that they
// write are paced.
type compactions struct {
	db   pebble.DBForCompaction
	done chan struct{}
}

func newCompactions() *compactions { return &compactions{done: make(chan struct{}, 1)} }

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
	for {
		if waiting, _ := c.db.GetWaitingCompaction(); !waiting {
			return nil
		}
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

// Started needs nothing to be done.
func (*compactions) Started() {}

// CumulativeStats counts nothing: what is written is paced by its files.
func (*compactions) CumulativeStats(pebble.CompactionGrantHandleStats) {}

// MeasureCPU measures nothing.
func (*compactions) MeasureCPU(pebble.CompactionGoroutineKind) {}

// Done ends a compaction.
func (c *compactions) Done() { c.done <- struct{}{} }
