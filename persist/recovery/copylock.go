package recovery

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// copyLockName is locked by a server's keeper while it writes snapshots or
// removes files, and, shared, by whoever copies them. So a backup copies files
// that stand still, and a server beside which one is made goes on and takes its
// next snapshot a little later.
const copyLockName = "COPYING"

// lockCopies takes the lock for the keeper, and answers false while something is
// being copied.
func lockCopies(dir string) (unlock func(), free bool, err error) {
	file, err := os.OpenFile(filepath.Join(dir, copyLockName), os.O_CREATE|os.O_RDWR, 0o640)
	if err != nil {
		return nil, false, fmt.Errorf("lock for copies: %w", err)
	}
	err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err != nil {
		_ = file.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, false, nil
		}
		return nil, false, fmt.Errorf("lock for copies: %w", err)
	}
	return func() { _ = file.Close() }, true, nil
}

// holdStill waits until no snapshot is being written in dir, and keeps it so
// until release is called.
func holdStill(ctx context.Context, dir string) (release func(), err error) {
	file, err := os.Open(filepath.Join(dir, copyLockName))
	if errors.Is(err, fs.ErrNotExist) {
		return func() {}, nil // no server has ever taken a snapshot here
	}
	if err != nil {
		return nil, fmt.Errorf("wait for the snapshot that is being written: %w", err)
	}
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := unix.Flock(int(file.Fd()), unix.LOCK_SH|unix.LOCK_NB)
		if err == nil {
			return func() { _ = file.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, errors.Join(fmt.Errorf("wait for the snapshot that is being written: %w", err), file.Close())
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), file.Close())
		}
	}
}
