package snapshot

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/zeebo/xxh3"

	"weir/core"
	"weir/core/event"
)

// Seal says what a snapshot holds. It stands inside of its store and, once the
// store was read back, in a file beside it. Encoded, little-endian, sizes in
// bytes:
//
//	+-------+---------+------+-----------+------------+----------+------+------+
//	| magic | version | zero | campaigns | generation | identity | from | time |
//	|   8   |    2    |  2   |     4     |     8      |    16    |  8   |  8   |
//	+-------+---------+------+-----------+------------+----------+------+------+
//	| pages | bytes | parts             | count | files | checksum |
//	|   8   |   8   | 257·campaigns·24  |   4   |       |    8     |
//	+-------+-------+-------------------+-------+-------+----------+
//
//	part      newest 8, hash 16 of its header as stored
//	file      length 2, name, size 8, hash 8 (XXH3)
//	checksum  XXH3 (64 bits) of all before it
type Seal struct {
	Generation uint64     // rises by one with every snapshot of either store
	Identity   [16]byte   // of the data directory
	From       event.Seq  // every part is true at it or behind it: the log is needed behind it
	Time       event.Time // newest record time when the snapshot began
	Campaigns  int
	Pages      int64
	Bytes      int64 // of pages, not compressed; 0 inside of the store
	Parts      []PartSeal
	Files      []FileSeal // of the store, by name; none inside of the store
}

// FileSeal is what the seal says of one of Pebble's files.
type FileSeal struct {
	Name string
	Size int64
	Hash uint64
}

// PartSeal is what the seal says of one part; they stand in the order of
// campaign, then shard.
type PartSeal struct {
	Newest event.Seq
	Hash   [16]byte
}

const (
	sealVersion  = 1
	sealHead     = 8 + 2 + 2 + 4 + 8 + 16 + 8 + 8 + 8 + 8
	partSealSize = 8 + 16
	checksumSize = 8
)

var sealMagic = [8]byte{0x8F, 'w', 'e', 'i', 'r', 's', 'n', 'p'}

var errSeal = errors.New("malformed seal")

// Newest is the newest record that any part has.
func (s *Seal) Newest() event.Seq {
	newest := s.From
	for i := range s.Parts {
		newest = max(newest, s.Parts[i].Newest)
	}
	return newest
}

func (s *Seal) append(dst []byte) []byte {
	le := binary.LittleEndian
	begin := len(dst)
	dst = append(dst, sealMagic[:]...)
	dst = le.AppendUint16(dst, sealVersion)
	dst = le.AppendUint16(dst, 0)
	dst = le.AppendUint32(dst, uint32(s.Campaigns))
	dst = le.AppendUint64(dst, s.Generation)
	dst = append(dst, s.Identity[:]...)
	for _, v := range [...]uint64{uint64(s.From), uint64(s.Time), uint64(s.Pages), uint64(s.Bytes)} {
		dst = le.AppendUint64(dst, v)
	}
	for i := range s.Parts {
		dst = le.AppendUint64(dst, uint64(s.Parts[i].Newest))
		dst = append(dst, s.Parts[i].Hash[:]...)
	}
	dst = le.AppendUint32(dst, uint32(len(s.Files)))
	for _, f := range s.Files {
		dst = append(le.AppendUint16(dst, uint16(len(f.Name))), f.Name...)
		dst = le.AppendUint64(le.AppendUint64(dst, uint64(f.Size)), f.Hash)
	}
	return le.AppendUint64(dst, xxh3.Hash(dst[begin:]))
}

func (s *Seal) decode(b []byte) error {
	le := binary.LittleEndian
	if len(b) < sealHead+checksumSize || [8]byte(b) != sealMagic {
		return fmt.Errorf("%w: %d bytes without its magic", errSeal, len(b))
	}
	body := b[:len(b)-checksumSize]
	if want, got := le.Uint64(b[len(body):]), xxh3.Hash(body); want != got {
		return fmt.Errorf("%w: checksum %016x, stored %016x", errSeal, got, want)
	}
	if v := le.Uint16(b[8:]); v != sealVersion {
		return fmt.Errorf("%w: version %d; this program reads %d", errSeal, v, sealVersion)
	}
	*s = Seal{
		Campaigns: int(le.Uint32(b[12:])), Generation: le.Uint64(b[16:]), Identity: [16]byte(b[24:]),
		From: event.Seq(le.Uint64(b[40:])), Time: event.Time(le.Uint64(b[48:])),
		Pages: int64(le.Uint64(b[56:])), Bytes: int64(le.Uint64(b[64:])),
	}
	parts := body[sealHead:]
	size := s.Campaigns * core.PartsPerCampaign * partSealSize
	if s.Campaigns > 1<<16 || len(parts) < size+4 {
		return fmt.Errorf("%w: %d bytes for the parts of %d campaigns", errSeal, len(parts), s.Campaigns)
	}
	parts, files := parts[:size], parts[size:]
	s.Parts = make([]PartSeal, len(parts)/partSealSize)
	for i := range s.Parts {
		s.Parts[i] = PartSeal{event.Seq(le.Uint64(parts[i*partSealSize:])), [16]byte(parts[i*partSealSize+8:])}
	}
	return s.decodeFiles(files)
}

func (s *Seal) decodeFiles(b []byte) error {
	le := binary.LittleEndian
	count := le.Uint32(b)
	for b = b[4:]; count > 0; count-- {
		if len(b) < 2 || len(b) < 2+int(le.Uint16(b))+16 {
			return fmt.Errorf("%w: cut short in its files", errSeal)
		}
		name := b[2 : 2+le.Uint16(b)]
		b = b[2+len(name):]
		s.Files = append(s.Files, FileSeal{string(name), int64(le.Uint64(b)), le.Uint64(b[8:])})
		b = b[16:]
	}
	if len(b) > 0 {
		return fmt.Errorf("%w: %d bytes behind its files", errSeal, len(b))
	}
	return nil
}

// partOf is the part whose seal stands at i.
func partOf(i int) core.Part {
	return core.Part{Campaign: event.CampaignID(i / core.PartsPerCampaign), Shard: uint16(i % core.PartsPerCampaign)}
}
