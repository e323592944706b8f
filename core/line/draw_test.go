package line_test

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"flag"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"weir/core/line"
)

var rewrite = flag.Bool("rewrite", false, "write the golden file anew")

const golden = "testdata/draw.golden"

// seedOf makes the seeds of tests: the hash of a word and a count.
func seedOf(word string, i int) line.Seed {
	return sha256.Sum256(fmt.Appendf(nil, "%s %d", word, i))
}

// naive recomputes a draw from its description and from nothing else, the way
// somebody would who checks it in another language.
type naive struct {
	key        []byte
	size, side uint64
}

func newNaive(seed line.Seed, size uint32) naive {
	mac := hmac.New(sha256.New, seed[:])
	mac.Write([]byte("weir draw key v1\x00"))
	mac.Write(binary.BigEndian.AppendUint32(nil, size))
	n := naive{key: mac.Sum(nil), size: uint64(size)}
	for n.side*n.side < n.size {
		n.side += 2
	}
	return n
}

func (n naive) f(r int, x uint64) uint64 {
	message := append(append([]byte{}, n.key...), byte(r))
	message = binary.BigEndian.AppendUint32(message, uint32(x/8))
	block := sha256.Sum256(message)
	word := uint64(binary.BigEndian.Uint32(block[4*(x%8):]))
	return word * n.side >> 32
}

func (n naive) rank(index uint32) uint32 {
	at := uint64(index)
	for {
		left, right := at/n.side, at%n.side
		for r := range 12 {
			left, right = right, (left+n.f(r, right))%n.side
		}
		if at = left*n.side + right; at < n.size {
			return uint32(at)
		}
	}
}

// TestGolden holds the draw to the examples that others check theirs against.
func TestGolden(t *testing.T) {
	var b strings.Builder
	b.WriteString("# Examples of the draw of core/line, for whoever recomputes one. Hexadecimal where it is 64 long.\n")
	b.WriteString("#   commitment seed commitment\n#   key seed size key\n#   f seed size round x value\n#   rank seed size index rank\n")
	seeds := []line.Seed{{}, seedOf("golden", 1), seedOf("golden", 2)}
	for _, seed := range seeds {
		fmt.Fprintf(&b, "commitment %x %x\n", seed, seed.Commitment())
	}
	for _, size := range []uint32{1, 2, 3, 10, 1000, 6_000_000, 1<<32 - 1} {
		for _, seed := range seeds {
			n := newNaive(seed, size)
			fmt.Fprintf(&b, "key %x %d %x\n", seed, size, n.key)
			for _, r := range []int{0, 11} {
				x := uint64(r+1) * 977 % n.side
				fmt.Fprintf(&b, "f %x %d %d %d %d\n", seed, size, r, x, n.f(r, x))
			}
			p := line.NewPermutation(seed, size)
			for _, index := range examples(size) {
				fmt.Fprintf(&b, "rank %x %d %d %d\n", seed, size, index, p.Rank(index))
			}
		}
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
		t.Errorf("the draw changed; got\n%swant\n%s", b.String(), want)
	}
}

// examples are all indices of a small draw, and some of a large one.
func examples(size uint32) []uint32 {
	if size > 10 {
		return []uint32{0, 1, size / 3, size - 1}
	}
	all := make([]uint32, size)
	for i := range all {
		all[i] = uint32(i)
	}
	return all
}

// TestGoldenByItsDescription recomputes the golden file with the naive twin.
func TestGoldenByItsDescription(t *testing.T) {
	file, err := os.Open(golden)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	counts := map[string]int{}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var name, seedText, committed string
		var size, index, rank uint32
		if _, err := fmt.Sscan(lines.Text(), &name, &seedText); err != nil {
			t.Fatal(err)
		}
		counts[name]++
		raw, _ := hex.DecodeString(seedText)
		switch name {
		case "commitment":
			_, err = fmt.Sscan(lines.Text(), &name, &seedText, &committed)
			got := sha256.Sum256(append([]byte("weir draw commitment v1\x00"), raw...))
			if err != nil || hex.EncodeToString(got[:]) != committed {
				t.Errorf("%s: got %x, error %v", lines.Text(), got, err)
			}
		case "rank":
			_, err = fmt.Sscan(lines.Text(), &name, &seedText, &size, &index, &rank)
			if got := newNaive(line.Seed(raw), size).rank(index); err != nil || got != rank {
				t.Errorf("%s: got %d, error %v", lines.Text(), got, err)
			}
		}
	}
	if counts["commitment"] != 3 || counts["rank"] < 60 {
		t.Errorf("read %v", counts)
	}
}

// TestBijection goes through every index of every small draw.
func TestBijection(t *testing.T) {
	for size := range uint32(700) {
		p := line.NewPermutation(seedOf("bijection", int(size)), size)
		checkBijection(t, p, size)
	}
	for _, size := range []uint32{4095, 4096, 4097, 65535, 65536, 65537} {
		checkBijection(t, line.NewPermutation(seedOf("bijection", int(size)), size), size)
	}
}

func checkBijection(t *testing.T, p *line.Permutation, size uint32) {
	t.Helper()
	seen := make([]bool, size)
	for index := range size {
		rank := p.Rank(index)
		if rank >= size || seen[rank] || p.Index(rank) != index {
			t.Fatalf("size %d: index %d has rank %d, taken before or not the inverse's", size, index, rank)
		}
		seen[rank] = true
	}
}

// TestTwin compares the three ways to compute a rank, and the inverse, at any
// size.
func TestTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seed := seedOf("twin", rapid.Int().Draw(t, "seed"))
		size := rapid.Uint32Range(1, 1<<rapid.IntRange(1, 32).Draw(t, "bits")-1).Draw(t, "size")
		p, n := line.NewPermutation(seed, size), newNaive(seed, size)
		for range 4 {
			index := rapid.Uint32Range(0, size-1).Draw(t, "index")
			rank := p.Rank(index)
			if one, slow := line.Rank(seed, size, index), n.rank(index); rank != slow || one != slow {
				t.Fatalf("rank %d, one by one %d, by the description %d", rank, one, slow)
			}
			if back := p.Index(rank); back != index {
				t.Fatalf("index %d has rank %d, which has index %d", index, rank, back)
			}
		}
	})
}

func TestOutsideOfTheDraw(t *testing.T) {
	p := line.NewPermutation(line.Seed{}, 5)
	for name, call := range map[string]func(){
		"rank":              func() { p.Rank(5) },
		"index":             func() { p.Index(math.MaxUint32) },
		"rank at once":      func() { line.Rank(line.Seed{}, 5, 5) },
		"of an empty draw":  func() { line.NewPermutation(line.Seed{}, 0).Rank(0) },
		"of an empty draw1": func() { line.Rank(line.Seed{}, 0, 0) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			call()
		}()
	}
}

func TestRankDoesNotAllocate(t *testing.T) {
	p := line.NewPermutation(line.Seed{}, 6_000_000)
	sum, index := uint32(0), uint32(0)
	if n := testing.AllocsPerRun(1000, func() {
		index += 4099
		sum += p.Index(p.Rank(index))
	}); n != 0 {
		t.Fatalf("%v allocations", n)
	}
	if sum == 0 {
		t.Fatal("nothing was ranked")
	}
}

func FuzzPermutation(f *testing.F) {
	f.Add([]byte("seed"), uint32(1), uint32(0))
	f.Add([]byte("seed"), uint32(6_000_000), uint32(5_999_999))
	f.Add([]byte("seed"), uint32(math.MaxUint32), uint32(65536))
	f.Fuzz(func(t *testing.T, word []byte, size, index uint32) {
		size = max(size, 1)
		index %= size
		p := line.NewPermutation(sha256.Sum256(word), size)
		if rank := p.Rank(index); rank >= size || p.Index(rank) != index {
			t.Fatalf("index %d of %d has rank %d, which has index %d", index, size, rank, p.Index(rank))
		}
		if rank := p.Index(index); rank >= size || p.Rank(rank) != index {
			t.Fatalf("rank %d of %d has index %d, which has rank %d", index, size, rank, p.Rank(rank))
		}
	})
}

func BenchmarkRank(b *testing.B) {
	for _, size := range []uint32{1000, 1_000_000, 6_000_000, 1<<32 - 1} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			p := line.NewPermutation(line.Seed{}, size)
			b.ReportAllocs()
			index, sum := uint32(0), uint32(0)
			for b.Loop() {
				index = (index + 1234567) % size
				sum += p.Rank(index)
			}
		})
	}
}

func BenchmarkRankAtOnce(b *testing.B) {
	for b.Loop() {
		line.Rank(line.Seed{}, 6_000_000, 12345)
	}
}

func BenchmarkNewPermutation(b *testing.B) {
	for _, size := range []uint32{1000, 6_000_000, 1<<32 - 1} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				line.NewPermutation(line.Seed{}, size)
			}
		})
	}
}
