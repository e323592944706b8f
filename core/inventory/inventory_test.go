package inventory_test

import (
	"sync"
	"testing"
	"time"

	"weir/core/event"
	"weir/core/inventory"
)

func TestNeverMoreThanCapacity(t *testing.T) {
	table := inventory.New(2, func(s event.SlotID) uint16 { return uint16(100 * (s + 1)) })
	var group sync.WaitGroup
	var mu sync.Mutex
	took := 0
	for range 8 {
		group.Go(func() {
			for range 50 {
				table.Lock(1, 0)
				if !table.Full(1) && table.Take(1) == nil {
					mu.Lock()
					took++
					mu.Unlock()
				}
				table.Unlock(1, 0)
			}
		})
	}
	group.Wait()
	if taken, capacity := table.Load(1); took != 200 || taken != 200 || capacity != 200 {
		t.Fatalf("%d took a place; %d of %d are taken", took, taken, capacity)
	}
	if err := table.Take(1); err == nil {
		t.Fatal("a place was taken in a full slot")
	}
	if err := table.Give(0); err == nil {
		t.Fatal("a place was given back to an empty slot")
	}
}

func TestResizeKeepsWhatIsTaken(t *testing.T) {
	table := inventory.New(1, func(event.SlotID) uint16 { return 3 })
	for range 2 {
		if err := table.Take(0); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct{ ask, want uint16 }{{1, 2}, {65535, 65535}, {2, 2}, {0, 2}} {
		table.Resize(0, step.ask)
		if taken, capacity := table.Load(0); taken != 2 || capacity != step.want {
			t.Fatalf("resized to %d: %d of %d", step.ask, taken, capacity)
		}
	}
	if err := table.Give(0); err != nil {
		t.Fatal(err)
	}
	if taken, _ := table.Load(0); taken != 1 {
		t.Fatalf("%d are taken", taken)
	}
}

// TestLockPairs lets goroutines lock the same pairs in both orders: all of them
// come back, and nobody else is there while a slot is locked.
func TestLockPairs(t *testing.T) {
	const rounds = 2000
	table := inventory.New(600, func(event.SlotID) uint16 { return 1 })
	visits := map[event.SlotID]*int{0: new(int), 1: new(int), 256: new(int), event.NoSlot: nil}
	pairs := [][2]event.SlotID{{0, 1}, {1, 0}, {0, 256}, {256, 0}, {event.NoSlot, 1}, {1, event.NoSlot}, {event.NoSlot, event.NoSlot}}
	ended := make(chan struct{}, len(pairs))
	for _, pair := range pairs {
		go func() {
			for range rounds {
				table.Lock(pair[0], pair[1])
				for _, slot := range pair {
					if n := visits[slot]; n != nil {
						*n++
					}
				}
				table.Unlock(pair[0], pair[1])
			}
			ended <- struct{}{}
		}()
	}
	deadline := time.After(time.Minute)
	for range pairs {
		select {
		case <-ended:
		case <-deadline:
			t.Fatal("the locks are waited for in a circle")
		}
	}
	for slot, want := range map[event.SlotID]int{0: 4 * rounds, 1: 4 * rounds, 256: 2 * rounds} {
		if got := *visits[slot]; got != want {
			t.Errorf("slot %d: %d visits are counted of %d", slot, got, want)
		}
	}
}
