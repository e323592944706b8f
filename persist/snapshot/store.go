package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

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
	fuse    *fuse
	compact *compactions
}

const (
	blockSize    = 64 << 10
	memTableSize = 16 << 20
	cacheSize    = 4 << 20 // a store is read once, from end to end
	tableSize    = 32 << 20
)

// open opens a store to be read.
func (d *Dir) open(name string) (*database, error) {
	return d.openWith(context.Background(), name, true, Pace{})
}

// openWith opens a store; one that is to be written is made where it is not
// there, and written at that pace until ctx ends.
func (d *Dir) openWith(ctx context.Context, name string, readOnly bool, pace Pace) (*database, error) {
	db := &database{fuse: &fuse{FS: paced{d.fs, ctx, pace}, alarm: d.alarm}, compact: newCompactions()}
	var err error
	if db.DB, err = pebble.Open(d.store(name), db.options(readOnly)); err != nil {
		return nil, errors.Join(err, db.fuse.blown())
	}
	return db, nil
}

func (db *database) options(readOnly bool) *pebble.Options {
	o := &pebble.Options{
		FS: db.fuse, ReadOnly: readOnly, ErrorIfNotExists: readOnly,
		FormatMajorVersion: pebble.FormatValueSeparation,
		DisableWAL:         true,
		DisableTableStats:  true, // read in the background, for deletions that there are none of
		CacheSize:          cacheSize,
		MemTableSize:       memTableSize,
		BytesPerSync:       restEvery,
		Logger:             quiet{db.fuse},
		EventListener: &pebble.EventListener{
			BackgroundError: db.fuse.blow,
			DataCorruption:  func(info pebble.DataCorruptionInfo) { db.fuse.blow(info.Details) },
		},
		// Tables pile up until compactions run, at the end.
		L0StopWritesThreshold:      math.MaxInt32,
		CompactionConcurrencyRange: func() (int, int) { return 1, 1 },
	}
	o.Experimental.CompactionScheduler = db.compact
	for i := range o.Levels {
		o.Levels[i].BlockSize = blockSize
		o.Levels[i].Compression = func() *sstable.CompressionProfile { return sstable.SnappyCompression }
		o.TargetFileSizes[i] = tableSize
	}
	return o
}

// Close closes the store and answers what failed in it, too.
func (db *database) Close() error { return errors.Join(db.fuse.blown(), db.DB.Close()) }

// flush makes all that was put in durable, and merges the tables.
func (db *database) flush(ctx context.Context) error {
	flushed, err := db.AsyncFlush()
	if err != nil {
		return fmt.Errorf("flush: %w", err)
	}
	<-flushed // with a blown fuse, too; closed as well where there was nothing to flush
	if err := db.fuse.blown(); err != nil {
		return fmt.Errorf("flush: %w", err)
	}
	return db.compact.run(ctx, db.fuse.blown)
}

// quiet is Pebble's logger. The default one ends the process where Pebble finds
// no way on; here the store is given up.
type quiet struct{ fuse *fuse }

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (q quiet) Fatalf(format string, args ...any) {
	q.fuse.blow(fmt.Errorf(format, args...))
}

func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
