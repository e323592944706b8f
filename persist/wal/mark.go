package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"weir/core/event"
)

// The mark remembers the newest state that is known durable, outside the log,
// so that a log that lost acknowledged records at its end is told from one
// whose last write a crash cut short. It is a file of two slots of 512 bytes,
// a disk sector each, written in turn; what counts is the sound one with the
// higher generation. A slot, little-endian, sizes in bytes:
//
//	+-------+---------+-------+-------+------------+-----+------+
//	| magic | version | flags | epoch | generation | seq | time |
//	|   8   |    2    |   2   |   4   |     8      |  8  |  8   |
//	+-------+---------+-------+-------+------------+-----+------+
//	| digest | identity | zero | crc |
//	|   16   |    16    |  4   |  4  |
//	+--------+----------+------+-----+
//
//	flags    bit 0: the log was closed in good order after this
//	digest   of the newest durable envelope, as its successor carries it
//	crc      CRC-32C over bytes 0 to 75
const (
	markSlot    = 512
	markSize    = 80
	markCRC     = 76
	markVersion = 1
	markClean   = 1 << 0
)

var markMagic = [8]byte{0x8F, 'w', 'e', 'i', 'r', 'm', 'r', 'k'}

// errMark says that there is no mark to go by.
var errMark = errors.New("no sound mark")

type mark struct {
	head       head
	identity   digest
	generation uint64
	clean      bool
}

func (m *mark) encode() []byte {
	b := make([]byte, markSize)
	le := binary.LittleEndian
	copy(b, markMagic[:])
	le.PutUint16(b[8:], markVersion)
	if m.clean {
		le.PutUint16(b[10:], markClean)
	}
	le.PutUint32(b[12:], m.head.epoch)
	le.PutUint64(b[16:], m.generation)
	le.PutUint64(b[24:], uint64(m.head.seq))
	le.PutUint64(b[32:], uint64(m.head.time))
	copy(b[40:], m.head.digest[:])
	copy(b[56:], m.identity[:])
	le.PutUint32(b[markCRC:], crc32.Checksum(b[:markCRC], castagnoli))
	return b
}

func (m *mark) decode(b []byte) bool {
	le := binary.LittleEndian
	if len(b) < markSize || [8]byte(b) != markMagic || le.Uint16(b[8:]) != markVersion ||
		le.Uint32(b[markCRC:]) != crc32.Checksum(b[:markCRC], castagnoli) {
		return false
	}
	*m = mark{
		head:       head{seq: event.Seq(le.Uint64(b[24:])), time: event.Time(le.Uint64(b[32:])), epoch: le.Uint32(b[12:])},
		generation: le.Uint64(b[16:]),
		clean:      le.Uint16(b[10:])&markClean != 0,
	}
	copy(m.head.digest[:], b[40:])
	copy(m.identity[:], b[56:])
	return true
}

// check says why the envelope e, after which the chain stands as given, cannot
// belong to the log that m was written for.
func (m *mark) check(e *envelope, after *head) error {
	if m.head.seq < e.first || m.head.seq > e.last() {
		return nil
	}
	if m.head.seq != after.seq || m.head.digest != after.digest {
		return fmt.Errorf("%w: record %d is not the one that was acknowledged", errMalformed, m.head.seq)
	}
	return nil
}

func readMark(path string) (mark, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return mark{}, fmt.Errorf("%w: %w", errMark, err)
	}
	if err != nil {
		return mark{}, fmt.Errorf("read mark: %w", err)
	}
	var newest, m mark
	found := false
	for slot := 0; slot < 2 && slot*markSlot < len(data); slot++ {
		if m.decode(data[slot*markSlot:]) && (!found || m.generation > newest.generation) {
			newest, found = m, true
		}
	}
	if !found {
		return mark{}, fmt.Errorf("%w: both slots of %s are unreadable", errMark, path)
	}
	return newest, nil
}

// createMark writes a new mark's file. Its name is not durable yet.
func createMark(f *files, path string, m mark) error {
	slots := make([]byte, 2*markSlot)
	copy(slots[m.generation%2*markSlot:], m.encode())
	return f.create(path, func(w io.Writer) error {
		_, err := w.Write(slots)
		return err
	})
}

// markFile writes marks. One goroutine owns it at a time.
type markFile struct {
	files *files
	file  *os.File
	last  mark
}

func openMark(f *files, walDir string, last mark) (*markFile, error) {
	file, err := os.OpenFile(filepath.Join(walDir, markName), os.O_WRONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("open mark: %w", err)
	}
	return &markFile{files: f, file: file, last: last}, nil
}

// write records h, over the older of both slots; durably where sync is set.
func (m *markFile) write(h head, clean, sync bool) error {
	next := mark{head: h, identity: m.last.identity, generation: m.last.generation + 1, clean: clean}
	if err := m.files.writeAt(m.file, next.encode(), int64(next.generation%2*markSlot)); err != nil {
		return fmt.Errorf("mark: %w", err)
	}
	m.last = next
	if !sync {
		return nil
	}
	if err := m.files.sync(m.file); err != nil {
		return fmt.Errorf("mark: %w", err)
	}
	return nil
}
