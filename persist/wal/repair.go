package wal

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// cut is the place from which on a log is set aside.
type cut struct {
	segment int // index into the segments scanned
	offset  int64
	what    string
}

// quarantine moves what does not belong to the log out of its way, durably,
// each with a note beside it. It deletes nothing.
type quarantine struct {
	files  *files
	walDir string
}

// note stands beside what was set aside.
type note struct {
	From   string    `json:"from"`   // relative to wal/
	Offset int64     `json:"offset"` // bytes
	Bytes  int64     `json:"bytes"`
	Why    string    `json:"why"`
	At     time.Time `json:"at"`
}

// apply sets everything from c on aside, the newest first, so that a crash
// meanwhile leaves the same place to cut at. It returns where the bytes are.
func (q *quarantine) apply(c cut, epochs []epochDir) ([]string, error) {
	at := flatten(epochs)[c.segment]
	var aside []string
	for _, epoch := range slices.Backward(epochs) {
		if epoch.number < at.epoch {
			break
		}
		paths, err := q.epoch(epoch, at, c)
		aside = append(aside, paths...)
		if err != nil {
			return aside, err
		}
	}
	return aside, nil
}

// epoch sets aside what of one epoch lies behind the cut in the segment at.
func (q *quarantine) epoch(epoch epochDir, at segment, c cut) ([]string, error) {
	if epoch.number > at.epoch {
		var size int64
		for i := range epoch.segments {
			size += epoch.segments[i].size
		}
		return one(q.move(epoch.path, size, c.what))
	}
	var aside []string
	for _, seg := range slices.Backward(epoch.segments) {
		if seg.index < at.index || seg.index == at.index && c.offset > 0 {
			break
		}
		path, err := q.move(seg.path, seg.size, c.what)
		if err != nil {
			return aside, err
		}
		aside = append(aside, path)
	}
	if c.offset == 0 {
		return aside, nil
	}
	paths, err := one(q.tail(at, c))
	return append(aside, paths...), err
}

func one(path string, err error) ([]string, error) {
	if err != nil {
		return nil, err
	}
	return []string{path}, nil
}

// move renames a file or directory into the quarantine.
func (q *quarantine) move(path string, size int64, why string) (string, error) {
	to, err := q.place(path, 0)
	if err != nil {
		return "", err
	}
	if err := q.note(to, path, 0, size, why); err != nil {
		return "", err
	}
	if err := q.files.rename(path, to); err != nil {
		return "", err
	}
	return to, q.syncDirs(filepath.Dir(path), filepath.Dir(to))
}

// tail copies the bytes behind a cut into the quarantine and cuts them off.
func (q *quarantine) tail(seg segment, c cut) (string, error) {
	to, err := q.place(seg.path, c.offset)
	if err != nil {
		return "", err
	}
	err = q.files.create(to, func(w io.Writer) error {
		from, err := os.Open(seg.path)
		if err != nil {
			return err
		}
		defer func() { _ = from.Close() }()
		_, err = io.Copy(w, io.NewSectionReader(from, c.offset, seg.size-c.offset))
		return err
	})
	if err != nil {
		return "", err
	}
	if err := q.note(to, seg.path, c.offset, seg.size-c.offset, c.what); err != nil {
		return "", err
	}
	if err := q.syncDirs(filepath.Dir(to)); err != nil {
		return "", err
	}
	if err := q.files.truncate(seg.path, c.offset); err != nil {
		return "", err
	}
	if err := q.files.syncFile(seg.path); err != nil {
		return "", err
	}
	return to, q.syncDirs(filepath.Dir(seg.path))
}

// place names a spot in the quarantine that is free, and makes the quarantine.
func (q *quarantine) place(path string, offset int64) (string, error) {
	dir := filepath.Join(q.walDir, quarantineName)
	if err := q.files.mkdir(dir); err != nil {
		return "", err
	}
	if err := q.files.syncDir(q.walDir); err != nil {
		return "", err
	}
	from, err := filepath.Rel(q.walDir, path)
	if err != nil {
		return "", fmt.Errorf("quarantine: %w", err)
	}
	base := fmt.Sprintf("%s-at-%d", filepath.Base(from), offset)
	if parent := filepath.Dir(from); parent != "." {
		base = parent + "-" + base
	}
	for n := 1; ; n++ {
		to := filepath.Join(dir, fmt.Sprintf("%s.%d", base, n))
		_, err := os.Lstat(to)
		_, noteErr := os.Lstat(to + ".json")
		if errors.Is(err, fs.ErrNotExist) && errors.Is(noteErr, fs.ErrNotExist) {
			return to, nil
		}
		if err := errors.Join(notMissing(err), notMissing(noteErr)); err != nil {
			return "", fmt.Errorf("quarantine: %w", err)
		}
	}
}

func notMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (q *quarantine) note(to, from string, offset, size int64, why string) error {
	relative, err := filepath.Rel(q.walDir, from)
	if err != nil {
		return fmt.Errorf("quarantine: %w", err)
	}
	data, err := json.MarshalIndent(note{From: relative, Offset: offset, Bytes: size, Why: why, At: time.Now().UTC()}, "", "  ")
	if err != nil {
		return fmt.Errorf("quarantine: %w", err)
	}
	return q.files.create(to+".json", func(w io.Writer) error {
		_, err := w.Write(append(data, '\n'))
		return err
	})
}

func (q *quarantine) syncDirs(paths ...string) error {
	for _, path := range paths {
		if err := q.files.syncDir(path); err != nil {
			return err
		}
	}
	return nil
}
