package people_test

import (
	"testing"
	"unsafe"

	"pgregory.net/rapid"

	"weir/core/event"
	"weir/core/people"
)

// TestRowSizes holds the rows to the sizes that the memory budget counts with.
func TestRowSizes(t *testing.T) {
	for name, size := range map[string][2]uintptr{
		"person":  {unsafe.Sizeof(people.Person{}), 32},
		"booking": {unsafe.Sizeof(people.Booking{}), 56},
		"hold":    {unsafe.Sizeof(people.Hold{}), 32},
	} {
		if size[0] != size[1] {
			t.Errorf("a %s row has %d bytes, not %d", name, size[0], size[1])
		}
	}
}

// TestFindAgreesWithMap adds keys that crowd into few homes and tags.
func TestFindAgreesWithMap(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var shard people.Shard
		twin := map[event.PersonKey]people.Row{}
		for range rapid.IntRange(0, 300).Draw(rt, "keys") {
			key := event.PersonKey{0, rapid.Byte().Draw(rt, "tag") % 2, 0, 0, rapid.Byte().Draw(rt, "home") % 4, 0, 0, 0, rapid.Byte().Draw(rt, "rest")}
			row := shard.FindOrAdd(key)
			if want, known := twin[key]; known && row != want {
				rt.Fatalf("key %x moved from row %d to %d", key, want, row)
			}
			twin[key] = row
		}
		for key, want := range twin {
			if row := shard.Find(key); row != want || shard.Person(row).Key != key {
				rt.Fatalf("key %x is in row %d, found in %d", key, want, row)
			}
		}
		if int(shard.People()) != len(twin) || shard.Find(event.PersonKey{1, 2, 3}) != 0 {
			rt.Fatalf("%d rows for %d keys", shard.People(), len(twin))
		}
	})
}

func TestCancelledBookingsAreBounded(t *testing.T) {
	var shard people.Shard
	row := shard.FindOrAdd(event.PersonKey{1})
	var seq event.Seq
	for range 100 {
		seq++
		b := shard.AddBooking(row)
		b.Seq, b.State = seq, people.Cancelled
	}
	n, newest := 0, event.Seq(1000)
	for b := shard.Person(row).Bookings; b != 0; b = shard.Booking(b).Next {
		if shard.Booking(b).Seq >= newest {
			t.Fatalf("booking %d stands behind %d", shard.Booking(b).Seq, newest)
		}
		newest = shard.Booking(b).Seq
		n++
	}
	if n != 3 || newest != 98 {
		t.Fatalf("%d cancelled bookings are kept, the oldest is %d", n, newest)
	}
}

func TestHoldRowsAreUsedAgain(t *testing.T) {
	var shard people.Shard
	for i := range 1000 {
		row := shard.FindOrAdd(event.PersonKey{0, byte(i)})
		shard.SetHold(row, people.Hold{Seq: event.Seq(i + 1), Expires: event.Time(i), Slot: 5})
		if i%3 == 0 {
			shard.ClearHold(row)
		}
	}
	var ended int
	if !shard.HasExpired(1000) || shard.HasExpired(-1) {
		t.Fatal("HasExpired does not know what has expired")
	}
	shard.EachExpired(1000, func(person people.Row) bool {
		shard.ClearHold(person)
		ended++
		return true
	})
	if ended == 0 || shard.Holds() != 0 || shard.HasExpired(1<<40) {
		t.Fatalf("%d holds ended, %d are left", ended, shard.Holds())
	}
}
