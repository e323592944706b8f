package wal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"weir/core"
	"weir/core/event"
)

// bytesSource is a segment in memory.
type bytesSource struct{ *bytes.Reader }

func (bytesSource) Close() error { return nil }

func appendFrame(dst, data []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(data))), data...)
}

// piece is one segment in memory with what a scan knows at its start and at
// the end of each of its envelopes.
type piece struct {
	segment segment
	data    []byte
	before  head
	ends    []int64 // offset behind each envelope
	heads   []head  // after each envelope
}

// pieces writes segments until they have 64 KiB together, as the writer would.
func pieces(t testing.TB) []piece {
	var kept memoryLog
	w := &writer{files: &files{}, log: &kept, epoch: 1, segmentSize: 1 << 30, epochSize: 1 << 40, head: head{digest: digest{9}}}
	var all []piece
	entry := uint64(1)
	for total := 0; total < 64<<10; {
		p := piece{segment: segment{epoch: 1, index: entry, path: "segment"}, before: w.head}
		for len(p.data) < 4<<10 {
			b := &batch{}
			first := w.head.seq + 1
			b.reset(newGate(first, nil))
			for i := range 1 + entry*7%40 { // some are compressed
				r := sample(first + event.Seq(i))
				b.buf = event.Append(b.buf, &r)
				b.count++
				b.newest = r.At
			}
			if _, err := w.write(b, first-1); err != nil {
				t.Fatal(err)
			}
			p.data = appendFrame(p.data, kept.entries[len(kept.entries)-1])
			p.ends, p.heads = append(p.ends, int64(len(p.data))), append(p.heads, w.head)
			entry++
		}
		p.segment.size = int64(len(p.data))
		total += len(p.data)
		all = append(all, p)
	}
	return all
}

// read scans data as the last segment, in place of the piece's.
func (p *piece) read(data []byte, known mark) (head, *cut, error) {
	s := &scan{
		segments: []segment{p.segment}, known: known, least: known.head.seq, head: p.before, report: &Report{},
		epoch: 1, entry: p.segment.index,
		open: func(*segment) (source, error) { return bytesSource{bytes.NewReader(data)}, nil },
	}
	s.segments[0].size = int64(len(data))
	last := p.before.seq
	s.replay = expectSamples(&last)
	c, err := s.run()
	if last != s.head.seq {
		return s.head, c, errors.New("replay and scan disagree")
	}
	return s.head, c, err
}

// whole is how many envelopes lie whole in the first n bytes.
func (p *piece) whole(n int64) int {
	i := 0
	for i < len(p.ends) && p.ends[i] <= n {
		i++
	}
	return i
}

func (p *piece) after(envelopes int) (head, int64) {
	if envelopes == 0 {
		return p.before, 0
	}
	return p.heads[envelopes-1], p.ends[envelopes-1]
}

func expectDamage(t *testing.T, err error, through, from event.Seq) {
	t.Helper()
	var d *Damage
	if !errors.As(err, &d) || !errors.Is(err, core.ErrCorrupt) || d.SoundThrough != through || d.SoundFrom != from {
		t.Fatalf("want damage with %d sound before and %d behind, got %v", through, from, err)
	}
}

// Zeros to the end of a segment are room that was never used.
func TestRoomBehindTheLog(t *testing.T) {
	p := pieces(t)[2]
	for _, n := range []int{1, 64, scanBuffer, scanBuffer + 5000} {
		got, c, err := p.read(append(bytes.Clone(p.data), make([]byte, n)...), mark{})
		if err != nil || got != p.heads[len(p.heads)-1] || c != nil {
			t.Errorf("%d zeros: read to %d, repair %+v, %v", n, got.seq, c, err)
		}
	}
}

// An envelope of which only a part reached the disk stands among zeros, whose
// place the rest would have taken.
func TestTornWriteIntoRoom(t *testing.T) {
	p := pieces(t)[2]
	last := len(p.ends) - 1
	want, begin := p.after(last)
	for n := begin + 1; n < p.ends[last]; n++ {
		torn := append(bytes.Clone(p.data[:n]), make([]byte, p.ends[last])...)
		if bytes.Equal(torn[:p.ends[last]], p.data) {
			continue // what is missing were zeros: the envelope is whole
		}
		got, c, err := p.read(torn, mark{})
		if err != nil || got != want || c == nil || c.offset != begin {
			t.Fatalf("%d bytes of the last envelope: read to %d, repair %+v, %v", n-begin, got.seq, c, err)
		}
	}
}

func TestRubbishBehindTheLog(t *testing.T) {
	p := pieces(t)[2]
	end := p.segment.size
	for name, tail := range map[string][]byte{
		"zeros and a byte": append(make([]byte, 64), 1), "zeros and rubbish": append(make([]byte, 5000), "rubbish"...),
		"rubbish": bytes.Repeat([]byte("rubbish"), 999), "endless length": bytes.Repeat([]byte{0xFF}, 40),
		"magic alone": magic[:], "magics": bytes.Repeat(magic[:], 40000),
	} {
		got, c, err := p.read(append(bytes.Clone(p.data), tail...), mark{})
		if err != nil || got != p.heads[len(p.heads)-1] || c == nil || c.offset != end {
			t.Errorf("%s: read to %d, repair %+v, %v", name, got.seq, c, err)
		}
	}
}

// An envelope that is sound but not the next one is no torn write.
func TestSoundButStrangeIsRefused(t *testing.T) {
	all := pieces(t)
	p, other := all[2], all[5]
	data := append(bytes.Clone(p.data), other.data...)
	_, _, err := p.read(data, mark{})
	expectDamage(t, err, p.heads[len(p.heads)-1].seq, other.before.seq+1)

	same := append(bytes.Clone(p.data), p.data[p.ends[0]:]...)
	_, _, err = p.read(same, mark{})
	expectDamage(t, err, p.heads[len(p.heads)-1].seq, p.heads[0].seq+1)

	known := mark{head: p.heads[0]}
	known.head.digest[0] ^= 1
	_, _, err = p.read(p.data, known)
	expectDamage(t, err, p.before.seq, p.before.seq+1)
}

func FuzzScan(f *testing.F) {
	p := pieces(f)[0]
	f.Add(p.data, uint64(0))
	f.Add(p.data[:100], uint64(3))
	f.Add(make([]byte, 300), uint64(1))
	f.Fuzz(func(t *testing.T, data []byte, known uint64) {
		got, c, err := p.read(data, mark{head: head{seq: event.Seq(known)}})
		var d *Damage
		if err != nil && !errors.As(err, &d) {
			t.Fatal(err)
		}
		if err == nil && (got.seq < event.Seq(known) || c != nil && c.offset > int64(len(data))) {
			t.Fatalf("record %d known, read to %d, cut %+v", known, got.seq, c)
		}
	})
}
