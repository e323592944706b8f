package recovery

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"weir/core/event"
	"weir/persist/snapshot"
	"weir/persist/wal"
)

// Until is the moment to restore to: all records up to Seq, or all before the
// first that is later than Time. The zero value is the end.
type Until struct {
	Seq  event.Seq
	Time event.Time
}

// ParseUntil reads a sequence number, or a time with its offset (RFC 3339).
func ParseUntil(text string) (Until, error) {
	if seq, err := strconv.ParseUint(text, 10, 64); err == nil && seq > 0 {
		return Until{Seq: event.Seq(seq)}, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return Until{}, fmt.Errorf("%q is neither a sequence number nor a time like 2021-07-19T20:40:00+09:00", text)
	}
	return Until{Time: event.Time(t.UnixMilli())}, nil
}

func (u Until) end() bool { return u == Until{} }

// passed says whether a record lies behind the moment.
func (u Until) passed(seq event.Seq, r *event.Record) bool {
	return u.Seq != 0 && seq > u.Seq || u.Time != 0 && r.At > u.Time
}

// Restore makes to, which must be empty or not there, a data directory as from
// was at a moment: from is a backup, or a data directory that no server uses.
// It is opened as a server would, so a torn tail is repaired, and recovered into
// state, which must be empty. A backup's files are compared with its list.
// Nothing is changed in from. A restore that is cut short leaves a directory
// that nothing opens (ErrUnfinished). Where no snapshot is old enough for the moment,
// and the log does not begin with record 1, the error says from when on it can
// be restored.
func Restore(ctx context.Context, from, to string, until Until, state State) (Report, error) {
	if err := emptyDir(to); err != nil {
		return Report{}, fmt.Errorf("restore: %w", err)
	}
	if err := fillFrom(ctx, from, to, until); err != nil {
		return Report{}, fmt.Errorf("restore %s: %w", from, err)
	}
	l, report, err := Open(ctx, to, wal.Options{AnyIdentity: true, MustExist: true}, state, nil)
	if err != nil {
		return report, err
	}
	return report, l.Close()
}

// fillFrom puts there what is to be restored. Until it is complete nobody opens
// what is there.
func fillFrom(ctx context.Context, from, to string, until Until) error {
	if err := beginRestoring(to); err != nil {
		return err
	}
	restore := restoreAll
	if !until.end() {
		restore = func(ctx context.Context, from, to string) error { return restoreUntil(ctx, from, to, until) }
	}
	if err := restore(ctx, from, to); err != nil {
		return err
	}
	return endRestoring(to)
}

// restoreAll copies everything.
func restoreAll(ctx context.Context, from, to string) error {
	c := &copying{from: from, to: to}
	list, err := readContents(from)
	switch {
	case err == nil:
		for _, f := range list.Files {
			if err := c.file(ctx, f.Path, f.Bytes, f.SHA256); err != nil {
				return err
			}
		}
		return syncTree(to)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	return c.live(ctx)
}

// restoreUntil writes the log anew, up to the moment, and copies the snapshots
// that are old enough. Records keep their numbers.
func restoreUntil(ctx context.Context, from, to string, until Until) error {
	if err := wal.Seed(from, to); err != nil {
		return err
	}
	l, begun, err := wal.Open(to, wal.Options{AnyIdentity: true, MustExist: true, Base: whole}, nil, nil)
	if err != nil {
		return err
	}
	last, err := copyLog(ctx, from, l, until)
	if err = errors.Join(err, l.Close()); err != nil {
		return err
	}
	if last == 0 && until.Seq != begun.From { // before the log that is kept
		return fmt.Errorf("the log begins with record %d, behind the moment asked for: %s", begun.From+1, earliest(ctx, from))
	}
	last = max(last, begun.From)
	if until.Seq > last {
		return fmt.Errorf("the log ends with record %d, %d is asked for", last, until.Seq)
	}
	copied, err := copySnapshots(ctx, from, to, last)
	if err != nil {
		return err
	}
	if begun.From > 0 && copied == 0 {
		return fmt.Errorf("no snapshot is as old as record %d, and the log begins with record %d: %s", last, begun.From+1, earliest(ctx, from))
	}
	return nil
}

// errReached ends the copy of a log.
var errReached = errors.New("reached")

// copyLog appends the records of from's log, up to the moment, to l, and
// returns the last.
func copyLog(ctx context.Context, from string, l *wal.Log, until Until) (last event.Seq, err error) {
	const waitEvery = 1 << 14
	_, err = wal.Scan(from, wal.ScanOptions{Base: whole}, func(seq event.Seq, r *event.Record) error {
		if until.passed(seq, r) {
			return errReached
		}
		if err := l.Reserve(r.Size()); err != nil {
			return err
		}
		if last = l.Append(r); last != seq {
			return fmt.Errorf("record %d would become %d", seq, last)
		}
		if seq%waitEvery == 0 {
			return errors.Join(ctx.Err(), l.Wait(seq))
		}
		return nil
	}, nil)
	if errors.Is(err, errReached) {
		err = nil
	}
	return last, errors.Join(err, l.Wait(last))
}

// copySnapshots copies those that hold nothing behind the record last.
func copySnapshots(ctx context.Context, from, to string, last event.Seq) (copied int, err error) {
	found, d, err := listSnapshots(from)
	if err != nil {
		return 0, err
	}
	c := &copying{from: from, to: to}
	for _, f := range found {
		ahead, err := d.Ahead(ctx, f.Name)
		if err != nil || ahead > last {
			continue // too new, or of no use: then another one is as good
		}
		files, err := filesOfSnapshot(from, f)
		if err != nil {
			return copied, err
		}
		for _, file := range files {
			if err := c.file(ctx, file.Path, file.Size, ""); err != nil {
				return copied, err
			}
		}
		copied++
	}
	return copied, syncTree(to)
}

// earliest says from which moment on a directory can be restored.
func earliest(ctx context.Context, dir string) string {
	found, d, err := listSnapshots(dir)
	if err != nil {
		return err.Error()
	}
	var oldest event.Seq
	for _, f := range found {
		if ahead, err := d.Ahead(ctx, f.Name); err == nil && (oldest == 0 || ahead < oldest) {
			oldest = ahead
		}
	}
	if oldest == 0 {
		return "there is no sound snapshot at all"
	}
	return "the earliest is record " + strings.TrimSpace(strconv.FormatUint(uint64(oldest), 10)) +
		"; an earlier backup may reach further back"
}

func listSnapshots(dir string) ([]snapshot.Found, *snapshot.Dir, error) {
	id, err := wal.ReadIdentity(dir)
	if err != nil {
		return nil, nil, err
	}
	d, err := snapshots(filepath.Clean(dir), id, nil)
	if err != nil {
		return nil, nil, err
	}
	found, err := d.List()
	return found, d, err
}
