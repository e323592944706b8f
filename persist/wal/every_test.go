//go:build !race

package wal

import (
	"bytes"
	"errors"
	"testing"

	"weir/core"
)

// The tests of this file read a log more than a hundred thousand times, each in
// one goroutine that shares nothing: the race detector could find nothing in
// them and makes them many times slower. They run where it is off.

func TestEveryCutOfTheLast64KiB(t *testing.T) {
	t.Parallel()
	for _, p := range pieces(t) {
		for n := range p.segment.size + 1 {
			want, end := p.after(p.whole(n))
			got, c, err := p.read(p.data[:n], mark{})
			if err != nil || got != want {
				t.Fatalf("cut at %d: read to %d, want %d: %v", n, got.seq, want.seq, err)
			}
			if torn := n != end; torn != (c != nil) || torn && c.offset != end {
				t.Fatalf("cut at %d behind the envelope that ends at %d: repair %+v", n, end, c)
			}
			if n < p.segment.size {
				_, _, err = p.read(p.data[:n], mark{head: p.heads[len(p.heads)-1]})
				expectDamage(t, err, want.seq, 0)
			}
		}
	}
}

func TestEveryBitOfAnEnvelope(t *testing.T) {
	t.Parallel()
	p := pieces(t)[3]
	for _, i := range []int{1, len(p.ends) - 1} {
		want, begin := p.after(i)
		for bit := begin * 8; bit < p.ends[i]*8; bit++ {
			data := bytes.Clone(p.data)
			data[bit/8] ^= 1 << (bit % 8)
			got, c, err := p.read(data, mark{})
			switch {
			case got != want:
				t.Fatalf("envelope %d bit %d: read to %d, want %d", i, bit-begin*8, got.seq, want.seq)
			case i == 1: // a sound one follows
				var d *Damage
				if !errors.As(err, &d) || d.SoundFrom == 0 {
					t.Fatalf("envelope %d bit %d: %v", i, bit-begin*8, err)
				}
			case bit < (begin+int64(uvarintLen(int(p.ends[i]-begin))))*8: // only the frame is hurt
				var d *Damage
				if !errors.As(err, &d) || d.SoundFrom != want.seq+1 {
					t.Fatalf("envelope %d bit %d: %v", i, bit-begin*8, err)
				}
			case err != nil || c == nil || c.offset != begin:
				t.Fatalf("envelope %d bit %d: repair %+v, %v", i, bit-begin*8, c, err)
			}
			if _, _, err := p.read(data, mark{head: p.heads[len(p.heads)-1]}); !errors.Is(err, core.ErrCorrupt) {
				t.Fatalf("envelope %d bit %d, acknowledged: %v", i, bit-begin*8, err)
			}
		}
	}
}
