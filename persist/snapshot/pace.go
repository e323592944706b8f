package snapshot

import (
	"context"
	"time"
)

// Pace bounds what work in the background takes of the machine. The zero value
// bounds nothing.
type Pace struct {
	BytesPerSecond int64   // read or written; 0: not bounded
	Share          float64 // of one processor, from 0 to 1; 0: not bounded
}

// Pacer holds one piece of work to its pace. It is for one goroutine.
type Pacer struct {
	pace  Pace
	begun time.Time // of the step that is being worked on
}

// NewPacer returns a pacer whose first step begins now.
func NewPacer(p Pace) *Pacer { return &Pacer{pace: p, begun: time.Now()} }

// restEvery is how many bytes a step deals with, about: some hundred
// microseconds' work, and less than a disk writes out beside the log's sync.
const restEvery = 256 << 10

// Waited takes the time since then, which was spent waiting for others, out of
// the step.
func (p *Pacer) Waited(since time.Time) { p.begun = p.begun.Add(time.Since(since)) }

// Rest ends a step that dealt with that many bytes, and waits until the next
// may begin. It returns the context's error where that ends first.
func (p *Pacer) Rest(ctx context.Context, bytes int) error {
	worked := time.Since(p.begun)
	wait := time.Duration(0)
	if s := p.pace.Share; s > 0 {
		wait = time.Duration(float64(worked) * (1 - s) / s)
	}
	if r := p.pace.BytesPerSecond; r > 0 {
		wait = max(wait, time.Duration(float64(bytes)/float64(r)*float64(time.Second))-worked)
	}
	if wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	p.begun = time.Now()
	return ctx.Err()
}
