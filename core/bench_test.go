package core_test

import (
	"encoding/binary"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/zeebo/xxh3"

	"weir/core"
	"weir/core/campaign"
	"weir/core/event"
)

// bigCampaign has sites times 192 slots of the given capacity.
func bigCampaign(sites, capacity int) string {
	var b strings.Builder
	b.WriteString(`
campaign: big
name: {ko: 큰 접종, en: Big campaign}
time_zone: Asia/Seoul
cohorts:
  - {id: y1967-68, born: 1967-01-01..1968-12-31}
windows:
  - {cohorts: [y1967-68], opens: 2021-07-19T20:00, closes: 2021-07-20T18:00}
products:
  - {id: moderna, name: {ko: 모더나, en: Moderna}}
bookings: {hold: 5m}
sites:
`)
	for i := range sites {
		fmt.Fprintf(&b, "  - {id: s%d, name: S%d, region: KR-11, address: A, lat: 37.5, lon: 127}\n", i, i)
	}
	fmt.Fprintf(&b, "slots:\n  - {sites: all, dates: 2021-08-16..2021-08-28, except: [sun], times: 09:00..17:00, every: 30m, capacity: %d, product: moderna}\n", capacity)
	return b.String()
}

// key makes the key of person i, as evenly spread as a keyed hash would.
func key(i int) (k event.PersonKey) {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(i))
	h := xxh3.Hash128(b[:])
	binary.LittleEndian.PutUint64(k[:], h.Lo)
	binary.LittleEndian.PutUint64(k[8:], h.Hi)
	return k
}

// void is a journal that numbers records and drops them.
type void struct{ seq atomic.Uint64 }

func (v *void) Reserve(int) error              { return nil }
func (v *void) Release(int)                    {}
func (v *void) Append(*event.Record) event.Seq { return event.Seq(v.seq.Add(1)) }
func (v *void) Wait(event.Seq) error           { return nil }
func (v *void) Durable() event.Seq             { return event.Seq(v.seq.Load()) }

func booker(t testing.TB, sites int) (book func(i int, slot event.SlotID) error, slots int) {
	e, camp := start(t, parse(t, bigCampaign(sites, 65535)), &void{})
	born, err := campaign.ParseDate("1967-05-05")
	if err != nil {
		t.Fatal(err)
	}
	now := at("2021-07-19T20:00:00+09:00")
	d, _ := camp.Definition()
	return func(i int, slot event.SlotID) error {
		c := core.Command{Op: core.Book, Person: key(i), Born: born, Slot: slot}
		_, err := e.Do(now, &c)
		return err
	}, d.SlotCount()
}

func BenchmarkBookSpread(b *testing.B) {
	book, slots := booker(b, 1000)
	benchmarkBook(b, func(i int) error { return book(i, event.SlotID(i%slots)) })
}

func BenchmarkBookOneHotSlot(b *testing.B) {
	book, _ := booker(b, 400)
	const perSlot = 65000 // the hot slot moves on before it is full
	benchmarkBook(b, func(i int) error { return book(i, event.SlotID(i/perSlot)) })
}

func benchmarkBook(b *testing.B, book func(i int) error) {
	var next atomic.Int64
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := book(int(next.Add(1))); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "bookings/s")
}

func TestBookingDoesNotAllocate(t *testing.T) {
	book, slots := booker(t, 100)
	for i := range 200_000 { // past the growth of tables
		if err := book(i, event.SlotID(i%slots)); err != nil {
			t.Fatal(err)
		}
	}
	i := 200_000
	if n := testing.AllocsPerRun(2000, func() {
		i++
		if err := book(i, event.SlotID(i%slots)); err != nil {
			t.Error(err)
		}
	}); n > 0 {
		t.Fatalf("%v allocations a booking", n)
	}
}
