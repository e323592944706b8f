package availability

import "weir/core/event"

// snapshot is a summary of the campaign at one moment, and the documents made
// since. Only the stores change after newSnapshot.
type snapshot struct {
	*layout
	source Source
	asOf   event.Time

	left     []uint32  // places left, by cell; 0 for what has begun
	siteLeft []uint32  // their sum by site
	open     [][]int32 // by group: the sites with places left, ascending

	whole   []entry // first pages without filters: of all sites, then by region
	slots   []entry // by site: its slots without filters
	regular budget  // of whole and slots
	queries store   // everything else
}

// newSnapshot reads all slots.
func newSnapshot(l *layout, source Source, now event.Time) *snapshot {
	s := &snapshot{
		layout: l, source: source, asOf: now,
		left:     make([]uint32, len(l.cells)),
		siteLeft: make([]uint32, len(l.siteIDs)),
		whole:    make([]entry, 1+len(l.regional)),
		slots:    make([]entry, len(l.siteIDs)),
	}
	s.regular.room.Store(regularBytes)
	s.queries.room.Store(queryBytes)
	for slot, c := range l.cellOf {
		left, _ := s.look(event.SlotID(slot), &l.cells[c], now)
		s.left[c] += uint32(left)
	}
	for site := range s.siteLeft {
		for _, left := range s.left[l.firstCell[site]:l.firstCell[site+1]] {
			s.siteLeft[site] += left
		}
	}
	s.open = openSites(l, s.left)
	return s
}

// look returns the places that a slot of c has, and those left at now: none
// once it has begun.
func (s *snapshot) look(slot event.SlotID, c *cell, now event.Time) (left, capacity uint16) {
	taken, capacity := s.source.Slot(slot)
	if taken >= capacity {
		return 0, capacity
	}
	if now >= c.firstStart && (now >= c.lastStart || now >= s.definition.SlotStarts(slot)) {
		return 0, capacity
	}
	return capacity - taken, capacity
}

// openSites lists by group the sites with places left.
func openSites(l *layout, left []uint32) [][]int32 {
	counts := make([]int32, l.groups())
	total := 0
	for c := range l.cells {
		if left[c] > 0 {
			counts[l.group(l.cells[c].date, l.cells[c].product)]++
			total++
		}
	}
	sites := make([]int32, total)
	open := make([][]int32, len(counts))
	for g, count := range counts {
		open[g], sites = sites[:0:count], sites[count:]
	}
	for site := range l.siteIDs {
		for c := l.firstCell[site]; c < l.firstCell[site+1]; c++ {
			if left[c] > 0 {
				g := l.group(l.cells[c].date, l.cells[c].product)
				open[g] = append(open[g], int32(site))
			}
		}
	}
	return open
}

// sum returns the places left at a site as k filters them.
func (s *snapshot) sum(site int32, k *key) uint32 {
	if k.date == all && k.product == all {
		return s.siteLeft[site]
	}
	total := uint32(0)
	for c := s.firstCell[site]; c < s.firstCell[site+1]; c++ {
		if k.takes(&s.cells[c]) {
			total += s.left[c]
		}
	}
	return total
}

// takes says whether the slots of c pass the filters of day and product.
func (k *key) takes(c *cell) bool {
	return (k.date == all || k.date == c.date) && (k.product == all || k.product == c.product)
}
