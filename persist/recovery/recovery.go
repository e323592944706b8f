// Package recovery brings the state of a data directory back: from the newest
// snapshot that is sound, and the records of the log behind it. The server,
// which goes on writing the log, and the tools that only read run the same
// code, and the state is changed by its normal Apply. It also copies a data
// directory while it is in use (Backup), puts it back as it was at any moment
// for which there is log (Restore), and compares all that is in it (Verify).
//
// The package does not protect against a state that applies the same records in
// two ways; Verify notices that.
package recovery

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"weir/core/event"
	"weir/persist/snapshot"
	"weir/persist/wal"
)

// snapshotName is the directory of the snapshots in a data directory.
const snapshotName = "snapshot"

// State is what is recovered: the core.Engine, or something around it. Apply is
// called with every record that is needed, in order, by one goroutine, before
// anything else may change the state. The record is reused after it returns;
// its Definition must be copied where it is kept. An error ends the recovery.
type State interface {
	snapshot.Target
	Apply(seq event.Seq, r *event.Record) error
	Reset()  // empties a state that a snapshot was restored into in vain
	Settle() // ends the replay
}

// Progress says how far a recovery has come.
type Progress struct {
	Stage        Stage
	Bytes, Total int64
}

// Stage is what a recovery is busy with.
type Stage uint8

// The stages, in their order.
const (
	ReadingSnapshot Stage = iota
	ReadingLog
)

// String names the stage for people.
func (s Stage) String() string {
	return [...]string{ReadingSnapshot: "reading the snapshot", ReadingLog: "reading the log"}[s]
}

// Report says what a recovery found.
type Report struct {
	wal.Report
	Snapshot *Snapshot  `json:"snapshot,omitempty"` // that the state began with
	Passed   []Unusable `json:"passed,omitempty"`   // newer ones that were not used

	causes []error // why, one for each of Passed
}

// Snapshot is a snapshot that a state began with.
type Snapshot struct {
	Name     string        `json:"name"`
	From     event.Seq     `json:"from"`  // records up to it were not needed
	Ahead    event.Seq     `json:"ahead"` // newest record that a part of it has
	Bytes    int64         `json:"bytes"` // of pages, not compressed
	Duration time.Duration `json:"duration_nanos"`
}

// Unusable is a snapshot that a recovery passed over.
type Unusable struct {
	Name     string `json:"name"`
	Why      string `json:"why"`
	SetAside string `json:"set_aside,omitempty"` // where it is now
}

// Open opens the data directory dir to be written, brings state, which must be
// empty, to its end, and repairs a torn tail. Errors are those of wal.Open and
// of State.Apply; state is useless after one. A snapshot that is damaged is
// passed over and reported, and is an error only where the log does not reach
// back far enough without it. One that a restore did not finish is refused with
// ErrUnfinished. It ends with ctx. progress may be nil.
func Open(ctx context.Context, dir string, o wal.Options, state State, progress func(Progress)) (*wal.Log, Report, error) {
	r := &run{ctx: ctx, dir: dir, state: state, progress: progress}
	o.Base = r.base
	l, report, err := wal.Open(dir, o, r.apply, r.logProgress())
	r.report.Report = report
	if err != nil {
		return nil, r.report, fmt.Errorf("recover: %w", r.explain(err))
	}
	state.Settle()
	if r.report.Snapshot != nil {
		debug.FreeOSMemory() // what reading the snapshot took is not needed again
	}
	return l, r.report, nil
}

// Replay brings state, which must be empty, to the end of what dir holds, and
// changes nothing on disk. It refuses, with wal.ErrLocked, while a server has
// the directory open. Errors are those of wal.Scan and of State.Apply.
func Replay(ctx context.Context, dir string, state State, progress func(Progress)) (Report, error) {
	return replay(ctx, dir, state, "", progress)
}

// replay begins with the snapshot of that name; "" stands for the best.
func replay(ctx context.Context, dir string, state State, name string, progress func(Progress)) (Report, error) {
	r := &run{ctx: ctx, dir: dir, state: state, progress: progress, only: name, readOnly: true}
	report, err := wal.Scan(dir, wal.ScanOptions{Base: r.base}, r.apply, r.logProgress())
	r.report.Report = report
	if err != nil {
		return r.report, fmt.Errorf("replay: %w", r.explain(err))
	}
	state.Settle()
	return r.report, nil
}

// stopEvery is after how many records a replay looks whether it is to end.
const stopEvery = 1 << 10

// withoutSnapshot is the name that stands for none.
const withoutSnapshot = "-"

// run is one recovery.
type run struct {
	ctx      context.Context //nolint:containedctx // the log calls back without one
	dir      string
	state    State
	progress func(Progress)
	only     string // name of the one snapshot to begin with; "": the best
	readOnly bool
	report   Report
}

// snapshots names the snapshots of a data directory.
func snapshots(dir string, id wal.Identity, alarm func(error)) (*snapshot.Dir, error) {
	var identity [16]byte
	if n, err := hex.Decode(identity[:], []byte(id.ID)); err != nil || n != len(identity) {
		return nil, fmt.Errorf("%w: id %q", wal.ErrForeign, id.ID)
	}
	return snapshot.At(vfs.Default, filepath.Join(dir, snapshotName), identity, alarm), nil
}

// NewKeeper returns the keeper of the snapshots of the data directory dir, of
// which l is the open log and source the state. alarm is called with what goes
// wrong in the background, at any time, by any goroutine.
func NewKeeper(dir string, l *wal.Log, source snapshot.Source, plan snapshot.Plan, alarm func(error)) (*snapshot.Keeper, error) {
	d, err := snapshots(dir, l.Identity(), alarm)
	if err != nil {
		return nil, err
	}
	plan.Lock = func() (func(), bool, error) { return lockCopies(dir) }
	return snapshot.NewKeeper(d, source, l, plan), nil
}

// base is the wal.Base of a recovery.
func (r *run) base(id wal.Identity, removed, limit event.Seq) (from, newest event.Seq, err error) {
	r.state.Reset()
	r.report = Report{}
	if err := errors.Join(context.Cause(r.ctx), finished(r.dir)); err != nil {
		return 0, 0, err
	}
	if r.only == withoutSnapshot {
		return 0, 0, nil
	}
	d, err := snapshots(r.dir, id, nil)
	if err != nil {
		return 0, 0, err
	}
	found, err := d.List()
	if err != nil {
		return 0, 0, err
	}
	for _, f := range found {
		if r.only != "" && f.Name != r.only {
			continue
		}
		if why := r.unfit(d, f, removed, limit); why != nil {
			if err := r.pass(d, f.Name, why, limit); err != nil {
				return 0, 0, err
			}
			continue
		}
		if r.report.Snapshot != nil {
			continue // only looked at because of limit
		}
		if err := r.load(d, f.Name); err != nil {
			if r.ctx.Err() != nil {
				return 0, 0, err
			}
			r.state.Reset()
			if err := r.pass(d, f.Name, err, 0); err != nil {
				return 0, 0, err
			}
			continue
		}
		if limit == 0 {
			break
		}
	}
	if s := r.report.Snapshot; s != nil {
		return s.From, s.Ahead, nil
	}
	return 0, 0, nil
}

// unfit says why a snapshot cannot be begun with, as far as it can be told
// without reading it.
func (r *run) unfit(d *snapshot.Dir, f snapshot.Found, removed, limit event.Seq) error {
	if f.Err != nil {
		return f.Err
	}
	if f.Seal.From < removed {
		return fmt.Errorf("the log behind its record %d is gone", f.Seal.From)
	}
	if limit == 0 {
		return nil
	}
	ahead, err := d.Ahead(r.ctx, f.Name)
	if err == nil && ahead > limit {
		err = fmt.Errorf("it has record %d, and the log ends with %d now", ahead, limit)
	}
	return err
}

// pass notes that a snapshot is passed over. Where the log was cut, one that
// may hold what was cut off is set aside: the numbers are given again.
func (r *run) pass(d *snapshot.Dir, name string, why error, limit event.Seq) error {
	u := Unusable{Name: name, Why: why.Error()}
	if limit != 0 && !r.readOnly {
		var err error
		if u.SetAside, err = d.SetAside(name); err != nil {
			return err
		}
	}
	r.report.Passed, r.report.causes = append(r.report.Passed, u), append(r.report.causes, why)
	return nil
}

func (r *run) load(d *snapshot.Dir, name string) error {
	begun := time.Now()
	seal, ahead, err := d.Load(r.ctx, name, r.state, func(p snapshot.Progress) {
		if r.progress != nil {
			r.progress(Progress{ReadingSnapshot, p.Bytes, p.Total})
		}
	})
	if err != nil {
		return err
	}
	r.report.Snapshot = &Snapshot{Name: name, From: seal.From, Ahead: ahead, Bytes: seal.Bytes, Duration: time.Since(begun)}
	return nil
}

// apply copies definitions and payloads, which otherwise end with the envelope
// they came in. They are few, and a state may well keep them.
func (r *run) apply(seq event.Seq, record *event.Record) error {
	if seq%stopEvery == 0 && r.ctx.Err() != nil {
		return context.Cause(r.ctx)
	}
	if record.Definition != nil {
		record.Definition = append([]byte(nil), record.Definition...)
	}
	record.Payload = bytes.Clone(record.Payload)
	return r.state.Apply(seq, record)
}

func (r *run) logProgress() func(wal.Progress) {
	if r.progress == nil {
		return nil
	}
	return func(p wal.Progress) { r.progress(Progress{ReadingLog, p.Bytes, p.Total}) }
}

// explain adds why snapshots were passed over: without them the log may not
// reach back far enough.
func (r *run) explain(err error) error {
	for _, u := range r.report.Passed {
		err = fmt.Errorf("%w; snapshot %s: %s", err, u.Name, u.Why)
	}
	return err
}
