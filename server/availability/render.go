package availability

import (
	"math"
	"slices"
	"strconv"

	"weir/core/event"
)

// appendSites writes the page up to as_of.
func (s *snapshot) appendSites(b []byte, q *SitesQuery, k *key) []byte {
	b = append(b, `{"sites":[`...)
	count, last, more := int32(0), none, false
	s.eachSite(k, func(site int32, km float64) bool {
		left := s.sum(site, k)
		if k.onlyAvailable && left == 0 {
			return true
		}
		if count == k.limit {
			more = true
			return false
		}
		if count > 0 {
			b = append(b, ',')
		}
		b = append(b, s.fragments[site]...)
		b = strconv.AppendUint(b, uint64(left), 10)
		if k.near {
			b = strconv.AppendFloat(append(b, `,"distance_km":`...), math.Round(km*10)/10, 'f', 1, 64)
		}
		b = append(b, '}')
		count, last = count+1, site
		return true
	})
	b = append(b, ']')
	if more {
		b = s.appendCursor(append(b, `,"next":"`...), q, last)
		b = append(b, '"')
	}
	return b
}

// eachSite calls yield with the sites behind k.after that pass the filters of
// place, in k's order, until it returns false. Without k.near, km is 0.
func (s *snapshot) eachSite(k *key, yield func(site int32, km float64) bool) {
	switch {
	case k.region == none:
	case k.near:
		s.eachNear(k, yield)
	case k.region == all:
		for site := k.after + 1; int(site) < len(s.siteIDs); site++ {
			if !yield(site, 0) {
				return
			}
		}
	default:
		sites := s.regional[k.region]
		from, _ := slices.BinarySearch(sites, k.after+1)
		for _, site := range sites[from:] {
			if !yield(site, 0) {
				return
			}
		}
	}
}

func (s *snapshot) eachNear(k *key, yield func(site int32, km float64) bool) {
	reached := -1.0
	if k.after != all {
		from := pointAt(k.lat, k.lon)
		reached = from.chord2(&s.points[k.after])
	}
	visit := func(site int32, chord2 float64) bool {
		if chord2 < reached || chord2 == reached && site <= k.after {
			return true
		}
		km := kilometres(chord2)
		if km > k.radius {
			return false
		}
		if k.region != all && s.regionOf[site] != k.region {
			return true
		}
		return yield(site, km)
	}
	if sites, few := s.candidates(k); few {
		s.ranked(sites, k.lat, k.lon, visit)
	} else {
		s.nearest(k.lat, k.lon, visit)
	}
}

// rankMax is the number of sites up to which ranking all of them costs less
// than finding them one by one among those that a query leaves out.
const rankMax = 500

// candidates returns sites of which every site that passes k's filters is one,
// ascending, and whether they are few.
func (s *snapshot) candidates(k *key) (sites []int32, few bool) {
	if k.region >= 0 {
		sites = s.regional[k.region]
		few = len(sites) <= rankMax
	}
	if few || !k.onlyAvailable {
		return sites, few
	}
	product := k.product
	if len(s.products) == 1 {
		product = 0
	}
	if k.date >= 0 && product >= 0 {
		sites = s.open[s.group(k.date, product)]
		return sites, len(sites) <= rankMax
	}
	sites = make([]int32, 0, rankMax)
	for site := range int32(len(s.siteIDs)) {
		if s.siteLeft[site] == 0 || s.sum(site, k) == 0 {
			continue
		}
		if len(sites) == rankMax {
			return nil, false
		}
		sites = append(sites, site)
	}
	return sites, true
}

// appendSlots writes the slots of a site as they are now, up to as_of.
func (s *snapshot) appendSlots(b []byte, k *key, now event.Time) []byte {
	b = append(b, `{"slots":[`...)
	if k.site == none {
		return append(b, ']')
	}
	first, end := s.definition.SiteSlots(int(k.site))
	start := len(b)
	for slot := first; slot < end; slot++ {
		c := &s.cells[s.cellOf[slot]]
		if !k.takes(c) {
			continue
		}
		left, capacity := s.look(slot, c, now)
		if k.onlyAvailable && left == 0 {
			continue
		}
		if len(b) > start {
			b = append(b, ',')
		}
		b = s.appendSlot(b, slot, left, capacity)
	}
	return append(b, ']')
}

func (s *snapshot) appendSlot(b []byte, slot event.SlotID, left, capacity uint16) []byte {
	d := s.definition
	full := d.Slot(slot)
	var id [160]byte
	b = appendString(append(b, `{"id":`...), d.AppendSlotID(id[:0], slot))
	b = append(append(b, `,"site":`...), s.siteIDs[full.Site]...)
	b = d.AppendTime(append(b, `,"starts_at":"`...), full.Starts)
	b = d.AppendTime(append(b, `","ends_at":"`...), full.Ends)
	b = append(append(b, `","product":`...), s.products[full.Product]...)
	b = strconv.AppendUint(append(b, `,"capacity":`...), uint64(capacity), 10)
	b = strconv.AppendUint(append(b, `,"available":`...), uint64(left), 10)
	return append(b, '}')
}
