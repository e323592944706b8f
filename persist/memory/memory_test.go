package memory_test

import (
	"errors"
	"testing"

	"weir/core"
	"weir/core/event"
	"weir/persist/memory"
)

func TestNumbersWithoutGapsAndCloses(t *testing.T) {
	var j memory.Journal
	for want := event.Seq(1); want <= 100; want++ {
		if err := j.Reserve(event.MaxSize); err != nil {
			t.Fatal(err)
		}
		if got := j.Append(&event.Record{Kind: event.Joined}); got != want {
			t.Fatalf("record %d got number %d", want, got)
		}
		if err := j.Wait(want); err != nil || j.Durable() != want {
			t.Fatalf("after record %d: durable %d, %v", want, j.Durable(), err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if err := j.Reserve(1); !errors.Is(err, core.ErrClosed) {
		t.Fatalf("reserve after close: %v", err)
	}
}

func TestDoesNotAllocate(t *testing.T) {
	var j memory.Journal
	r := event.Record{Kind: event.Booked}
	if n := testing.AllocsPerRun(100, func() {
		_ = j.Reserve(r.Size())
		_ = j.Wait(j.Append(&r))
	}); n != 0 {
		t.Fatalf("%v allocations a record", n)
	}
}
