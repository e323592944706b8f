//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"

	"weir/persist/memory"
)

// memoryTask is what the child of the memory section is told.
type memoryTask struct {
	Bookings int `json:"bookings"`
	Slots    int `json:"slots"`
}

// memoryResult is what it found, in bytes resident.
type memoryResult struct {
	Slots    int     `json:"slots"`
	Bare     float64 `json:"bare"`     // with the definition read
	Empty    float64 `json:"empty"`    // with the campaign in force
	Full     float64 `json:"full"`     // with all bookings made
	Peak     float64 `json:"peak"`     // at most, until then
	Held     float64 `json:"held"`     // of Full, the Go heap's live objects
	BookedIn float64 `json:"bookedIn"` // seconds
}

// runMemory measures in a process of its own, so that nothing that the other
// sections left counts.
func runMemory(ctx context.Context, o *options, s *Section) error {
	task, err := json.Marshal(memoryTask{Bookings: o.bookings, Slots: o.slots})
	if err != nil {
		return fmt.Errorf("start child: %w", err)
	}
	command, err := childCommand(ctx, "memory")
	if err != nil {
		return err
	}
	var out bytes.Buffer
	command.Stdin, command.Stdout, command.Stderr = bytes.NewReader(task), &out, os.Stderr
	if err := command.Run(); err != nil {
		return fmt.Errorf("run child: %w", err)
	}
	var r memoryResult
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		return fmt.Errorf("read child's answer %q: %w", out.Bytes(), err)
	}
	bookings, c := float64(o.bookings), s.entry("bookings in memory")
	c.add("bookings", "", bookings)
	c.add("slots", "", float64(r.Slots))
	c.add("resident, all", "MB", r.Full/1e6)
	c.add("a booking, all", "B", r.Full/bookings)
	c.add("a booking, without the empty campaign", "B", (r.Full-r.Empty)/bookings)
	c.add("empty campaign", "MB", (r.Empty-r.Bare)/1e6)
	c.add("live heap", "MB", r.Held/1e6)
	c.add("peak resident", "MB", r.Peak/1e6)
	c.add("made at", "1/s", bookings/r.BookedIn)
	s.note("resident is VmRSS after a collection; all includes the program itself and the definition")
	return nil
}

// memoryChild books as many people as it is told and prints what that takes.
func memoryChild(ctx context.Context, in io.Reader, out io.Writer) error {
	var task memoryTask
	if err := json.NewDecoder(in).Decode(&task); err != nil {
		return fmt.Errorf("read task: %w", err)
	}
	// Twice the bookings in places, so that a random slot is rarely full.
	places := max(1, (2*task.Bookings+task.Slots-1)/task.Slots)
	rules, err := plan{slots: task.Slots, capacity: places}.definition()
	if err != nil {
		return err
	}
	var r memoryResult
	if r.Bare, _, err = resident(); err != nil {
		return err
	}
	stand, err := newStand(rules, &memory.Journal{})
	if err != nil {
		return err
	}
	if r.Empty, _, err = resident(); err != nil {
		return err
	}
	took, err := spread(ctx, uint64(task.Bookings), stand.bookAnywhere)
	if err != nil {
		return err
	}
	if r.Full, r.Peak, err = resident(); err != nil {
		return err
	}
	var heap runtime.MemStats
	runtime.ReadMemStats(&heap)
	r.Slots, r.Held, r.BookedIn = rules.SlotCount(), float64(heap.HeapAlloc), took.Seconds()
	if booked := stand.engine.Campaign(campaignID).Totals().Booked; booked != int64(task.Bookings) {
		return fmt.Errorf("%d booked of %d", booked, task.Bookings)
	}
	if err := json.NewEncoder(out).Encode(&r); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	return nil
}
