package wal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"weir/core/event"
)

// Replay is handed every record of a log, in order. The record is reused for
// the next one, and its Definition must be copied where it is kept.
type Replay = func(seq event.Seq, r *event.Record) error

// Base gives the state that the log is replayed into something to begin with:
// it is called when the directory is locked and known, before records are
// replayed, and returns the record up to which none of the log is needed any
// more; 0: all of it is. newest is the newest record that the state has all the
// same; a log that ends before it has lost its end. The log has no records up
// to removed any more. limit, where not 0, is the last record that is left of a
// log that was cut: a state that has a later one must not be begun with. It may
// be called twice.
type Base = func(id Identity, removed, limit event.Seq) (from, newest event.Seq, err error)

// Open makes or opens the data directory dir for this process alone, verifies
// the whole log, hands each record to replay (which may be nil), repairs a torn
// tail and begins a new epoch to append to. Everything that replay has seen is
// durable when Open returns. progress, where not nil, is called every few MiB.
//
// Errors are *Damage (wraps core.ErrCorrupt), ErrLocked, ErrForeign,
// ErrRehearsal, ErrKey, ErrFormat, what replay answered, or of the operating
// system. The report is filled as far as the log was read.
func Open(dir string, o Options, replay Replay, progress func(Progress)) (*Log, Report, error) {
	start := time.Now()
	if err := o.complete(); err != nil {
		return nil, Report{}, err
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, Report{}, fmt.Errorf("open log: %w", err)
	}
	if o.MustExist {
		if _, err := os.Stat(dir); err != nil {
			return nil, Report{}, fmt.Errorf("open log: %w", err)
		}
	}
	if err := o.files.mkdir(dir); err != nil {
		return nil, Report{}, fmt.Errorf("open log: %w", err)
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, Report{}, fmt.Errorf("open log: %w", err)
	}
	op := &opening{dir: dir, walDir: filepath.Join(dir, walName), options: o, replay: replay, progress: progress}
	l, err := op.open(lock)
	op.report.Duration = time.Since(start)
	if err != nil {
		return nil, op.report, errors.Join(fmt.Errorf("open log %s: %w", dir, err), lock.Close())
	}
	return l, op.report, nil
}

// opening is what Open knows while it works.
type opening struct {
	dir, walDir string
	options     Options
	replay      Replay
	progress    func(Progress)
	report      Report

	identity digest
	known    mark
	begin    first
	newest   event.Seq  // that the base has
	epochs   []epochDir // those that belong to the log
	scanned  []epochDir // of these, those that the scan reads
}

func (op *opening) open(lock *os.File) (*Log, error) {
	id, err := enroll(op.dir, &op.options)
	if err != nil {
		return nil, err
	}
	if err := op.load(id); err != nil {
		return nil, err
	}
	if err := op.finishRemoval(); err != nil {
		return nil, err
	}
	limit := event.Seq(0)
	if op.options.AcceptLoss {
		if limit, err = op.acceptLoss(); err != nil {
			return nil, err
		}
	}
	end, err := op.recover(limit)
	if err != nil {
		return nil, err
	}
	return op.start(lock, end)
}

// load reads everything beside the log itself.
func (op *opening) load(id Identity) (err error) {
	op.report.Identity = id
	if op.identity, err = id.digest(); err != nil {
		return err
	}
	path := filepath.Join(op.walDir, markName)
	op.known, err = readMark(path)
	if err == nil && op.known.identity != op.identity {
		return fmt.Errorf("%w: %s belongs to another data directory; put the right one back", ErrForeign, op.walDir)
	}
	if errors.Is(err, errMark) {
		d := &Damage{Path: path, What: "the mark is gone or unreadable; was " + walName + "/ emptied? " + err.Error(), Remedy: remedyDamage}
		if !op.options.AcceptLoss {
			return d
		}
		op.report.Lost = d
		op.known, err = mark{head: head{digest: op.identity}, identity: op.identity}, nil
		if err := op.options.files.mkdir(op.walDir); err != nil {
			return err
		}
		if err := op.resetMark(); err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	if op.begin, err = readFirst(op.walDir, op.identity); err != nil {
		return err
	}
	return op.list()
}

// list finds the epochs of the log. Those before its first are none of it.
func (op *opening) list() error {
	all, err := listEpochs(op.walDir)
	op.epochs = all
	for len(op.epochs) > 0 && op.epochs[0].number < op.begin.epoch {
		op.epochs = op.epochs[1:]
	}
	return err
}

// finishRemoval removes the epochs that a removal cut short left behind.
func (op *opening) finishRemoval() error {
	all, err := listEpochs(op.walDir)
	if err != nil {
		return err
	}
	for _, old := range all[:len(all)-len(op.epochs)] {
		if err := removeEpoch(&op.options.files, old); err != nil {
			return fmt.Errorf("finish the removal of old log: %w", err)
		}
	}
	return nil
}

// base asks for a state to begin with and returns the record up to which that
// needs none of the log, 0 for an empty one.
func (op *opening) base(limit event.Seq) (from event.Seq, err error) {
	if op.options.Base != nil {
		from, op.newest, err = op.options.Base(op.report.Identity, op.begin.head.seq, limit)
		if err != nil {
			return 0, fmt.Errorf("begin with a snapshot: %w", err)
		}
	}
	if from < op.begin.head.seq {
		return 0, &Damage{
			Path: op.walDir, What: fmt.Sprintf("the log begins with record %d, and no sound snapshot reaches it", op.begin.head.seq+1),
			Remedy: remedyDamage, SoundFrom: op.begin.head.seq + 1,
		}
	}
	return from, nil
}

// scan reads the log behind from, and fills the report anew.
func (op *opening) scan(from event.Seq, replay Replay) (*scan, *cut, error) {
	op.report = Report{Identity: op.report.Identity, Lost: op.report.Lost, SetAside: op.report.SetAside, From: from}
	begin, skipped := startAt(op.epochs, op.begin, from)
	op.scanned = op.epochs[skipped:]
	s := &scan{
		segments: flatten(op.scanned), open: openSegment, known: op.known, least: max(op.known.head.seq, op.newest), replay: behind(from, replay), progress: op.progress,
		head: begin.head, epoch: begin.epoch - 1, report: &op.report,
	}
	c, err := s.run()
	op.report.CleanClose = err == nil && c == nil && op.known.clean && op.known.head.seq == s.head.seq
	return s, c, err
}

// behind hands on only records behind from.
func behind(from event.Seq, replay Replay) Replay {
	if from == 0 || replay == nil {
		return replay
	}
	return func(seq event.Seq, r *event.Record) error {
		if seq <= from {
			return nil
		}
		return replay(seq, r)
	}
}

// acceptLoss makes a damaged log sound by giving up what lies behind the
// damage, and returns the last record kept, or 0 where there was no damage that
// matters: what the best snapshot stands for need not be sound.
func (op *opening) acceptLoss() (limit event.Seq, err error) {
	from, err := op.base(0)
	if err != nil {
		return 0, err
	}
	s, _, err := op.scan(from, nil)
	var damage *Damage
	if !errors.As(err, &damage) {
		return 0, err
	}
	if damage.newer {
		return 0, err
	}
	op.report.Lost = damage
	if !damage.endLost {
		if op.report.SetAside, err = op.cut(damage.cut); err != nil {
			return 0, err
		}
	}
	op.known = mark{head: s.head, identity: op.identity, generation: op.known.generation + 1}
	return s.head.seq, op.resetMark()
}

// resetMark replaces the mark by op.known.
func (op *opening) resetMark() error {
	path := filepath.Join(op.walDir, markName)
	if err := createMark(&op.options.files, path+".tmp", op.known); err != nil {
		return err
	}
	if err := op.options.files.rename(path+".tmp", path); err != nil {
		return err
	}
	return op.options.files.syncDir(op.walDir)
}

func (op *opening) cut(c cut) ([]string, error) {
	q := quarantine{files: &op.options.files, walDir: op.walDir}
	aside, err := q.apply(c, op.scanned)
	if err != nil {
		return aside, fmt.Errorf("set aside: %w", err)
	}
	return aside, op.list()
}

// recover reads the log, repairs its tail and makes it durable: what a killed
// process wrote and did not sync may be in memory alone, and was replayed.
func (op *opening) recover(limit event.Seq) (head, error) {
	from, err := op.base(limit)
	if err != nil {
		return head{}, err
	}
	s, torn, err := op.scan(from, op.replay)
	if err != nil {
		return head{}, err
	}
	if torn != nil {
		tail := op.tail(s, torn)
		aside, err := op.cut(*torn)
		if err != nil {
			return head{}, err
		}
		tail.Quarantine = aside[0]
		op.report.Torn = tail
	}
	if len(op.epochs) == 0 {
		return s.head, nil
	}
	last := op.epochs[len(op.epochs)-1]
	if n := len(last.segments); n > 0 {
		if err := op.options.files.syncFile(last.segments[n-1].path); err != nil {
			return head{}, err
		}
	}
	for _, path := range []string{last.path, op.walDir} {
		if err := op.options.files.syncDir(path); err != nil {
			return head{}, err
		}
	}
	return s.head, nil
}

func (op *opening) tail(s *scan, c *cut) *Tail {
	seg := &s.segments[c.segment]
	return &Tail{Path: seg.path, Offset: c.offset, Bytes: seg.size - c.offset, What: c.what}
}

// start begins a new epoch behind end and sets the log to work.
func (op *opening) start(lock *os.File, end head) (*Log, error) {
	w := &writer{
		files: &op.options.files, walDir: op.walDir, segmentSize: op.options.SegmentSize, epochSize: op.options.EpochSize, head: end,
		room: room{step: op.options.RoomSize},
	}
	number, err := op.nextEpoch()
	if err != nil {
		return nil, err
	}
	m, err := openMark(&op.options.files, op.walDir, op.known)
	if err != nil {
		return nil, err
	}
	if err := m.write(end, false, true); err != nil {
		return nil, errors.Join(err, m.file.Close())
	}
	if err := w.begin(number); err != nil {
		return nil, errors.Join(err, m.file.Close())
	}
	l := newLog(op, lock, w, m)
	if err := l.measureFree(); err != nil {
		return nil, errors.Join(err, m.file.Close(), w.log.Close())
	}
	l.run()
	return l, nil
}

// nextEpoch numbers the epoch to begin, and removes those at the end that got
// no envelope.
func (op *opening) nextEpoch() (uint32, error) {
	for n := len(op.epochs); n > 0; n-- {
		last := op.epochs[n-1]
		if !empty(last) {
			return last.number + 1, nil
		}
		if err := removeEpoch(&op.options.files, last); err != nil {
			return 0, err
		}
	}
	return op.begin.epoch, nil
}

func empty(e epochDir) bool {
	for i := range e.segments {
		if e.segments[i].size > 0 {
			return false
		}
	}
	return true
}

// removeEpoch removes an epoch that holds no envelope.
func removeEpoch(f *files, e epochDir) error {
	for i := range e.segments {
		if err := f.remove(e.segments[i].path); err != nil {
			return err
		}
	}
	if err := f.remove(e.path); err != nil {
		return err
	}
	return f.syncDir(filepath.Dir(e.path))
}

// ScanOptions say how a log is read without being opened.
type ScanOptions struct {
	// Unlocked reads although a process may have the directory open. What that
	// process is writing meanwhile then looks like a torn tail.
	Unlocked bool
	// Base is that of Options.
	Base Base
}

// Scan verifies the log of the data directory dir like Open and replays it, but
// changes nothing and leaves no lock behind. A torn tail is reported, not
// repaired, and is no error. The error wraps ErrLocked while a process has the
// directory open.
func Scan(dir string, o ScanOptions, replay Replay, progress func(Progress)) (Report, error) {
	start := time.Now()
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Report{}, fmt.Errorf("scan log: %w", err)
	}
	if !o.Unlocked {
		lock, err := shareDir(dir)
		if err != nil {
			return Report{}, fmt.Errorf("scan log: %w", err)
		}
		if lock != nil {
			defer func() { _ = lock.Close() }()
		}
	}
	op := &opening{dir: dir, walDir: filepath.Join(dir, walName), options: Options{Base: o.Base}, replay: replay, progress: progress}
	err = op.inspect()
	op.report.Duration = time.Since(start)
	if err != nil {
		return op.report, fmt.Errorf("scan log %s: %w", dir, err)
	}
	return op.report, nil
}

func (op *opening) inspect() error {
	id, err := ReadIdentity(op.dir)
	if err != nil {
		return err
	}
	if err := op.load(id); err != nil {
		return err
	}
	from, err := op.base(0)
	if err != nil {
		return err
	}
	s, torn, err := op.scan(from, op.replay)
	if torn != nil {
		op.report.Torn = op.tail(s, torn)
	}
	return err
}
