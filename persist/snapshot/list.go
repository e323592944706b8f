package snapshot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"weir/core/event"
)

// Found is a snapshot that there is, or was.
type Found struct {
	Name string
	Seal *Seal // nil where Err is not
	Err  error // why the seal cannot be read: *Damage, or of the operating system
}

// List returns all snapshots, the newest generation first and those without a
// sound seal last. The error is of the operating system.
func (d *Dir) List() ([]Found, error) {
	names, err := d.fs.List(d.path)
	if missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list snapshots: %w", err)
	}
	var found []Found
	for _, file := range names {
		name, sealed := strings.CutSuffix(file, sealSuffix)
		if !sealed || !known(name) {
			continue
		}
		seal, err := d.Seal(name)
		found = append(found, Found{name, seal, err})
	}
	slices.SortFunc(found, func(a, b Found) int {
		return cmp.Or(cmp.Compare(b.generation(), a.generation()), cmp.Compare(a.Name, b.Name))
	})
	return found, nil
}

func known(name string) bool { return slices.Contains(storeNames[:], name) || isBase(name) }

func (f *Found) generation() uint64 {
	if f.Seal == nil {
		return 0
	}
	return f.Seal.Generation
}

// Ahead returns the newest record that any part in a store has, which may be
// newer than its seal says. It reads the headers alone.
func (d *Dir) Ahead(ctx context.Context, name string) (ahead event.Seq, err error) {
	seal, err := d.Seal(name)
	if err != nil {
		return 0, err
	}
	db, err := d.open(name)
	if err != nil {
		return 0, d.damaged(name, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	ahead = seal.Newest()
	var h header
	for n := range seal.Parts {
		part := partOf(n)
		value, closer, err := db.Get(appendKey(nil, part, kindHeader, 0))
		if err == nil {
			err = errors.Join(h.decode(value), closer.Close())
		}
		if errors.Is(err, pebble.ErrNotFound) {
			err = errors.New("its header is gone")
		}
		if err != nil {
			return 0, &Damage{Store: d.store(name), Part: &part, What: err.Error()}
		}
		ahead = max(ahead, h.newest)
		if err := context.Cause(ctx); err != nil {
			return 0, err
		}
	}
	return ahead, nil
}

const asideSuffix = ".aside"

// SetAside takes a store out of use: its directory and its seal get names that
// nobody reads, in place of what was set aside of that name before. It returns
// the directory.
func (d *Dir) SetAside(name string) (string, error) {
	aside := d.store(name) + asideSuffix
	if err := d.setAside(name, aside); err != nil {
		return "", fmt.Errorf("set aside %s: %w", d.store(name), err)
	}
	return aside, nil
}

func (d *Dir) setAside(name, aside string) error {
	if err := d.fs.RemoveAll(aside); err != nil {
		return err
	}
	// The seal first: without it the store is no snapshot any more.
	if err := d.fs.Rename(d.sealFile(name), aside+sealSuffix); err != nil && !missing(err) {
		return err
	}
	if err := syncDir(d.fs, d.path); err != nil {
		return err
	}
	if err := d.fs.Rename(d.store(name), aside); err != nil && !missing(err) {
		return err
	}
	if err := d.fs.Remove(d.store(name) + writingSuffix); err != nil && !missing(err) {
		return err
	}
	return syncDir(d.fs, d.path)
}

// A base is a snapshot that is kept as it is, so that the state can be restored
// to a moment of the past: a copy of a store that shares its tables, which never
// change, by hard links.
const basePrefix = "base-"

func isBase(name string) bool {
	number, ok := strings.CutPrefix(name, basePrefix)
	return ok && len(number) == 20 && strings.Trim(number, "0123456789") == ""
}

// keepBase makes a base of a store that is sealed and not open.
func (d *Dir) keepBase(name string) error {
	seal, err := d.Seal(name)
	if err != nil {
		return err
	}
	base := fmt.Sprintf("%s%020d", basePrefix, seal.Generation)
	if err := d.fs.RemoveAll(d.store(base)); err != nil { // left by a crash
		return fmt.Errorf("keep a base: %w", err)
	}
	if err := d.fs.MkdirAll(d.store(base), 0o750); err != nil {
		return fmt.Errorf("keep a base: %w", err)
	}
	files, err := d.fs.List(d.store(name))
	if err != nil {
		return fmt.Errorf("keep a base: %w", err)
	}
	for _, file := range files {
		if err := d.linkOrCopy(name, base, file); err != nil {
			return fmt.Errorf("keep a base: %s: %w", file, err)
		}
	}
	// All of it before the seal, the directory's name as well.
	if err := errors.Join(syncDir(d.fs, d.store(base)), syncDir(d.fs, d.path)); err != nil {
		return fmt.Errorf("keep a base: %w", err)
	}
	return replaceFile(d.fs, d.sealFile(base), seal.append(nil))
}

func (d *Dir) linkOrCopy(from, to, file string) error {
	source, target := d.fs.PathJoin(d.store(from), file), d.fs.PathJoin(d.store(to), file)
	if path.Ext(file) == ".sst" {
		if err := d.fs.Link(source, target); err == nil {
			return nil
		}
	}
	data, err := readFile(d.fs, source)
	if err != nil {
		return err
	}
	f, err := d.fs.Create(target, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

// remove removes a base: first its seal, so that a crash leaves no snapshot
// that lacks files.
func (d *Dir) remove(base string) error {
	if err := d.fs.Remove(d.sealFile(base)); err != nil && !missing(err) {
		return fmt.Errorf("remove %s: %w", base, err)
	}
	if err := syncDir(d.fs, d.path); err != nil {
		return fmt.Errorf("remove %s: %w", base, err)
	}
	if err := d.fs.RemoveAll(d.store(base)); err != nil {
		return fmt.Errorf("remove %s: %w", base, err)
	}
	return nil
}
