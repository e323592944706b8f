//go:build linux

package crash

import (
	"context"
	"fmt"

	"weir/loadtest/evidence"
)

// inspect reads what is on disk with the operator's commands.
func (s *stage) inspect(ctx context.Context) (*World, error) {
	disk := evidence.Directory{Binary: s.binary, Data: s.data()}
	if err := disk.Verify(ctx); err != nil {
		return nil, err
	}
	w := &World{Capacity: s.holding, PerPerson: s.rules.Bookings.PerPerson}
	totals, err := disk.Totals(ctx)
	if err != nil {
		return nil, err
	}
	if len(totals) > 1 {
		return nil, fmt.Errorf("read state: %d campaigns", len(totals))
	}
	if len(totals) == 1 { // else killed before the campaign was known
		w.Totals = totals[0]
	}
	err = disk.Bookings(ctx, func(b *evidence.Booking) error {
		w.Bookings = append(w.Bookings, Booking{
			Code: b.Code, Slot: b.Slot, State: b.State, Sequence: b.Sequence, Person: b.Person,
		})
		return nil
	})
	return w, err
}
