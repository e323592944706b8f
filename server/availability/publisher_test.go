package availability

import (
	"encoding/json"
	"fmt"
	"math"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"weir/core"
	"weir/core/campaign"
	"weir/core/event"
)

var _ Source = (*core.Campaign)(nil)

const oneRule = "{sites: all, dates: 2021-08-16..2021-08-19, times: 09:00..17:00, every: 30m, capacity: 6, product: moderna}"

// someSites spreads sites over Korea, in three regions.
func someSites(n int) []campaign.Site {
	sites := make([]campaign.Site, n)
	for i := range sites {
		sites[i] = campaign.Site{
			ID: fmt.Sprintf("site-%05d", i), Name: fmt.Sprintf("제%d의원", i), Region: fmt.Sprintf("KR-%d", 11+i%3),
			Address: fmt.Sprintf("서울특별시 어느구 어느로 %d", i),
			Lat:     34 + float64(i*7919%n)/float64(n)*4, Lon: 126 + float64(i*104729%n)/float64(n)*3,
		}
	}
	return sites
}

// TestAge checks that nothing is served that is too old or of another time.
func TestAge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{definition: atomic.Pointer[campaign.Definition]{}}
		d := define(t, someSites(2), oneRule)
		w.definition.Store(d)
		w.taken = make([]atomic.Uint32, d.SlotCount())
		age := time.Duration(rapid.IntRange(0, 1500).Draw(t, "max age")) * time.Millisecond
		p := New(w, age)
		if age == 0 {
			age = defaultAge
		}
		now := noon
		for range 20 {
			now += event.Time(rapid.IntRange(0, 1200).Draw(t, "later"))
			doc, err := p.Sites(now, &SitesQuery{Product: -1}, Encoding(rapid.IntRange(0, 2).Draw(t, "encoding")))
			if err != nil {
				t.Fatalf("sites: %v", err)
			}
			slots, err := p.Slots(now, &SlotsQuery{Product: -1}, Identity)
			if err != nil {
				t.Fatalf("slots: %v", err)
			}
			for _, doc := range []Document{doc, slots} {
				if old := now - doc.AsOf; old < 0 || old >= event.Time(min(age, MaxStale).Milliseconds()) {
					t.Fatalf("a document %d ms old, max age %v", old, age)
				}
			}
			if got := decode[slotsJSON](t, slots.Body).AsOf; got != string(d.AppendTime(nil, slots.AsOf)) {
				t.Fatalf("as_of %s, AsOf %d", got, slots.AsOf)
			}
		}
	})
}

// TestOneSummaryAtATime stops the making of a summary half-way, and checks that
// nobody else makes one meanwhile, that readers are served from the one before,
// and that one who comes too late for that waits for the new one.
func TestOneSummaryAtATime(t *testing.T) {
	w := newWorld(t, someSites(4), oneRule)
	p := New(w, 100*time.Millisecond)
	p.Refresh(noon)

	// The next summary stops at its first slot until it is let go on.
	var once sync.Once
	stopped, goOn := make(chan struct{}), make(chan struct{})
	w.onSlot = func() {
		once.Do(func() {
			close(stopped)
			<-goOn
		})
	}
	read := func(age event.Time) <-chan Document {
		answer := make(chan Document, 1)
		go func() {
			doc, err := p.Sites(noon+age, &SitesQuery{Product: -1}, Identity)
			if err != nil {
				t.Errorf("%d ms later: %v", age, err)
			}
			answer <- doc
		}()
		return answer
	}
	letGo := sync.OnceFunc(func() { close(goOn) })
	defer letGo()
	maker := read(500)
	await(t, stopped)
	before := w.reads.Load()
	for _, age := range []event.Time{100, 999, 1000} {
		if doc := await(t, read(age)); doc.AsOf != noon {
			t.Errorf("%d ms later: as of %d", age, doc.AsOf-noon)
		}
	}
	late := read(1001)
	if n := w.reads.Load(); n != before {
		t.Errorf("readers read %d slots while a summary was made", n-before)
	}
	letGo()
	if doc := await(t, maker); doc.AsOf != noon+500 {
		t.Errorf("whoever made the summary got one as of %d", doc.AsOf-noon)
	}
	if doc := await(t, late); doc.AsOf < noon+500 {
		t.Errorf("1001 ms later: as of %d", doc.AsOf-noon)
	}
}

// await receives, and fails the test where nothing comes for long.
func await[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(10 * time.Second):
		t.Fatal("nothing within 10 s")
		panic("unreachable")
	}
}

// TestReadsWhileSlotsChange checks that a document shows what was taken before
// its AsOf, while places are taken, time passes and the definition changes.
func TestReadsWhileSlotsChange(t *testing.T) {
	const readers, rounds, tick, sites = 4, 300, 3, 20
	rule := strings.Replace(oneRule, "capacity: 6", "capacity: 400", 1)
	w := newWorld(t, someSites(sites), rule)
	p := New(w, 10*time.Millisecond)
	other := define(t, someSites(sites), rule)
	places := other.Places() / sites // of one site

	// At noon + i*tick, i places of the first slot are taken.
	var clock atomic.Int64
	clock.Store(int64(noon))
	var group sync.WaitGroup
	group.Go(func() {
		for i := range rounds {
			w.taken[0].Store(uint32(i + 1))
			if i == rounds/2 {
				w.definition.Store(other)
			}
			p.Refresh(event.Time(clock.Add(tick)))
		}
	})
	check := func(now event.Time, doc Document, err error, available int) {
		if err != nil || now-doc.AsOf > 1000 || available > places-int(doc.AsOf-noon)/tick {
			t.Errorf("at %d: as of %d, %d available, %v", now-noon, doc.AsOf-noon, available, err)
		}
	}
	for r := range readers {
		group.Go(func() {
			for i := range rounds {
				now := event.Time(clock.Load())
				doc, err := p.Slots(now, &SlotsQuery{Product: -1, OnlyAvailable: i%2 == 0}, Identity)
				check(now, doc, err, available(doc))
				doc, err = p.Sites(now, &SitesQuery{Product: -1, Limit: 1, OnlyAvailable: i%2 == 0}, Identity)
				check(now, doc, err, available(doc))
				doc, err = p.Sites(now, &SitesQuery{Product: -1, Near: i%2 == 0, Lat: 37, Lon: float64(i % 9)}, Encoding(r%int(encodings)))
				check(now, doc, err, 0)
				if found := p.Alternatives(now, event.SlotID(i), 5, nil); len(found) != 5 {
					t.Errorf("alternatives: %v", found)
				}
			}
		})
	}
	group.Wait()
}

// available sums the places of the sites or slots in a body.
func available(d Document) int {
	var body struct{ Sites, Slots []struct{ Available int } }
	if err := json.Unmarshal(d.Body, &body); err != nil {
		return math.MaxInt
	}
	sum := 0
	for _, row := range append(body.Sites, body.Slots...) {
		sum += row.Available
	}
	return sum
}

// TestMadeOnce has many ask for the same at once, and counts the looks at slots.
func TestMadeOnce(t *testing.T) {
	w := newWorld(t, someSites(60), oneRule)
	w.onSlot = runtime.Gosched // lets the others go on in the midst of the making
	p := New(w, 0)
	together := func(do func(i int)) (reads int) {
		before := w.reads.Load()
		var group sync.WaitGroup
		for i := range 16 {
			group.Go(func() { do(i) })
		}
		group.Wait()
		return int(w.reads.Load() - before)
	}
	if n, want := together(func(int) { p.Refresh(noon) }), len(w.taken); n != want {
		t.Errorf("%d looks at slots for one summary of %d", n, want)
	}
	for _, q := range []SlotsQuery{{Site: 3, Product: -1}, {Site: 3, Product: -1, OnlyAvailable: true}} {
		docs := make([]Document, 16)
		if n, want := together(func(i int) { docs[i], _ = p.Slots(noon, &q, Gzip) }), len(w.taken)/60; n != want {
			t.Errorf("%+v: %d looks at %d slots", q, n, want)
		}
		for _, d := range docs {
			if &d.Body[0] != &docs[0].Body[0] {
				t.Fatalf("%+v: two bodies", q)
			}
		}
	}
}

// TestAsOfIsNoEarlierThanTheSummary reads with clock readings that come late.
func TestAsOfIsNoEarlierThanTheSummary(t *testing.T) {
	w := newWorld(t, someSites(3), oneRule)
	p := New(w, 0)
	p.Refresh(noon)
	doc, err := p.Slots(noon-5, &SlotsQuery{Product: -1}, Identity)
	if err != nil || doc.AsOf != noon {
		t.Errorf("slots: as of %d, %v", doc.AsOf-noon, err)
	}
	w.definition.Store(define(t, someSites(3), oneRule))
	doc, err = p.Sites(noon-5, &SitesQuery{Product: -1}, Identity)
	if err != nil || doc.AsOf != noon {
		t.Errorf("sites of the next definition: as of %d, %v", doc.AsOf-noon, err)
	}
}

// TestBegun checks that a slot has places until it begins, to the millisecond.
func TestBegun(t *testing.T) {
	w := newWorld(t, someSites(1), oneRule)
	d := w.definition.Load()
	for _, slot := range []event.SlotID{0, 1, 15, 16, event.SlotID(d.SlotCount() - 1)} { // 16 a day
		starts := d.SlotStarts(slot)
		for now, want := range map[event.Time]int{starts - 1: d.SlotCount() - int(slot), starts: d.SlotCount() - int(slot) - 1} {
			p := New(w, 0)
			sites, err := p.Sites(now, &SitesQuery{Product: -1}, Identity)
			if err != nil || available(sites) != want*6 {
				t.Errorf("slot %d begins in %d ms: %d places at the site, want %d slots of 6, %v", slot, starts-now, available(sites), want, err)
			}
			slots, err := p.Slots(now, &SlotsQuery{Product: -1}, Identity)
			if err != nil || available(slots) != want*6 {
				t.Errorf("slot %d begins in %d ms: %d places of slots, want %d slots of 6, %v", slot, starts-now, available(slots), want, err)
			}
		}
	}
}

func TestETag(t *testing.T) {
	w := newWorld(t, someSites(3), oneRule)
	p := New(w, 0)
	now := noon
	read := func() [3]string {
		now += 2000
		var tags [3]string
		for i := range tags {
			doc, err := p.Slots(now, &SlotsQuery{Site: i, Product: -1}, Identity)
			if i == 2 {
				doc, err = p.Sites(now, &SitesQuery{Product: -1}, Identity)
			}
			if err != nil || !strings.HasPrefix(doc.ETag, `W/"`) || len(doc.ETag) != 20 || doc.AsOf != now {
				t.Fatalf("%q as of %d at %d, %v", doc.ETag, doc.AsOf, now, err)
			}
			tags[i] = doc.ETag
		}
		return tags
	}
	first := read()
	if again := read(); again != first {
		t.Errorf("nothing changed, but the tags: %q, %q", first, again)
	}
	w.taken[0].Store(1)
	changed := read()
	if changed[0] == first[0] || changed[1] != first[1] || changed[2] == first[2] {
		t.Errorf("a place of the first site was taken: %q, %q", first, changed)
	}
	w.taken[0].Store(0)
	if back := read(); back != first {
		t.Errorf("as at first, but the tags: %q, %q", first, back)
	}
}

// TestDefinitionReplaced checks that a new definition shows at once, however
// new the summary is, and that cursors go on.
func TestDefinitionReplaced(t *testing.T) {
	sites := someSites(3)
	w := newWorld(t, sites, oneRule)
	p := New(w, 0)
	q := &SitesQuery{Product: -1, Limit: 1}
	doc, err := p.Sites(noon, q, Identity)
	if err != nil {
		t.Fatal(err)
	}
	q.Cursor = decode[sitesJSON](t, doc.Body).Next
	sites[1].Name = "새 이름"
	w.definition.Store(define(t, sites, strings.Replace(oneRule, "capacity: 6", "capacity: 7", 1)))
	doc, err = p.Sites(noon, q, Identity)
	if err != nil {
		t.Fatal(err)
	}
	if page := decode[sitesJSON](t, doc.Body); page.Sites[0].Name != "새 이름" || page.Sites[0].Available != 4*16*7 {
		t.Errorf("got %+v", page)
	}
}

// TestBounds checks that a full store neither refuses nor compresses nor grows.
func TestBounds(t *testing.T) {
	w := newWorld(t, someSites(60), oneRule)
	p := New(w, 0)
	p.Refresh(noon)
	s := p.current.Load()
	for i := range queryMax + 10 {
		q := &SitesQuery{Product: -1, Near: true, Lat: 37, Lon: float64(i) / 1e4, Limit: 1}
		if _, err := p.Sites(noon, q, Identity); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(s.queries.entries); n != queryMax {
		t.Errorf("%d documents kept, %d are the most", n, queryMax)
	}
	s.regular.room.Store(0)
	for range 2 {
		doc, err := p.Slots(noon, &SlotsQuery{Site: 1, Product: -1}, Gzip)
		if err != nil || doc.Encoding != Identity || s.slots[1].ready(Identity) != nil {
			t.Errorf("without room: %v, %v", doc.Encoding, err)
		}
		doc, err = p.Slots(noon, &SlotsQuery{Site: 1, Product: -1, OnlyAvailable: true}, Gzip)
		if err != nil || doc.Encoding != Identity {
			t.Errorf("without an entry: %v, %v", doc.Encoding, err)
		}
	}
}

func TestHitAllocatesNothing(t *testing.T) {
	p := New(newWorld(t, someSites(200), oneRule), 0)
	first, err := p.Sites(noon, &SitesQuery{Product: -1}, Identity)
	if err != nil {
		t.Fatal(err)
	}
	next := decode[sitesJSON](t, first.Body).Next
	date, _ := campaign.ParseDate("2021-08-17")
	sites := []*SitesQuery{
		{Product: -1},
		{Product: -1, Region: "KR-12"},
		{Product: 0, Region: "KR-12", Date: date, HasDate: true, OnlyAvailable: true, Limit: 7},
		{Product: -1, Cursor: next},
		{Product: -1, Near: true, Lat: 37.5, Lon: 127, RadiusKM: 30},
	}
	slots := []*SlotsQuery{{Site: 5, Product: -1}, {Site: 5, Product: 0, Date: date, HasDate: true}}
	dst := make([]event.SlotID, 0, 5)
	read := func() {
		for _, q := range sites {
			if _, err := p.Sites(noon, q, Gzip); err != nil {
				t.Fatal(err)
			}
		}
		for _, q := range slots {
			if _, err := p.Slots(noon, q, Gzip); err != nil {
				t.Fatal(err)
			}
		}
		dst = p.Alternatives(noon, 77, 5, dst[:0])
	}
	read()
	read()
	if n := testing.AllocsPerRun(100, read); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
