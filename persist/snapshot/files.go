package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/zeebo/xxh3"
)

// While a store is being written a file beside it says so: its files are not
// those of its seal then, and need not be.
const writingSuffix = ".writing"

func (d *Dir) beginWriting(name string) error {
	f, err := d.fs.Create(d.store(name)+writingSuffix, vfs.WriteCategoryUnspecified)
	if err == nil {
		err = errors.Join(f.Sync(), f.Close())
	}
	if err != nil {
		return err
	}
	return syncDir(d.fs, d.path)
}

func (d *Dir) endWriting(name string) error { return d.fs.Remove(d.store(name) + writingSuffix) }

// readFiles reads all files of a store and returns what a seal says of them.
func (d *Dir) readFiles(ctx context.Context, name string, pace Pace) ([]FileSeal, error) {
	names, err := d.fs.List(d.store(name))
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	files := make([]FileSeal, 0, len(names))
	pacer, buf := NewPacer(pace), make([]byte, restEvery)
	for _, file := range names {
		size, hash, err := d.readHash(ctx, d.fs.PathJoin(d.store(name), file), buf, pacer)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		files = append(files, FileSeal{file, size, hash})
	}
	return files, nil
}

func (d *Dir) readHash(ctx context.Context, path string, buf []byte, pacer *Pacer) (size int64, hash uint64, err error) {
	f, err := d.fs.Open(path)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	sum := xxh3.New()
	for {
		n, err := f.Read(buf)
		_, _ = sum.Write(buf[:n]) // never fails
		size += int64(n)
		if errors.Is(err, io.EOF) {
			return size, sum.Sum64(), nil
		}
		if err == nil {
			err = pacer.Rest(ctx, n)
		}
		if err != nil {
			return size, 0, err
		}
	}
}

// checkFiles compares the files of a store that is not being written with its
// seal.
func (d *Dir) checkFiles(ctx context.Context, name string, seal *Seal, pace Pace) error {
	if _, err := d.fs.Stat(d.store(name) + writingSuffix); err == nil {
		return nil
	}
	files, err := d.readFiles(ctx, name, pace)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return &Damage{Store: d.store(name), What: err.Error()}
	}
	have := make(map[string]FileSeal, len(files))
	for _, f := range files {
		have[f.Name] = f
	}
	for _, want := range seal.Files {
		got, there := have[want.Name]
		path := d.fs.PathJoin(d.store(name), want.Name)
		switch {
		case !there:
			return &Damage{Store: path, What: "the file is gone"}
		case got.Size != want.Size:
			return &Damage{Store: path, What: fmt.Sprintf("it has %d bytes and had %d", got.Size, want.Size)}
		case got.Hash != want.Hash:
			return &Damage{Store: path, What: "it is not what was written: its hash differs"}
		}
	}
	return nil
}
