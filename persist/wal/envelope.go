package wal

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/klauspost/compress/s2"

	"weir/core/event"
)

// An envelope holds the records of one group commit. It is one entry of a
// segment file, little-endian, sizes in bytes:
//
//	+-------+---------+-------+-------+-----------+-------+-----+--------+
//	| magic | version | flags | epoch | first seq | count | raw | stored |
//	|   8   |    2    |   2   |   4   |     8     |   4   |  4  |   4    |
//	+-------+---------+-------+-------+-----------+-------+-----+--------+
//	| durable | newest | previous | crc | payload                        |
//	|    8    |   8    |    16    |  4  | stored                         |
//	+---------+--------+----------+-----+--------------------------------+
//
//	flags     bit 0: the payload is s2-compressed; the others are zero
//	first     sequence number of the first record; count records follow
//	raw       length of the records encoded; stored, of the payload as it is
//	durable   newest sequence number known durable when this was written
//	newest    newest record time in the log up to here, Unix milliseconds
//	previous  SHA-256 over the envelope before this one as stored, truncated
//	          to 16 bytes; over the whole log, across segments and epochs.
//	          The first one carries the identity's id instead
//	crc       CRC-32C over everything but itself: bytes 0 to 67, then payload
//
// Magic, version and crc stay where they are in every version to come, so that
// a newer format is told from damage.
const (
	headerSize    = 72
	crcOffset     = 68
	formatVersion = 1

	flagCompressed = 1 << 0
	flagsKnown     = flagCompressed

	// maxRaw bounds the records of one envelope, in bytes. Options keep every
	// batch below it.
	maxRaw = 256 << 20
)

// compressFrom is the length of a batch, in bytes of records, from which it is
// compressed. A lone record has nothing to be compressed against and comes out
// longer. From nine or so on (measured on 57-byte bookings with random persons)
// s2 leaves 40 to 46 %, at 0.6 to 1 ns a byte: about what hashing and copying
// the bytes it saves would have cost, so the space comes for nothing.
const compressFrom = 512

var (
	magic      = [8]byte{0x8F, 'w', 'e', 'i', 'r', '\r', '\n', 0x1A}
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

var (
	errMalformed = errors.New("malformed envelope")
	errVersion   = errors.New("unknown format version")
)

// digest is a SHA-256 truncated to 16 bytes.
type digest [16]byte

func digestOf(stored []byte) (d digest) {
	sum := sha256.Sum256(stored)
	copy(d[:], sum[:])
	return d
}

// envelope is an envelope's header without what is implied.
type envelope struct {
	flags    uint16
	epoch    uint32
	first    event.Seq
	count    uint32
	raw      uint32
	durable  event.Seq // < first
	newest   event.Time
	previous digest
}

// last is the sequence number of the last record.
func (e *envelope) last() event.Seq { return e.first + event.Seq(e.count) - 1 }

// seal writes e's header and checksum into the first headerSize bytes of
// stored; the payload is there already.
func (e *envelope) seal(stored []byte) {
	le := binary.LittleEndian
	copy(stored, magic[:])
	le.PutUint16(stored[8:], formatVersion)
	le.PutUint16(stored[10:], e.flags)
	le.PutUint32(stored[12:], e.epoch)
	le.PutUint64(stored[16:], uint64(e.first))
	le.PutUint32(stored[24:], e.count)
	le.PutUint32(stored[28:], e.raw)
	le.PutUint32(stored[32:], uint32(len(stored)-headerSize))
	le.PutUint64(stored[36:], uint64(e.durable))
	le.PutUint64(stored[44:], uint64(e.newest))
	copy(stored[52:], e.previous[:])
	le.PutUint32(stored[crcOffset:], checksum(stored))
}

func checksum(stored []byte) uint32 {
	return crc32.Update(crc32.Checksum(stored[:crcOffset], castagnoli), castagnoli, stored[headerSize:])
}

// parse reads the envelope that fills stored and returns its payload, which
// aliases stored. It verifies all that can be verified without the envelope
// before it. Errors wrap errMalformed, or errVersion where the bytes are sound
// but of another format.
func (e *envelope) parse(stored []byte) (payload []byte, err error) {
	if len(stored) < headerSize {
		return nil, fmt.Errorf("%w: %d bytes, a header has %d", errMalformed, len(stored), headerSize)
	}
	if !bytes.Equal(stored[:8], magic[:]) {
		return nil, fmt.Errorf("%w: no magic", errMalformed)
	}
	le := binary.LittleEndian
	if want, got := le.Uint32(stored[crcOffset:]), checksum(stored); want != got {
		return nil, fmt.Errorf("%w: checksum %08x, stored %08x", errMalformed, got, want)
	}
	if v := le.Uint16(stored[8:]); v != formatVersion {
		return nil, fmt.Errorf("%w %d; this program reads %d", errVersion, v, formatVersion)
	}
	*e = envelope{
		flags:   le.Uint16(stored[10:]),
		epoch:   le.Uint32(stored[12:]),
		first:   event.Seq(le.Uint64(stored[16:])),
		count:   le.Uint32(stored[24:]),
		raw:     le.Uint32(stored[28:]),
		durable: event.Seq(le.Uint64(stored[36:])),
		newest:  event.Time(le.Uint64(stored[44:])),
	}
	copy(e.previous[:], stored[52:])
	payload = stored[headerSize:]
	return payload, e.sane(le.Uint32(stored[32:]), payload)
}

func (e *envelope) sane(length uint32, payload []byte) error {
	switch {
	case int64(length) != int64(len(payload)):
		return fmt.Errorf("%w: payload of %d bytes, stored %d", errMalformed, len(payload), length)
	case e.flags&^flagsKnown != 0:
		return fmt.Errorf("%w: unknown flags %04x", errMalformed, e.flags)
	case e.count == 0 || e.first == 0 || e.last() < e.first:
		return fmt.Errorf("%w: %d records from %d", errMalformed, e.count, e.first)
	case e.durable >= e.first:
		return fmt.Errorf("%w: durable %d at record %d", errMalformed, e.durable, e.first)
	case e.raw > maxRaw:
		return fmt.Errorf("%w: %d bytes of records", errMalformed, e.raw)
	case e.flags&flagCompressed == 0 && e.raw != length:
		return fmt.Errorf("%w: %d bytes of records, stored %d", errMalformed, e.raw, length)
	}
	return nil
}

// records returns the encoded records of payload. Those of a compressed one
// are written to scratch, which is grown where it has to be; the longer of
// both is returned for the next call.
func (e *envelope) records(payload, scratch []byte) (records, grown []byte, err error) {
	if e.flags&flagCompressed == 0 {
		return payload, scratch, nil
	}
	if n, err := s2.DecodedLen(payload); err != nil || n != int(e.raw) {
		return nil, scratch, fmt.Errorf("%w: compressed payload of %d bytes, stored %d: %w", errMalformed, n, e.raw, errors.Join(err))
	}
	records, err = s2.Decode(scratch[:cap(scratch)], payload)
	if err != nil {
		return nil, scratch, fmt.Errorf("%w: %w", errMalformed, err)
	}
	if cap(records) > cap(scratch) {
		scratch = records
	}
	return records, scratch, nil
}
