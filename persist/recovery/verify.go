package recovery

import (
	"context"
	"errors"
	"fmt"

	"weir/core"
	"weir/core/event"
	"weir/persist/snapshot"
	"weir/persist/wal"
)

// Verified is what Verify found.
type Verified struct {
	Log wal.Report `json:"log"`
	// Full says that the log begins with record 1 and was folded on its own.
	Full      bool      `json:"full"`
	Snapshots []Checked `json:"snapshots"`
	Digest    string    `json:"digest"` // of the state, by all ways that were sound
	Findings  []Finding `json:"findings,omitempty"`

	// State is the state that the first sound way led to, nil where none did.
	State *core.Engine `json:"-"`
}

// Checked is one snapshot that was read and recovered from.
type Checked struct {
	Name   string    `json:"name"`
	From   event.Seq `json:"from"`
	Ahead  event.Seq `json:"ahead"`
	Sound  bool      `json:"sound"`
	Digest string    `json:"digest,omitempty"` // of the state that it and the log behind it lead to
}

// Finding is something that is not as it was written.
type Finding struct {
	What string `json:"what"`
	// Bookings are the numbers of those that it touches, as the sound rest has
	// them, BookingsMax at most; More is how many others there are.
	Bookings []event.Seq `json:"bookings,omitempty"`
	More     int         `json:"more,omitempty"`
	Remedy   string      `json:"remedy"`
}

// BookingsMax is how many bookings a finding names.
const BookingsMax = 300

const (
	remedySnapshot = "nothing is lost as long as the log or another snapshot is sound: start the server, which passes it over and writes it anew"
	remedyDiffers  = "make a copy of the data directory and keep it; compare weir wal dump with the state; do not remove any log"
	remedyState    = "restore the newest backup that verifies, to just before it went wrong"
)

// Verify reads everything in a data directory that no server uses: every
// envelope with its chain, every page of every snapshot; and it recovers from
// each snapshot and, where the log begins with record 1, from the log alone, and
// compares the states. It changes nothing. What is not sound is in Findings; the
// error is for what could not be looked at.
func Verify(ctx context.Context, dir string, progress func(Progress)) (Verified, error) {
	v := verifying{ctx: ctx, dir: dir, progress: progress}
	err := v.run()
	if err != nil {
		err = fmt.Errorf("verify: %w", err)
	}
	return v.found, err
}

type verifying struct {
	ctx      context.Context //nolint:containedctx // one call, as in run
	dir      string
	progress func(Progress)

	snapshots *snapshot.Dir
	found     Verified
	damages   []*snapshot.Damage
}

func (v *verifying) run() error {
	if err := v.log(); err != nil {
		return err
	}
	list, d, err := listSnapshots(v.dir)
	if err != nil {
		return err
	}
	v.snapshots = d
	for _, f := range list {
		if err := v.snapshot(f); err != nil {
			return err
		}
	}
	v.touched()
	return nil
}

// log reads the whole log and folds it where it is whole.
func (v *verifying) log() error {
	engine := core.New()
	report, err := replay(v.ctx, v.dir, engine, withoutSnapshot, v.progress)
	if err == nil {
		v.found.Log, v.found.Full = report.Report, true
		return v.state(engine, "the log alone")
	}
	var damage *wal.Damage
	if errors.As(err, &damage) && damage.SoundFrom > 0 && damage.SoundThrough == 0 { // it begins later
		v.found.Log, err = wal.Scan(v.dir, wal.ScanOptions{Base: whole}, v.stop, nil)
	}
	if errors.Is(err, core.ErrCorrupt) {
		v.found.Log = report.Report
		f := Finding{What: "the log: " + err.Error(), Remedy: "see persist/RUNBOOK.md, \"A damaged file\""}
		if errors.As(err, &damage) {
			f.Remedy = damage.Remedy
		}
		v.found.Findings = append(v.found.Findings, f)
		return nil
	}
	return err
}

func (v *verifying) stop(event.Seq, *event.Record) error { return context.Cause(v.ctx) }

// snapshot reads one snapshot and recovers from it.
func (v *verifying) snapshot(f snapshot.Found) error {
	checked := Checked{Name: f.Name}
	engine := core.New()
	report, err := replay(v.ctx, v.dir, engine, f.Name, v.progress)
	if err == nil && report.Snapshot == nil {
		err = errors.New("it was not used")
	}
	if cause := context.Cause(v.ctx); cause != nil {
		return cause
	}
	for _, why := range report.causes {
		v.damage(why)
	}
	if err := v.files(f); err != nil {
		return err
	}
	if err != nil && len(report.causes) == 0 {
		v.finding(fmt.Sprintf("snapshot %s with the log behind it: %v", f.Name, err), remedyDiffers)
	}
	if s := report.Snapshot; s != nil && err == nil {
		checked.From, checked.Ahead, checked.Sound = s.From, s.Ahead, true
		checked.Digest = engine.Digest()
		err = v.state(engine, "snapshot "+f.Name)
	} else {
		err = nil
	}
	v.found.Snapshots = append(v.found.Snapshots, checked)
	return err
}

// files reads a snapshot's files as such: a page says what is damaged, a file
// where.
func (v *verifying) files(f snapshot.Found) error {
	if f.Err != nil {
		return nil // told already
	}
	_, err := v.snapshots.Verify(v.ctx, f.Name, snapshot.Pace{})
	if errors.Is(err, core.ErrCorrupt) {
		v.finding(err.Error(), remedySnapshot)
		return nil
	}
	return err
}

// state checks a state and compares it with the one found before.
func (v *verifying) state(engine *core.Engine, way string) error {
	if err := engine.Check(); err != nil {
		v.finding(fmt.Sprintf("the state that %s leads to: %v", way, err), remedyState)
		return nil
	}
	digest := engine.Digest()
	if v.found.State == nil {
		v.found.State, v.found.Digest = engine, digest
		return nil
	}
	if digest != v.found.Digest {
		v.finding(fmt.Sprintf("%s leads to the state %s, and others to %s", way, digest, v.found.Digest), remedyDiffers)
	}
	return nil
}

func (v *verifying) finding(what, remedy string) {
	v.found.Findings = append(v.found.Findings, Finding{What: what, Remedy: remedy})
}

// damage notes why a snapshot could not be used.
func (v *verifying) damage(why error) {
	v.finding(why.Error(), remedySnapshot)
	var damage *snapshot.Damage
	_ = errors.As(why, &damage)
	for len(v.damages) < len(v.found.Findings)-1 {
		v.damages = append(v.damages, nil)
	}
	v.damages = append(v.damages, damage)
}

// touched names the bookings that damaged pages hold, by a state that is sound.
func (v *verifying) touched() {
	if v.found.State == nil {
		return
	}
	for i, damage := range v.damages {
		if damage == nil || damage.Part == nil || damage.Kind == 0 {
			continue
		}
		f := &v.found.Findings[i]
		v.found.State.BookingsOn(*damage.Part, core.PageKind(damage.Kind), damage.Page, func(_ event.PersonKey, b core.Booking) {
			if len(f.Bookings) == BookingsMax {
				f.More++
				return
			}
			f.Bookings = append(f.Bookings, b.Seq)
		})
	}
}
