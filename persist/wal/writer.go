package wal

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"time"

	"github.com/klauspost/compress/s2"

	"weir/core/event"
)

// writer appends envelopes to the newest epoch. The committer owns it.
type writer struct {
	files       *files
	walDir      string
	segmentSize int
	epochSize   int64
	room        room

	log          segmentLog
	dir          string // of the epoch
	epoch        uint32
	index        uint64 // of the newest entry of the epoch
	segmentBytes int    // tidwall's buffer of the newest segment; < segmentSize between writes
	epochBytes   int64
	head         head
	compressed   []byte        // scratch
	synced       time.Duration // how long the last sync took
}

// begin begins the epoch of that number. When it returns nil the epoch's name
// and that of its first segment are durable.
func (w *writer) begin(number uint32) error {
	dir := epochPath(w.walDir, number)
	if err := w.files.mkdir(dir); err != nil {
		return fmt.Errorf("begin epoch: %w", err)
	}
	log, err := w.files.openLog(dir, w.segmentSize)
	if err != nil {
		return fmt.Errorf("begin epoch: %w", err)
	}
	for _, path := range []string{dir, w.walDir} {
		if err := w.files.syncDir(path); err != nil {
			return fmt.Errorf("begin epoch: %w", err)
		}
	}
	w.log, w.dir, w.epoch = log, dir, number
	w.index, w.segmentBytes, w.epochBytes = 0, 0, 0
	return w.room.next(w.files, segmentPath(dir, 1))
}

// roll begins the next epoch once the newest has grown to its size.
func (w *writer) roll() error {
	if w.epochBytes < w.epochSize {
		return nil
	}
	return w.next()
}

// next begins the next epoch.
func (w *writer) next() error {
	if err := w.end(); err != nil {
		return fmt.Errorf("end epoch: %w", err)
	}
	return w.begin(w.epoch + 1)
}

// end closes the epoch's newest segment.
func (w *writer) end() error {
	if err := w.room.close(); err != nil {
		return err
	}
	return w.files.do("close segment", w.dir, w.log.Close)
}

// discard removes the epoch, which is closed and got no envelope.
func (w *writer) discard() error {
	segments, err := listSegments(w.dir, w.epoch)
	if err != nil {
		return err
	}
	return removeEpoch(w.files, epochDir{number: w.epoch, path: w.dir, segments: segments})
}

// write writes b's records as one envelope and makes it durable. After an
// error the writer must not be used again: neither what the file holds nor
// what tidwall/wal remembers is known then.
func (w *writer) write(b *batch, durable event.Seq) (stored int, err error) {
	e := envelope{
		epoch: w.epoch, first: b.gate.first, count: b.count, raw: uint32(len(b.buf) - headerSize),
		durable: durable, newest: b.newest, previous: w.head.digest,
	}
	data := b.buf
	if len(b.buf) >= headerSize+compressFrom {
		if data = w.compress(b.buf); len(data) < len(b.buf) {
			e.flags = flagCompressed
		} else {
			data = b.buf
		}
	}
	e.seal(data)
	rotated, err := w.append(data)
	if err != nil {
		return 0, err
	}
	begun := time.Now()
	if err := w.files.do("sync segment", w.dir, w.log.Sync); err != nil {
		return 0, err
	}
	w.synced = time.Since(begun)
	if rotated {
		if err := w.files.syncDir(w.dir); err != nil {
			return 0, err
		}
		// tidwall/wal keeps the segment before in memory for readers.
		if err := w.log.ClearCache(); err != nil {
			return 0, fmt.Errorf("rotate: %w", err)
		}
		if err := w.room.next(w.files, segmentPath(w.dir, w.index+1)); err != nil {
			return 0, fmt.Errorf("rotate: %w", err)
		}
	}
	w.head.follow(&e, data)
	return len(data), nil
}

// compress returns an envelope of buf's length of header with buf's records
// compressed. It is valid until the next call.
func (w *writer) compress(buf []byte) []byte {
	if need := headerSize + s2.MaxEncodedLen(len(buf)-headerSize); cap(w.compressed) < need {
		w.compressed = make([]byte, need)
	}
	payload := s2.Encode(w.compressed[headerSize:cap(w.compressed)], buf[headerSize:])
	return w.compressed[:headerSize+len(payload)]
}

// append hands data to tidwall/wal, which syncs and closes the segment and
// creates the next one within the same call once its buffer of the segment has
// reached the segment size. The new name is not durable then.
func (w *writer) append(data []byte) (rotated bool, err error) {
	n := uvarintLen(len(data)) + len(data)
	if err := w.room.make(w.files, int64(w.segmentBytes), int64(n), int64(w.segmentSize)); err != nil {
		return false, err
	}
	err = w.files.do("append", w.dir, func() error { return w.log.Write(w.index+1, data) })
	if err != nil {
		return false, err
	}
	w.index++
	w.epochBytes += int64(n)
	w.segmentBytes += n
	if w.segmentBytes < w.segmentSize {
		return false, nil
	}
	w.segmentBytes = 0
	return true, nil
}

// uvarintLen is the length of n as binary.PutUvarint writes it, in bytes.
func uvarintLen(n int) int {
	return min((bits.Len(uint(n)|1)+6)/7, binary.MaxVarintLen64)
}
