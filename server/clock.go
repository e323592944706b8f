package server

import (
	"sync/atomic"
	"time"

	"weir/core/event"
)

// Clock is where the server's time comes from. It is read once a request and
// handed down as a value. Implementations never go back and are safe for
// concurrent use.
type Clock interface {
	Now() time.Time
}

// SystemClock is the machine's clock, moved by a fixed offset and kept from
// going back: where the machine's clock is set back, this one stands still
// until the machine's has caught up. It counts whole milliseconds, in UTC.
type SystemClock struct {
	offset time.Duration
	latest atomic.Int64 // Unix milliseconds; only ever grows
}

// NewClock returns a clock that never reads less than floor. A non-zero offset
// is added to the machine's time: that is a rehearsal.
func NewClock(floor event.Time, offset time.Duration) *SystemClock {
	c := &SystemClock{offset: offset}
	c.latest.Store(int64(floor))
	return c
}

// Raise lifts the floor, as after a recovery has found the newest time in the
// log. A floor below the present one changes nothing.
func (c *SystemClock) Raise(floor event.Time) { c.advance(int64(floor)) }

// Now reads the clock.
func (c *SystemClock) Now() time.Time {
	return time.UnixMilli(c.advance(c.machine())).UTC()
}

// Behind tells by how much the machine's clock is behind this one: zero unless
// it was set back, or was wrong when the log was written.
func (c *SystemClock) Behind() time.Duration {
	return time.Duration(max(0, c.latest.Load()-c.machine())) * time.Millisecond
}

func (c *SystemClock) machine() int64 { return time.Now().Add(c.offset).UnixMilli() }

// advance makes at the latest reading unless a later one was given already,
// and returns the latest.
func (c *SystemClock) advance(at int64) int64 {
	for {
		latest := c.latest.Load()
		if at <= latest {
			return latest
		}
		if c.latest.CompareAndSwap(latest, at) {
			return at
		}
	}
}
