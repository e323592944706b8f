package snapshot

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/zeebo/xxh3"

	"weir/core"
	"weir/core/event"
)

// The keys of a store, big-endian so that they sort, sizes in bytes:
//
//	+----------+-------+------+------+
//	| campaign | shard | kind | page |
//	|    2     |   2   |  1   |  4   |
//	+----------+-------+------+------+
//
// Kind 0 is the part's header, which so comes before its pages. The one key of
// a single byte, FF, is the seal.
const (
	keySize    = 9
	kindHeader = core.PageKind(0)
)

var sealKey = []byte{0xFF}

func appendKey(dst []byte, p core.Part, kind core.PageKind, page int) []byte {
	be := binary.BigEndian
	dst = be.AppendUint16(dst, uint16(p.Campaign))
	dst = be.AppendUint16(dst, p.Shard)
	return be.AppendUint32(append(dst, byte(kind)), uint32(page))
}

// bounds are the keys that all keys of a part lie between.
func bounds(p core.Part) (lower, upper []byte) {
	return appendKey(nil, p, kindHeader, 0), appendKey(nil, p, 0xFF, 0)
}

// header is the value of a part's header: the part's own and the hash of every
// page. Encoded, little-endian, sizes in bytes:
//
//	+--------+--------+---------+-------+-------+
//	| newest | length | own     | count | pages |
//	|   8    |   4    | length  |   4   | 13·n  |
//	+--------+--------+---------+-------+-------+
//
//	page  kind 1, page 4, hash 8 (XXH3 of its value); in the order of the keys
type header struct {
	newest event.Seq
	own    []byte
	pages  []pageHash
}

type pageHash struct {
	kind core.PageKind
	page uint32
	hash uint64
}

const pageHashSize = 1 + 4 + 8

var errHeader = errors.New("malformed header of a part")

func (p *pageHash) compare(q pageHash) int {
	return cmp.Or(cmp.Compare(p.kind, q.kind), cmp.Compare(p.page, q.page))
}

// set notes the hash of a page and says whether it is another than before.
func (h *header) set(p pageHash) (changed bool) {
	at, known := slices.BinarySearchFunc(h.pages, p, func(a, b pageHash) int { return a.compare(b) })
	if !known {
		h.pages = slices.Insert(h.pages, at, p)
		return true
	}
	changed = h.pages[at].hash != p.hash
	h.pages[at] = p
	return changed
}

func (h *header) append(dst []byte) []byte {
	le := binary.LittleEndian
	dst = le.AppendUint64(dst, uint64(h.newest))
	dst = le.AppendUint32(dst, uint32(len(h.own)))
	dst = append(dst, h.own...)
	dst = le.AppendUint32(dst, uint32(len(h.pages)))
	for _, p := range h.pages {
		dst = le.AppendUint32(append(dst, byte(p.kind)), p.page)
		dst = le.AppendUint64(dst, p.hash)
	}
	return dst
}

// decode reads a header and copies all that it keeps of b.
func (h *header) decode(b []byte) error {
	le := binary.LittleEndian
	if len(b) < 12 || int64(len(b)-12) < int64(le.Uint32(b[8:]))+4 {
		return fmt.Errorf("%w: %d bytes", errHeader, len(b))
	}
	h.newest = event.Seq(le.Uint64(b))
	own := b[12 : 12+le.Uint32(b[8:])]
	h.own = append(h.own[:0], own...)
	rest := b[12+len(own):]
	count := le.Uint32(rest)
	if rest = rest[4:]; int64(len(rest)) != int64(count)*pageHashSize {
		return fmt.Errorf("%w: %d bytes for %d pages", errHeader, len(rest), count)
	}
	h.pages = h.pages[:0]
	for ; len(rest) > 0; rest = rest[pageHashSize:] {
		h.pages = append(h.pages, pageHash{core.PageKind(rest[0]), le.Uint32(rest[1:]), le.Uint64(rest[5:])})
	}
	return nil
}

func hash128(b []byte) [16]byte { return xxh3.Hash128(b).Bytes() }
