package people_test

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"weir/core/event"
	"weir/core/people"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the golden files")

type pageID struct {
	kind people.PageKind
	page int
}

// copyAll copies what changed for the store, limit pages at a time, into pages.
func copyAll(t testing.TB, s *people.Shard, store, limit int, pages map[pageID][]byte) people.Header {
	t.Helper()
	var c people.Copy
	c.Reset()
	for whole := false; !whole; {
		whole = s.CopyChanged(&c, store, limit)
	}
	_, err := c.Each(nil, func(kind people.PageKind, page int, data []byte) error {
		pages[pageID{kind, page}] = bytes.Clone(data)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return c.Header
}

// change makes one random change to a shard.
func change(rt *rapid.T, s *people.Shard, seq event.Seq) {
	row := s.FindOrAdd(event.PersonKey{7, byte(seq), rapid.Byte().Draw(rt, "person")})
	s.Changed(row, seq)
	switch rapid.IntRange(0, 5).Draw(rt, "change") {
	case 0:
		s.Person(row).Place = uint32(seq)
	case 1:
		b := s.AddBooking(row)
		b.Seq, b.Last, b.State, b.Slot = seq, seq, people.Booked, event.SlotID(seq)
		s.Count(uint16(seq%3)).Booked++
	case 2:
		s.ChangedBookings(row)
		for b := s.Person(row).Bookings; b != 0; b = s.Booking(b).Next {
			s.Booking(b).State = people.Cancelled
		}
	case 3:
		s.SetHold(row, people.Hold{Seq: seq, Expires: event.Time(seq), Slot: 3})
	case 4:
		s.ClearHold(row)
	case 5:
		s.DelayHolds(1000)
	}
}

// TestEveryChangeIsMarked keeps two copies of a shard up to date by what is
// marked alone, and expects each to hold all that the shard holds.
func TestEveryChangeIsMarked(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var shard people.Shard
		kept := [people.Stores]map[pageID][]byte{{}, {}}
		var headers [people.Stores]people.Header
		n := rapid.IntRange(1, 2000).Draw(rt, "changes")
		for seq := event.Seq(1); int(seq) <= n; seq++ {
			change(rt, &shard, seq)
			if rapid.IntRange(0, 50).Draw(rt, "copy") == 0 {
				store := rapid.IntRange(0, people.Stores-1).Draw(rt, "store")
				headers[store] = copyAll(t, &shard, store, rapid.IntRange(1, 4).Draw(rt, "limit"), kept[store])
			}
		}
		for store := range kept {
			headers[store] = copyAll(t, &shard, store, 1, kept[store])
		}
		shard.MarkAll(0)
		all := map[pageID][]byte{}
		header := copyAll(t, &shard, 0, 1000, all)
		for store := range kept {
			if !reflect.DeepEqual(headers[store], header) || len(kept[store]) != len(all) {
				rt.Fatalf("store %d: %+v and %d pages, not %+v and %d", store, headers[store], len(kept[store]), header, len(all))
			}
			for id, data := range all {
				if !bytes.Equal(kept[store][id], data) {
					rt.Fatalf("store %d: page %+v changed without a mark", store, id)
				}
			}
		}
		restored := restore(t, header, all)
		again := map[pageID][]byte{}
		if got := copyAll(t, restored, 1, 1000, again); !reflect.DeepEqual(got, header) {
			rt.Fatalf("restored as %+v, not %+v", got, header)
		}
		for id, data := range all {
			if !bytes.Equal(again[id], data) {
				rt.Fatalf("page %+v came back changed", id)
			}
		}
		if restored.Holds() != shard.Holds() || restored.HasExpired(event.Time(n)) != shard.HasExpired(event.Time(n)) {
			rt.Fatalf("%d holds came back, of %d", restored.Holds(), shard.Holds())
		}
		for row := people.Row(1); row <= shard.People(); row++ {
			if restored.Find(shard.Person(row).Key) != row {
				rt.Fatalf("person in row %d is not found", row)
			}
		}
	})
}

func restore(t testing.TB, h people.Header, pages map[pageID][]byte) *people.Shard {
	t.Helper()
	var decoded people.Header
	if err := decoded.Decode(h.Append(nil)); err != nil || !reflect.DeepEqual(decoded, h) {
		t.Fatalf("header %+v came back as %+v: %v", h, decoded, err)
	}
	shard := &people.Shard{}
	shard.Restore(&decoded)
	for id, data := range pages {
		if err := shard.SetPage(id.kind, id.page, data); err != nil {
			t.Fatal(err)
		}
	}
	if err := shard.Restored(); err != nil {
		t.Fatal(err)
	}
	return shard
}

func TestPageGolden(t *testing.T) {
	var shard people.Shard
	for i := range 3 {
		key := event.PersonKey{0xAA, byte(i), 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
		row := shard.FindOrAdd(key)
		shard.Changed(row, event.Seq(100+i))
		p := shard.Person(row)
		p.Place, p.Cohort, p.Draw = uint32(0x01020304+i), 0x0506, 0x0708
		b := shard.AddBooking(row)
		b.Seq, b.Last, b.BookedAt, b.Request = 0x1112131415161718, 0x2122232425262728, 0x3132333435363738, 0x4142434445464748
		b.Slot, b.HeldFor, b.Version, b.Cohort, b.State = 0x51525354, 0x61626364, 0x71727374, 0x8182, people.Cancelled
		shard.SetHold(row, people.Hold{Seq: 0x0102030405060708, Expires: 0x1112131415161718, Slot: 0x21222324, Cohort: 0x3132})
	}
	shard.ClearHold(2)
	*shard.Count(1) = people.Count{Joined: 0x11, Left: 0x22, Booked: 0x33, Cancelled: 0x44}
	pages := map[pageID][]byte{}
	h := copyAll(t, &shard, 0, 100, pages)
	var out strings.Builder
	fmt.Fprintf(&out, "header %s\n", hex.EncodeToString(h.Append(nil)))
	for kind, size := range map[people.PageKind]int{people.PersonPage: 32, people.BookingPage: 56, people.HoldPage: 32} {
		if len(pages[pageID{kind, 0}]) != 3*size {
			t.Errorf("page of kind %d has %d bytes", kind, len(pages[pageID{kind, 0}]))
		}
	}
	for kind, size := range []int{people.PersonPage: 32, people.BookingPage: 56, people.HoldPage: 32} {
		for data := pages[pageID{people.PageKind(kind), 0}]; len(data) > 0; data = data[size:] {
			fmt.Fprintf(&out, "kind %d %s\n", kind, hex.EncodeToString(data[:size]))
		}
	}
	const path = "testdata/pages.golden"
	if *rewrite {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if out.String() != string(golden) {
		t.Errorf("pages are\n%s\nnot\n%s", &out, golden)
	}
}

func TestRestoreRefusesPagesThatDoNotFit(t *testing.T) {
	h := people.Header{People: 300, Bookings: 1}
	shard := &people.Shard{}
	shard.Restore(&h)
	for name, err := range map[string]error{
		"page behind the end": shard.SetPage(people.PersonPage, 2, make([]byte, 32)),
		"too long":            shard.SetPage(people.BookingPage, 0, make([]byte, 112)),
		"too short":           shard.SetPage(people.PersonPage, 0, make([]byte, 32)),
		"unknown kind":        shard.SetPage(9, 0, nil),
		"header":              h.Decode(make([]byte, 5)),
	} {
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	pointing := &people.Shard{}
	pointing.Restore(&people.Header{People: 1})
	row := make([]byte, 32)
	row[16] = 9 // booking row 9 of none
	if err := pointing.SetPage(people.PersonPage, 0, row); err != nil {
		t.Fatal(err)
	}
	if pointing.Restored() == nil {
		t.Error("a person with a booking that is not there is accepted")
	}
}
