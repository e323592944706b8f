package wal

import (
	"fmt"
	"time"

	"weir/core/event"
)

// Options say how a log is kept. The zero value of each field but the flags
// stands for its default.
type Options struct {
	// SegmentSize is the length from which on a segment file is followed by a
	// new one, in bytes. Default 16 MiB.
	SegmentSize int

	// RoomSize is how many zero bytes at a time are written ahead of the
	// envelopes, so that a sync has only data to write and not the file's new
	// length as well. Default 256 KiB.
	RoomSize int
	// EpochSize is the length from which on an epoch is followed by a new one,
	// in bytes. Default 1 GiB.
	EpochSize int64

	// MaxPendingBytes and MaxPendingRecords bound what is reserved or appended
	// and not durable yet. Defaults 64 MiB and 1 Mi records. A definition
	// larger than that is still taken when nothing else is pending.
	MaxPendingBytes   int
	MaxPendingRecords int
	// CommitDeadline bounds how long a record waits to become durable, from
	// its batch's first record on, before its waiters are told that the
	// outcome is unknown. Default 2 s.
	CommitDeadline time.Duration
	// GrowMax bounds how long a busy log lets a batch grow before it is
	// written; see gather. Default 2 ms; negative: never.
	GrowMax time.Duration

	// MinFreeBytes is the free space below which the log goes read-only, and
	// ResumeFreeBytes that above which it comes back. Defaults 256 and 512
	// MiB. MinFreeBytes must leave room for all that may be pending.
	MinFreeBytes    int64
	ResumeFreeBytes int64

	// Rehearsal must agree with the directory; a new one is marked by it.
	Rehearsal bool
	// AnyIdentity opens a directory whether it is a rehearsal's or not: for
	// tools that do not serve.
	AnyIdentity bool
	// KeyFingerprint must agree with the directory's, where both have one; a
	// new one is marked by it.
	KeyFingerprint string
	// MustExist refuses to make a new data directory.
	MustExist bool
	// AcceptLoss cuts a damaged log at the damage instead of refusing it, and
	// sets the rest aside. It is for an operator who has decided so.
	AcceptLoss bool

	// Base, where not nil, is called before the log is replayed.
	Base Base

	// OnFatal is called once, with the cause, when a write or sync failed. The
	// log is useless from then on; the process should end. It is called by the
	// goroutine that writes the log, for which Close waits: it must not call
	// Close, and should return soon.
	OnFatal func(error)

	files files
}

const (
	// maxRecord bounds one record, encoded.
	maxRecord = event.MaxDefinition + event.MaxSize
	// maxPendingBytes keeps every batch below maxRaw.
	maxPendingBytes = 128 << 20
	maxPending      = 1<<24 - 1<<16 // records; see pending
)

func orDefault[T int | int64 | time.Duration](v *T, standard T) {
	if *v == 0 {
		*v = standard
	}
}

// complete fills in the defaults and says what is wrong with the rest.
func (o *Options) complete() error {
	orDefault(&o.SegmentSize, 16<<20)
	orDefault(&o.RoomSize, 256<<10)
	orDefault(&o.EpochSize, 1<<30)
	orDefault(&o.MaxPendingBytes, 64<<20)
	orDefault(&o.MaxPendingRecords, 1<<20)
	orDefault(&o.CommitDeadline, 2*time.Second)
	orDefault(&o.GrowMax, 2*time.Millisecond)
	orDefault(&o.MinFreeBytes, 256<<20)
	orDefault(&o.ResumeFreeBytes, max(512<<20, o.MinFreeBytes))
	switch {
	case o.RoomSize < 0 || o.RoomSize > 1<<24:
		return fmt.Errorf("wal: RoomSize %d is not between 1 and 16 MiB", o.RoomSize)
	case o.SegmentSize < 0 || o.SegmentSize > 1<<30:
		return fmt.Errorf("wal: SegmentSize %d is not between 1 and 1 GiB", o.SegmentSize)
	case o.EpochSize < 0:
		return fmt.Errorf("wal: EpochSize %d is negative", o.EpochSize)
	case o.MaxPendingBytes < event.MaxSize || o.MaxPendingBytes > maxPendingBytes:
		return fmt.Errorf("wal: MaxPendingBytes %d is not between %d and %d", o.MaxPendingBytes, event.MaxSize, maxPendingBytes)
	case o.MaxPendingRecords < 1 || o.MaxPendingRecords > maxPending:
		return fmt.Errorf("wal: MaxPendingRecords %d is not between 1 and %d", o.MaxPendingRecords, maxPending)
	case o.CommitDeadline < time.Millisecond:
		return fmt.Errorf("wal: CommitDeadline %v is below 1 ms", o.CommitDeadline)
	case o.MinFreeBytes <= int64(max(o.MaxPendingBytes, maxRecord)+o.SegmentSize):
		return fmt.Errorf("wal: MinFreeBytes %d leaves no room for what may be pending, %d, and a segment, %d",
			o.MinFreeBytes, max(o.MaxPendingBytes, maxRecord), o.SegmentSize)
	case o.ResumeFreeBytes < o.MinFreeBytes:
		return fmt.Errorf("wal: ResumeFreeBytes %d is below MinFreeBytes %d", o.ResumeFreeBytes, o.MinFreeBytes)
	}
	return nil
}
