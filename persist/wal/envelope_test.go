package wal

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"weir/core/event"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the golden files")

// sealed writes records from first on as one envelope, through the writer.
func sealed(t testing.TB, first event.Seq, count int) []byte {
	t.Helper()
	var kept memoryLog
	w := &writer{
		files: &files{}, log: &kept, epoch: 7, segmentSize: 1 << 30, epochSize: 1 << 40,
		head: head{seq: first - 1, time: 1626692400000, epoch: 7, digest: digest{1, 2, 3}},
	}
	b := &batch{}
	b.reset(newGate(first, nil))
	for i := range count {
		r := sample(first + event.Seq(i))
		b.buf = event.Append(b.buf, &r)
		b.count++
		b.newest = max(b.newest, r.At)
	}
	if _, err := w.write(b, first-1); err != nil {
		t.Fatal(err)
	}
	return kept.entries[0]
}

// memoryLog is a segmentLog that keeps its entries.
type memoryLog struct{ entries [][]byte }

func (m *memoryLog) Write(_ uint64, data []byte) error {
	m.entries = append(m.entries, bytes.Clone(data))
	return nil
}
func (m *memoryLog) Sync() error       { return nil }
func (m *memoryLog) ClearCache() error { return nil }
func (m *memoryLog) Close() error      { return nil }

func TestEnvelopeGolden(t *testing.T) {
	for name, count := range map[string]int{"envelope-plain": 9, "envelope-compressed": 100} {
		stored := sealed(t, 5, count)
		path := filepath.Join("testdata", name+".hex")
		if *rewrite {
			if err := os.WriteFile(path, []byte(hex.Dump(stored)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		golden, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		// The compressor may choose other bytes on another machine or in
		// another version; what it chose once must be read for ever.
		if got := hex.Dump(stored); count < 100 && got != string(golden) {
			t.Errorf("%s: the format has changed:\n%s\nwas\n%s", name, got, golden)
		}
		checkEnvelope(t, stored, 5, count)
		checkEnvelope(t, undump(t, golden), 5, count)
	}
}

// undump reads what hex.Dump wrote.
func undump(t *testing.T, dump []byte) (b []byte) {
	t.Helper()
	for line := range strings.Lines(string(dump)) {
		digits, _, _ := strings.Cut(line[min(8, len(line)):], "|")
		part, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(digits), " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		b = append(b, part...)
	}
	return b
}

func checkEnvelope(t *testing.T, stored []byte, first event.Seq, count int) {
	t.Helper()
	var e envelope
	payload, err := e.parse(stored)
	if err != nil {
		t.Fatal(err)
	}
	if want := count >= 100; want != (e.flags == flagCompressed) {
		t.Errorf("%d records: flags %x", count, e.flags)
	}
	if e.first != first || e.count != uint32(count) || e.durable != first-1 || e.epoch != 7 || e.previous != (digest{1, 2, 3}) {
		t.Errorf("header: %+v", e)
	}
	records, _, err := e.records(payload, nil)
	if err != nil {
		t.Fatal(err)
	}
	seen := first - 1
	if err := e.walk(records, &event.Record{}, expectSamples(&seen)); err != nil {
		t.Fatal(err)
	}
	if want := first + event.Seq(count) - 1; seen != want || e.last() != want {
		t.Errorf("read to record %d, header says %d, want %d", seen, e.last(), want)
	}
}

func TestMarkGolden(t *testing.T) {
	m := mark{
		head:     head{seq: 0x0102030405060708, time: 1626692400000, epoch: 9, digest: digest{0xD1}},
		identity: digest{0x1D}, generation: 3, clean: true,
	}
	path := filepath.Join("testdata", "mark.hex")
	if *rewrite {
		if err := os.WriteFile(path, []byte(hex.Dump(m.encode())), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.Dump(m.encode()); got != string(golden) {
		t.Errorf("the format has changed:\n%s\nwas\n%s", got, golden)
	}
	var back mark
	if !back.decode(m.encode()) || !reflect.DeepEqual(back, m) {
		t.Errorf("read back as %+v", back)
	}
	for bit := range markSize * 8 {
		b := m.encode()
		b[bit/8] ^= 1 << (bit % 8)
		if back.decode(b) {
			t.Fatalf("bit %d flipped and not noticed", bit)
		}
	}
}

func TestUvarintLenIsThatOfTheFrame(t *testing.T) {
	for _, n := range []int{1, 72, 127, 128, 16383, 16384, 1 << 21, 1<<21 - 1, 1 << 28, 1<<28 - 1} {
		if got, want := uvarintLen(n), len(binary.AppendUvarint(nil, uint64(n))); got != want {
			t.Errorf("length %d: %d bytes, want %d", n, got, want)
		}
	}
}

// FuzzEnvelope feeds any bytes to the decoder, and again with a checksum that
// holds, so that what lies behind the checksum is reached too.
func FuzzEnvelope(f *testing.F) {
	f.Add(sealed(f, 5, 9))
	f.Add(sealed(f, 5, 100))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		decodeAny(t, data)
		if len(data) >= headerSize {
			var e envelope
			copy(data, magic[:])
			sum := checksum(data)
			data[crcOffset], data[crcOffset+1], data[crcOffset+2], data[crcOffset+3] = byte(sum), byte(sum>>8), byte(sum>>16), byte(sum>>24)
			if _, err := e.parse(data); err != nil && !errors.Is(err, errMalformed) && !errors.Is(err, errVersion) {
				t.Fatalf("parse: %v", err)
			}
			decodeAny(t, data)
		}
	})
}

func decodeAny(t *testing.T, data []byte) {
	var e envelope
	payload, err := e.parse(data)
	if err != nil || e.raw > 1<<20 {
		return
	}
	records, _, err := e.records(payload, nil)
	if err != nil {
		return
	}
	if len(records) != int(e.raw) {
		t.Fatalf("%d bytes of records, header says %d", len(records), e.raw)
	}
	if err := e.walk(records, &event.Record{}, nil); err != nil && !errors.Is(err, errMalformed) {
		t.Fatalf("walk: %v", err)
	}
}
