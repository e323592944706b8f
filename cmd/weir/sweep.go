package main

import (
	"time"

	"weir/core/event"
)

// Holds that were made in the same second expire in the same second. Ending
// them in small portions keeps that from delaying bookings: sweepMax every
// sweepPeriod is 40,000 a second, which is more than are made.
const (
	sweepPeriod = 50 * time.Millisecond
	sweepMax    = 2000
)

// sweeper is the part of the engine that ends expired holds.
type sweeper interface {
	Sweep(now event.Time, limit int) int
}

// sweep ends expired holds until done is closed.
func sweep(engine sweeper, now func() time.Time, done <-chan struct{}) {
	ticker := time.NewTicker(sweepPeriod)
	defer ticker.Stop()
	for {
		select {
		case <-done:
			return
		case <-ticker.C:
			engine.Sweep(event.Time(now().UnixMilli()), sweepMax)
		}
	}
}
