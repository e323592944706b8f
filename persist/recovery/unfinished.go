package recovery

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// restoringName is a file in a data directory's log that is there while the
// directory is being restored into. What stands there meanwhile may well be a
// sound log and its snapshots, and end too early.
const restoringName = "wal/restoring"

// ErrUnfinished says that a restore into a data directory was cut short.
var ErrUnfinished = errors.New("a restore into it was cut short; remove the directory and restore again")

// beginRestoring marks dir, durably, before anything else is put there.
func beginRestoring(dir string) error {
	path := filepath.Join(dir, restoringName)
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	if err := os.WriteFile(path, nil, 0o640); err != nil {
		return err
	}
	return syncTree(dir)
}

// endRestoring says that dir is complete.
func endRestoring(dir string) error {
	path := filepath.Join(dir, restoringName)
	if err := os.Remove(path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// finished refuses a data directory that a restore was to fill.
func finished(dir string) error {
	_, err := os.Lstat(filepath.Join(dir, restoringName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = ErrUnfinished
	}
	return fmt.Errorf("%s: %w", dir, err)
}
