package core_test

import (
	"encoding/binary"
	"fmt"
	"runtime"
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

var (
	bornBig, _ = campaign.ParseDate("1967-05-05")
	bigOpens   = at("2021-07-19T20:00:00+09:00")
)

// crowd is a big campaign and people who are all alike but for their keys.
type crowd struct {
	e     *core.Engine
	camp  *core.Campaign
	slots int
}

func newCrowd(t testing.TB, sites int, line string) crowd {
	e, camp := start(t, parse(t, bigCampaign(sites, 65535)+line), &void{})
	d, _ := camp.Definition()
	return crowd{e, camp, d.SlotCount()}
}

func (c crowd) book(i int, slot event.SlotID) error {
	cmd := core.Command{Op: core.Book, Person: key(i), Born: bornBig, Slot: slot}
	_, err := c.e.Do(bigOpens, &cmd)
	return err
}

// join joins before the opening.
func (c crowd) join(i int) error {
	cmd := core.Command{Op: core.Join, Person: key(i), Born: bornBig}
	_, err := c.e.Do(bigOpens-1, &cmd)
	return err
}

// newLine is a crowd of whom count are in line, drawn and called.
func newLine(t testing.TB, sites, count int) crowd {
	c := newCrowd(t, sites, byLot)
	done(t)(c.e.OpenDraw(bigOpens-1, c.camp, bornBig, commitmentOf))
	for i := range count {
		if err := c.join(i); err != nil {
			t.Fatal(err)
		}
	}
	done(t)(c.e.Draw(bigOpens, c.camp, 1, seedOf(1)))
	if count > 0 {
		done(t)(c.e.Serve(bigOpens, c.camp, event.Number(count)))
	}
	return c
}

func BenchmarkBookSpread(b *testing.B) {
	c := newCrowd(b, 1000, "")
	each(b, func(i int) error { return c.book(i, event.SlotID(i%c.slots)) })
}

func BenchmarkBookOneHotSlot(b *testing.B) {
	c := newCrowd(b, 400, "")
	const perSlot = 65000 // the hot slot moves on before it is full
	each(b, func(i int) error { return c.book(i, event.SlotID(i/perSlot)) })
}

// BenchmarkBookInLine books for people whose number comes from a draw.
func BenchmarkBookInLine(b *testing.B) {
	c := newLine(b, 1000, b.N+1)
	each(b, func(i int) error { return c.book(i, event.SlotID(i%c.slots)) })
}

// BenchmarkJoin puts people into a draw and says what one of them costs in
// resident memory.
func BenchmarkJoin(b *testing.B) {
	c := newCrowd(b, 1, byLot)
	done(b)(c.e.OpenDraw(bigOpens-1, c.camp, bornBig, commitmentOf))
	before := heap()
	each(b, c.join)
	b.ReportMetric(float64(heap()-before)/float64(b.N), "B-resident/person")
	runtime.KeepAlive(c)
}

// BenchmarkServe raises the mark: what every record of a whole campaign costs,
// which takes the locks of all people.
func BenchmarkServe(b *testing.B) {
	c := newCrowd(b, 1, byLot)
	b.ReportAllocs()
	mark := event.Number(0)
	for b.Loop() {
		mark++
		if _, err := c.e.Serve(bigOpens, c.camp, mark); err != nil {
			b.Fatal(err)
		}
	}
}

func each(b *testing.B, do func(i int) error) {
	var next atomic.Int64
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := do(int(next.Add(1))); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
}

// heap returns the bytes of all that is in use.
func heap() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

func TestBookingDoesNotAllocate(t *testing.T) {
	const warm = 200_000 // past the growth of tables
	for name, c := range map[string]crowd{"without a line": newCrowd(t, 100, ""), "in line": newLine(t, 100, warm+5000)} {
		doesNotAllocate(t, name, warm, func(i int) error { return c.book(i, event.SlotID(i%c.slots)) })
	}
}

func TestJoiningDoesNotAllocate(t *testing.T) {
	c := newLine(t, 1, 0)
	doesNotAllocate(t, "after the draw", 200_000, func(i int) error {
		cmd := core.Command{Op: core.Join, Person: key(i), Born: bornBig}
		_, err := c.e.Do(bigOpens, &cmd)
		return err
	})
	early := newCrowd(t, 1, byLot)
	done(t)(early.e.OpenDraw(bigOpens-1, early.camp, bornBig, commitmentOf))
	doesNotAllocate(t, "early", 200_000, early.join)
}

func doesNotAllocate(t *testing.T, name string, warm int, do func(i int) error) {
	t.Helper()
	for i := range warm {
		if err := do(i); err != nil {
			t.Fatal(err)
		}
	}
	i := warm
	if n := testing.AllocsPerRun(2000, func() {
		if err := do(i); err != nil {
			t.Error(err)
		}
		i++
	}); n > 0 {
		t.Fatalf("%s: %v allocations", name, n)
	}
}

// TestPlaceInLineIsSmall measures what a million people in line keep resident.
// A person takes a row of 32 bytes and an entry of the index, of 4 bytes, which
// is between 3/8 and 3/4 full: 37 to 43 bytes, and half a page of 8 KiB for
// each of 256 shards, which is one byte each at a million.
func TestPlaceInLineIsSmall(t *testing.T) {
	const people, most = 1_000_000, 64
	c := newCrowd(t, 1, byLot)
	done(t)(c.e.OpenDraw(bigOpens-1, c.camp, bornBig, commitmentOf))
	before := heap()
	for i := range people {
		if err := c.join(i); err != nil {
			t.Fatal(err)
		}
	}
	done(t)(c.e.Draw(bigOpens, c.camp, 1, seedOf(1)))
	bytes := float64(heap()-before) / people
	t.Logf("%.1f bytes a person", bytes)
	if bytes > most || bytes < 32 {
		t.Errorf("%.1f bytes a person, at most %d are allowed and 32 needed", bytes, most)
	}
	if n := c.camp.Issued(); n != people {
		t.Errorf("%d numbers are given", n)
	}
}
