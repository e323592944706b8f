package recovery

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// ballastName is a file in a data directory that holds nothing but room.
const ballastName = "ballast"

// Ballast makes a file of that many bytes in the data directory dir, so that
// whoever finds the disk full can delete it and has room to act. One that is
// there stays. It is left out where less than spare bytes would be free
// afterwards; made says whether there is one now.
func Ballast(dir string, bytes, spare int64) (made bool, err error) {
	path := filepath.Join(dir, ballastName)
	info, err := os.Stat(path)
	if err == nil && info.Size() == bytes {
		return true, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("ballast: %w", err)
	}
	var disk unix.Statfs_t
	if err := unix.Statfs(dir, &disk); err != nil {
		return false, fmt.Errorf("ballast: free space of %s: %w", dir, err)
	}
	if int64(disk.Bavail)*disk.Bsize < bytes+spare {
		return false, nil
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_TRUNC, 0o640)
	if err != nil {
		return false, fmt.Errorf("ballast: %w", err)
	}
	err = unix.Fallocate(int(file.Fd()), 0, 0, bytes)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return false, fmt.Errorf("ballast: %w", errors.Join(err, os.Remove(path)))
	}
	return true, nil
}
