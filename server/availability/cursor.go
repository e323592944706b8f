package availability

import (
	"encoding/base64"
	"encoding/binary"
	"math"

	"github.com/zeebo/xxh3"
)

// A cursor, before base64url without padding, sizes in bytes:
//
//	+-------+----------------------------------------+
//	| check | id of the last site of the page before |
//	|   8   |                                        |
//	+-------+----------------------------------------+
//
// check is XXH3 over the query without its limit, and the id. It says that the
// cursor belongs to the query; it is no secret, and a cursor made by hand names
// a site to go on after, which does no harm. An id stays right when
// availability changes, and when a new definition moves the site.
const (
	cursorCheck = 8
	cursorMax   = 512 // length of the text
)

var cursorText = base64.RawURLEncoding.Strict()

// appendCursor writes the cursor of the page after site at the end of dst.
func (l *layout) appendCursor(dst []byte, q *SitesQuery, site int32) []byte {
	var buf [cursorMax]byte
	id := l.definition.Sites[site].ID
	raw := binary.LittleEndian.AppendUint64(buf[:0], l.check(q, []byte(id)))
	return cursorText.AppendEncode(dst, append(raw, id...))
}

// cursorSite returns the site that q's cursor names.
func (l *layout) cursorSite(q *SitesQuery) (site int32, ok bool) {
	var text, raw [cursorMax]byte
	if len(q.Cursor) > cursorMax {
		return 0, false
	}
	n, err := cursorText.Decode(raw[:], text[:copy(text[:], q.Cursor)])
	if err != nil || n <= cursorCheck {
		return 0, false
	}
	id := raw[cursorCheck:n]
	if binary.LittleEndian.Uint64(raw[:]) != l.check(q, id) {
		return 0, false
	}
	index, ok := l.definition.FindSite(string(id))
	return int32(index), ok
}

// check binds a cursor to its campaign and query, but for the limit, which may
// change on the way. Queries with the same key share documents, so they have
// the same check: what no slot passes is one value here too.
func (l *layout) check(q *SitesQuery, id []byte) uint64 {
	var buf [cursorMax]byte
	b := append(buf[:0], id...)
	b = append(append(b, 0), l.definition.ID...)
	b = append(append(b, 0), q.Region...)
	b = append(b, 0, flag(q.Near), flag(q.HasDate), flag(q.OnlyAvailable))
	le := binary.LittleEndian
	b = le.AppendUint32(b, uint32(l.productKey(q.Product)))
	if l.dateKey(q.Date, q.HasDate) >= 0 {
		b = le.AppendUint32(b, uint32(q.Date))
	}
	if q.Near {
		for _, f := range [...]float64{q.Lat, q.Lon, radiusKey(q.RadiusKM)} {
			b = le.AppendUint64(b, math.Float64bits(f+0)) // + 0 makes one zero of two
		}
	}
	return xxh3.Hash(b)
}

func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}
