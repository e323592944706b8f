package availability

import (
	"strconv"

	"github.com/tidwall/rtree"

	"weir/core/campaign"
	"weir/core/event"
)

// layout is what follows from a definition alone. It is made once for each
// definition and does not change.
type layout struct {
	definition *campaign.Definition

	cells     []cell   // by site, then in the order of their first slots
	firstCell []uint32 // by site, and one more: len(cells)
	cellOf    []uint32 // by slot

	dates     map[campaign.Date]int32 // index by day, for every day with slots
	regions   map[string]int32        // index by region
	regional  [][]int32               // sites by region, ascending
	regionOf  []int32                 // by site
	points    []point                 // by site
	tree      rtree.RTreeG[int32]     // sites at (lon, lat); not written after newLayout
	fragments [][]byte                // by site: its object as JSON up to the value of available
	siteIDs   [][]byte                // by site: its id as a JSON string
	products  [][]byte                // by product: its id as a JSON string
}

// cell is the slots of one product at one site on one day. They lie between
// first and last, where those of other products may lie too.
type cell struct {
	date, product         int32 // indices
	first, last           event.SlotID
	firstStart, lastStart event.Time
}

func newLayout(d *campaign.Definition) *layout {
	l := &layout{
		definition: d,
		firstCell:  make([]uint32, 1, len(d.Sites)+1),
		cellOf:     make([]uint32, d.SlotCount()),
		dates:      map[campaign.Date]int32{},
		regions:    map[string]int32{},
		points:     make([]point, len(d.Sites)),
		fragments:  make([][]byte, len(d.Sites)),
		siteIDs:    make([][]byte, len(d.Sites)),
		products:   make([][]byte, len(d.Products)),
	}
	for i := range d.Products {
		l.products[i] = appendString(nil, d.Products[i].ID)
	}
	for i := range d.Sites {
		l.addSite(int32(i))
		l.addCells(i)
	}
	return l
}

func (l *layout) addSite(index int32) {
	site := &l.definition.Sites[index]
	region, known := l.regions[site.Region]
	if !known {
		region = int32(len(l.regional))
		l.regions[site.Region] = region
		l.regional = append(l.regional, nil)
	}
	l.regional[region] = append(l.regional[region], index)
	l.regionOf = append(l.regionOf, region)
	l.points[index] = pointAt(site.Lat, site.Lon)
	at := [2]float64{site.Lon, site.Lat}
	l.tree.Insert(at, at, index)
	l.siteIDs[index] = appendString(nil, site.ID)

	b := append([]byte(`{"id":`), l.siteIDs[index]...)
	b = appendString(append(b, `,"name":`...), site.Name)
	b = appendString(append(b, `,"region":`...), site.Region)
	b = appendString(append(b, `,"address":`...), site.Address)
	b = strconv.AppendFloat(append(b, `,"lat":`...), site.Lat, 'f', -1, 64)
	b = strconv.AppendFloat(append(b, `,"lon":`...), site.Lon, 'f', -1, 64)
	l.fragments[index] = append(b, `,"available":`...)
}

// addCells sorts the slots of a site into cells. Slots come by start, so those
// of a day follow each other, the products of the day mixed.
func (l *layout) addCells(site int) {
	first, end := l.definition.SiteSlots(site)
	day := len(l.cells) // the first cell of the day at hand
	for s := first; s < end; s++ {
		slot := l.definition.Slot(s)
		date, known := l.dates[slot.Date]
		if !known {
			date = int32(len(l.dates))
			l.dates[slot.Date] = date
		}
		if day < len(l.cells) && l.cells[day].date != date {
			day = len(l.cells)
		}
		c := day
		for c < len(l.cells) && l.cells[c].product != int32(slot.Product) {
			c++
		}
		if c == len(l.cells) {
			l.cells = append(l.cells, cell{date: date, product: int32(slot.Product), first: s, firstStart: slot.Starts})
		}
		l.cells[c].last, l.cells[c].lastStart = s, slot.Starts
		l.cellOf[s] = uint32(c)
	}
	l.firstCell = append(l.firstCell, uint32(len(l.cells)))
}

// group numbers the pairs of day and product densely.
func (l *layout) group(date, product int32) int { return int(date)*len(l.products) + int(product) }

// groups is the number of such pairs.
func (l *layout) groups() int { return len(l.dates) * len(l.products) }
