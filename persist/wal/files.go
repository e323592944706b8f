package wal

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/tidwall/wal"
	"golang.org/x/sys/unix"
)

// files is how this package changes the file system and asks it for room. All
// changes go through it, so that a test can fail or hold any one of them.
type files struct {
	// before, where set, is called ahead of each operation, which does not
	// take place where it returns an error.
	before func(op, path string) error
	// free, where set, answers in place of statfs.
	free func(dir string) (int64, error)
}

// segmentLog is what is used of tidwall/wal.
type segmentLog interface {
	Write(index uint64, data []byte) error
	Sync() error
	ClearCache() error
	Close() error
}

const (
	dirMode  = 0o750
	fileMode = 0o640
)

func (f *files) do(op, path string, act func() error) error {
	if f.before != nil {
		if err := f.before(op, path); err != nil {
			return fmt.Errorf("%s %s: %w", op, path, err)
		}
	}
	if err := act(); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	return nil
}

func (f *files) mkdir(path string) error {
	return f.do("mkdir", path, func() error { return os.MkdirAll(path, dirMode) })
}

// syncDir makes the names in a directory durable.
func (f *files) syncDir(path string) error {
	return f.do("sync directory", path, func() error { return syncPath(path, os.O_RDONLY) })
}

// syncFile makes the contents of a file durable.
func (f *files) syncFile(path string) error {
	return f.do("sync file", path, func() error { return syncPath(path, os.O_WRONLY) })
}

func syncPath(path string, flag int) error {
	file, err := os.OpenFile(path, flag, 0)
	if err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		_ = file.Close()
		return err
	}
	return file.Close()
}

// create writes what fill gives to a file, which is replaced where it exists,
// and makes its contents durable, not its name.
func (f *files) create(path string, fill func(io.Writer) error) error {
	return f.do("create", path, func() error {
		file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, fileMode)
		if err != nil {
			return err
		}
		if err := fill(file); err != nil {
			_ = file.Close()
			return err
		}
		if err := file.Sync(); err != nil {
			_ = file.Close()
			return err
		}
		return file.Close()
	})
}

// replace puts a file in place whole or not at all, durably.
func (f *files) replace(path string, data []byte) error {
	temporary := path + ".tmp"
	err := f.create(temporary, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
	if err != nil {
		return err
	}
	if err := f.rename(temporary, path); err != nil {
		return err
	}
	return f.syncDir(filepath.Dir(path))
}

func (f *files) rename(from, to string) error {
	return f.do("rename", from, func() error { return os.Rename(from, to) })
}

func (f *files) remove(path string) error {
	return f.do("remove", path, func() error { return os.Remove(path) })
}

func (f *files) truncate(path string, size int64) error {
	return f.do("truncate", path, func() error { return os.Truncate(path, size) })
}

func (f *files) writeAt(file *os.File, data []byte, offset int64) error {
	return f.do("write", file.Name(), func() error {
		_, err := file.WriteAt(data, offset)
		return err
	})
}

func (f *files) sync(file *os.File) error {
	return f.do("sync file", file.Name(), file.Sync)
}

// openLog begins a log in an empty directory.
func (f *files) openLog(dir string, segmentSize int) (log segmentLog, err error) {
	err = f.do("open log", dir, func() error {
		log, err = wal.Open(dir, &wal.Options{
			NoSync: true, SegmentSize: segmentSize, SegmentCacheSize: 1, DirPerms: dirMode, FilePerms: fileMode,
		})
		return err
	})
	return log, err
}

// freeBytes returns how much an unprivileged process may still write below dir.
func (f *files) freeBytes(dir string) (int64, error) {
	if f.free != nil {
		return f.free(dir)
	}
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, fmt.Errorf("free space of %s: %w", dir, err)
	}
	return int64(s.Bavail) * s.Bsize, nil
}
