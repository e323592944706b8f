package availability

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"weir/core/campaign"
	"weir/core/event"
)

// world is a campaign whose slots the test fills by hand.
type world struct {
	definition atomic.Pointer[campaign.Definition]
	taken      []atomic.Uint32 // by slot
	reads      atomic.Int64    // calls of Slot
	onSlot     func()          // called by Slot where it is not nil
}

func (w *world) Definition() (*campaign.Definition, event.Version) { return w.definition.Load(), 1 }

func (w *world) Slot(s event.SlotID) (taken, capacity uint16) {
	w.reads.Add(1)
	if w.onSlot != nil {
		w.onSlot()
	}
	return uint16(w.taken[s].Load()), w.definition.Load().Capacity(s)
}

func newWorld(t testing.TB, sites []campaign.Site, rules ...string) *world {
	d := define(t, sites, rules...)
	w := &world{taken: make([]atomic.Uint32, d.SlotCount())}
	w.definition.Store(d)
	return w
}

// fatal is the part of testing.TB that rapid has too.
type fatal interface {
	Helper()
	Fatalf(format string, args ...any)
}

// define makes a campaign of three products. Rules are entries of its slots.
func define(t fatal, sites []campaign.Site, rules ...string) *campaign.Definition {
	t.Helper()
	var file bytes.Buffer
	rows := csv.NewWriter(&file)
	_ = rows.Write([]string{"id", "name", "region", "address", "lat", "lon"})
	for _, s := range sites {
		_ = rows.Write([]string{
			s.ID, s.Name, s.Region, s.Address,
			strconv.FormatFloat(s.Lat, 'f', -1, 64), strconv.FormatFloat(s.Lon, 'f', -1, 64),
		})
	}
	rows.Flush()
	text := `
campaign: test
name: {ko: 시험, en: Test}
time_zone: Asia/Seoul
cohorts:
  - {id: everyone, born: 1900-01-01..2020-12-31}
windows:
  - {cohorts: [everyone], opens: 2021-07-19T20:00, closes: 2021-07-20T18:00}
line: {enabled: true, opens_before: 30m, order: draw}
products:
  - {id: moderna, name: {ko: 모더나, en: Moderna}}
  - {id: pfizer, name: {ko: 화이자, en: Pfizer}}
  - {id: janssen, name: {ko: 얀센, en: Janssen}}
sites: {file: sites.csv}
slots:
  - ` + strings.Join(rules, "\n  - ") + `
bookings: {hold: 5m, cancel_before: 24h, change_before: 24h}
`
	d, err := campaign.Parse("test.yaml", []byte(text), func(string) ([]byte, error) { return file.Bytes(), nil })
	if err != nil {
		t.Fatalf("define: %v\n%s\n%s", err, text, file.Bytes())
	}
	return d
}

// The shapes of the answers.
type (
	siteJSON struct {
		ID         string   `json:"id"`
		Name       string   `json:"name"`
		Region     string   `json:"region"`
		Address    string   `json:"address"`
		Lat        float64  `json:"lat"`
		Lon        float64  `json:"lon"`
		Available  int      `json:"available"`
		DistanceKM *float64 `json:"distance_km,omitempty"`
	}
	sitesJSON struct {
		Sites []siteJSON `json:"sites"`
		Next  string     `json:"next,omitempty"`
		AsOf  string     `json:"as_of"`
	}
	slotJSON struct {
		ID        string `json:"id"`
		Site      string `json:"site"`
		StartsAt  string `json:"starts_at"`
		EndsAt    string `json:"ends_at"`
		Product   string `json:"product"`
		Capacity  int    `json:"capacity"`
		Available int    `json:"available"`
	}
	slotsJSON struct {
		Slots []slotJSON `json:"slots"`
		AsOf  string     `json:"as_of"`
	}
)

// twin answers the same questions from the definition, slowly.
type twin struct {
	d   *campaign.Definition
	w   *world
	now event.Time
}

func (tw twin) left(s event.SlotID) int {
	taken, capacity := tw.w.Slot(s)
	if tw.d.Slot(s).Starts <= tw.now {
		return 0
	}
	return int(capacity) - int(taken)
}

func (tw twin) eachSlot(site, product int, date campaign.Date, hasDate bool, yield func(event.SlotID, campaign.Slot)) {
	for s := range event.SlotID(tw.d.SlotCount()) {
		slot := tw.d.Slot(s)
		if (site < 0 || slot.Site == site) && (product < 0 || slot.Product == product) && (!hasDate || slot.Date == date) {
			yield(s, slot)
		}
	}
}

func (tw twin) slots(q *SlotsQuery) slotsJSON {
	out := slotsJSON{Slots: []slotJSON{}, AsOf: string(tw.d.AppendTime(nil, tw.now))}
	tw.eachSlot(q.Site, q.Product, q.Date, q.HasDate, func(s event.SlotID, slot campaign.Slot) {
		if q.OnlyAvailable && tw.left(s) == 0 {
			return
		}
		_, capacity := tw.w.Slot(s)
		out.Slots = append(out.Slots, slotJSON{
			ID: string(tw.d.AppendSlotID(nil, s)), Site: tw.d.Sites[slot.Site].ID,
			StartsAt: string(tw.d.AppendTime(nil, slot.Starts)), EndsAt: string(tw.d.AppendTime(nil, slot.Ends)),
			Product: tw.d.Products[slot.Product].ID, Capacity: int(capacity), Available: tw.left(s),
		})
	})
	return out
}

// sites returns all sites that pass q's filters, in the file's order.
func (tw twin) sites(q *SitesQuery) []siteJSON {
	out := []siteJSON{}
	for i, site := range tw.d.Sites {
		row := siteJSON{ID: site.ID, Name: site.Name, Region: site.Region, Address: site.Address, Lat: site.Lat, Lon: site.Lon}
		tw.eachSlot(i, q.Product, q.Date, q.HasDate, func(s event.SlotID, _ campaign.Slot) { row.Available += tw.left(s) })
		if q.Near {
			km := haversine(q.Lat, q.Lon, site.Lat, site.Lon)
			row.DistanceKM = &km
		}
		switch {
		case q.Region != "" && site.Region != q.Region:
		case q.OnlyAvailable && row.Available == 0:
		case q.Near && q.RadiusKM > 0 && *row.DistanceKM > q.RadiusKM:
		default:
			out = append(out, row)
		}
	}
	return out
}

func haversine(lat1, lon1, lat2, lon2 float64) float64 {
	half := func(degrees float64) float64 { return math.Pow(math.Sin(degrees*math.Pi/360), 2) }
	h := half(lat2-lat1) + math.Cos(lat1*math.Pi/180)*math.Cos(lat2*math.Pi/180)*half(lon2-lon1)
	return 2 * 6371.0088 * math.Asin(math.Min(1, math.Sqrt(h)))
}

// alternatives ranks every slot of the campaign.
func (tw twin) alternatives(asked event.SlotID, n int) []event.SlotID {
	type ranked struct {
		slot         event.SlotID
		product, far int
		km           float64
		site         int
		gap          event.Time
	}
	from := tw.d.Slot(asked)
	home := tw.d.Sites[from.Site]
	var all []ranked
	tw.eachSlot(-1, -1, 0, false, func(s event.SlotID, slot campaign.Slot) {
		if s == asked || tw.left(s) == 0 || slot.Site != from.Site && slot.Date != from.Date {
			return
		}
		r := ranked{slot: s, product: slot.Product, site: slot.Site, gap: max(slot.Starts-from.Starts, from.Starts-slot.Starts)}
		if slot.Product == from.Product {
			r.product = -1
		}
		if slot.Site != from.Site {
			r.far = 1
			r.km = haversine(home.Lat, home.Lon, tw.d.Sites[slot.Site].Lat, tw.d.Sites[slot.Site].Lon)
		}
		all = append(all, r)
	})
	slices.SortStableFunc(all, func(a, b ranked) int {
		for _, d := range [...]int{a.product - b.product, a.far - b.far, nearer(a.km, b.km), a.site - b.site, int(a.gap - b.gap)} {
			if d != 0 {
				return d
			}
		}
		return 0
	})
	found := []event.SlotID{}
	for _, r := range all[:min(n, len(all))] {
		found = append(found, r.slot)
	}
	return found
}

// rounding is the difference in km below which two formulas may disagree.
const rounding = 1e-4

func nearer(a, b float64) int {
	switch {
	case a < b-rounding:
		return -1
	case a > b+rounding:
		return 1
	}
	return 0
}

const noon = event.Time(1626750000000) // 2021-07-20T12:00:00+09:00, the day of the drawn slots

var dates = []string{"2021-07-20", "2021-07-21", "2021-07-22"}

// drawSites draws sites of which some share a place. Where they are scattered,
// no two places are equally far from a third; otherwise they lie on a grid, at
// the poles and on both sides of the 180th meridian too.
func drawSites(t *rapid.T, scattered bool) []campaign.Site {
	scatter := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "scatter"), 1))
	n := rapid.IntRange(1, 12).Draw(t, "sites")
	sites := make([]campaign.Site, n)
	for i := range sites {
		sites[i] = campaign.Site{
			ID:      fmt.Sprintf("s%d", i),
			Name:    rapid.SampledFrom([]string{"중앙의원", `The "Old" Clinic`, `back\slash`, "a<b>&c"}).Draw(t, "name"),
			Region:  rapid.SampledFrom([]string{"KR-11", "KR-26", "서울, 강남"}).Draw(t, "region"),
			Address: "1, 길 " + strconv.Itoa(i),
			Lat:     drawDegrees(t, 90, "lat"), Lon: drawDegrees(t, 180, "lon"),
		}
		if scattered {
			sites[i].Lat, sites[i].Lon = float64(scatter.IntN(180e6)-90e6)/1e6, float64(scatter.IntN(360e6)-180e6)/1e6
		}
		if i > 0 && rapid.IntRange(0, 3).Draw(t, "same place") == 0 {
			sites[i].Lat, sites[i].Lon = sites[i-1].Lat, sites[i-1].Lon
		}
	}
	return sites
}

func drawDegrees(t *rapid.T, most int, label string) float64 {
	if rapid.IntRange(0, 5).Draw(t, label+" at an end") == 0 {
		return float64(rapid.SampledFrom([]int{-most, 0, most}).Draw(t, label))
	}
	return float64(rapid.IntRange(-most*99999, most*99999).Draw(t, label)) / 100000
}

func drawRules(t *rapid.T, sites []campaign.Site) []string {
	var rules []string
	for p, product := range []string{"moderna", "pfizer", "janssen"} {
		if p > 0 && rapid.Bool().Draw(t, "without "+product) {
			continue
		}
		at := "all"
		if p > 0 {
			at = "[" + rapid.SampledFrom(sites).Draw(t, "site").ID + "]"
		}
		from := rapid.IntRange(0, len(dates)-1).Draw(t, "from")
		to := rapid.IntRange(from, len(dates)-1).Draw(t, "to")
		rules = append(rules, fmt.Sprintf("{sites: %s, dates: %s..%s, times: 1%d:00..14:00, every: 30m, capacity: %d, product: %s}",
			at, dates[from], dates[to], rapid.IntRange(0, 3).Draw(t, "hour"), rapid.IntRange(1, 3).Draw(t, "capacity"), product))
	}
	return rules
}

func drawWorld(t *rapid.T, scattered bool) (*world, twin) {
	sites := drawSites(t, scattered)
	d := define(t, sites, drawRules(t, sites)...)
	w := &world{taken: make([]atomic.Uint32, d.SlotCount())}
	w.definition.Store(d)
	full := rapid.IntRange(0, 100).Draw(t, "percent full")
	dice := rapid.IntRange(0, 99)
	for s := range w.taken {
		if dice.Draw(t, "full") < full {
			w.taken[s].Store(uint32(d.Capacity(event.SlotID(s))))
		}
	}
	now := noon + event.Time(rapid.IntRange(-3, 4).Draw(t, "half hours")*30*60*1000) + event.Time(rapid.IntRange(-1, 1).Draw(t, "ms"))
	return w, twin{d, w, now}
}

func drawSitesQuery(t *rapid.T, d *campaign.Definition) SitesQuery {
	q := SitesQuery{
		Region:        rapid.SampledFrom([]string{"", "", "KR-11", "서울, 강남", "nowhere"}).Draw(t, "region"),
		Product:       rapid.IntRange(-1, 3).Draw(t, "product"),
		OnlyAvailable: rapid.Bool().Draw(t, "only available"),
		Limit:         rapid.SampledFrom([]int{0, 1, 2, 3, 50, 1000}).Draw(t, "limit"),
	}
	q.Date, q.HasDate = drawDate(t)
	if rapid.Bool().Draw(t, "near") {
		q.Near, q.Lat, q.Lon = true, drawDegrees(t, 90, "lat"), drawDegrees(t, 180, "lon")
		if rapid.Bool().Draw(t, "bounded") {
			q.RadiusKM = float64(rapid.IntRange(1, 20000).Draw(t, "radius"))
		}
		if rapid.IntRange(0, 3).Draw(t, "at a site") == 0 {
			site := rapid.SampledFrom(d.Sites).Draw(t, "site")
			q.Lat, q.Lon = site.Lat, site.Lon
		}
	}
	return q
}

func drawDate(t *rapid.T) (campaign.Date, bool) {
	if rapid.Bool().Draw(t, "any date") {
		return 0, false
	}
	date, err := campaign.ParseDate(rapid.SampledFrom(append(dates, "2022-01-01")).Draw(t, "date"))
	if err != nil {
		t.Fatalf("date: %v", err)
	}
	return date, true
}

// decode reads body strictly, and checks that writing it again gives the same
// values in the same order.
func decode[T any](t fatal, body []byte) T {
	t.Helper()
	var v T
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&v); err != nil || dec.More() {
		t.Fatalf("decode %s: %v", body, err)
	}
	var again bytes.Buffer
	enc := json.NewEncoder(&again)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		t.Fatalf("encode: %v", err)
	}
	if got := strings.ReplaceAll(string(body), ".0}", "}"); got != strings.TrimSpace(again.String()) {
		t.Fatalf("fields out of order:\n got %s\nwant %s", got, again.Bytes())
	}
	return v
}
