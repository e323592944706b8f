package wal

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"weir/core/event"
)

// The first file says where the log begins once old epochs were removed: with
// which epoch, and what its first envelope follows. There is none as long as
// the log begins with record 1. It is replaced before epochs are removed, so
// epochs before its own are what a crash left of a removal. Little-endian,
// sizes in bytes:
//
//	+-------+---------+------+-------+--------+-----+------+--------+----------+-----+
//	| magic | version | zero | epoch | before | seq | time | digest | identity | crc |
//	|   8   |    2    |  2   |   4   |   4    |  8  |  8   |   16   |    16    |  4  |
//	+-------+---------+------+-------+--------+-----+------+--------+----------+-----+
//
//	epoch   the first one kept; before, that of the newest envelope removed
//	seq     newest record removed; time, newest record time up to it
//	digest  of the newest envelope removed, as its successor carries it
//	crc     CRC-32C over all before it
const (
	firstName    = "first"
	firstSize    = 72
	firstCRC     = 68
	firstVersion = 1
)

var firstMagic = [8]byte{0x8F, 'w', 'e', 'i', 'r', 'f', 's', 't'}

// first is where a log begins.
type first struct {
	epoch uint32
	head  head // before the epoch's first envelope
}

func (f *first) encode(identity digest) []byte {
	b := make([]byte, firstSize)
	le := binary.LittleEndian
	copy(b, firstMagic[:])
	le.PutUint16(b[8:], firstVersion)
	le.PutUint32(b[12:], f.epoch)
	le.PutUint32(b[16:], f.head.epoch)
	le.PutUint64(b[20:], uint64(f.head.seq))
	le.PutUint64(b[28:], uint64(f.head.time))
	copy(b[36:], f.head.digest[:])
	copy(b[52:], identity[:])
	le.PutUint32(b[firstCRC:], crc32.Checksum(b[:firstCRC], castagnoli))
	return b
}

// readFirst reads where the log of the data directory with that identity
// begins: with epoch 1 and the identity's id, where no file says otherwise.
func readFirst(walDir string, identity digest) (first, error) {
	path := filepath.Join(walDir, firstName)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return first{epoch: 1, head: head{digest: identity}}, nil
	}
	if err != nil {
		return first{}, fmt.Errorf("read where the log begins: %w", err)
	}
	le := binary.LittleEndian
	if len(b) != firstSize || [8]byte(b) != firstMagic || le.Uint32(b[firstCRC:]) != crc32.Checksum(b[:firstCRC], castagnoli) {
		return first{}, &Damage{Path: path, What: "where the log begins is unreadable", Remedy: remedyDamage}
	}
	if v := le.Uint16(b[8:]); v != firstVersion {
		return first{}, &Damage{Path: path, What: fmt.Sprintf("version %d; this program reads %d", v, firstVersion), Remedy: remedyFormat, newer: true}
	}
	if digest(b[52:68]) != identity {
		return first{}, fmt.Errorf("%w: %s belongs to another data directory; put the right one back", ErrForeign, path)
	}
	f := first{epoch: le.Uint32(b[12:])}
	f.head = head{epoch: le.Uint32(b[16:]), seq: event.Seq(le.Uint64(b[20:])), time: event.Time(le.Uint64(b[28:])), digest: digest(b[36:52])}
	return f, nil
}

// beginning reads the first envelope of an epoch and returns what it follows.
// The error wraps errMalformed where there is no sound one.
func (e *epochDir) beginning() (first, error) {
	for i := range e.segments {
		if e.segments[i].size == 0 {
			continue
		}
		var got envelope
		if err := got.readFirst(&e.segments[i]); err != nil {
			return first{}, err
		}
		if got.epoch != e.number {
			return first{}, fmt.Errorf("%w: it is of epoch %d", errMalformed, got.epoch)
		}
		return first{e.number, head{seq: got.first - 1, epoch: e.number - 1, digest: got.previous}}, nil
	}
	return first{}, fmt.Errorf("%w: the epoch is empty", errMalformed)
}

// readFirst reads the first envelope of a segment.
func (e *envelope) readFirst(seg *segment) error {
	file, err := os.Open(seg.path)
	if err != nil {
		return fmt.Errorf("read first envelope: %w", err)
	}
	defer func() { _ = file.Close() }()
	in := bufio.NewReaderSize(io.NewSectionReader(file, 0, seg.size), int(min(scanBuffer, seg.size)))
	length, prefix, err := frame(in, seg.size)
	if err != nil {
		return err
	}
	stored := make([]byte, length)
	if _, err := file.ReadAt(stored, int64(prefix)); err != nil {
		return fmt.Errorf("read first envelope: %w", err)
	}
	_, err = e.parse(stored)
	return err
}

// startAt returns where a scan begins that needs the records behind from: the
// newest epoch that begins at or before the next one, and the index of it. A
// damaged epoch is never skipped to, so one before it is read as well.
func startAt(epochs []epochDir, begin first, from event.Seq) (first, int) {
	for i := len(epochs) - 1; i > 0; i-- {
		at, err := epochs[i].beginning()
		if err == nil && at.head.seq <= from {
			return at, i
		}
	}
	return begin, 0
}

// removal keeps removals of one log apart.
type removal struct{ sync.Mutex }

// RemoveThrough removes the epochs that hold no record behind seq, and returns
// how many, and their bytes. The epoch that is being written always stays. The
// records up to seq must not be needed any more. Errors are of the operating
// system; the log is sound after one, and the next call goes on.
func (l *Log) RemoveThrough(seq event.Seq) (epochs int, bytes int64, err error) {
	l.removal.Lock()
	defer l.removal.Unlock()
	walDir := l.writer.walDir
	list, err := listEpochs(walDir)
	if err != nil {
		return 0, 0, fmt.Errorf("remove old log: %w", err)
	}
	keep, i := startAt(list, first{}, seq)
	if i == 0 {
		return 0, 0, nil
	}
	identity, err := l.identity.digest()
	if err != nil {
		return 0, 0, err
	}
	f := &l.options.files
	if err := f.replace(filepath.Join(walDir, firstName), keep.encode(identity)); err != nil {
		return 0, 0, fmt.Errorf("remove old log: %w", err)
	}
	for _, old := range list[:i] {
		if err := removeEpoch(f, old); err != nil {
			return epochs, bytes, fmt.Errorf("remove old log: %w", err)
		}
		epochs++
		for _, seg := range old.segments {
			bytes += seg.size
		}
	}
	return epochs, bytes, nil
}
