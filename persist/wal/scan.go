package wal

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"weir/core/event"
)

// A scan reads a whole log once, from the first envelope to the last, verifies
// it and hands out its records. It holds one envelope in memory at a time. It
// knows nothing of files but what open gives it.
type scan struct {
	segments []segment
	open     func(*segment) (source, error)
	known    mark      // newest state known to be durable; zero: nothing known
	least    event.Seq // newest record known to be durable
	replay   func(event.Seq, *event.Record) error
	progress func(Progress)

	head   head
	report *Report
	epoch  uint32 // that is being read
	entry  uint64 // index that the next entry of the epoch has, from 1

	stored, raw []byte
	record      event.Record
	read, told  int64 // bytes read, and when progress was told last
	total       int64
}

// source is the contents of one segment file.
type source interface {
	io.ReaderAt
	io.Closer
}

func openSegment(s *segment) (source, error) { return os.Open(s.path) }

const (
	scanBuffer    = 256 << 10
	progressEvery = 4 << 20 // bytes
)

// flaw is the first place of a log that is not what was written.
type flaw struct {
	segment   int // index into scan.segments
	offset    int64
	misplaced bool // files are missing before the segment
	err       error
}

// run reads the log to its end. It returns the place of a torn tail where one
// has to be cut off, or *Damage, or what replay answered.
func (s *scan) run() (*cut, error) {
	for i := range s.segments {
		s.total += s.segments[i].size
	}
	for i := range s.segments {
		f, err := s.segment(i)
		if err != nil {
			return nil, err
		}
		if f != nil {
			return s.judge(f)
		}
	}
	s.finish()
	if s.head.seq < s.least {
		return nil, s.endLost()
	}
	return nil, nil
}

func (s *scan) finish() {
	s.report.LastSeq, s.report.LastTime = s.head.seq, s.head.time
	if s.progress != nil {
		s.progress(Progress{Bytes: s.read, Total: s.total, Seq: s.head.seq})
	}
}

// segment reads the segment i. It returns the flaw that ended it, if any.
func (s *scan) segment(i int) (*flaw, error) {
	seg := &s.segments[i]
	if why := s.misplaced(seg); why != nil {
		return &flaw{segment: i, misplaced: true, err: why}, nil
	}
	src, err := s.open(seg)
	if err != nil {
		return nil, fmt.Errorf("scan: %w", err)
	}
	defer func() { _ = src.Close() }()
	s.report.Segments++
	in := bufio.NewReaderSize(io.NewSectionReader(src, 0, seg.size), int(min(scanBuffer, seg.size)))
	for offset := int64(0); offset < seg.size; {
		room, err := onlyRoom(in)
		if err != nil {
			return nil, fmt.Errorf("scan %s at byte %d: %w", seg.path, offset, err)
		}
		if room > 0 && offset+room == seg.size {
			s.read += room
			break
		}
		if room > 0 {
			return &flaw{segment: i, offset: offset, err: fmt.Errorf("%w: an entry of no bytes", errMalformed)}, nil
		}
		n, err := s.next(in, seg, seg.size-offset)
		var replaying *replayError
		if errors.As(err, &replaying) {
			return nil, err
		}
		if errors.Is(err, errRead) {
			return nil, fmt.Errorf("scan %s at byte %d: %w", seg.path, offset, err)
		}
		if err != nil {
			return &flaw{segment: i, offset: offset, err: err}, nil
		}
		offset += n
	}
	return nil, nil
}

var errRead = errors.New("read")

// misplaced says why a segment cannot be the next one by its name.
func (s *scan) misplaced(seg *segment) error {
	if seg.epoch != s.epoch {
		if seg.epoch != s.epoch+1 && s.epoch == 0 {
			return fmt.Errorf("%w: epoch 1 is missing before it, or the file %s, which says where the log begins", errMalformed, firstName)
		}
		if seg.epoch != s.epoch+1 {
			return fmt.Errorf("%w: epoch %d is missing before it", errMalformed, s.epoch+1)
		}
		s.epoch, s.entry = seg.epoch, 1
		s.report.Epochs++
	}
	if seg.index != s.entry {
		return fmt.Errorf("%w: the segment of entry %d is missing before it", errMalformed, s.entry)
	}
	return nil
}

// next reads one entry, of which room bytes are left in the file, and returns
// its size in bytes.
func (s *scan) next(in *bufio.Reader, seg *segment, room int64) (int64, error) {
	length, prefix, err := frame(in, room)
	if err != nil {
		return 0, err
	}
	s.stored = sized(s.stored, int(length))
	if _, err := in.Discard(prefix); err != nil {
		return 0, fmt.Errorf("%w: %w", errRead, err)
	}
	if _, err := io.ReadFull(in, s.stored); err != nil {
		return 0, fmt.Errorf("%w: %w", errRead, err)
	}
	if err := s.accept(seg, s.stored); err != nil {
		return 0, err
	}
	n := int64(prefix) + length
	s.entry++
	s.report.Bytes += n
	s.read += n
	if s.progress != nil && s.read-s.told >= progressEvery {
		s.told = s.read
		s.progress(Progress{Bytes: s.read, Total: s.total, Seq: s.head.seq})
	}
	return n, nil
}

// frame reads the length before an entry without consuming it. The length is
// bounded by room, the bytes left in the file, so a wrong one costs no memory.
func frame(in *bufio.Reader, room int64) (length int64, prefix int, err error) {
	ahead, err := in.Peek(int(min(binary.MaxVarintLen64, room)))
	if err != nil {
		return 0, 0, fmt.Errorf("%w: %w", errRead, err)
	}
	v, prefix := binary.Uvarint(ahead)
	switch {
	case prefix <= 0:
		return 0, 0, fmt.Errorf("%w: no length", errMalformed)
	case v < headerSize:
		return 0, 0, fmt.Errorf("%w: an entry of %d bytes", errMalformed, v)
	case v > uint64(room)-uint64(prefix):
		return 0, 0, fmt.Errorf("%w: cut short, %d bytes of %d", errMalformed, room-int64(prefix), v)
	case v > headerSize+maxRaw:
		return 0, 0, fmt.Errorf("%w: an entry of %d bytes", errMalformed, v)
	}
	return int64(v), prefix, nil
}

// accept verifies one envelope against the chain and replays it.
func (s *scan) accept(seg *segment, stored []byte) error {
	var e envelope
	payload, err := e.parse(stored)
	if err != nil {
		return err
	}
	if err := s.head.check(&e, seg.epoch); err != nil {
		return err
	}
	after := s.head
	after.follow(&e, stored)
	if err := s.known.check(&e, &after); err != nil {
		return err
	}
	records, raw, err := e.records(payload, s.raw)
	if err != nil {
		return err
	}
	s.raw = raw
	if err := e.walk(records, &s.record, s.replay); err != nil {
		return err
	}
	s.head = after
	if s.report.FirstSeq == 0 {
		s.report.FirstSeq = e.first
	}
	s.report.Envelopes++
	s.report.Records += uint64(e.count)
	return nil
}

// judge decides whether a flaw is a torn tail, which may be cut off, or damage.
//
// It is torn only where all of this holds: it lies in the very last file (a
// later one is begun only once this one is durable), nothing sound follows it
// (a write is begun only once the one before is durable), and no record that
// is known durable is missing.
func (s *scan) judge(f *flaw) (*cut, error) {
	s.finish()
	next, err := s.soundBehind(f)
	if err != nil {
		return nil, err
	}
	seg := &s.segments[f.segment]
	at := cut{segment: f.segment, offset: f.offset, what: f.err.Error()}
	newer := errors.Is(f.err, errVersion)
	last := f.segment == len(s.segments)-1 && !f.misplaced
	if last && next == 0 && !newer && s.head.seq >= s.least {
		return &at, nil
	}
	d := &Damage{
		Path: seg.path, Offset: f.offset, What: f.err.Error(), Remedy: remedyDamage, cut: at, newer: newer,
		SoundThrough: s.head.seq, SoundFrom: next, Acknowledged: s.least,
	}
	if newer {
		d.Remedy = remedyFormat
	}
	return nil, d
}

func (s *scan) endLost() error {
	d := &Damage{
		What: "the end of the log is gone", Remedy: remedyDamage, endLost: true,
		SoundThrough: s.head.seq, Acknowledged: s.least,
	}
	if n := len(s.segments); n > 0 {
		d.Path, d.Offset = s.segments[n-1].path, s.segments[n-1].size
	} else {
		d.Path = walName
	}
	return d
}

// soundBehind looks for a sound envelope behind a flaw and returns the sequence
// number of its first record, or 0.
func (s *scan) soundBehind(f *flaw) (event.Seq, error) {
	for i := f.segment; i < len(s.segments); i++ {
		from := int64(0)
		if i == f.segment {
			from = f.offset
		}
		first, err := s.search(&s.segments[i], from)
		if first > 0 || err != nil {
			return first, err
		}
	}
	return 0, nil
}

// search looks through a segment from offset on for a sound envelope: for the
// magic, wherever it stands, with a checksum that holds.
func (s *scan) search(seg *segment, offset int64) (event.Seq, error) {
	src, err := s.open(seg)
	if err != nil {
		return 0, fmt.Errorf("search: %w", err)
	}
	defer func() { _ = src.Close() }()
	window := make([]byte, min(scanBuffer, max(seg.size-offset, 0)))
	for seg.size-offset >= headerSize {
		window = window[:min(int64(cap(window)), seg.size-offset)]
		if _, err := src.ReadAt(window, offset); err != nil && !errors.Is(err, io.EOF) {
			return 0, fmt.Errorf("search %s: %w", seg.path, err)
		}
		at := bytes.Index(window, magic[:])
		if at < 0 {
			offset += int64(len(window) - len(magic) + 1)
			continue
		}
		offset += int64(at)
		first, err := s.soundAt(src, seg, offset)
		if first > 0 || err != nil {
			return first, err
		}
		offset++
	}
	return 0, nil
}

// soundAt returns the first sequence number of the sound envelope whose magic
// stands at offset, or 0 where there is none.
func (s *scan) soundAt(src source, seg *segment, offset int64) (event.Seq, error) {
	s.stored = sized(s.stored, headerSize)
	if seg.size-offset < headerSize {
		return 0, nil
	}
	if _, err := src.ReadAt(s.stored, offset); err != nil && !errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("search %s: %w", seg.path, err)
	}
	size := headerSize + int64(binary.LittleEndian.Uint32(s.stored[32:]))
	if size > min(seg.size-offset, headerSize+maxRaw) {
		return 0, nil
	}
	s.stored = sized(s.stored, int(size))
	if _, err := src.ReadAt(s.stored, offset); err != nil && !errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("search %s: %w", seg.path, err)
	}
	var e envelope
	if _, err := e.parse(s.stored); err != nil {
		return 0, nil
	}
	return e.first, nil
}

// sized returns b with length n, and new memory only where it is too short.
func sized(b []byte, n int) []byte {
	if cap(b) < n {
		return make([]byte, n)
	}
	return b[:n]
}
