package main

import (
	"fmt"
	"sync/atomic"
	"time"

	"weir/core/event"
	"weir/server"
)

// rehearsalClock is the server's one clock. In a rehearsal it reads the asked
// time at the start and goes on from there.
//
// A rehearsal that is started again reads the newest time of its log where
// that is later than the asked one: the clock goes on and never back, and does
// not stand still until the asked time has caught up either.
type rehearsalClock struct {
	at      time.Time // the asked time; zero: no rehearsal
	current atomic.Pointer[server.SystemClock]
}

func newRehearsalClock(at time.Time) *rehearsalClock {
	c := &rehearsalClock{at: at}
	c.current.Store(server.NewClock(0, c.offset(at)))
	return c
}

// offset is what brings the machine's clock to at.
func (c *rehearsalClock) offset(at time.Time) time.Duration {
	if !c.rehearsing() {
		return 0
	}
	return time.Until(at)
}

func (c *rehearsalClock) rehearsing() bool { return !c.at.IsZero() }

// Now reads the clock.
func (c *rehearsalClock) Now() time.Time { return c.current.Load().Now() }

// raise lifts the clock to the newest time of the log, once, before anything
// is decided by it.
func (c *rehearsalClock) raise(newest event.Time) {
	from := c.at
	if logged := time.UnixMilli(int64(newest)); c.rehearsing() && logged.After(from) {
		from = logged
	}
	c.current.Store(server.NewClock(newest, c.offset(from)))
}

// behind is by how much the machine's clock is behind this one.
func (c *rehearsalClock) behind() time.Duration { return c.current.Load().Behind() }

// notice is what sets this server apart from one in earnest, empty where
// nothing does. The settings allow one of the two at a time.
func (c *config) notice() string {
	switch {
	case c.journal == journalMemory:
		return "NOTHING SURVIVES THIS PROCESS: the journal is in memory. Every booking is lost when it ends."
	case !c.rehearseAt.IsZero():
		return "REHEARSAL: the clock was set to " + c.rehearseAt.Format(time.RFC3339) + ". Nobody's booking here is real."
	}
	return ""
}

// announce says the notice loudly: above the log and in it. /readyz has it too.
func (in *instance) announce() {
	const rule = "************************************************************************"
	if notice := in.config.notice(); notice != "" {
		_, _ = fmt.Fprintf(in.stderr, "%s\n%s\n%s\n", rule, notice, rule) // a lost banner is logged as well
		in.log.Warn(notice)
	}
}
