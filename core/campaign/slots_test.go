package campaign

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"weir/core/event"
)

func TestSlotsOfSpring(t *testing.T) {
	d := spring(t)
	// north: 5 days of 6 red, 2 of 2 blue; south: 5 days of 6 red at half capacity.
	if d.SlotCount() != 30+4+30 || d.Places() != 30*6+4*2+30*3 {
		t.Fatalf("%d slots, %d places", d.SlotCount(), d.Places())
	}
	if first, end := d.SiteSlots(1); first != 34 || end != 64 {
		t.Errorf("south has %d to %d", first, end)
	}
	want := []string{
		"north/2021-03-15/09:00/red 6", "north/2021-03-15/09:00/blue 2", "north/2021-03-15/09:30/red 6",
	}
	for s, line := range want {
		if got := describe(d, event.SlotID(s)); got != line {
			t.Errorf("slot %d: got %s, want %s", s, got, line)
		}
	}
	if got := describe(d, 63); got != "south/2021-03-20/11:30/red 3" {
		t.Errorf("last slot: got %s", got)
	}
	blue := d.Slot(1)
	if blue.Starts != ms(t, "2021-03-15T09:00:00+09:00") || blue.Ends != ms(t, "2021-03-15T10:00:00+09:00") || blue.Product != 1 {
		t.Errorf("got %+v", blue)
	}
	if site, ok := d.FindSite("south"); site != 1 || !ok {
		t.Errorf("south is %d %v", site, ok)
	}
	if _, ok := d.FindSite("east"); ok {
		t.Error("there is an east")
	}
}

func describe(d *Definition, s event.SlotID) string {
	return fmt.Sprintf("%s %d", d.AppendSlotID(nil, s), d.Capacity(s))
}

func TestFindSlotRefuses(t *testing.T) {
	d := spring(t)
	for _, id := range []string{
		"", "/", "///", "north", "north/2021-03-15/09:00", "north/2021-03-15/09:00/", "north/2021-03-15/09:00/green",
		"north/2021-03-15/09:00/red/", "north/2021-03-15/09:00/red/red", "east/2021-03-15/09:00/red", "/2021-03-15/09:00/red",
		"north/2021-03-17/09:00/red", "north/2021-03-15/9:00/red", "north/2021-03-15/09:15/red", "north/2021-03-15/12:00/red",
		"north/2021-3-15/09:00/red", "north/2021-02-30/09:00/red", "north/2021-03-15/09:60/red", "north/2021-03-15/24:00/red",
		"north/2021-03-15/33:00/red", "North/2021-03-15/09:00/red", "north/2021-03-15/09:00/Red", " north/2021-03-15/09:00/red",
		"south/2021-03-15/09:00/blue", "north/1900-01-01/09:00/red", "north/2199-12-31/09:00/red",
	} {
		if s, ok := d.FindSlot([]byte(id)); ok || s != event.NoSlot {
			t.Errorf("%q is slot %d", id, s)
		}
	}
}

func TestNoSuchSlotPanics(t *testing.T) {
	d := spring(t)
	for _, s := range []event.SlotID{event.SlotID(d.SlotCount()), event.SlotID(d.SlotCount()) + 1000, event.NoSlot} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("slot %d is %+v", s, d.Slot(s))
				}
			}()
			d.Slot(s)
		}()
	}
}

// checkSlots holds every slot of d to what is promised of all.
func checkSlots(t interface{ Fatalf(string, ...any) }, d *Definition) {
	places := 0
	for site := range d.Sites {
		first, end := d.SiteSlots(site)
		for s := first; s < end; s++ {
			slot := d.Slot(s)
			id := d.AppendSlotID(nil, s)
			if found, ok := d.FindSlot(id); !ok || found != s {
				t.Fatalf("slot %d is %s, which is found as %d %v", s, id, found, ok)
			}
			if slot.Site != site || slot.Starts >= slot.Ends || slot.Starts != d.SlotStarts(s) {
				t.Fatalf("slot %d of site %d: %+v", s, site, slot)
			}
			local := d.Time(slot.Starts)
			want := d.Sites[site].ID + "/" + local.Format("2006-01-02/15:04") + "/" + d.Products[slot.Product].ID
			if string(id) != want || slot.Date.String() != local.Format("2006-01-02") {
				t.Fatalf("slot %d is %s, want %s", s, id, want)
			}
			if s > first {
				before := d.Slot(s - 1)
				if slot.Starts < before.Starts || slot.Starts == before.Starts && slot.Product <= before.Product {
					t.Fatalf("slot %d comes after %d: %+v, %+v", s, s-1, slot, before)
				}
			}
			places += int(d.Capacity(s))
		}
		if site > 0 {
			if _, previous := d.SiteSlots(site - 1); previous != first {
				t.Fatalf("site %d begins at %d, not at %d", site, first, previous)
			}
		}
	}
	if _, end := d.SiteSlots(len(d.Sites) - 1); int(end) != d.SlotCount() || places != d.Places() {
		t.Fatalf("%d slots and %d places, counted %d and %d", d.SlotCount(), d.Places(), end, places)
	}
}

// genCampaign draws a campaign of sites with rules of their own, some of them
// without any, one of them with far more slots than the others.
func genCampaign(t *rapid.T) map[string]string {
	var rows, rules strings.Builder
	rows.WriteString("id,name,region,address,lat,lon,capacity_factor\n")
	sites := rapid.IntRange(1, 40).Draw(t, "sites")
	days := []string{"2021-03-13..2021-03-15", "2021-11-06..2021-11-08", "2021-05-01..2021-05-20", "2021-02-28"}
	for i := range sites {
		fmt.Fprintf(&rows, "s%d,N,R,,1,2,%s\n", i, rapid.SampledFrom([]string{"1", "0", "0.1", "2.5"}).Draw(t, "factor"))
		if rapid.Bool().Draw(t, "own") {
			fmt.Fprintf(&rules, "  - {sites: [s%d], dates: %s, times: %s, every: %s, capacity: %d, product: %s}\n", i,
				rapid.SampledFrom(days).Draw(t, "dates"), rapid.SampledFrom([]string{"04:00..24:00", "09:00..17:10"}).Draw(t, "times"),
				rapid.SampledFrom([]string{"7m", "30m", "3h"}).Draw(t, "every"), rapid.IntRange(1, 20).Draw(t, "capacity"),
				rapid.SampledFrom([]string{"red", "blue"}).Draw(t, "product"))
		}
	}
	if rules.Len() == 0 || rapid.Bool().Draw(t, "common") {
		rules.WriteString("  - {sites: all, dates: 2021-06-01, times: 09:00..10:00, every: 30m, capacity: 3, product: red}\n")
	}
	definition := `campaign: c
name: C
time_zone: America/New_York
cohorts: [{id: a, born: 1950-01-01..1959-12-31}]
windows: [{cohorts: [a], opens: 2021-01-01T00:00, closes: 2021-01-02T00:00}]
products: [{id: red, name: R}, {id: blue, name: B}]
sites: {file: sites.csv}
slots:
` + rules.String()
	return map[string]string{"campaign.yaml": definition, "sites.csv": rows.String()}
}

func TestSlotsRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		content := genCampaign(rt)
		d, err := Parse("campaign.yaml", []byte(content["campaign.yaml"]), opener(content))
		if err != nil {
			rt.Fatalf("%v in\n%s", err, content)
		}
		checkSlots(rt, d)
		again, err := Load(d.Bundle())
		if err != nil || !again.SameSlots(d) || again.Digest() != d.Digest() || !bytes.Equal(again.Bundle(), d.Bundle()) {
			rt.Fatalf("loaded another: %v", err)
		}
	})
}

func TestSameSlots(t *testing.T) {
	d := spring(t)
	for _, c := range []struct {
		before, after string
		same          bool
	}{
		{"capacity: 6", "capacity: 60", true},
		{"per_person: 2", "per_person: 3", true},
		{"opens: 2021-03-01T20:00", "opens: 2021-03-01T21:00", true},
		{`["09:00..10:00", "13:00..14:00"], every: 1h`, `["09:00..09:50", "13:00..13:50"], every: 50m`, true}, // ends differ
		{"except: [wed]", "except: [thu]", false},
		{"id: red", "id: Red", false},
		{"Asia/Seoul", "Asia/Tokyo", true},
		{"Asia/Seoul", "Asia/Shanghai", false},
	} {
		content := springFiles(t)
		content["campaign.yaml"] = strings.Replace(content["campaign.yaml"], c.before, c.after, 1)
		if c.after == "id: Red" {
			content["campaign.yaml"] = strings.ReplaceAll(content["campaign.yaml"], "product: red", "product: Red")
		}
		other := parse(t, content)
		if d.SameSlots(other) != c.same || other.SameSlots(d) != c.same {
			t.Errorf("%s: same is not %v", c.after, c.same)
		}
	}
	content := springFiles(t)
	content["sites.csv"] = strings.Replace(content["sites.csv"], "south", "south2", 1)
	if d.SameSlots(parse(t, content)) {
		t.Error("a site has another id and the slots are the same")
	}
}

func TestSlotFunctionsAllocateNothing(t *testing.T) {
	d := spring(t)
	id, room := []byte("south/2021-03-20/11:30/red"), make([]byte, 0, 64)
	var found event.SlotID
	var slot Slot
	var capacity uint16
	for name, call := range map[string]func(){
		"FindSlot":     func() { found, _ = d.FindSlot(id) },
		"AppendSlotID": func() { room = d.AppendSlotID(room[:0], 63) },
		"Slot":         func() { slot = d.Slot(63) },
		"SlotStarts":   func() { slot.Starts = d.SlotStarts(63) },
		"Capacity":     func() { capacity = d.Capacity(63) },
	} {
		if n := testing.AllocsPerRun(100, call); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	if found != 63 || capacity == 0 || string(room) != string(id) || slot.Site != 1 {
		t.Errorf("got %d, %s, %+v", found, room, slot)
	}
}

func FuzzFindSlot(f *testing.F) {
	d := spring(f)
	for _, seed := range []string{"north/2021-03-15/09:00/red", "south/2021-03-20/11:30/red", "north/2021-03-15/09:00/blue", "a/b/c/d", "////"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, id []byte) {
		if s, ok := d.FindSlot(id); ok && string(d.AppendSlotID(nil, s)) != string(id) {
			t.Errorf("%q was found as %s", id, d.AppendSlotID(nil, s))
		}
	})
}
