package snapshot

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"weir/core"
	"weir/core/people"
)

// The names below a snapshot directory.
var storeNames = [people.Stores]string{"a", "b"}

const sealSuffix = ".seal"

// Dir is the directory of both stores. Its methods are not for concurrent use,
// but Load and Verify of different stores may run at the same time.
type Dir struct {
	fs       vfs.FS
	path     string
	identity [16]byte
	alarm    func(error)

	abandoned int // stores that were cut off; owner: Take
}

// At names the directory path of the data directory with that identity. It
// touches nothing. Alarm, which may be nil, is called with the first error that
// Pebble finds in the background of each piece of work, by any goroutine.
func At(fs vfs.FS, path string, identity [16]byte, alarm func(error)) *Dir {
	return &Dir{fs: fs, path: path, identity: identity, alarm: alarm}
}

// Damage says that a snapshot is not what was written. It wraps
// core.ErrCorrupt.
type Damage struct {
	Store string     `json:"store"` // directory or file
	Part  *core.Part `json:"part,omitempty"`
	Kind  int        `json:"kind,omitempty"` // of the page; 0: not one page
	Page  int        `json:"page,omitempty"`
	What  string     `json:"what"`
}

// Error tells all of it in one line.
func (d *Damage) Error() string {
	where := "snapshot " + d.Store
	if d.Part != nil {
		where += ", " + d.Part.String()
	}
	if d.Kind != 0 {
		where += fmt.Sprintf(", page %d of kind %d", d.Page, d.Kind)
	}
	return where + ": " + d.What
}

// Unwrap makes errors.Is(err, core.ErrCorrupt) true.
func (d *Damage) Unwrap() error { return core.ErrCorrupt }

func (d *Dir) store(name string) string    { return d.fs.PathJoin(d.path, name) }
func (d *Dir) sealFile(name string) string { return d.store(name) + sealSuffix }

// Seal reads the seal that stands outside of a store. The error wraps
// fs.ErrNotExist where there is no snapshot, and is a *Damage where the seal is
// not what was written.
func (d *Dir) Seal(name string) (*Seal, error) {
	data, err := readFile(d.fs, d.sealFile(name))
	if err != nil {
		return nil, fmt.Errorf("read seal: %w", err)
	}
	seal := &Seal{}
	if err := seal.decode(data); err != nil {
		return nil, &Damage{Store: d.sealFile(name), What: err.Error()}
	}
	if seal.Identity != d.identity {
		return nil, &Damage{Store: d.sealFile(name), What: "it belongs to another data directory"}
	}
	return seal, nil
}

func readFile(from vfs.FS, name string) ([]byte, error) {
	f, err := from.Open(name)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(f)
	return data, errors.Join(err, f.Close())
}

// replaceFile puts a file in place whole or not at all, durably.
func replaceFile(at vfs.FS, name string, data []byte) error {
	temporary := name + ".tmp"
	f, err := at.Create(temporary, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := at.Rename(temporary, name); err != nil {
		return err
	}
	return syncDir(at, at.PathDir(name))
}

func syncDir(at vfs.FS, path string) error {
	dir, err := at.OpenDir(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// database is an open store.
type database struct {
	*pebble.DB
	failed *failure
}

// failure is the first error that Pebble found in the background.
type failure struct {
	once  sync.Once
	err   error // set before found is closed
	found chan struct{}
	alarm func(error)

	cutOff atomic.Bool // nothing reaches the disk any more
}

func (f *failure) set(err error) {
	f.once.Do(func() {
		f.err = err
		close(f.found)
		if f.alarm != nil {
			f.alarm(err)
		}
	})
}

// retryPause slows Pebble down, which tries a flush that failed again at once.
const retryPause = 50 * time.Millisecond

// background is Pebble's listener for errors. It is called in the goroutine that
// will try again.
func (f *failure) background(err error) {
	f.set(err)
	pause := retryPause
	if f.cutOff.Load() {
		pause = time.Minute
	}
	time.Sleep(pause)
}

const (
	blockSize    = 64 << 10
	memTableSize = 16 << 20
	cacheSize    = 4 << 20 // a store is read once, from end to end
	tableSize    = 32 << 20
)

// open opens a store to be read.
func (d *Dir) open(name string) (*database, error) {
	return d.openWith(name, true, &failure{found: make(chan struct{}), alarm: d.alarm})
}

// openWith opens a store; one that is to be written is made where it is not
// there.
func (d *Dir) openWith(name string, readOnly bool, failed *failure) (*database, error) {
	db, err := pebble.Open(d.store(name), options(d.fs, readOnly, failed))
	if err != nil {
		return nil, err
	}
	return &database{db, failed}, nil
}

func options(at vfs.FS, readOnly bool, failed *failure) *pebble.Options {
	o := &pebble.Options{
		FS: guarded{errorfs.Wrap(at, cutter{failed}), failed}, ReadOnly: readOnly, ErrorIfNotExists: readOnly,
		FormatMajorVersion: pebble.FormatValueSeparation,
		DisableWAL:         true,
		CacheSize:          cacheSize,
		MemTableSize:       memTableSize,
		BytesPerSync:       1 << 20,
		Logger:             quiet{failed},
		EventListener: &pebble.EventListener{
			BackgroundError: failed.background,
			DataCorruption:  func(info pebble.DataCorruptionInfo) { failed.set(info.Details) },
		},
		CompactionConcurrencyRange: func() (int, int) { return 1, 1 },
	}
	for i := range o.Levels {
		o.Levels[i].BlockSize = blockSize
		o.Levels[i].Compression = func() *sstable.CompressionProfile { return sstable.SnappyCompression }
		o.TargetFileSizes[i] = tableSize
	}
	return o
}

// guarded is the file system as Pebble gets it. It leaves Pebble's lock out: the
// data directory is locked as a whole, and who only reads must not make a file.
// And it keeps a directory that cannot be synced from Pebble, which would end
// the process: the failure is noted instead, and the work counts as failed.
type guarded struct {
	vfs.FS
	failed *failure
}

// Lock locks nothing.
func (guarded) Lock(string) (io.Closer, error) { return nobody{}, nil }

type nobody struct{}

func (nobody) Close() error { return nil }

// OpenDir opens a directory whose Sync never fails.
func (g guarded) OpenDir(name string) (vfs.File, error) {
	dir, err := g.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return guardedDir{dir, g.failed}, nil
}

// cutter fails every operation once the store is cut off: somebody else may be
// writing in the same place then.
type cutter struct{ failed *failure }

var errCutOff = errors.New("cut off")

// MaybeError is that of errorfs.Injector.
func (c cutter) MaybeError(errorfs.Op) error {
	if c.failed.cutOff.Load() {
		return errCutOff
	}
	return nil
}

// String is for errorfs.
func (cutter) String() string { return "cutter" }

type guardedDir struct {
	vfs.File
	failed *failure
}

// Sync notes its error.
func (d guardedDir) Sync() error {
	if err := d.File.Sync(); err != nil {
		d.failed.set(fmt.Errorf("sync directory: %w", err))
	}
	return nil
}

// quiet is Pebble's logger. The default one ends the process on an error of the
// MANIFEST; the caller is answered that error as well, so it is enough to give
// the store up.
type quiet struct{ failed *failure }

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (q quiet) Fatalf(format string, args ...any) {
	q.failed.set(fmt.Errorf(format, args...))
}

// flush makes all that was put in durable.
func (db *database) flush() error {
	flushed, err := db.AsyncFlush()
	if err != nil {
		return fmt.Errorf("flush: %w", err)
	}
	select {
	case <-flushed: // closed as well where there was nothing to flush
		return db.failed.check()
	case <-db.failed.found:
		return fmt.Errorf("flush: %w", db.failed.err)
	}
}

// check returns the error found in the background, if any.
func (f *failure) check() error {
	select {
	case <-f.found:
		return f.err
	default:
		return nil
	}
}

func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
