package wal

import (
	"fmt"
	"sync/atomic"
	"time"
)

const (
	keepEvery  = 100 * time.Millisecond // how often the keeper looks when space is short
	restEvery  = time.Second            // how often it looks otherwise, and writes the mark
	watchSteps = 16                     // looks of the watchdog in one commit deadline
)

// space is what is known of the disk's free space.
type space struct {
	free    atomic.Int64 // bytes, by the last measurement less what was written since
	written atomic.Int64 // bytes, ever
	errors  atomic.Uint64
}

// watch lets waiters go whose batch is past its deadline. It does no I/O, so
// that no stalled disk can stall it. It ends when the committer has.
func (l *Log) watch() {
	defer close(l.watched)
	ticker := time.NewTicker(max(l.options.CommitDeadline/watchSteps, time.Millisecond))
	defer ticker.Stop()
	for {
		select {
		case <-l.stopped:
			return
		case <-ticker.C:
			l.expire(l.now())
		}
	}
}

func (l *Log) expire(now int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open.gate.overdue(now) {
		l.open.gate.release()
	}
	if l.flight != nil && l.flight.gate.overdue(now) {
		l.flight.gate.release()
		if l.state.Load()&stateStalled == 0 {
			l.setState(stateStalled)
			l.count.stalls.Add(1)
		}
	}
}

// keep measures free space and writes the mark. It ends with Close.
func (l *Log) keep() {
	defer close(l.kept)
	ticker := time.NewTicker(keepEvery)
	defer ticker.Stop()
	var looked, marked time.Time
	for {
		select {
		case <-l.closing:
			return
		case now := <-ticker.C:
			if now.Sub(looked) >= restEvery || l.space.free.Load() < 2*l.options.ResumeFreeBytes {
				looked = now
				if err := l.measureFree(); err != nil {
					l.space.errors.Add(1)
					l.setState(stateReadOnly)
				}
			}
			if now.Sub(marked) < restEvery {
				continue
			}
			marked = now
			if err := l.remember(); err != nil {
				l.fail(err)
				l.wake()
				return
			}
		}
	}
}

// remember writes the mark where it has fallen behind.
func (l *Log) remember() error {
	l.end.Lock()
	h := l.end.head
	l.end.Unlock()
	if h.seq == l.mark.last.head.seq || l.state.Load()&stateFailed != 0 {
		return nil
	}
	return l.mark.write(h, false, false)
}

// measureFree asks the file system and moves the log over the watermarks.
func (l *Log) measureFree() error {
	before := l.space.written.Load()
	free, err := l.options.files.freeBytes(l.writer.walDir)
	if err != nil {
		return fmt.Errorf("measure: %w", err)
	}
	free -= l.space.written.Load() - before
	l.space.free.Store(free)
	switch {
	case free < l.options.MinFreeBytes:
		l.setState(stateReadOnly)
	case free >= l.options.ResumeFreeBytes:
		l.clearState(stateReadOnly)
	}
	return nil
}

// spend accounts for n bytes written since the last measurement.
func (l *Log) spend(n int64) {
	l.space.written.Add(n)
	if l.space.free.Add(-n) < l.options.MinFreeBytes {
		l.setState(stateReadOnly)
	}
}
