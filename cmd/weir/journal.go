package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"weir/core"
	"weir/core/event"
	"weir/persist/memory"
	"weir/persist/recovery"
	"weir/persist/wal"
	"weir/server"
	"weir/server/keys"
)

// journal is where changes go, and what the server wants to know of it.
type journal interface {
	core.Journal
	NewestTime() event.Time
	Close() error
}

// memoryJournal is the journal that keeps nothing.
type memoryJournal struct{ *memory.Journal }

// NewestTime is none: there is no log to floor the clock at.
func (memoryJournal) NewestTime() event.Time { return 0 }

// openJournal recovers the log into the engine, or takes the journal that
// keeps nothing.
func (in *instance) openJournal(ctx context.Context) error {
	if in.config.journal == journalMemory {
		in.journal = memoryJournal{new(memory.Journal)}
		return nil
	}
	shown := newProgress(in.stderr, "reading the log")
	began := time.Now()
	options := wal.Options{
		Rehearsal:      in.clock.rehearsing(),
		KeyFingerprint: in.keys.Fingerprint,
		CommitDeadline: in.config.commitDeadline,
		MinFreeBytes:   in.config.minFree, ResumeFreeBytes: in.config.resumeFree,
		OnFatal: func(err error) { in.failed <- err },
	}
	in.http.SetStage("recovering", 0)
	state := &stoppable{engine: in.engine, history: &in.history}
	defer context.AfterFunc(ctx, func() { state.stop.Store(true) })()
	log, report, err := recovery.Open(in.config.data, options, state, func(at wal.Progress) {
		shown.log(at)
		in.http.SetStage(recoveringStage(at), timeLeft(at, time.Since(began)))
	})
	shown.finish()
	if err != nil {
		return explainJournal(in.config, err)
	}
	in.journal = log
	in.wal.Store(log)
	in.log.Info("recovered", "records", report.Records, "last_sequence", uint64(report.LastSeq),
		"bytes", report.Bytes, "clean_close", report.CleanClose, "took", time.Since(began).Round(time.Millisecond))
	if report.Torn != nil {
		in.log.Warn("a write that nobody was told of was cut short by a crash; its bytes were set aside",
			"file", report.Torn.Path, "bytes", report.Torn.Bytes, "quarantine", report.Torn.Quarantine)
	}
	return nil
}

// stoppable is the engine while the log is read, and ends that when asked to:
// reading a long log would outlast every patience otherwise.
type stoppable struct {
	engine  *core.Engine
	history *server.History
	stop    atomic.Bool
}

var errStopped = errors.New("stopped while the log was being read")

// Apply applies a record unless it is time to stop, and tells the server's
// history of it.
func (s *stoppable) Apply(seq event.Seq, r *event.Record) error {
	if s.stop.Load() {
		return errStopped
	}
	if err := s.engine.Apply(seq, r); err != nil {
		return err
	}
	s.history.Applied(seq, r, s.engine)
	return nil
}

func recoveringStage(at wal.Progress) string {
	if at.Total == 0 {
		return "recovering"
	}
	return fmt.Sprintf("recovering: %d%% of the log is read", at.Bytes*100/at.Total)
}

// timeLeft is how long the rest takes at the speed so far; 0: not known.
func timeLeft(at wal.Progress, spent time.Duration) time.Duration {
	if at.Bytes == 0 {
		return 0
	}
	return time.Duration(float64(spent) * float64(at.Total-at.Bytes) / float64(at.Bytes))
}

// explainJournal adds to why the data directory could not be opened what to do
// about it, where the reason itself does not say.
func explainJournal(c *config, err error) error {
	switch {
	case errors.Is(err, errStopped):
		return errStopped
	case errors.Is(err, wal.ErrKey):
		return usagef("%w.\nThe directory of secrets is %s; name the one that belongs to the data with --keys-dir, or restore person.key from its backup", err, c.keysDir)
	case errors.Is(err, wal.ErrRehearsal):
		return usagef("%w.\nA rehearsal has --rehearse-at TIME and a data directory of its own", err)
	case errors.Is(err, core.ErrCorrupt):
		return fmt.Errorf("%w.\nNothing was changed. Look at it with: weir verify --data %s", err, c.data)
	}
	return err
}

// journalFailure is what the operator reads when the disk fails.
func journalFailure(dir string, err error) error {
	return fmt.Errorf(`the log could not be written, and nothing is confirmed to anybody any more: %w
Everything that was confirmed before is on the disk. See to the disk, then start again: the start recovers it.
To look at it first: weir verify --data %s (persist/RUNBOOK.md tells more)`, err, dir)
}

// closeJournal commits what is pending and closes the log. After a failure
// there is nothing to commit, and the failure has been reported.
func (in *instance) closeJournal(ctx context.Context) error {
	closed := make(chan error, 1)
	go func() { closed <- in.journal.Close() }()
	select {
	case err := <-closed:
		if err != nil && !in.failureTold {
			return fmt.Errorf("close the log: %w", err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the log was not closed in time, the disk does not answer; the next start recovers it: %w", ctx.Err())
	}
}

// openKeys opens the directory of secrets. Where data is there already and the
// directory is not, it is not made: new secrets would be the wrong ones.
func openKeys(c *config) (*keys.Keys, error) {
	if c.journal == journalDurable {
		id, err := wal.ReadIdentity(c.data)
		if err == nil && id.KeyFingerprint != "" && !exists(c.keysDir) {
			return nil, usagef("the data in %s was made with secrets that are not in %s, which does not exist: name their directory with --keys-dir, or restore it from its backup", c.data, c.keysDir)
		}
	}
	return keys.Open(c.keysDir)
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// hangups delivers SIGHUP until stop is called.
func hangups() (signals <-chan os.Signal, stop func()) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGHUP)
	return c, func() { signal.Stop(c) }
}
