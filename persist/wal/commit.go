package wal

import (
	"errors"
	"fmt"
	"time"

	"weir/core"
	"weir/core/event"
)

// A log waits as long as the last sync took for those who are about to come
// back, and growLeast where they are growFrom or more. A batch of growEnough
// need not grow any more.
const (
	growFrom   = 16
	growLeast  = 500 * time.Microsecond
	growEnough = 256
)

// commitLoop is the one goroutine that writes. It ends with Close, or with the
// first failure.
func (l *Log) commitLoop() {
	defer l.dismiss()
	for {
		select {
		case <-l.kick:
		case done := <-l.rolls:
			if !l.rollFor(done) {
				return
			}
		case <-l.closing:
			l.drain()
			return
		}
		for committed := true; committed; {
			l.gather()
			var err error
			if committed, err = l.commit(); err != nil {
				l.fail(err)
				return
			}
			select {
			case done := <-l.rolls:
				if !l.rollFor(done) {
					return
				}
			default:
			}
		}
	}
}

// Roll begins a new epoch: records that are durable when it is called lie in
// epochs that are not written any more when it returns nil. It changes nothing
// where the newest epoch is empty. Errors: core.ErrClosed, core.ErrFailed.
func (l *Log) Roll() error {
	done := make(chan error, 1)
	select {
	case l.rolls <- done:
		return <-done
	case <-l.stopped:
		if l.state.Load()&stateFailed != 0 {
			return l.failure
		}
		return core.ErrClosed
	}
}

// rollFor begins a new epoch for who waits for it, and says whether the log is
// still sound.
func (l *Log) rollFor(done chan<- error) bool {
	var err error
	if l.writer.index > 0 {
		err = l.writer.next()
	}
	if err != nil {
		l.fail(err)
		err = l.failure
	}
	done <- err
	return err == nil
}

// dismiss lets go whoever waits for what will not be written any more.
func (l *Log) dismiss() {
	close(l.stopped)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open.gate.release()
}

// drain commits until nothing is pending: neither appended, nor reserved and
// not yet appended, for which it waits as long as the commit deadline.
func (l *Log) drain() {
	patience := time.NewTimer(l.options.CommitDeadline)
	defer patience.Stop()
	for l.pending.Load() != 0 {
		committed, err := l.commit()
		if err != nil {
			l.fail(err)
			return
		}
		if committed {
			continue
		}
		select {
		case <-l.kick:
		case <-patience.C:
			return
		}
	}
}

// gather lets the open batch grow where the log is busy, so that fewer syncs
// serve the same callers. It waits for the callers that it knows of: those whom
// the last commit woke, who will be back, and those who came while it was under
// way. A sync costs about the same however many it serves, so it waits as long
// as the last one took; where many have to come back, at least growLeast. It
// stops at growEnough, where a sync costs each of its records next to nothing,
// and at GrowMax. A log that nobody came back to in good time is idle and writes
// the next record at once, and of a single caller it expects nobody else.
func (l *Log) gather() {
	patience := l.writer.synced
	if l.last >= growFrom {
		patience = max(patience, growLeast)
	}
	idle := l.now()-l.settled > int64(2*patience)
	if patience = min(patience, l.options.GrowMax); patience <= 0 || idle || !l.aim(l.last+l.overlap) {
		return
	}
	l.grow.Reset(patience)
	defer l.grow.Stop()
	for {
		select {
		case <-l.kick:
			if l.reached() {
				return
			}
		case <-l.grow.C:
			return
		case <-l.closing:
			return
		}
	}
}

// aim asks to be woken once the open batch has that many records. It returns
// false where there is nothing to wait for.
func (l *Log) aim(records uint32) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	target := min(growEnough, records)
	if l.open.count >= target || l.pending.Load() == 0 {
		return false
	}
	l.open.target = target
	return true
}

// reached tells whether the open batch is as large as was aimed at, or there
// is nothing to wait for.
func (l *Log) reached() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open.count >= l.open.target || l.pending.Load() == 0
}

// commit writes the open batch, if it has a record.
func (l *Log) commit() (bool, error) {
	b := l.take()
	if b == nil {
		return false, nil
	}
	begun := l.now()
	l.count.queued(begun - b.opened)
	n, err := l.writer.write(b, l.Durable())
	if err != nil {
		return false, fmt.Errorf("commit records %d to %d: %w", b.gate.first, b.gate.first+event.Seq(b.count)-1, err)
	}
	l.count.committed(b.count, n, l.writer.synced)
	l.spend(int64(n))
	if err := l.settle(b); err != nil {
		return false, err
	}
	return true, l.writer.roll()
}

// take makes the open batch the one in flight, and opens the next.
func (l *Log) take() *batch {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.open
	if b.count == 0 || l.state.Load()&stateFailed != 0 {
		return nil
	}
	b.newest = l.newest
	l.last = b.count
	l.spare.reset(newGate(l.next, b.gate))
	l.open, l.flight, l.spare = l.spare, b, nil
	l.gate.Store(l.open.gate)
	return b
}

// settle acknowledges the batch in flight, unless the log has failed meanwhile.
func (l *Log) settle(b *batch) error {
	l.end.Lock()
	l.end.head = l.writer.head
	l.end.Unlock()
	l.mu.Lock()
	if l.state.Load()&stateFailed != 0 {
		l.mu.Unlock()
		return l.failure
	}
	l.durable.Store(uint64(l.writer.head.seq))
	l.open.gate.prev.Store(nil)
	l.flight, l.spare = nil, b
	l.overlap, l.settled = l.open.count, l.now()
	l.clearState(stateStalled)
	l.mu.Unlock()
	l.pending.Add(-b.charge)
	b.gate.release()
	return nil
}

// fail poisons the log: the first cause stays, everybody who waits is let go
// with it, and nothing is written any more.
func (l *Log) fail(cause error) {
	l.mu.Lock()
	if l.state.Load()&stateFailed != 0 {
		l.mu.Unlock()
		return
	}
	l.failure = fmt.Errorf("%w: %w", core.ErrFailed, cause)
	l.setState(stateFailed)
	if l.flight != nil {
		l.flight.gate.release()
	}
	l.open.gate.release()
	l.mu.Unlock()
	if l.options.OnFatal != nil {
		l.options.OnFatal(l.failure)
	}
}

// Close refuses new records, commits what is pending, marks the log as closed
// in good order and gives the directory free. It answers the failure of a log
// that failed, and core.ErrOutcomeUnknown where the disk does not answer within
// twice the commit deadline; the directory then stays locked until the process
// ends. Closing twice gives the same answer.
func (l *Log) Close() error {
	l.once.Do(func() { l.closed = l.shut() })
	return l.closed
}

func (l *Log) shut() error {
	l.setState(stateClosed)
	close(l.closing)
	patience := time.NewTimer(2 * l.options.CommitDeadline)
	defer patience.Stop()
	for _, ended := range []chan struct{}{l.stopped, l.kept, l.watched} {
		select {
		case <-ended:
		case <-patience.C:
			return fmt.Errorf("close log: the disk does not answer: %w", core.ErrOutcomeUnknown)
		}
	}
	err := l.seal()
	return errors.Join(err, l.mark.file.Close(), l.lock.Close())
}

// seal ends the epoch and writes the last mark. A log that failed is left as it
// is: tidwall/wal cannot be closed without another sync, so its file stays open
// until the process ends.
func (l *Log) seal() error {
	if l.state.Load()&stateFailed != 0 {
		return l.failure
	}
	w := l.writer
	err := w.end()
	if err == nil && w.index == 0 {
		err = w.discard()
	}
	if err == nil {
		err = l.mark.write(w.head, true, true)
	}
	if err != nil {
		return fmt.Errorf("close log: %w", err)
	}
	return nil
}
