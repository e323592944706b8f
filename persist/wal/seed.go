package wal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Seed makes to, which must be empty or not there, a data directory with the
// identity of from and a log that begins where that one's does and holds no
// record yet. It is opened with a Base where the log does not begin with record
// 1; records appended to it get the numbers that they have in from.
func Seed(from, to string) error {
	id, err := ReadIdentity(from)
	if err != nil {
		return fmt.Errorf("seed log: %w", err)
	}
	identity, err := id.digest()
	if err != nil {
		return fmt.Errorf("seed log: %w", err)
	}
	begin, err := readFirst(filepath.Join(from, walName), identity)
	if err != nil {
		return fmt.Errorf("seed log: %w", err)
	}
	raw, err := os.ReadFile(filepath.Join(from, identityName))
	if err != nil {
		return fmt.Errorf("seed log: %w", err)
	}
	var f files
	walDir := filepath.Join(to, walName)
	if err := f.mkdir(walDir); err != nil {
		return fmt.Errorf("seed log: %w", err)
	}
	if err := unused(to); err != nil {
		return fmt.Errorf("seed log: %w", err)
	}
	genesis := mark{head: begin.head, identity: identity, clean: true}
	err = createMark(&f, filepath.Join(walDir, markName), genesis)
	if err == nil && begin.epoch > 1 {
		err = f.replace(filepath.Join(walDir, firstName), begin.encode(identity))
	}
	for _, path := range []string{walDir, to, filepath.Dir(to)} {
		err = errors.Join(err, f.syncDir(path))
	}
	if err == nil {
		err = f.replace(filepath.Join(to, identityName), raw)
	}
	if err != nil {
		return fmt.Errorf("seed log: %w", err)
	}
	return nil
}

// LogFile is one file of a log, as far as it had been written when it was
// listed.
type LogFile struct {
	Path string // below the data directory
	Size int64  // bytes
}

// Files lists the files that make up the log of dir, in the order in which they
// must be copied while it is in use: the mark, which must not be newer than the
// rest, first. Nothing may remove old log meanwhile.
func Files(dir string) ([]LogFile, error) {
	id, err := ReadIdentity(dir)
	if err != nil {
		return nil, fmt.Errorf("list log: %w", err)
	}
	op := &opening{dir: dir, walDir: filepath.Join(dir, walName)}
	if err := op.load(id); err != nil {
		return nil, fmt.Errorf("list log: %w", err)
	}
	list := []LogFile{{filepath.Join(walName, markName), 2 * markSlot}}
	if op.begin.epoch > 1 {
		list = append(list, LogFile{filepath.Join(walName, firstName), firstSize})
	}
	for _, seg := range flatten(op.epochs) {
		path, err := filepath.Rel(dir, seg.path)
		if err != nil {
			return nil, fmt.Errorf("list log: %w", err)
		}
		list = append(list, LogFile{path, seg.size})
	}
	info, err := os.Stat(filepath.Join(dir, identityName))
	if err != nil {
		return nil, fmt.Errorf("list log: %w", err)
	}
	return append(list, LogFile{identityName, info.Size()}), nil
}
