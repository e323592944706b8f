package availability

import (
	"bytes"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"weir/core/event"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSlotsAgreeWithTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, tw := drawWorld(t, false)
		p := New(w, 0)
		for range 5 {
			q := SlotsQuery{
				Site:          rapid.IntRange(-1, len(tw.d.Sites)).Draw(t, "site"),
				Product:       rapid.IntRange(-1, 3).Draw(t, "product"),
				OnlyAvailable: rapid.Bool().Draw(t, "only available"),
			}
			q.Date, q.HasDate = drawDate(t)
			doc, err := p.Slots(tw.now, &q, Identity)
			if err != nil {
				t.Fatalf("slots: %v", err)
			}
			want := tw.slots(&q)
			if q.Site < 0 { // the twin takes that for all sites
				want.Slots = []slotJSON{}
			}
			if got := decode[slotsJSON](t, doc.Body); !reflect.DeepEqual(got, want) {
				t.Fatalf("%+v:\n got %+v\nwant %+v", q, got, want)
			}
		}
	})
}

func TestSitesAgreeWithTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, tw := drawWorld(t, false)
		p := New(w, 0)
		for range 5 {
			q := drawSitesQuery(t, tw.d)
			got, want := readPages(t, p, tw.now, q), tw.sites(&q)
			if q.Near {
				checkNear(t, got, want, tw)
				continue
			}
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("%+v:\n got %+v\nwant %+v", q, got, want)
			}
		}
	})
}

// readPages follows next to the end, and checks the size of every page.
func readPages(t fatal, p *Publisher, now event.Time, q SitesQuery) []siteJSON {
	t.Helper()
	limit := min(q.Limit, MaxLimit)
	if limit == 0 {
		limit = DefaultLimit
	}
	got := []siteJSON{}
	for range 100 {
		doc, err := p.Sites(now, &q, Identity)
		if err != nil {
			t.Fatalf("%+v: %v", q, err)
		}
		page := decode[sitesJSON](t, doc.Body)
		if page.Next != "" && len(page.Sites) != limit || len(page.Sites) > limit {
			t.Fatalf("%+v: page of %d sites, next %q", q, len(page.Sites), page.Next)
		}
		got = append(got, page.Sites...)
		if page.Next == "" {
			return got
		}
		q.Cursor = page.Next
	}
	t.Fatalf("%+v: pages without end", q)
	return nil
}

// checkNear checks that got is what want holds, nearest first and in the file's
// order where sites are in the same place.
func checkNear(t fatal, got, want []siteJSON, tw twin) {
	t.Helper()
	byID := map[string]siteJSON{}
	for _, site := range want {
		byID[site.ID] = site
	}
	before := -1.0
	for i, site := range got {
		twin, ok := byID[site.ID]
		if !ok {
			t.Fatalf("site %s twice, or not to be there", site.ID)
		}
		delete(byID, site.ID)
		km := *twin.DistanceKM
		if km < before-rounding || math.Abs(*site.DistanceKM-km) > 0.05+rounding {
			t.Fatalf("site %s said to be %v km away, is %v, the one before %v", site.ID, *site.DistanceKM, km, before)
		}
		if i > 0 && got[i-1].Lat == site.Lat && got[i-1].Lon == site.Lon {
			a, _ := tw.d.FindSite(got[i-1].ID)
			if b, _ := tw.d.FindSite(site.ID); b < a {
				t.Fatalf("site %s before %s in the same place", got[i-1].ID, site.ID)
			}
		}
		site.DistanceKM, twin.DistanceKM = nil, nil
		if site != twin {
			t.Fatalf("got %+v, want %+v", site, twin)
		}
		before = km
	}
	if len(byID) != 0 {
		t.Fatalf("missing: %v", byID)
	}
}

// TestNearInALargeCampaign has more sites than are ever ranked one by one.
func TestNearInALargeCampaign(t *testing.T) {
	w := newWorld(t, someSites(3*rankMax+30),
		"{sites: all, dates: 2021-08-16..2021-08-16, times: 09:00..09:30, every: 30m, capacity: 6, product: moderna}")
	d := w.definition.Load()
	tw := twin{d, w, noon}
	date := d.Slot(0).Date
	for _, full := range []int{0, 90} { // percent of the sites
		for s := range w.taken {
			if s%100 < full {
				w.taken[s].Store(6)
			}
		}
		p := New(w, 0)
		for i, q := range []SitesQuery{
			{},
			{Region: "KR-12"},
			{OnlyAvailable: true},
			{OnlyAvailable: true, Region: "KR-11"},
			{OnlyAvailable: true, Date: date, HasDate: true},
			{OnlyAvailable: true, Date: date, HasDate: true, Product: 1},
			{RadiusKM: 50},
		} {
			q.Near, q.Lat, q.Lon, q.Limit = true, 36+float64(i)/10, 127.3, MaxLimit
			if q.Product == 0 {
				q.Product = -1
			}
			checkNear(t, readPages(t, p, noon, q), tw.sites(&q), tw)
		}
	}
}

// TestNearestAgreesWithRanking checks the walk through the tree all over the
// Earth: poles, the 180th meridian, and many sites in one place.
func TestNearestAgreesWithRanking(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		spread := rapid.SampledFrom([]float64{0, 0.001, 1, 30, 180}).Draw(t, "spread")
		lat, lon := drawDegrees(t, 90, "lat"), drawDegrees(t, 180, "lon")
		place := func() (float64, float64) {
			y := max(-90, min(90, lat+spread*(random.Float64()-0.5)))
			x := lon + 2*spread*(random.Float64()-0.5)
			return y, math.Remainder(x, 360)
		}
		l := &layout{}
		sites := make([]int32, 600)
		for i := range sites {
			y, x := place()
			l.tree.Insert([2]float64{x, y}, [2]float64{x, y}, int32(i))
			l.points = append(l.points, pointAt(y, x))
			sites[i] = int32(i)
		}
		y, x := place()
		if rapid.Bool().Draw(t, "from elsewhere") {
			y, x = drawDegrees(t, 90, "from lat"), drawDegrees(t, 180, "from lon")
		}
		var got, want []int32
		l.nearest(y, x, func(site int32, _ float64) bool { got = append(got, site); return true })
		l.ranked(sites, y, x, func(site int32, _ float64) bool { want = append(want, site); return true })
		if !slices.Equal(got, want) {
			t.Fatalf("from %v, %v: got %v, want %v", y, x, got, want)
		}
	})
}

func TestAlternativesAgreeWithTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, tw := drawWorld(t, true)
		p := New(w, 0)
		for range 5 {
			slot := event.SlotID(rapid.IntRange(0, tw.d.SlotCount()-1).Draw(t, "slot"))
			n := rapid.IntRange(0, MaxAlternatives).Draw(t, "n")
			got := p.Alternatives(tw.now, slot, n, []event.SlotID{event.NoSlot})[1:]
			if want := tw.alternatives(slot, n); !slices.Equal(got, want) {
				t.Fatalf("alternatives to %d: got %v, want %v", slot, got, want)
			}
		}
	})
}

func TestAlternativesOutOfRange(t *testing.T) {
	w := newWorld(t, someSites(3), oneRule)
	p := New(w, 0)
	if got := p.Alternatives(noon, event.NoSlot, 5, nil); len(got) != 0 {
		t.Errorf("alternatives to no slot: %v", got)
	}
	if got := p.Alternatives(noon, 0, -1, nil); len(got) != 0 {
		t.Errorf("-1 alternatives: %v", got)
	}
	if got := p.Alternatives(noon, 0, 1000, nil); len(got) != MaxAlternatives {
		t.Errorf("1000 alternatives: %d, want %d", len(got), MaxAlternatives)
	}
}

// TestAlternativesAreLive checks that a slot that filled up since the summary
// is not offered.
func TestAlternativesAreLive(t *testing.T) {
	w := newWorld(t, someSites(1), oneRule)
	p := New(w, 0)
	p.Refresh(noon)
	w.taken[1].Store(6)
	got := p.Alternatives(noon+1, 0, 2, nil)
	if !slices.Equal(got, []event.SlotID{2, 3}) {
		t.Errorf("got %v", got)
	}
}

func TestEncodingsAgree(t *testing.T) {
	w := newWorld(t, someSites(60), oneRule)
	p := New(w, 0)
	sites := func(enc Encoding) (Document, error) { return p.Sites(noon, &SitesQuery{Product: -1}, enc) }
	slots := func(enc Encoding) (Document, error) { return p.Slots(noon, &SlotsQuery{Site: 7, Product: -1}, enc) }
	dated := func(enc Encoding) (Document, error) {
		return p.Slots(noon, &SlotsQuery{Site: 7, Product: -1, OnlyAvailable: true}, enc)
	}
	for i, read := range []func(Encoding) (Document, error){sites, slots, dated} {
		var bodies [encodings][]byte
		var tags [encodings]string
		for _, enc := range []Encoding{Gzip, Zstd, Identity, Gzip} { // compressed without and with an identity at hand
			doc, err := read(enc)
			if err != nil || doc.Encoding != enc {
				t.Fatalf("%d: asked for %v, got %v, %v", i, enc, doc.Encoding, err)
			}
			bodies[enc], tags[enc] = expand(t, doc), doc.ETag
		}
		if !bytes.Equal(bodies[Identity], bodies[Gzip]) || !bytes.Equal(bodies[Identity], bodies[Zstd]) {
			t.Errorf("%d: the encodings hold different bodies", i)
		}
		if tags[Identity] != tags[Gzip] || tags[Identity] != tags[Zstd] {
			t.Errorf("%d: different tags %q", i, tags)
		}
	}
}

func TestEncodingThatDoesNotPay(t *testing.T) {
	p := New(newWorld(t, someSites(1), oneRule), 0)
	for _, enc := range []Encoding{Gzip, Zstd, encodings, 255} {
		doc, err := p.Sites(noon, &SitesQuery{Product: -1}, enc)
		if err != nil || doc.Encoding != Identity || len(decode[sitesJSON](t, doc.Body).Sites) != 1 {
			t.Errorf("%v: got %v %s, %v", enc, doc.Encoding, doc.Body, err)
		}
	}
}

// TestNearIsCompressedTheSecondTime pins when rare documents are compressed.
func TestNearIsCompressedTheSecondTime(t *testing.T) {
	p := New(newWorld(t, someSites(60), oneRule), 0)
	q := &SitesQuery{Product: -1, Near: true, Lat: 37.5, Lon: 127}
	first, err1 := p.Sites(noon, q, Gzip)
	second, err2 := p.Sites(noon, q, Gzip)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	if first.Encoding != Identity || second.Encoding != Gzip || !bytes.Equal(first.Body, expand(t, second)) {
		t.Errorf("encodings %v, then %v", first.Encoding, second.Encoding)
	}
}

func expand(t *testing.T, d Document) []byte {
	t.Helper()
	var body []byte
	var err error
	switch d.Encoding {
	case Identity:
		return d.Body
	case Gzip:
		var r *gzip.Reader
		if r, err = gzip.NewReader(bytes.NewReader(d.Body)); err == nil {
			body, err = io.ReadAll(r)
		}
	case Zstd:
		var r *zstd.Decoder
		if r, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1)); err == nil {
			defer r.Close()
			body, err = r.DecodeAll(d.Body, nil)
		}
	}
	if err != nil {
		t.Fatalf("expand %v: %v", d.Encoding, err)
	}
	return body
}

func TestPointsOffEarth(t *testing.T) {
	p := New(newWorld(t, someSites(1), oneRule), 0)
	for _, at := range [][2]float64{{90.1, 0}, {-91, 0}, {0, 180.1}, {0, -181}, {math.NaN(), 0}, {0, math.NaN()}, {math.Inf(1), 0}} {
		if _, err := p.Sites(noon, &SitesQuery{Product: -1, Near: true, Lat: at[0], Lon: at[1]}, Identity); !errors.Is(err, ErrPoint) {
			t.Errorf("%v: %v", at, err)
		}
	}
}
