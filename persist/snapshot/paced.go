package snapshot

import (
	"context"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// paced is a file system whose files are written at a pace, each by itself,
// until the context ends. So whatever Pebble does by itself, flushes and
// compactions, comes in small pieces with rests between them, and each piece
// leaves room on the disk and the processors: a burst would delay the log's sync
// and whoever serves, and with them everybody who waits.
type paced struct {
	vfs.FS
	ctx  context.Context //nolint:containedctx // Pebble writes without one
	pace Pace
}

func (p paced) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return p.file(p.FS.Create(name, c))
}

func (p paced) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return p.file(p.FS.ReuseForWrite(from, to, c))
}

func (p paced) file(file vfs.File, err error) (vfs.File, error) {
	if err != nil || p.pace == (Pace{}) {
		return file, err
	}
	return &pacedFile{File: file, ctx: p.ctx, pacer: NewPacer(p.pace)}, nil
}

// Unwrap is that of vfs.FS.
func (p paced) Unwrap() vfs.FS { return p.FS }

// pacedFile is a file that one goroutine at a time writes.
type pacedFile struct {
	vfs.File
	ctx     context.Context //nolint:containedctx // as in paced
	pacer   *Pacer
	written int // since the last rest
}

func (f *pacedFile) Write(b []byte) (int, error) {
	n, err := f.File.Write(b)
	if f.written += n; f.written >= blockSize { // a block was merged and compressed for it
		_ = f.pacer.Rest(f.ctx, f.written) // at its end Pebble goes on without
		f.written = 0
	}
	return n, err
}
