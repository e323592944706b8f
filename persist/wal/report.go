package wal

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"weir/core"
	"weir/core/event"
)

// Why a directory is refused where it is not damaged. Test with errors.Is; the
// text says what to do.
var (
	// ErrLocked: another process has the directory open.
	ErrLocked = errors.New("data directory in use")
	// ErrForeign: the directory, or something in it, was not made by weir.
	ErrForeign = errors.New("not a data directory of weir")
	// ErrRehearsal: a rehearsal's directory opened for real, or the other way
	// round.
	ErrRehearsal = errors.New("rehearsal and real data do not mix")
	// ErrKey: the directory was made with another person key.
	ErrKey = errors.New("another person key")
	// ErrFormat: the directory was written by another version of weir.
	ErrFormat = errors.New("unknown format")
)

// Damage says where a log is not what was written, and what that costs. It
// wraps core.ErrCorrupt. Nothing has been changed when it is returned.
type Damage struct {
	Path   string `json:"path"`   // file or directory
	Offset int64  `json:"offset"` // bytes from the file's start
	What   string `json:"what"`

	SoundThrough event.Seq `json:"sound_through"` // newest record before the damage
	SoundFrom    event.Seq `json:"sound_from"`    // first record found sound behind it; 0: none
	Acknowledged event.Seq `json:"acknowledged"`  // newest record known to have been durable; 0: not known
	Remedy       string    `json:"remedy"`

	cut     cut  // where AcceptLoss cuts
	endLost bool // there is nothing to cut: the end is gone
	newer   bool // written by a newer version: AcceptLoss does not help
}

// Unwrap makes errors.Is(err, core.ErrCorrupt) true, and ErrFormat too where
// the bytes are sound but of another version.
func (d *Damage) Unwrap() []error {
	if d.newer {
		return []error{core.ErrCorrupt, ErrFormat}
	}
	return []error{core.ErrCorrupt}
}

// Error tells all of it in one line.
func (d *Damage) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s at byte %d: %s", d.Path, d.Offset, d.What)
	if d.SoundThrough > 0 {
		fmt.Fprintf(&b, "; %s sound", records(1, d.SoundThrough))
	} else {
		b.WriteString("; no record before it is known to be sound")
	}
	switch {
	case d.SoundFrom > d.SoundThrough+1:
		fmt.Fprintf(&b, "; %s lost, and from record %d on the log is sound again",
			records(d.SoundThrough+1, d.SoundFrom-1), d.SoundFrom)
	case d.SoundFrom > 0:
		fmt.Fprintf(&b, "; record %d is there again behind the damage", d.SoundFrom)
	case d.Acknowledged > d.SoundThrough:
		fmt.Fprintf(&b, "; %s known to have been acknowledged and lost, perhaps more behind",
			records(d.SoundThrough+1, d.Acknowledged))
	default:
		fmt.Fprintf(&b, "; how many followed is not known")
	}
	fmt.Fprintf(&b, "; %s", d.Remedy)
	return b.String()
}

// records says "records 3 to 7 are", or "record 3 is".
func records(from, to event.Seq) string {
	if from == to {
		return fmt.Sprintf("record %d is", from)
	}
	return fmt.Sprintf("records %d to %d are", from, to)
}

const (
	remedyDamage = "restore a backup, or see persist/RUNBOOK.md, \"A damaged file\""
	remedyFormat = "use the version of weir that wrote it"
)

// Tail says what a write that a crash cut short left at the log's end.
type Tail struct {
	Path       string `json:"path"`
	Offset     int64  `json:"offset"` // bytes
	Bytes      int64  `json:"bytes"`
	What       string `json:"what"`
	Quarantine string `json:"quarantine,omitempty"` // where the bytes were set aside; empty: they were not
}

// Report says what was found when a log was read.
type Report struct {
	Identity  Identity   `json:"identity"`
	Epochs    int        `json:"epochs"`
	Segments  int        `json:"segments"`
	Envelopes uint64     `json:"envelopes"`
	Records   uint64     `json:"records"`
	From      event.Seq  `json:"from"`      // records up to it were not needed; 0: all were read
	FirstSeq  event.Seq  `json:"first_seq"` // of those read; 0: no record
	LastSeq   event.Seq  `json:"last_seq"`
	LastTime  event.Time `json:"last_time"` // Unix milliseconds
	Bytes     int64      `json:"bytes"`     // of sound envelopes, as stored

	// CleanClose says that the log was closed in good order and has not been
	// written since.
	CleanClose bool `json:"clean_close"`
	// Torn is an unacknowledged write that a crash cut short: repaired by
	// Open, only reported by Scan.
	Torn *Tail `json:"torn,omitempty"`
	// Lost is what AcceptLoss gave up, and SetAside where it is kept.
	Lost     *Damage  `json:"lost,omitempty"`
	SetAside []string `json:"set_aside,omitempty"`

	Duration time.Duration `json:"duration_nanos"`
}

// Progress says how far reading a log has come.
type Progress struct {
	Bytes, Total int64 // read and in all
	Seq          event.Seq
}
