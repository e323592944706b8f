package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
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
	shown := newProgress(in.stderr, "recovering")
	began := time.Now()
	options := wal.Options{
		Rehearsal:      in.clock.rehearsing(),
		KeyFingerprint: in.keys.Fingerprint,
		CommitDeadline: in.config.commitDeadline,
		MinFreeBytes:   in.config.minFree, ResumeFreeBytes: in.config.resumeFree,
		OnFatal: func(err error) { in.failed <- err },
	}
	in.http.SetStage("recovering", 0)
	state := remembering{Engine: in.engine, history: &in.history}
	estimate := newEstimate()
	log, report, err := recovery.Open(ctx, in.config.data, options, state, func(at recovery.Progress) {
		shown.set(at.Bytes, at.Total)
		in.http.SetStage(recoveringStage(at), estimate.left(at))
	})
	shown.finish()
	if errors.Is(err, context.Canceled) {
		return errStopped
	}
	if err != nil {
		return explainJournal(in.config, err)
	}
	in.journal = log
	in.wal.Store(log)
	in.log.Info("recovered", "records", report.Records, "last_sequence", uint64(report.LastSeq),
		"bytes", report.Bytes, "clean_close", report.CleanClose, "took", time.Since(began).Round(time.Millisecond))
	if s := report.Snapshot; s != nil {
		in.log.Info("began with a snapshot", "name", s.Name, "through", uint64(s.From), "bytes", s.Bytes, "took", s.Duration.Round(time.Millisecond))
	}
	for _, u := range report.Passed {
		in.log.Error("a snapshot could not be used; nothing is missing without it", "name", u.Name, "why", u.Why)
	}
	if report.Torn != nil {
		in.log.Warn("a write that nobody was told of was cut short by a crash; its bytes were set aside",
			"file", report.Torn.Path, "bytes", report.Torn.Bytes, "quarantine", report.Torn.Quarantine)
	}
	return nil
}

// remembering is the engine while the log is read, with the server's history
// of it.
type remembering struct {
	*core.Engine
	history *server.History
}

// Apply applies a record and notes it.
func (s remembering) Apply(seq event.Seq, r *event.Record) error {
	s.history.Applying(r, s.Engine)
	if err := s.Engine.Apply(seq, r); err != nil {
		return err
	}
	s.history.Applied(seq, r, s.Engine)
	return nil
}

var errStopped = errors.New("stopped while the log was being read")

func recoveringStage(at recovery.Progress) string {
	if at.Total == 0 {
		return "recovering"
	}
	return fmt.Sprintf("recovering: %v, %d%% is done", at.Stage, at.Bytes*100/at.Total)
}

// estimate says how long the stage of a recovery will still take.
type estimate struct {
	stage recovery.Stage
	began time.Time
}

func newEstimate() *estimate { return &estimate{began: time.Now()} }

// left is how long the rest of the stage takes at the speed so far; 0: not known.
func (e *estimate) left(at recovery.Progress) time.Duration {
	if at.Stage != e.stage {
		*e = estimate{at.Stage, time.Now()}
	}
	if at.Bytes == 0 {
		return 0
	}
	return time.Duration(float64(time.Since(e.began)) * float64(at.Total-at.Bytes) / float64(at.Bytes))
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
