package line_test

import (
	"fmt"
	"math"
	"testing"

	"weir/core/line"
)

// The tests below ask of many draws whether they are as even as chance. Their
// seeds are fixed, so a result never changes; of the statistics of a perfect
// draw one in ten thousand would lie beyond the bounds, either above (uneven)
// or below (more even than chance).
const significance = 3.719 // standard deviations of the normal distribution, one in ten thousand to each side

// chiSquare compares counts that should be equal, bin by bin.
func chiSquare(t *testing.T, what string, counts []int) {
	t.Helper()
	if statistic, low, high := evenness(counts); statistic < low || statistic > high {
		t.Errorf("%s: chi-square %.1f of %d bins, bounds %.1f and %.1f", what, statistic, len(counts), low, high)
	}
}

// evenness returns the statistic of counts and its bounds, by the
// approximation of Wilson and Hilferty (1931).
func evenness(counts []int) (statistic, low, high float64) {
	total := 0
	for _, n := range counts {
		total += n
	}
	expected := float64(total) / float64(len(counts))
	for _, n := range counts {
		statistic += (float64(n) - expected) * (float64(n) - expected) / expected
	}
	freedom := float64(len(counts) - 1)
	bound := func(z float64) float64 {
		return freedom * math.Pow(max(1-2/(9*freedom)+z*math.Sqrt(2/(9*freedom)), 0), 3)
	}
	return statistic, bound(-significance), bound(significance)
}

// bin cuts 0 … size-1 into at most bins parts as equal as they can be; the
// sizes in use are below bins or multiples of it.
func bin(rank, size, bins uint32) int {
	return int(uint64(rank) * uint64(min(bins, size)) / uint64(size))
}

var uniformSizes = []uint32{2, 3, 5, 9, 16, 100, 1000, 6_000_000, 4_294_967_200}

// TestRankIsUniform follows fixed indices through many seeds.
func TestRankIsUniform(t *testing.T) {
	const seeds = 5_000
	for _, size := range uniformSizes {
		for _, index := range []uint32{0, size / 2, size - 1} {
			counts := make([]int, min(size, 100))
			for i := range seeds {
				counts[bin(line.Rank(seedOf("rank", i), size, index), size, 100)]++
			}
			chiSquare(t, fmt.Sprintf("rank of index %d of %d", index, size), counts)
		}
	}
}

// TestNeighboursAreIndependent follows pairs of indices through many seeds:
// people who joined one after the other, and the first and the last. Where one
// is says nothing about the other, but that two are never at one rank.
func TestNeighboursAreIndependent(t *testing.T) {
	for _, size := range uniformSizes[1:] {
		for _, pair := range [][2]uint32{{0, 1}, {size / 2, size/2 + 1}, {0, size - 1}} {
			chiSquare(t, fmt.Sprintf("ranks of indices %v of %d", pair, size), pairCounts(size, func(i int) (a, b uint32) {
				seed := seedOf("pair", i)
				return line.Rank(seed, size, pair[0]), line.Rank(seed, size, pair[1])
			}))
		}
	}
}

// pairCounts counts pairs of ranks of many draws: each pair of a small draw,
// and of a larger one ten parts by ten, where it hardly matters that a rank is
// given once.
func pairCounts(size uint32, ranks func(i int) (a, b uint32)) []int {
	const draws = 5_000
	if size >= 1000 {
		counts := make([]int, 100)
		for i := range draws {
			a, b := ranks(i)
			counts[10*bin(a, size, 10)+bin(b, size, 10)]++
		}
		return counts
	}
	side := min(size, 10)
	if size > side { // the distance is even too: 1 … size-1
		counts := make([]int, size-1)
		for i := range draws {
			a, b := ranks(i)
			counts[(b+size-a)%size-1]++
		}
		return counts
	}
	counts := make([]int, size*(size-1))
	for i := range draws {
		a, b := ranks(i)
		counts[a*(size-1)+(b+size-a)%size-1]++
	}
	return counts
}

// TestPairsFindARotation shows that the test of pairs is able to fail: a draw
// that only turns the line around by chance passes the test of single ranks.
func TestPairsFindARotation(t *testing.T) {
	for _, size := range []uint32{5, 100, 6_000_000} {
		rotated := func(i int) (a, b uint32) {
			by := line.Rank(seedOf("rotation", i), size, 0)
			return by, uint32((uint64(by) + 1) % uint64(size))
		}
		if statistic, _, high := evenness(pairCounts(size, rotated)); statistic < 10*high {
			t.Errorf("size %d: chi-square %.1f, bound %.1f", size, statistic, high)
		}
	}
}

// TestOrdersAreUniform counts every order of two to six people.
func TestOrdersAreUniform(t *testing.T) {
	for size, orders := range map[uint32]int{2: 2, 3: 6, 4: 24, 5: 120, 6: 720} {
		seen := map[string]int{}
		for i := range 18_000 {
			p := line.NewPermutation(seedOf("order", i), size)
			order := make([]byte, size)
			for index := range size {
				order[index] = '0' + byte(p.Rank(index))
			}
			seen[string(order)]++
		}
		counts := make([]int, 0, orders)
		for _, n := range seen {
			counts = append(counts, n)
		}
		if len(counts) != orders {
			t.Errorf("%d of %d orders of %d people", len(counts), orders, size)
		}
		chiSquare(t, fmt.Sprintf("orders of %d", size), counts)
	}
}

// TestOneLargeDraw looks inside of a draw of six million: those who came first
// are spread evenly over the line, and so are the steps from neighbour to
// neighbour, both as they joined and as they stand.
func TestOneLargeDraw(t *testing.T) {
	const size = 6_000_000
	for draw := range 3 {
		p := line.NewPermutation(seedOf("large", draw), size)
		first, step, back := make([]int, 1000), make([]int, 1000), make([]int, 1000)
		for i := range uint32(60_000) {
			first[bin(p.Rank(i), size, 1000)]++
			step[bin((p.Rank(i+1)+size-p.Rank(i))%size, size, 1000)]++
			back[bin((p.Index(i+1)+size-p.Index(i))%size, size, 1000)]++
		}
		chiSquare(t, "ranks of the first", first)
		chiSquare(t, "steps between ranks of neighbours", step)
		chiSquare(t, "steps between indices of neighbours", back)
	}
}

// TestSizesAreIndependent follows one index through draws of the same seed and
// of two sizes: one person more, and everybody's rank is drawn anew.
func TestSizesAreIndependent(t *testing.T) {
	for _, size := range []uint32{1000, 6_000_000} {
		chiSquare(t, fmt.Sprintf("ranks at sizes %d and %d", size, size+1), pairCounts(size, func(i int) (a, b uint32) {
			seed := seedOf("size", i)
			return line.Rank(seed, size, 7), line.Rank(seed, size+1, 7) % size
		}))
	}
}

// TestRoundsAreEnough computes, with no seed at all, how likely twelve rounds
// of functions drawn by chance make each of the 24 orders of four people. Fewer
// arguments than two a round function can't have, so this is the draw that
// forgets slowest; each round halves what is left.
func TestRoundsAreEnough(t *testing.T) {
	type order [4]byte
	chances := map[order]float64{{0, 1, 2, 3}: 1}
	for range 12 {
		next := map[order]float64{}
		for from, chance := range chances {
			for f := range byte(4) { // f(0) is its low bit, f(1) its high one
				var to order
				for index, at := range from {
					left, right := at/2, at%2
					to[index] = 2*right + (left+f>>right)%2
				}
				next[to] += chance / 4
			}
		}
		chances = next
	}
	worst := 0.0
	for _, chance := range chances {
		worst = max(worst, math.Abs(24*chance-1))
	}
	t.Logf("of %d orders the chance of none is off 1/24 by more than 1/%.0f of it", len(chances), 1/worst)
	if len(chances) != 24 || worst > 1.0/1024 {
		t.Errorf("%d orders, off by %v", len(chances), worst)
	}
}
