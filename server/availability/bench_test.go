package availability

import (
	"strings"
	"sync/atomic"
	"testing"

	"weir/core/campaign"
	"weir/core/event"
)

// dense is a source as cheap as the core's: one load a slot.
type dense struct {
	definition *campaign.Definition
	slots      []atomic.Uint32 // taken<<16 | capacity
}

func (d *dense) Definition() (*campaign.Definition, event.Version) { return d.definition, 1 }

func (d *dense) Slot(s event.SlotID) (taken, capacity uint16) {
	v := d.slots[s].Load()
	return uint16(v >> 16), uint16(v)
}

// large is a campaign of 2,500 sites and 480,000 slots. Full says how many
// percent of the slots have no places left.
func large(b *testing.B, full int) *dense {
	d := define(b, someSites(2500),
		strings.Replace(oneRule, "2021-08-16..2021-08-19", "2021-08-16..2021-08-27", 1))
	w := &dense{d, make([]atomic.Uint32, d.SlotCount())}
	for s := range w.slots {
		w.slots[s].Store(6)
		if s*7919%100 < full {
			w.slots[s].Store(6<<16 | 6)
		}
	}
	return w
}

func BenchmarkHit(b *testing.B) {
	p := New(large(b, 50), 0)
	date, _ := campaign.ParseDate("2021-08-17")
	b.Run("region", func(b *testing.B) {
		b.ReportAllocs()
		q := &SitesQuery{Product: -1, Region: "KR-12"}
		for b.Loop() {
			_, _ = p.Sites(noon, q, Gzip)
		}
	})
	b.Run("site", func(b *testing.B) {
		b.ReportAllocs()
		q := &SlotsQuery{Site: 1234, Product: -1}
		for b.Loop() {
			_, _ = p.Slots(noon, q, Gzip)
		}
	})
	b.Run("filtered", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			q := &SlotsQuery{Site: 1234, Product: -1, Date: date, HasDate: true}
			for pb.Next() {
				_, _ = p.Slots(noon, q, Gzip)
			}
		})
	})
}

func BenchmarkRefresh(b *testing.B) {
	p := New(large(b, 50), 0)
	b.ReportAllocs()
	now := noon
	for b.Loop() {
		now += 1000
		p.Refresh(now)
	}
}

func BenchmarkLayout(b *testing.B) {
	w := large(b, 50)
	b.ReportAllocs()
	for b.Loop() {
		newLayout(w.definition)
	}
}

func BenchmarkMiss(b *testing.B) {
	p := New(large(b, 50), 0)
	p.Refresh(noon)
	date, _ := campaign.ParseDate("2021-08-17")
	sites := func(q SitesQuery) func(Encoding) int {
		return func(enc Encoding) int {
			d, _ := p.Sites(noon, &q, enc)
			return len(d.Body)
		}
	}
	slots := func(q SlotsQuery) func(Encoding) int {
		return func(enc Encoding) int {
			d, _ := p.Slots(noon, &q, enc)
			return len(d.Body)
		}
	}
	for _, c := range []struct {
		name string
		read func(Encoding) int
	}{
		{"region", sites(SitesQuery{Product: -1, Region: "KR-12"})},
		{"near", sites(SitesQuery{Product: -1, Near: true, Lat: 37.5, Lon: 127})},
		{"near-full", sites(SitesQuery{Product: -1, Near: true, Lat: 37.5, Lon: 127, OnlyAvailable: true, HasDate: true})},
		{"site", slots(SlotsQuery{Site: 1234, Product: -1})},
		{"site-day", slots(SlotsQuery{Site: 1234, Product: -1, Date: date, HasDate: true})},
	} {
		for _, enc := range []Encoding{Identity, Gzip, Zstd} {
			b.Run(c.name+"/"+enc.String(), func(b *testing.B) {
				b.ReportAllocs()
				size := 0
				s := p.current.Load()
				for b.Loop() {
					clear(s.whole)
					clear(s.slots[1234:1235])
					s.queries.entries = nil
					s.regular.room.Store(regularBytes)
					s.queries.room.Store(queryBytes)
					size = c.read(enc)
				}
				b.ReportMetric(float64(size), "bytes")
			})
		}
	}
}

func BenchmarkAlternatives(b *testing.B) {
	for name, full := range map[string]int{"open": 1, "half": 50, "full": 100} {
		b.Run(name, func(b *testing.B) {
			p := New(large(b, full), 0)
			dst := make([]event.SlotID, 0, 5)
			b.ReportAllocs()
			slot := event.SlotID(0)
			for b.Loop() {
				dst = p.Alternatives(noon, slot%480000, 5, dst[:0])
				slot += 7919
			}
		})
	}
}
