package availability

import (
	"math"

	"weir/core/campaign"
)

// SitesQuery asks for a page of the campaign's sites: in the order of its
// file, or by distance where Near is set. Its strings are not kept.
type SitesQuery struct {
	Region        string        // "": all
	Near          bool          // by distance from Lat, Lon, which it says with each site
	Lat, Lon      float64       // degrees, WGS 84
	RadiusKM      float64       // with Near: no site farther than that; 0: no bound; at most MaxRadius counts
	Date          campaign.Date // with HasDate: available counts that day alone
	HasDate       bool
	Product       int    // index: available counts that product alone; -1: all
	OnlyAvailable bool   // leaves out the sites with nothing available
	Limit         int    // sites on a page; 0: DefaultLimit; at most MaxLimit counts
	Cursor        string // next of the page before; "": the first page
}

// SlotsQuery asks for the slots of one site, by start.
type SlotsQuery struct {
	Site          int // index; no slots where the campaign has no such site
	Date          campaign.Date
	HasDate       bool
	Product       int // index; -1: all
	OnlyAvailable bool
}

// The bounds of a page, in sites, and of a radius, in km.
const (
	DefaultLimit = 50
	MaxLimit     = 500
	MaxRadius    = 20000.0
)

// Values of a key's indices that are no index.
const (
	all  int32 = -1 // no filter
	none int32 = -2 // a filter that nothing passes
)

// key is a query in its normal form: queries with the same key have the same
// document.
type key struct {
	site                  int32 // slots of that site; all: sites
	region, date, product int32
	limit, after          int32 // after: the site that ended the page before
	lat, lon, radius      float64
	near, onlyAvailable   bool
}

func (s *snapshot) sitesKey(q *SitesQuery) (key, error) {
	k := key{
		site: all, region: all, after: all,
		date: s.dateKey(q.Date, q.HasDate), product: s.productKey(q.Product),
		limit: DefaultLimit, onlyAvailable: q.OnlyAvailable,
	}
	if q.Limit > 0 {
		k.limit = int32(min(q.Limit, MaxLimit))
	}
	if q.Region != "" {
		k.region = none
		if region, ok := s.regions[q.Region]; ok {
			k.region = region
		}
	}
	if q.Near {
		if !onEarth(q.Lat, q.Lon) {
			return key{}, ErrPoint
		}
		k.near, k.lat, k.lon, k.radius = true, q.Lat, q.Lon, radiusKey(q.RadiusKM)
	}
	if q.Cursor != "" {
		site, ok := s.cursorSite(q)
		if !ok {
			return key{}, ErrCursor
		}
		k.after = site
	}
	return k, nil
}

func (s *snapshot) slotsKey(q *SlotsQuery) key {
	k := key{
		site: none, region: all, after: all,
		date: s.dateKey(q.Date, q.HasDate), product: s.productKey(q.Product),
		onlyAvailable: q.OnlyAvailable,
	}
	if q.Site >= 0 && q.Site < len(s.siteIDs) {
		k.site = int32(q.Site)
	}
	return k
}

func (l *layout) dateKey(date campaign.Date, has bool) int32 {
	if !has {
		return all
	}
	if index, ok := l.dates[date]; ok {
		return index
	}
	return none
}

// productKey takes the only product of a campaign for no filter.
func (l *layout) productKey(product int) int32 {
	switch {
	case product < 0 || product == 0 && len(l.products) == 1:
		return all
	case product < len(l.products):
		return int32(product)
	}
	return none
}

func radiusKey(km float64) float64 {
	if km > 0 && km < MaxRadius {
		return km
	}
	if km >= MaxRadius {
		return MaxRadius
	}
	return math.Inf(1)
}
