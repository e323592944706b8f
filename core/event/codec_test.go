package event_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"weir/core/event"
)

var rewrite = flag.Bool("rewrite", false, "write the golden file anew")

const golden = "testdata/records.golden"

func examples() []event.Record {
	who := event.PersonKey{0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf}
	base := event.Record{Campaign: 0x0102, Version: 0x03040506, At: 1626692400000, Person: who}
	with := func(kind event.Kind, fill func(r *event.Record)) event.Record {
		r := base
		r.Kind = kind
		fill(&r)
		return r
	}
	ofCampaign := func(kind event.Kind, fill func(r *event.Record)) event.Record {
		r := with(kind, fill)
		r.Person = event.PersonKey{}
		return r
	}
	return []event.Record{
		ofCampaign(event.Defined, func(r *event.Record) { r.Definition = []byte("bundle") }),
		with(event.Joined, func(r *event.Record) { r.Number, r.Cohort = 7, 2 }),
		with(event.Left, func(r *event.Record) { r.Number = 7 }),
		with(event.Held, func(r *event.Record) {
			r.Slot, r.From, r.Until, r.Cohort = 11, event.NoSlot, 1626692700000, 2
		}),
		with(event.Released, func(r *event.Record) { r.Slot, r.Ref = 11, 90 }),
		with(event.Expired, func(r *event.Record) { r.Slot, r.Ref = 11, 90 }),
		with(event.Booked, func(r *event.Record) {
			r.Slot, r.From, r.Ref, r.Request, r.Cohort = 11, 11, 90, 0x0123456789abcdef, 2
		}),
		with(event.Changed, func(r *event.Record) { r.Slot, r.From, r.Ref = 12, 11, 91 }),
		with(event.Cancelled, func(r *event.Record) { r.Slot, r.Ref = 12, 91 }),
		with(event.Entered, func(r *event.Record) { r.Index, r.Cohort, r.Draw = 5, 2, 1 }),
		ofCampaign(event.DrawOpened, func(r *event.Record) {
			r.Draw, r.Cohort, r.Until, r.Payload = 1, 2, 1626692400000, []byte("the commitment has 32 bytes ....")
		}),
		ofCampaign(event.Drawn, func(r *event.Record) { r.Draw, r.Payload = 1, []byte("the seed has 32 bytes as well ..") }),
		ofCampaign(event.Served, func(r *event.Record) { r.Number = 3000 }),
		ofCampaign(event.Paused, func(r *event.Record) { r.Payload = []byte("서버를 늘립니다") }),
		ofCampaign(event.Paused, func(*event.Record) {}),
		ofCampaign(event.Resumed, func(*event.Record) {}),
	}
}

// TestGolden holds the encoding of every kind to the bytes that logs already
// have on disk.
func TestGolden(t *testing.T) {
	var b strings.Builder
	for _, r := range examples() {
		encoded := event.Append(nil, &r)
		if len(encoded) != r.Size() || r.Kind.OfPerson() && len(encoded) > event.MaxSize {
			t.Errorf("%v: %d bytes, Size says %d", r.Kind, len(encoded), r.Size())
		}
		fmt.Fprintf(&b, "%-9v %s\n", r.Kind, hex.EncodeToString(encoded))
	}
	if *rewrite {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("the format changed; got\n%swant\n%s", b.String(), want)
	}
}

func TestRoundTrip(t *testing.T) {
	var log []byte
	for _, r := range examples() {
		log = event.Append(log, &r)
	}
	rest := log
	for _, want := range examples() {
		var got event.Record
		var err error
		if rest, err = event.Decode(&got, rest); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	if len(rest) != 0 {
		t.Errorf("%d bytes are left", len(rest))
	}
}

func TestDecodeRefusesEveryCut(t *testing.T) {
	for _, r := range examples() {
		encoded := event.Append(nil, &r)
		for n := range encoded {
			var got event.Record
			if _, err := event.Decode(&got, encoded[:n]); !errors.Is(err, event.ErrMalformed) {
				t.Fatalf("%v cut to %d of %d bytes: %v", r.Kind, n, len(encoded), err)
			}
		}
	}
}

func TestDecodeRefusesReasons(t *testing.T) {
	r := event.Record{Kind: event.Paused, Payload: bytes.Repeat([]byte("x"), event.MaxReason)}
	if _, err := event.Decode(&event.Record{}, event.Append(nil, &r)); err != nil {
		t.Error(err)
	}
	for name, reason := range map[string][]byte{
		"too long": bytes.Repeat([]byte("x"), event.MaxReason+1), "no UTF-8": {0xff},
	} {
		r.Payload = reason
		if _, err := event.Decode(&event.Record{}, event.Append(nil, &r)); !errors.Is(err, event.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAppendDoesNotAllocate(t *testing.T) {
	records := examples()
	buf := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() {
		buf = buf[:0]
		for i := range records {
			buf = event.Append(buf, &records[i])
		}
	}); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

func FuzzDecode(f *testing.F) {
	for _, r := range examples() {
		f.Add(event.Append(nil, &r))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		var r event.Record
		rest, err := event.Decode(&r, src)
		if err != nil {
			return
		}
		used := src[:len(src)-len(rest)]
		if again := event.Append(nil, &r); !bytes.Equal(again, used) {
			t.Fatalf("% x decodes to %+v, which encodes to % x", used, r, again)
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	r := examples()[6]
	buf := make([]byte, 0, event.MaxSize)
	b.ReportAllocs()
	for b.Loop() {
		buf = event.Append(buf[:0], &r)
	}
}

func BenchmarkDecode(b *testing.B) {
	r := examples()[6]
	src := event.Append(nil, &r)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := event.Decode(&r, src); err != nil {
			b.Fatal(err)
		}
	}
}
