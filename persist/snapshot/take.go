package snapshot

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/zeebo/xxh3"

	"weir/core"
	"weir/core/event"
)

// A part's lock is held for pagesAtOnce pages at a time: some hundred kilobytes,
// which is tens of microseconds. After roundsMax such rounds what is left is
// copied in one; that takes a part that changes faster than it is copied.
const (
	pagesAtOnce = 16
	roundsMax   = 64
)

// batchKept is how large a part's batch may have been to be used for the next.
const batchKept = 8 << 20 // bytes

// Taken says what a snapshot cost.
type Taken struct {
	Seal     *Seal
	Copied   int64         // bytes of pages that had changed, not compressed
	Written  int64         // bytes of them that differed from what was stored
	PauseMax time.Duration // longest that a part's lock was asked for and held
	Took     time.Duration
	Verified time.Duration // of Took, reading it back
}

// Source is the state that snapshots are taken of: the core.Engine.
type Source interface {
	CampaignCount() int
	Copy(c *core.Copy, store, limit int) (whole bool)
	Recopy(store int)
}

// Durable is what of a core.Journal a snapshot needs to know.
type Durable interface {
	Durable() event.Seq
	Wait(event.Seq) error
	NewestTime() event.Time
}

// Take brings the store i, 0 or 1, up to date with the state, reads it back and
// seals it. generation must be above that of every seal there is. When it returns an
// error the store is as good to recover from as it was before, with its old
// seal. One Take at a time.
func (d *Dir) Take(ctx context.Context, i int, generation uint64, source Source, journal Durable, pace Pace) (taken Taken, err error) {
	begun, name := time.Now(), storeNames[i]
	defer func() {
		taken.Took = time.Since(begun)
		if err != nil {
			source.Recopy(i)
			err = fmt.Errorf("snapshot into %s: %w", d.store(name), err)
		}
	}()
	seal := &Seal{Generation: generation, Identity: d.identity, From: journal.Durable(), Time: journal.NewestTime()}
	seal.Campaigns = source.CampaignCount() // after From: what is durable is in the state
	if err := errors.Join(d.prepare(), d.beginWriting(name)); err != nil {
		return taken, err
	}
	t := &taking{dir: d, store: i, source: source, journal: journal, pacer: NewPacer(pace), seal: seal}
	if err := t.run(ctx, pace); err != nil {
		return taken, err
	}
	taken = t.taken
	reading := time.Now()
	if seal.Bytes, err = d.check(ctx, name, seal, true, pace); err != nil {
		return taken, fmt.Errorf("read back: %w", err)
	}
	if seal.Files, err = d.readFiles(ctx, name, pace); err != nil {
		return taken, fmt.Errorf("read back: %w", err)
	}
	taken.Verified = time.Since(reading)
	if err := syncDir(d.fs, d.path); err != nil { // the store's name, before its seal
		return taken, fmt.Errorf("seal: %w", err)
	}
	if err := replaceFile(d.fs, d.sealFile(name), seal.append(nil)); err != nil {
		return taken, fmt.Errorf("seal: %w", err)
	}
	taken.Seal = seal
	return taken, d.endWriting(name)
}

// prepare makes the directory.
func (d *Dir) prepare() error {
	if err := d.fs.MkdirAll(d.path, 0o750); err != nil {
		return err
	}
	return syncDir(d.fs, d.fs.PathDir(d.path))
}

// taking is a snapshot that is being taken.
type taking struct {
	dir     *Dir
	store   int
	db      *database
	source  Source
	journal Durable
	pacer   *Pacer
	seal    *Seal
	taken   Taken

	batch    *pebble.Batch // one part's; reused
	copy     core.Copy
	header   header
	key, buf []byte
}

// run writes the store.
func (t *taking) run(ctx context.Context, pace Pace) (err error) {
	if t.db, err = t.dir.openWith(ctx, storeNames[t.store], false, pace); err != nil {
		return err
	}
	t.batch = t.db.NewBatch(pebble.WithMaxRetainedSizeBytes(batchKept))
	err = t.parts(ctx)
	return errors.Join(err, t.batch.Close(), t.db.Close())
}

func (t *taking) parts(ctx context.Context) error {
	for n := range t.seal.Campaigns * core.PartsPerCampaign {
		if err := t.db.fuse.blown(); err != nil {
			return err // and copy nothing more: another may be about to
		}
		if err := t.part(ctx, partOf(n)); err != nil {
			return fmt.Errorf("%v: %w", partOf(n), err)
		}
	}
	if err := t.db.Set(sealKey, t.seal.append(nil), pebble.NoSync); err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	return t.db.flush(ctx)
}

// part stores what changed of one part.
func (t *taking) part(ctx context.Context, p core.Part) error {
	t.copyPart(p)
	if err := t.stored(p); err != nil {
		return err
	}
	// A crash must not take from the log what the store has.
	asked := time.Now()
	if err := t.journal.Wait(t.copy.Newest); err != nil {
		return fmt.Errorf("wait for record %d: %w", t.copy.Newest, err)
	}
	t.pacer.Waited(asked)
	t.batch.Reset()
	bytes, err := 0, error(nil) // since the last rest
	t.buf, err = t.copy.Each(t.buf, func(kind core.PageKind, page int, data []byte) error {
		t.taken.Copied += int64(len(data))
		if bytes += len(data); bytes >= restEvery {
			if err := t.pacer.Rest(ctx, bytes); err != nil {
				return err
			}
			bytes = 0
		}
		if !t.header.set(pageHash{kind, uint32(page), xxh3.Hash(data)}) {
			return nil
		}
		t.taken.Written += int64(len(data))
		t.key = appendKey(t.key[:0], p, kind, page)
		return t.batch.Set(t.key, data, nil)
	})
	if err != nil {
		return err
	}
	t.header.newest, t.header.own = t.copy.Newest, append(t.header.own[:0], t.copy.Header...)
	value := t.header.append(nil)
	t.key = appendKey(t.key[:0], p, kindHeader, 0)
	if err := t.batch.Set(t.key, value, nil); err != nil {
		return err
	}
	t.seal.Parts = append(t.seal.Parts, PartSeal{t.copy.Newest, hash128(value)})
	t.seal.Pages += int64(len(t.header.pages))
	if err := t.batch.Commit(pebble.NoSync); err != nil {
		return err
	}
	return t.pacer.Rest(ctx, bytes)
}

// copyPart copies what changed of a part, some pages at a time.
func (t *taking) copyPart(p core.Part) {
	t.copy.Begin(p)
	for round, whole := 0, false; !whole; round++ {
		limit := pagesAtOnce
		if round >= roundsMax {
			limit = math.MaxInt
		}
		asked := time.Now()
		whole = t.source.Copy(&t.copy, t.store, limit)
		t.taken.PauseMax = max(t.taken.PauseMax, time.Since(asked))
	}
}

// stored reads the header that the store has of a part, or none.
func (t *taking) stored(p core.Part) error {
	t.header.pages = t.header.pages[:0]
	t.key = appendKey(t.key[:0], p, kindHeader, 0)
	value, closer, err := t.db.Get(t.key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(t.header.decode(value), closer.Close())
}
