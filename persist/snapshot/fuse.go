package snapshot

import (
	"errors"
	"io"
	"io/fs"
	"math"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// fuse is the file system as Pebble gets it. The first change of it that fails
// blows the fuse: to the disk it then looks as if the power had failed at that
// moment, since nothing reaches it any more, and to Pebble as if all went well.
// So the store on the disk is what a crash could have left, which the next Open
// takes up, and Pebble comes to its end without ever having to deal with the
// error: it would retry a flush for ever, stall every writer until that
// succeeds, and end the process where a directory cannot be synced.
//
// What failed is in blown; whoever writes a store asks it and gives up.
//
// It leaves Pebble's lock out too: the data directory is locked as a whole, and
// who only reads must not make a file.
//
// Its methods are for concurrent use.
type fuse struct {
	vfs.FS
	alarm func(error) // may be nil

	once sync.Once
	err  error // set before out is
	out  atomic.Bool
}

// blow keeps the first error and calls the alarm with it.
func (f *fuse) blow(err error) {
	f.once.Do(func() {
		f.err = err
		f.out.Store(true)
		if f.alarm != nil {
			f.alarm(err)
		}
	})
}

// blown returns the error that blew the fuse, if any did.
func (f *fuse) blown() error {
	if f.out.Load() {
		return f.err
	}
	return nil
}

// change does work that changes the disk, unless the fuse is blown. That a file
// is not there is an answer, not a failure.
func (f *fuse) change(work func() error) error {
	if f.out.Load() {
		return nil
	}
	err := work()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		f.blow(err)
		return nil
	}
	return err
}

// file makes a file to be written; one that is nowhere where the fuse is blown.
func (f *fuse) file(open func() (vfs.File, error)) (file vfs.File, err error) {
	err = f.change(func() (err error) {
		file, err = open()
		return err
	})
	if err != nil {
		return nil, err
	}
	if file == nil {
		file = nowhere{}
	}
	return fused{file, f}, nil
}

func (f *fuse) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return f.file(func() (vfs.File, error) { return f.FS.Create(name, c) })
}

func (f *fuse) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	return f.file(func() (vfs.File, error) { return f.FS.OpenReadWrite(name, c, o...) })
}

func (f *fuse) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return f.file(func() (vfs.File, error) { return f.FS.ReuseForWrite(from, to, c) })
}

// OpenDir opens a directory, whose Sync changes the disk.
func (f *fuse) OpenDir(name string) (vfs.File, error) {
	return f.file(func() (vfs.File, error) { return f.FS.OpenDir(name) })
}

func (f *fuse) Link(from, to string) error {
	return f.change(func() error { return f.FS.Link(from, to) })
}

func (f *fuse) Rename(from, to string) error {
	return f.change(func() error { return f.FS.Rename(from, to) })
}

func (f *fuse) Remove(name string) error {
	return f.change(func() error { return f.FS.Remove(name) })
}

func (f *fuse) RemoveAll(name string) error {
	return f.change(func() error { return f.FS.RemoveAll(name) })
}

func (f *fuse) MkdirAll(dir string, perm fs.FileMode) error {
	return f.change(func() error { return f.FS.MkdirAll(dir, perm) })
}

// GetDiskUsage answers Pebble, which only shows it, that there is room: the
// keeper looks for itself.
func (f *fuse) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: math.MaxInt64, TotalBytes: math.MaxInt64}, nil
}

// Lock locks nothing.
func (f *fuse) Lock(string) (io.Closer, error) { return nowhere{}, nil }

// Unwrap is that of vfs.FS.
func (f *fuse) Unwrap() vfs.FS { return f.FS }

// fused is an open file behind a fuse.
type fused struct {
	vfs.File
	fuse *fuse
}

func (f fused) Write(p []byte) (int, error) {
	return len(p), f.fuse.change(func() error { _, err := f.File.Write(p); return err })
}

func (f fused) WriteAt(p []byte, at int64) (int, error) {
	return len(p), f.fuse.change(func() error { _, err := f.File.WriteAt(p, at); return err })
}

func (f fused) Preallocate(offset, length int64) error {
	return f.fuse.change(func() error { return f.File.Preallocate(offset, length) })
}

func (f fused) Sync() error     { return f.fuse.change(f.File.Sync) }
func (f fused) SyncData() error { return f.fuse.change(f.File.SyncData) }

func (f fused) SyncTo(length int64) (all bool, err error) {
	err = f.fuse.change(func() error {
		all, err = f.File.SyncTo(length)
		return err
	})
	return all, err
}

// Close closes the file, fuse or no fuse.
func (f fused) Close() error {
	if err := f.File.Close(); err != nil {
		f.fuse.blow(err)
	}
	return nil
}

// nowhere is a file on no disk: fused writes nothing to it, and there is nothing
// to be read of it.
type nowhere struct{ vfs.File }

func (nowhere) Close() error                      { return nil }
func (nowhere) Read([]byte) (int, error)          { return 0, io.EOF }
func (nowhere) ReadAt([]byte, int64) (int, error) { return 0, io.EOF }
func (nowhere) Stat() (vfs.FileInfo, error)       { return nil, fs.ErrNotExist }
func (nowhere) Prefetch(int64, int64) error       { return nil }
func (nowhere) Fd() uintptr                       { return vfs.InvalidFd }
