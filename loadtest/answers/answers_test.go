package answers

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"weir/core/event"
	"weir/core/line"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files again")

func anyAnswer(t *rapid.T) Answer {
	sent := time.Duration(rapid.Int64Range(0, 1e12).Draw(t, "sent"))
	a := Answer{
		Person:     Person(rapid.Uint32().Draw(t, "person")),
		Kind:       Kind(rapid.IntRange(1, Kinds-1).Draw(t, "kind")),
		Outcome:    Outcome(rapid.IntRange(1, Outcomes-1).Draw(t, "outcome")),
		Credential: Credential(rapid.IntRange(0, int(credentialEnd)-1).Draw(t, "credential")),
		Reason:     Reason(rapid.IntRange(0, int(reasonEnd)-1).Draw(t, "reason")),
		Sent:       sent, Answered: sent + time.Duration(rapid.Int64Range(0, 1e10).Draw(t, "took")),
		AskedSlot:  event.SlotID(rapid.Uint32().Draw(t, "slot")),
		AskedRef:   event.Seq(rapid.Uint64Range(0, 1<<45).Draw(t, "ref")),
		Key:        rapid.Uint32().Draw(t, "key"),
		ValidUntil: event.Time(rapid.Int64Range(0, 1<<45).Draw(t, "valid")),
	}
	if rapid.Bool().Draw(t, "place") {
		a.Place = Place{PlaceState(rapid.IntRange(1, int(placeEnd)-1).Draw(t, "state")), event.Number(rapid.Uint32().Draw(t, "number")), 3, 0, 0}
		if rapid.Bool().Draw(t, "lot") {
			a.Place.Draw, a.Place.Index = 2, event.Index(rapid.Uint32Min(1).Draw(t, "index"))
		}
	}
	if rapid.Bool().Draw(t, "held") {
		a.Held = Held{Ref: event.Seq(rapid.Uint64Range(1, 1<<45).Draw(t, "hold")), Slot: a.AskedSlot, Expires: 1626692400000}
	}
	if rapid.Bool().Draw(t, "serving") {
		a.Serving = Serving{AsOf: 1626692400000, Issued: 7, Serving: event.Number(rapid.Uint32().Draw(t, "serving"))}
		a.Serving.Paused = rapid.Bool().Draw(t, "paused")
	}
	if rapid.Bool().Draw(t, "since") {
		a.ValidSince = 1 + sent
	}
	if rapid.Bool().Draw(t, "shown") {
		a.Shown = Shown{AsOf: 1626692400000, First: a.AskedSlot, Left: rapid.SliceOfN(rapid.Uint16(), 1, shownMax).Draw(t, "left")}
	}
	for i := range rapid.IntRange(0, drawsMax).Draw(t, "draws") {
		d := Draw{Ordinal: event.Draw(i + 1), Opens: 1626692400000, Commitment: line.Commitment{1, 2, 255}, Drawn: rapid.Bool().Draw(t, "drawn")}
		if d.Drawn {
			d.Seed, d.Size, d.Base = line.Seed{3, 4, 254}, rapid.Uint32().Draw(t, "size"), 17
		}
		a.Draws = append(a.Draws, d)
	}
	for range rapid.IntRange(0, 5).Draw(t, "bookings") {
		a.Bookings = append(a.Bookings, Booking{Ref: a.AskedRef, Slot: 9, Sequence: 12, Cancelled: rapid.Bool().Draw(t, "cancelled")})
	}
	return a
}

// TestWrittenIsRead writes answers from several goroutines and reads them all
// back, each recorder's in its order.
func TestWrittenIsRead(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		name := filepath.Join(dir, "answers")
		defer func() { _ = os.Remove(name) }()
		header := Header{Scenario: "smoke", Campaign: "c", Seed: 3, People: 9, Began: 1626692400000, ClockError: time.Millisecond}
		f, err := Create(name, &header)
		if err != nil {
			t.Fatal(err)
		}
		all := rapid.SliceOfN(rapid.Custom(anyAnswer), 0, 40).Draw(t, "answers")
		first, second := f.Recorder(), f.Recorder()
		var running sync.WaitGroup
		running.Go(func() { record(t, first, all[:len(all)/2]) })
		running.Go(func() { record(t, second, all[len(all)/2:]) })
		running.Wait()
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		got, summary := readAll(t, name)
		if !summary.Whole || summary.Answers != int64(len(all)) || summary.Header != header {
			t.Fatalf("summary %+v of %d answers", summary, len(all))
		}
		for i := range all {
			if !slices.ContainsFunc(got, func(a Answer) bool { return reflect.DeepEqual(a, all[i]) }) {
				t.Fatalf("%+v is not among %+v", all[i], got)
			}
		}
	})
}

func record(t *rapid.T, r *Recorder, all []Answer) {
	for i := range all {
		if err := r.Add(&all[i]); err != nil {
			t.Error(err)
		}
	}
}

func readAll(t rapid.TB, name string) ([]Answer, Summary) {
	var got []Answer
	s, err := Read(name, func(a *Answer) error {
		one := *a
		one.Bookings = slices.Clone(a.Bookings)
		if len(one.Bookings) == 0 {
			one.Bookings = nil
		}
		if one.Draws = slices.Clone(a.Draws); len(one.Draws) == 0 {
			one.Draws = nil
		}
		if one.Shown.Left = slices.Clone(a.Shown.Left); len(one.Shown.Left) == 0 {
			one.Shown.Left = nil
		}
		got = append(got, one)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got, s
}

// sample is a file of a few answers, one block of them each.
func sample(t testing.TB, blocks int) (name string, each []Answer) {
	name = filepath.Join(t.TempDir(), "answers")
	f, err := Create(name, &Header{Scenario: "smoke", Campaign: "c", People: 2, Began: 1626692400000})
	if err != nil {
		t.Fatal(err)
	}
	each = []Answer{
		{
			Person: 0, Kind: Join, Outcome: Created, Credential: Identity, Sent: 1500 * time.Nanosecond, Answered: 2001 * time.Nanosecond,
			AskedSlot: event.NoSlot, Place: Place{State: Admitted, Number: 1},
		},
		{
			Person: 0, Kind: Book, Outcome: Created, Credential: Pass, Sent: time.Second, Answered: 2 * time.Second, AskedSlot: 7, Key: 3,
			Bookings: []Booking{{Ref: 9, Slot: 7, Sequence: 9}},
		},
		{
			Person: Nobody, Kind: Line, Outcome: OK, Sent: time.Second, Answered: time.Second, AskedSlot: event.NoSlot,
			Serving: Serving{AsOf: 1626692400000, Issued: 1, Serving: 1},
		},
	}
	r := f.Recorder()
	for range blocks {
		for i := range each {
			if err := r.Add(&each[i]); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return name, each
}

// TestGolden holds the format to the file of the first version.
func TestGolden(t *testing.T) {
	name, _ := sample(t, 1)
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "answers.golden")
	if *rewrite {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("written\n%q, want\n%q", got, want)
	}
}

// TestCutAnywhere cuts a file at every byte: what is left is read without an
// error, block by whole block, and never said to be whole.
func TestCutAnywhere(t *testing.T) {
	name, each := sample(t, 3)
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	last := int64(0)
	for n := range whole {
		s, err := read(bytes.NewReader(whole[:n]), func(*Answer) error { return nil })
		if n < len(whole) && s.Whole {
			t.Fatalf("%d of %d bytes are said to be whole", n, len(whole))
		}
		if err != nil && (s.Header.Campaign != "" || !errors.Is(err, ErrDamaged)) {
			t.Fatalf("%d of %d bytes: %v", n, len(whole), err)
		}
		if s.Answers < last || s.Answers%int64(len(each)) != 0 {
			t.Fatalf("%d of %d bytes have %d answers, fewer had %d", n, len(whole), s.Answers, last)
		}
		last = s.Answers
	}
	if last != int64(3*len(each)) {
		t.Errorf("without the last byte there are %d answers", last)
	}
}

// TestFlippedByteIsNoticed flips every byte of a file: it is an error, or the
// file seems to end there.
func TestFlippedByteIsNoticed(t *testing.T) {
	name, _ := sample(t, 2)
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		flipped := slices.Clone(whole)
		flipped[i] ^= 0x41
		if s, err := read(bytes.NewReader(flipped), func(*Answer) error { return nil }); err == nil && s.Whole {
			t.Errorf("byte %d of %d was flipped, and nobody noticed", i, len(whole))
		}
	}
}

func TestEveryKindOfOutcomeHasItsCode(t *testing.T) {
	for o := BadRequest; o < outcomeEnd; o++ {
		if got := OutcomeOf(o.Status(), []byte(o.String())); got != o {
			t.Errorf("%v (%d) is read as %v", o, o.Status(), got)
		}
	}
	if got := OutcomeOf(409, []byte("not_eligible")); got != Odd {
		t.Errorf("a code under another status is %v", got)
	}
	if got := OutcomeOf(302, nil); got != Odd {
		t.Errorf("302 is %v", got)
	}
}

func TestAddAllocatesNothing(t *testing.T) {
	f, err := Create(filepath.Join(t.TempDir(), "answers"), &Header{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	r, a := f.Recorder(), Answer{Kind: Book, Outcome: Created, Bookings: []Booking{{Ref: 1, Slot: 2, Sequence: 3}}}
	if n := testing.AllocsPerRun(10_000, func() { _ = r.Add(&a) }); n != 0 {
		t.Errorf("%v allocations an answer", n)
	}
}

func FuzzRead(f *testing.F) {
	name, _ := sample(f, 2)
	whole, err := os.ReadFile(name)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)-3])
	f.Fuzz(func(_ *testing.T, file []byte) {
		_, _ = read(bytes.NewReader(file), func(*Answer) error { return nil })
	})
}

// FuzzRecord decodes arbitrary bytes as records: what is understood and written
// again is the same.
func FuzzRecord(f *testing.F) {
	_, each := sample(f, 1)
	var e encoder
	var all []byte
	for i := range each {
		all = e.append(all, &each[i])
	}
	f.Add(all)
	f.Fuzz(func(t *testing.T, in []byte) {
		d := decoder{in: in}
		var a, again Answer
		for d.next(&a) {
			var e encoder
			second := decoder{in: e.append(nil, &a)}
			if !second.next(&again) || !reflect.DeepEqual(a, again) {
				t.Fatalf("%+v is read again as %+v: %v", a, again, second.err)
			}
		}
	})
}
