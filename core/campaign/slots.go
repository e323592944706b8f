package campaign

import (
	"bytes"
	"math"
	"math/bits"
	"slices"

	"weir/core/event"
)

// slotTable numbers the slots of a campaign. Sites that the same rules speak of
// have the same slots, so the slots of all of them are kept once, as a pattern:
// 2,500 sites of 192 slots take the memory of 192 slots and 2,500 offsets.
//
//	SlotID = first[site] + position in the site's pattern
//
// Sites come in the file's order, a pattern's slots by start, then product. The
// numbers follow from the definition alone, so the same definition always gives
// the same ones.
//
// A table of one entry per slot was rejected: at a few million slots it is the
// largest thing in the process and misses the cache at every look-up.
type slotTable struct {
	first     []event.SlotID // by site, and one more: the number of slots; ascending
	pattern   []uint32       // by site: index into patterns
	patterns  []pattern
	sites     map[string]int // by id
	products  map[string]int // by id
	jump      []uint32       // jump[s>>jumpShift] = site of the slot (s>>jumpShift)<<jumpShift; and one more: the last site
	jumpShift uint8
	places    int
}

// pattern is the slots of a site, as columns of equal length, by ascending key.
type pattern struct {
	keys     []slotKey
	starts   []event.Time // ascending: a key whose clock time exists twice is refused
	ends     []event.Time
	capacity []uint16 // before the site's factor
}

// slotKey is what names a slot at its site, in an order that is the order of
// the slots: day, minute of the day, product.
//
//	bits 63..32 day, plus 1<<31    bits 31..16 minute    bits 15..0 product
type slotKey uint64

func keyOf(day Date, minute, product int) slotKey {
	return slotKey(uint32(day)^1<<31)<<32 | slotKey(minute)<<16 | slotKey(product)
}

func (k slotKey) date() Date   { return Date(uint32(k>>32) ^ 1<<31) }
func (k slotKey) minute() int  { return int(k >> 16 & 0xffff) }
func (k slotKey) product() int { return int(k & 0xffff) }

// index makes the parts of t that follow from pattern, patterns and d's sites
// and products.
func (t *slotTable) index(d *Definition) {
	t.sites = make(map[string]int, len(d.Sites))
	t.first = make([]event.SlotID, len(d.Sites)+1)
	for i := range d.Sites {
		p := &t.patterns[t.pattern[i]]
		t.sites[d.Sites[i].ID] = i
		t.first[i+1] = t.first[i] + event.SlotID(len(p.keys))
		for _, base := range p.capacity {
			t.places += int(scale(base, d.Sites[i].Factor))
		}
	}
	t.products = make(map[string]int, len(d.Products))
	for i, p := range d.Products {
		t.products[p.ID] = i
	}
	total := t.first[len(d.Sites)]
	t.jumpShift = uint8(bits.Len32(uint32(total) / uint32(len(d.Sites)))) // about one entry per site
	site := uint32(0)
	for s := event.SlotID(0); s < total; s += 1 << t.jumpShift {
		for t.first[site+1] <= s {
			site++
		}
		t.jump = append(t.jump, site)
	}
	t.jump = append(t.jump, uint32(len(d.Sites)-1))
}

// scale is a slot's capacity at a site with that factor: rounded, and never
// rounded away. The definition's check keeps it within 16 bits.
func scale(base uint16, factor float64) uint16 {
	if factor == 1 {
		return base
	}
	if factor == 0 {
		return 0
	}
	return max(1, uint16(math.Round(float64(base)*factor)))
}

// locate returns the site of s and the position of s in the site's pattern. A
// slot that the campaign does not have is a defect of the caller and panics.
func (t *slotTable) locate(s event.SlotID) (site int, p *pattern, position int) {
	bucket := s >> t.jumpShift
	low, high := t.jump[bucket], t.jump[bucket+1]+1
	for high-low > 1 { // first[low] <= s < first[high]
		middle := (low + high) / 2
		if t.first[middle] <= s {
			low = middle
		} else {
			high = middle
		}
	}
	return int(low), &t.patterns[t.pattern[low]], int(s - t.first[low])
}

// SlotCount returns the number of slots: SlotIDs are below it.
func (d *Definition) SlotCount() int { return int(d.slots.first[len(d.Sites)]) }

// Places returns the sum of the capacities of all slots.
func (d *Definition) Places() int { return d.slots.places }

// SiteSlots returns the slots of a site: from first to end, excluded, by start,
// then product.
func (d *Definition) SiteSlots(site int) (first, end event.SlotID) {
	return d.slots.first[site], d.slots.first[site+1]
}

// FindSite returns the index of the site with that id.
func (d *Definition) FindSite(id string) (int, bool) {
	site, ok := d.slots.sites[id]
	return site, ok
}

// FindSlot returns the slot with the readable id
// "{site}/{YYYY-MM-DD}/{HH:MM}/{product}", and false where there is none. It
// allocates nothing.
func (d *Definition) FindSlot(id []byte) (event.SlotID, bool) {
	siteID, rest, ok1 := bytes.Cut(id, slash)
	dayText, rest, ok2 := bytes.Cut(rest, slash)
	clock, productID, ok3 := bytes.Cut(rest, slash)
	if !ok1 || !ok2 || !ok3 {
		return event.NoSlot, false
	}
	site, ok1 := d.slots.sites[string(siteID)]
	product, ok2 := d.slots.products[string(productID)]
	day, ok3 := parseDate(dayText)
	minute, ok4 := parseClock(clock)
	if !ok1 || !ok2 || !ok3 || !ok4 {
		return event.NoSlot, false
	}
	keys := d.slots.patterns[d.slots.pattern[site]].keys
	position, found := slices.BinarySearch(keys, keyOf(day, minute, product))
	if !found {
		return event.NoSlot, false
	}
	return d.slots.first[site] + event.SlotID(position), true
}

var slash = []byte{'/'}

// AppendSlotID writes the readable id of s at the end of dst. It allocates
// nothing where dst has room for it (146 bytes at most).
func (d *Definition) AppendSlotID(dst []byte, s event.SlotID) []byte {
	site, p, position := d.slots.locate(s)
	key := p.keys[position]
	dst = append(dst, d.Sites[site].ID...)
	dst = key.date().Append(append(dst, '/'))
	dst = appendClock(append(dst, '/'), key.minute())
	return append(append(dst, '/'), d.Products[key.product()].ID...)
}

// Slot returns where, when and what s is. Like all functions that take a SlotID it panics where
// the campaign has no such slot.
func (d *Definition) Slot(s event.SlotID) Slot {
	site, p, position := d.slots.locate(s)
	key := p.keys[position]
	return Slot{
		Site: site, Product: key.product(), Date: key.date(),
		Starts: p.starts[position], Ends: p.ends[position],
	}
}

// SlotStarts returns when s begins.
func (d *Definition) SlotStarts(s event.SlotID) event.Time {
	_, p, position := d.slots.locate(s)
	return p.starts[position]
}

// Capacity returns the places of s.
func (d *Definition) Capacity(s event.SlotID) uint16 {
	site, p, position := d.slots.locate(s)
	return scale(p.capacity[position], d.Sites[site].Factor)
}

// SameSlots says whether other has the same sites and the same slots under the
// same numbers: every SlotID has the same readable id and begins at the same
// time. Ends, capacities and the texts about sites may differ.
func (d *Definition) SameSlots(other *Definition) bool {
	if !slices.Equal(d.slots.first, other.slots.first) {
		return false
	}
	same := map[[2]uint32]bool{}
	for i := range d.Sites {
		if d.Sites[i].ID != other.Sites[i].ID {
			return false
		}
		pair := [2]uint32{d.slots.pattern[i], other.slots.pattern[i]}
		if _, known := same[pair]; !known {
			same[pair] = d.samePattern(other, pair)
		}
		if !same[pair] {
			return false
		}
	}
	return true
}

func (d *Definition) samePattern(other *Definition, pair [2]uint32) bool {
	p, q := &d.slots.patterns[pair[0]], &other.slots.patterns[pair[1]]
	if !slices.Equal(p.starts, q.starts) {
		return false
	}
	for i, k := range p.keys {
		l := q.keys[i]
		if k>>16 != l>>16 || d.Products[k.product()].ID != other.Products[l.product()].ID {
			return false
		}
	}
	return true
}
