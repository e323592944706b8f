package snapshot

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/zeebo/xxh3"

	"weir/core"
	"weir/core/event"
)

// Target is what a snapshot is restored into: the core.Engine.
type Target interface {
	Restore(part core.Part, header []byte) (*core.Restoring, error)
	Restored(ahead event.Seq)
}

// Progress says how far reading a snapshot has come, in bytes of pages.
type Progress struct{ Bytes, Total int64 }

// Load restores a store into an empty state, which has to replay the log
// behind the From of the seal then. ahead is the newest record that any part
// has. Parts are read by as many goroutines as there are processors. Errors of
// what is stored are *Damage; the state must be emptied after one. progress,
// where not nil, is called now and then, by one goroutine at a time.
func (d *Dir) Load(ctx context.Context, name string, state Target, progress func(Progress)) (seal *Seal, ahead event.Seq, err error) {
	if seal, err = d.Seal(name); err != nil {
		return nil, 0, err
	}
	db, err := d.open(name)
	if err != nil {
		return seal, 0, d.damaged(name, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	r := &reading{dir: d, store: name, db: db, seal: seal, progress: progress, restore: state.Restore}
	if err := r.sealed(false); err != nil {
		return seal, 0, err
	}
	if err := r.run(ctx, runtime.GOMAXPROCS(0), nil); err != nil {
		return seal, 0, err
	}
	ahead = max(seal.From, event.Seq(r.ahead.Load()))
	state.Restored(ahead)
	return seal, ahead, nil
}

// Verify reads a store from end to end and compares it with its seal. It
// changes nothing.
func (d *Dir) Verify(ctx context.Context, name string, pace Pace) (*Seal, error) {
	seal, err := d.Seal(name)
	if err != nil {
		return nil, err
	}
	if _, err := d.check(ctx, name, seal, false, pace); err != nil {
		// Which file it is says more than which page.
		return seal, errors.Join(d.checkFiles(ctx, name, seal, pace), err)
	}
	return seal, d.checkFiles(ctx, name, seal, pace)
}

// check reads a store and returns how many bytes of pages it holds. exact says
// that it was sealed just now, so that nothing in it may be newer than the seal.
func (d *Dir) check(ctx context.Context, name string, seal *Seal, exact bool, pace Pace) (bytes int64, err error) {
	db, err := d.open(name)
	if err != nil {
		return 0, d.damaged(name, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	r := &reading{dir: d, store: name, db: db, seal: seal, exact: exact}
	if err := r.sealed(exact); err != nil {
		return 0, err
	}
	err = r.run(ctx, 1, NewPacer(pace))
	return r.bytes, err
}

// damaged makes an error of Pebble's damage of the store, but where it is one
// of the machine that may pass.
func (d *Dir) damaged(name string, err error) error {
	var known *Damage
	if err == nil || errors.As(err, &known) || errors.Is(err, context.Canceled) {
		return err
	}
	return &Damage{Store: d.store(name), What: err.Error()}
}

// reading is a store that is being read.
type reading struct {
	dir      *Dir
	store    string
	db       *database
	seal     *Seal
	exact    bool
	restore  func(core.Part, []byte) (*core.Restoring, error) // nil: only verify
	progress func(Progress)

	ahead atomic.Uint64
	mu    sync.Mutex
	bytes int64 // mu
	told  int64 // mu
}

// sealed compares the seal inside of the store with the one outside. The inner
// one may be newer: of a snapshot that was not finished.
func (r *reading) sealed(exact bool) error {
	value, closer, err := r.db.Get(sealKey)
	if errors.Is(err, pebble.ErrNotFound) {
		return r.damage(nil, "it has no seal inside, and one outside: files of it are old or gone")
	}
	if err != nil {
		return r.dir.damaged(r.store, err)
	}
	var inside Seal
	if err := errors.Join(inside.decode(value), closer.Close()); err != nil {
		return r.damage(nil, err.Error())
	}
	switch {
	case inside.Identity != r.seal.Identity:
		return r.damage(nil, "it belongs to another data directory")
	case inside.Generation < r.seal.Generation:
		return r.damage(nil, fmt.Sprintf("it is of generation %d and was of %d: files of it are old", inside.Generation, r.seal.Generation))
	case exact && inside.Generation != r.seal.Generation:
		return r.damage(nil, fmt.Sprintf("it is of generation %d, not of %d", inside.Generation, r.seal.Generation))
	}
	return nil
}

func (r *reading) damage(part *core.Part, what string) *Damage {
	return &Damage{Store: r.dir.store(r.store), Part: part, What: what}
}

// run reads all parts: the campaigns' own in their order, since the others need
// them, then the people's by that many workers.
func (r *reading) run(ctx context.Context, workers int, p *Pacer) error {
	var scratch header
	for n := 0; n < len(r.seal.Parts); n += core.PartsPerCampaign {
		if err := r.part(ctx, n, &scratch, p); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			if err := r.work(ctx, &next, p); err != nil {
				cancel(err)
			}
		})
	}
	group.Wait()
	return context.Cause(ctx)
}

func (r *reading) work(ctx context.Context, next *atomic.Int64, p *Pacer) error {
	var scratch header
	for {
		n := int(next.Add(1) - 1)
		if n >= len(r.seal.Parts) {
			return nil
		}
		if n%core.PartsPerCampaign == 0 {
			continue
		}
		if err := r.part(ctx, n, &scratch, p); err != nil {
			return err
		}
	}
}

// part reads one part, at a pace where p is not nil, and restores it.
func (r *reading) part(ctx context.Context, n int, h *header, p *Pacer) (err error) {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	part := partOf(n)
	lower, upper := bounds(part)
	it, err := r.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return r.dir.damaged(r.store, err)
	}
	defer func() {
		var known *Damage
		if err = errors.Join(err, it.Close()); err != nil && ctx.Err() == nil && !errors.As(err, &known) {
			err = r.damage(&part, err.Error())
		}
	}()
	if err := r.header(it, n, part, h); err != nil {
		return err
	}
	var restoring *core.Restoring
	if r.restore != nil {
		if restoring, err = r.restore(part, h.own); err != nil {
			return err
		}
	}
	if err := r.pages(ctx, it, part, h, restoring, p); err != nil {
		return err
	}
	if it.Next() {
		return r.damage(&part, "it has a page that its header does not name")
	}
	if restoring == nil {
		return it.Error()
	}
	return errors.Join(it.Error(), restoring.Done())
}

// pages reads the pages that a part's header names, in their order.
func (r *reading) pages(ctx context.Context, it *pebble.Iterator, part core.Part, h *header, restoring *core.Restoring, p *Pacer) error {
	bytes, rested := 0, 0
	for _, want := range h.pages {
		data, err := r.page(it, part, want)
		if err != nil {
			return err
		}
		bytes += len(data)
		if restoring != nil {
			if err := restoring.Page(want.kind, int(want.page), data); err != nil {
				return err
			}
		}
		if p != nil && bytes-rested >= restEvery {
			if err := p.Rest(ctx, bytes-rested); err != nil {
				return err
			}
			rested = bytes
		}
	}
	r.tell(int64(bytes))
	if p == nil {
		return nil
	}
	return p.Rest(ctx, bytes-rested)
}

// header reads the header of the part with seal n.
func (r *reading) header(it *pebble.Iterator, n int, part core.Part, h *header) error {
	if !it.First() || it.Key()[4] != byte(kindHeader) {
		return errors.Join(it.Error(), r.damage(&part, "its header is gone"))
	}
	value, err := it.ValueAndErr()
	if err != nil {
		return err
	}
	if err := h.decode(value); err != nil {
		return r.damage(&part, err.Error())
	}
	sealed := &r.seal.Parts[n]
	switch {
	case h.newest < sealed.Newest:
		return r.damage(&part, fmt.Sprintf("it stands at record %d and stood at %d: files of it are old", h.newest, sealed.Newest))
	case h.newest > sealed.Newest && r.exact:
		return r.damage(&part, fmt.Sprintf("it stands at record %d, not at %d", h.newest, sealed.Newest))
	case h.newest == sealed.Newest && hash128(value) != sealed.Hash:
		return r.damage(&part, "its header is not the one that was sealed")
	}
	for seen := r.ahead.Load(); uint64(h.newest) > seen && !r.ahead.CompareAndSwap(seen, uint64(h.newest)); {
		seen = r.ahead.Load()
	}
	return nil
}

// page reads the next page, which must be the one that the header names next.
func (r *reading) page(it *pebble.Iterator, part core.Part, want pageHash) ([]byte, error) {
	hurt := func(what string) error {
		return &Damage{Store: r.dir.store(r.store), Part: &part, Kind: int(want.kind), Page: int(want.page), What: what}
	}
	if !it.Next() {
		if err := it.Error(); err != nil {
			return nil, hurt(err.Error())
		}
		return nil, hurt("it is gone")
	}
	if string(it.Key()) != string(appendKey(nil, part, want.kind, int(want.page))) {
		return nil, hurt("it is gone, or one that its part does not have stands before it")
	}
	data, err := it.ValueAndErr()
	if err != nil {
		return nil, hurt(err.Error())
	}
	if xxh3.Hash(data) != want.hash {
		return nil, hurt("it is not what was written: its hash differs")
	}
	return data, nil
}

// tell counts what was read and reports it, every few MiB.
func (r *reading) tell(bytes int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bytes += bytes
	if r.progress == nil {
		return
	}
	if r.bytes-r.told >= 8<<20 || r.bytes >= r.seal.Bytes {
		r.told = r.bytes
		r.progress(Progress{Bytes: r.bytes, Total: r.seal.Bytes})
	}
}
