package availability

import "weir/core/event"

// MaxAlternatives bounds what Alternatives returns.
const MaxAlternatives = 16

// Alternatives appends up to n slots with places left to dst, best first, for
// somebody who found slot full: those of the same product at the same site,
// nearest in time; then those of the same product on the same day at the other
// sites, nearest site first and nearest in time there; then the same for the
// other products, in the definition's order. Slots that have begun and slot
// itself are never among them. n above MaxAlternatives counts as that, and a
// slot that the campaign does not have has no alternatives. It allocates
// nothing where dst has room.
//
// Which sites have places comes from the summary, each slot is looked at
// afresh: a slot that was freed since may be missing, one that filled up since
// is not offered.
func (p *Publisher) Alternatives(now event.Time, slot event.SlotID, n int, dst []event.SlotID) []event.SlotID {
	s := p.snapshot(now)
	n = min(n, MaxAlternatives)
	if n <= 0 || int(slot) >= len(s.cellOf) {
		return dst
	}
	asked := s.definition.Slot(slot)
	search := search{
		snapshot: s, now: now, slot: slot, site: int32(asked.Site), starts: asked.Starts,
		found: dst, end: len(dst) + n,
	}
	cell := s.cells[s.cellOf[slot]]
	search.product(cell.date, cell.product)
	for product := range int32(len(s.products)) {
		if product != cell.product {
			search.product(cell.date, product)
		}
	}
	return search.found
}

// search is one search for alternatives.
type search struct {
	*snapshot
	now    event.Time
	slot   event.SlotID // the one that is full
	site   int32        // its site
	starts event.Time   // when it begins

	found []event.SlotID
	end   int // len(found) <= end
	near  nearSlots
}

// product adds the slots of one product.
func (s *search) product(date, product int32) {
	if len(s.found) == s.end {
		return
	}
	s.near.count = 0
	for c := s.firstCell[s.site]; c < s.firstCell[s.site+1]; c++ {
		if s.cells[c].product == product {
			s.visit(c)
		}
	}
	s.add()
	if len(s.found) == s.end {
		return
	}
	sites, count := s.nearSites(s.open[s.group(date, product)])
	for _, site := range sites[:count] {
		s.near.count = 0
		for c := s.firstCell[site]; c < s.firstCell[site+1]; c++ {
			if s.cells[c].product == product && s.cells[c].date == date {
				s.visit(c)
			}
		}
		s.add()
	}
}

// visit puts the slots of a cell that have places left into near.
func (s *search) visit(c uint32) {
	if s.left[c] == 0 {
		return
	}
	cell := &s.cells[c]
	for slot := cell.first; slot <= cell.last; slot++ {
		if s.cellOf[slot] != c || slot == s.slot {
			continue
		}
		starts := s.definition.SlotStarts(slot)
		if starts <= s.now {
			continue
		}
		if taken, capacity := s.source.Slot(slot); taken < capacity {
			s.near.insert(slot, max(starts-s.starts, s.starts-starts))
		}
	}
}

// add moves what near holds to found, as far as there is room.
func (s *search) add() {
	count := min(s.near.count, s.end-len(s.found))
	s.found = append(s.found, s.near.slots[:count]...)
}

// nearSlots are the slots nearest in time seen so far, nearest first, the
// lower number first where they are equally near and come in order.
type nearSlots struct {
	slots [MaxAlternatives]event.SlotID
	gaps  [MaxAlternatives]event.Time
	count int
}

func (r *nearSlots) insert(slot event.SlotID, gap event.Time) {
	i := r.count
	if i == MaxAlternatives {
		if gap >= r.gaps[i-1] {
			return
		}
		i--
	} else {
		r.count++
	}
	for ; i > 0 && r.gaps[i-1] > gap; i-- {
		r.slots[i], r.gaps[i] = r.slots[i-1], r.gaps[i-1]
	}
	r.slots[i], r.gaps[i] = slot, gap
}

// nearSites returns the sites of the ascending list that are nearest to the
// one asked for, nearest first, without that one. Every one of them had a
// place left when the summary was made. A pass over the list costs less than a
// walk through the tree, which cannot tell sites with places from those
// without.
func (s *search) nearSites(list []int32) (sites [MaxAlternatives]int32, count int) {
	var chords [MaxAlternatives]float64
	from := s.points[s.site]
	for _, site := range list {
		if site == s.site {
			continue
		}
		chord2 := from.chord2(&s.points[site])
		i := count
		if i == MaxAlternatives {
			if chord2 >= chords[i-1] {
				continue
			}
			i--
		} else {
			count++
		}
		for ; i > 0 && chords[i-1] > chord2; i-- {
			sites[i], chords[i] = sites[i-1], chords[i-1]
		}
		sites[i], chords[i] = site, chord2
	}
	return sites, count
}
