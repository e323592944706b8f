package wal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// lockDir takes the data directory for this process alone and leaves its
// process id in the lock's file, for people to read. The lock ends with the
// file returned, or with the process.
func lockDir(dir string) (*os.File, error) {
	path := filepath.Join(dir, lockName)
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, fileMode)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	if err := flock(file, unix.LOCK_EX); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	pid := strconv.Itoa(os.Getpid()) + "\n"
	if err := file.Truncate(0); err != nil {
		return nil, errors.Join(fmt.Errorf("lock: %w", err), file.Close())
	}
	if _, err := file.WriteAt([]byte(pid), 0); err != nil {
		return nil, errors.Join(fmt.Errorf("lock: %w", err), file.Close())
	}
	return file, nil
}

// shareDir keeps writers out of dir while it is read, and writes nothing. The
// file is nil where the directory never had a lock.
func shareDir(dir string) (*os.File, error) {
	file, err := os.Open(filepath.Join(dir, lockName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	if err := flock(file, unix.LOCK_SH); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

func flock(file *os.File, how int) error {
	err := unix.Flock(int(file.Fd()), how|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		holder, _ := os.ReadFile(file.Name())
		return fmt.Errorf("%w: %s is held by process %s; stop it first",
			ErrLocked, file.Name(), strings.TrimSpace(string(holder)))
	}
	if err != nil {
		return fmt.Errorf("lock %s: %w", file.Name(), err)
	}
	return nil
}
