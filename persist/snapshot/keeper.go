package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"weir/core"
	"weir/core/event"
)

// Log is what a Keeper needs of the write-ahead log.
type Log interface {
	Durable
	Roll() error
	RemoveThrough(seq event.Seq) (epochs int, bytes int64, err error)
}

// Plan says when snapshots are taken and how much log is kept.
type Plan struct {
	// Every is the time from the begin of one snapshot to that of the next.
	Every time.Duration
	// AtStart is how many records behind the newest snapshot make the first
	// round begin at once: a server that crashes again and again before Every
	// has passed would replay more at each start. 0: it waits for Every.
	AtStart event.Seq
	// KeepLog is how far back, in the log's time, the state can be restored to
	// any moment: bases and the log behind the oldest of them are kept as long.
	// 0: the log goes as soon as both stores are newer.
	KeepLog time.Duration
	// VerifyEvery is the longest time that a store stays unread.
	VerifyEvery time.Duration
	// MinFreeBytes is the free space that has to be there for a snapshot to be
	// begun; 0: none.
	MinFreeBytes int64
	Pace         Pace
	// Lock, where not nil, keeps a round apart from whoever copies the files. It
	// answers false where that is going on; the round is left out then.
	Lock func() (unlock func(), free bool, err error)
	// Report is told of each round. It is called by the keeper's goroutine.
	Report func(Round)
}

// Round is one round of a keeper.
type Round struct {
	Store         string
	Taken         Taken // Seal nil where none was sealed
	EpochsRemoved int
	BytesRemoved  int64
	SetAside      string // where a damaged store was put
	Err           error
}

// Stats is how a keeper stands.
type Stats struct {
	Rounds, Failures uint64
	From             event.Seq // of the newest snapshot
	LogFrom          event.Seq // of the oldest snapshot that is kept: the log is needed behind it
	Last             Taken     // the newest that succeeded
	Err              error     // of the newest round; nil: it succeeded
}

// Keeper takes snapshots in the background, keeps bases, and removes the log
// that no snapshot needs any more.
//
// Log goes only in a round in which all went well, and only what none of the
// snapshots needs: both stores, each read back when it was sealed, and the
// bases. So after any failure, of Pebble or of the disk, removal stands still
// until a snapshot succeeds again, and bookings go on all the while.
type Keeper struct {
	dir    *Dir
	source Source
	log    Log
	plan   Plan

	verified map[string]time.Time // when each snapshot was read last

	mu    sync.Mutex
	stats Stats // mu
}

// NewKeeper returns a keeper that does nothing until Run.
func NewKeeper(d *Dir, source Source, log Log, plan Plan) *Keeper {
	return &Keeper{dir: d, source: source, log: log, plan: plan, verified: map[string]time.Time{}}
}

// Run takes snapshots until ctx ends.
func (k *Keeper) Run(ctx context.Context) {
	ticker := time.NewTicker(k.plan.Every)
	defer ticker.Stop()
	if k.behind() {
		k.Once(ctx)
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			k.Once(ctx)
		}
	}
}

// behind tells whether more than Plan.AtStart records are in no snapshot. Where
// the snapshots can't be listed, the next round says so.
func (k *Keeper) behind() bool {
	found, err := k.dir.List()
	if k.plan.AtStart == 0 || err != nil {
		return false
	}
	from := event.Seq(0)
	if len(found) > 0 && found[0].Seal != nil {
		from = found[0].Seal.From
	}
	return k.log.Durable() > from+k.plan.AtStart
}

// Stats returns how the keeper stands.
func (k *Keeper) Stats() Stats {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.stats
}

// Once does one round. One at a time.
func (k *Keeper) Once(ctx context.Context) Round {
	var r Round
	if k.plan.Lock != nil {
		unlock, free, err := k.plan.Lock()
		if err != nil || !free {
			r.Err = err
			return r
		}
		defer unlock()
	}
	found, err := k.dir.List()
	if err == nil {
		err = k.round(ctx, found, &r)
	}
	if ctx.Err() != nil {
		return r // cut short: neither done nor failed
	}
	r.Err = err
	k.note(&r, found)
	if k.plan.Report != nil {
		k.plan.Report(r)
	}
	return r
}

func (k *Keeper) round(ctx context.Context, found []Found, r *Round) error {
	i, generation := choose(found)
	r.Store = storeNames[i]
	if len(found) > 0 && found[0].Seal != nil && found[0].Seal.From == k.log.Durable() {
		return k.verify(ctx, found, r)
	}
	if err := k.room(); err != nil {
		return err
	}
	if err := k.log.Roll(); err != nil {
		return err
	}
	var err error
	r.Taken, err = k.dir.Take(ctx, i, generation, k.source, k.log, k.plan.Pace)
	if err != nil {
		return errors.Join(err, k.mend(ctx, r))
	}
	k.verified[r.Store] = time.Now()
	if err := k.keepBases(r.Store, r.Taken.Seal); err != nil {
		return err
	}
	return k.removeLog(r)
}

// choose returns the store to be written: the one with the older seal, or with
// none; and the generation to give it.
func choose(found []Found) (store int, generation uint64) {
	generations := [len(storeNames)]uint64{}
	for _, f := range found {
		for i, name := range storeNames {
			if f.Name == name {
				generations[i] = f.generation()
			}
		}
		generation = max(generation, f.generation())
	}
	if generations[1] < generations[0] {
		store = 1
	}
	return store, generation + 1
}

// ErrNoRoom says that the disk has too little free space for a snapshot.
var ErrNoRoom = errors.New("too little free space for a snapshot")

func (k *Keeper) room() error {
	if k.plan.MinFreeBytes == 0 {
		return nil
	}
	if err := k.dir.prepare(); err != nil {
		return err
	}
	usage, err := k.dir.fs.GetDiskUsage(k.dir.path)
	if err != nil {
		return fmt.Errorf("free space: %w", err)
	}
	if int64(usage.AvailBytes) < k.plan.MinFreeBytes {
		return fmt.Errorf("%w: %d bytes, %d are asked for", ErrNoRoom, usage.AvailBytes, k.plan.MinFreeBytes)
	}
	return nil
}

// mend looks at the store that could not be written: one that is damaged is set
// aside, so that the next round begins it anew.
func (k *Keeper) mend(ctx context.Context, r *Round) error {
	_, err := k.dir.Verify(ctx, r.Store, k.plan.Pace)
	return k.setAsideDamaged(r, err)
}

func (k *Keeper) setAsideDamaged(r *Round, found error) error {
	if errors.Is(found, core.ErrCorrupt) {
		aside, err := k.dir.SetAside(r.Store)
		r.SetAside = aside
		return errors.Join(found, err)
	}
	if errors.Is(found, fs.ErrNotExist) {
		return nil
	}
	return found
}

// verify reads a snapshot that was not read for long, where nothing else has to
// be done.
func (k *Keeper) verify(ctx context.Context, found []Found, r *Round) error {
	for _, f := range found {
		if time.Since(k.verified[f.Name]) < k.plan.VerifyEvery {
			continue
		}
		r.Store = f.Name
		k.verified[f.Name] = time.Now()
		_, err := k.dir.Verify(ctx, f.Name, k.plan.Pace)
		return k.setAsideDamaged(r, err)
	}
	return nil
}

// basesPerKeep is how many bases are made in the time that log is kept. So the
// log reaches back up to a quarter longer.
const basesPerKeep = 4

// keepBases makes a base of the snapshot just taken where it is time, and
// removes those that are not needed for KeepLog any more.
func (k *Keeper) keepBases(name string, seal *Seal) error {
	bases, err := k.bases()
	if err != nil {
		return err
	}
	keep := event.Time(k.plan.KeepLog.Milliseconds())
	if keep > 0 && (len(bases) == 0 || seal.Time >= bases[0].Seal.Time+keep/basesPerKeep) {
		if err := k.dir.keepBase(name); err != nil {
			return err
		}
		if bases, err = k.bases(); err != nil {
			return err
		}
	}
	for n := len(bases); n > 0 && (keep == 0 || n > 1 && bases[n-2].Seal.Time <= seal.Time-keep); n-- {
		if err := k.dir.remove(bases[n-1].Name); err != nil {
			return err
		}
	}
	return nil
}

// bases are those with a sound seal, the newest first. One without is of no use
// to anybody and is removed.
func (k *Keeper) bases() (bases []Found, err error) {
	found, err := k.dir.List()
	for _, f := range found {
		switch {
		case !isBase(f.Name):
		case f.Seal != nil:
			bases = append(bases, f)
		case errors.Is(f.Err, core.ErrCorrupt):
			err = errors.Join(err, k.dir.remove(f.Name))
		}
	}
	return bases, err
}

// removeLog removes the log that no snapshot needs.
func (k *Keeper) removeLog(r *Round) error {
	found, err := k.dir.List()
	if err != nil {
		return err
	}
	through, sealed := needed(found)
	if sealed < len(storeNames) {
		return nil
	}
	r.EpochsRemoved, r.BytesRemoved, err = k.log.RemoveThrough(through)
	return err
}

// needed returns the record behind which the log is needed, and how many of the
// two stores are sealed.
func needed(found []Found) (through event.Seq, stores int) {
	for i, f := range found {
		if f.Seal == nil {
			return 0, 0
		}
		if !isBase(f.Name) {
			stores++
		}
		if i == 0 || f.Seal.From < through {
			through = f.Seal.From
		}
	}
	return through, stores
}

func (k *Keeper) note(r *Round, before []Found) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.stats.Rounds++
	k.stats.Err = r.Err
	if r.Err != nil {
		k.stats.Failures++
	}
	if r.Taken.Seal != nil {
		k.stats.Last = r.Taken
		k.stats.From = r.Taken.Seal.From
	} else if len(before) > 0 && before[0].Seal != nil && k.stats.From == 0 {
		k.stats.From = before[0].Seal.From
	}
	if found, err := k.dir.List(); err == nil {
		k.stats.LogFrom, _ = needed(found)
	}
}
