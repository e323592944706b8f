package core_test

import (
	"sync"

	"weir/core"
	"weir/core/event"
)

// tape is a journal that keeps its records in memory, durable at once.
type tape struct {
	mu       sync.Mutex
	records  []event.Record // owner: mu
	reserved int            // owner: mu
	refuse   error          // owner: mu; what Reserve answers, where not nil
}

var _ core.Journal = (*tape)(nil)

func (t *tape) Reserve(size int) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.refuse != nil {
		return t.refuse
	}
	t.reserved += max(size, event.MaxSize)
	return nil
}

func (t *tape) Release(size int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.reserved -= max(size, event.MaxSize)
}

func (t *tape) Append(r *event.Record) event.Seq {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.records = append(t.records, *r)
	t.reserved -= max(r.Size(), event.MaxSize)
	return event.Seq(len(t.records))
}

func (t *tape) Wait(event.Seq) error { return nil }

func (t *tape) Durable() event.Seq {
	t.mu.Lock()
	defer t.mu.Unlock()
	return event.Seq(len(t.records))
}
