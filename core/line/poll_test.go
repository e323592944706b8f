package line_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"weir/core/event"
	"weir/core/line"
)

func TestAhead(t *testing.T) {
	for _, c := range []struct {
		number, serving event.Number
		want            uint32
	}{{1, 0, 0}, {2, 0, 1}, {5, 5, 0}, {5, 4, 0}, {5, 3, 1}, {5, 900, 0}, {math.MaxUint32, 0, math.MaxUint32 - 1}} {
		if got := line.Ahead(c.number, c.serving); got != c.want {
			t.Errorf("number %d, serving %d: %d ahead, want %d", c.number, c.serving, got, c.want)
		}
	}
}

func TestETA(t *testing.T) {
	for _, c := range []struct {
		ahead     uint32
		perMinute float64
		want      time.Duration
		known     bool
	}{
		{0, 60, time.Second, true},
		{59, 60, time.Minute, true},
		{100, 1000, 7 * time.Second, true}, // 6.06 s
		{5_999_999, 30_000, 200 * time.Minute, true},
		{math.MaxUint32, 0.001, line.MaxETA, true},
		{1, math.SmallestNonzeroFloat64, line.MaxETA, true},
		{1, math.Inf(1), 0, true},
		{1, 0, 0, false},
		{1, -5, 0, false},
		{1, math.NaN(), 0, false},
	} {
		if got, known := line.ETA(c.ahead, c.perMinute); got != c.want || known != c.known {
			t.Errorf("%d ahead at %v a minute: %v, %v; want %v, %v", c.ahead, c.perMinute, got, known, c.want, c.known)
		}
	}
}

// TestBudget adds up what everybody asks, for crowds up to six million, and
// compares it with the budget. Of a large crowd it takes one in a hundred.
func TestBudget(t *testing.T) {
	most := 0.0
	for _, budget := range []float64{100, 20_000} {
		p := line.DefaultPolling()
		p.BudgetPerSecond = budget
		for _, waiting := range []uint32{1, 100, 10_000, 6_000_000} {
			for _, perMinute := range []float64{0, 6, 1000, 30_000, 1e6} {
				for _, paused := range []bool{false, true} {
					crowd := line.Crowd{Waiting: waiting, PerMinute: perMinute, Paused: paused}
					asked := questionsPerSecond(p, crowd)
					most = max(most, asked/budget)
					if asked > budget {
						t.Errorf("%+v asks %.0f times a second, budget %.0f", crowd, asked, budget)
					}
				}
			}
		}
	}
	t.Logf("most is %.2f of the budget", most)
	crowd := line.Crowd{Waiting: 6_000_000, PerMinute: 30_000}
	asked := questionsPerSecond(line.DefaultPolling(), crowd)
	t.Logf("six million ask %.0f times a second", asked)
	if asked < 1000 {
		t.Error("six million hardly ask at all")
	}
}

func questionsPerSecond(p line.Polling, crowd line.Crowd) float64 {
	sum, ahead := 0.0, uint32(0)
	for ahead < crowd.Waiting {
		people := uint32(1)
		if ahead >= 10_000 {
			people = min(100, crowd.Waiting-ahead)
		}
		sum += float64(people) / p.After(ahead, crowd, uint64(ahead)).Seconds()
		ahead += people
	}
	return sum
}

// TestIntervals looks at one person on their way through the line.
func TestIntervals(t *testing.T) {
	p, crowd := line.DefaultPolling(), line.Crowd{Waiting: 6_000_000, PerMinute: 30_000}
	for key := range uint64(1000) {
		if got := p.After(uint32(key%50), crowd, key); got > 3*time.Second {
			t.Fatalf("next in line asks after %v", got)
		}
		for _, ahead := range []uint32{1000, 50_000, 500_000} {
			if eta, _ := line.ETA(ahead, crowd.PerMinute); p.After(ahead, crowd, key) > eta {
				t.Fatalf("%d ahead asks after %v, the turn is in %v", ahead, p.After(ahead, crowd, key), eta)
			}
		}
		if got := p.After(5_999_999, crowd, key); got < 5*time.Minute || got > 30*time.Minute {
			t.Fatalf("the last in line asks after %v", got)
		}
		few := line.Crowd{Waiting: 10, PerMinute: 0}
		if got := p.After(9, few, key); got > 3*time.Second {
			t.Fatalf("the last of ten asks after %v where no rate is known yet", got)
		}
		paused := line.Crowd{Waiting: 10, PerMinute: 600, Paused: true}
		if got := p.After(0, paused, key); got < 10*time.Second || got > 30*time.Second {
			t.Fatalf("next in line asks after %v while paused", got)
		}
	}
}

// TestChance looks at who asks in the same second: of a thousand people with
// the same number ahead no second has many, and the same question gets the same
// answer.
func TestChance(t *testing.T) {
	p, crowd := line.DefaultPolling(), line.Crowd{Waiting: 1_000_000}
	seconds := map[time.Duration]int{}
	for key := range uint64(20_000) {
		after := p.After(900_000, crowd, key)
		if after != p.After(900_000, crowd, key) {
			t.Fatal("the same question has two answers")
		}
		seconds[after]++
	}
	for after, n := range seconds {
		if n*len(seconds) > 20_000*2 { // twice the average
			t.Errorf("%d of 12000 ask after %v", n, after)
		}
	}
}

// TestOpening has six million people wait for a draw.
func TestOpening(t *testing.T) {
	p, crowd := line.DefaultPolling(), line.Crowd{Waiting: 6_000_000}
	const sampled = 100_000
	seconds := map[time.Duration]float64{}
	for key := range uint64(sampled) {
		after := p.AfterOpening(time.Minute, crowd, key)
		if after < time.Minute || after > 15*time.Minute {
			t.Fatalf("asks after %v", after)
		}
		seconds[after/time.Second/10] += 6_000_000 / sampled / 10 // mean of ten seconds
		if after := p.AfterOpening(24*time.Hour, crowd, key); after > time.Hour {
			t.Fatalf("asks after %v, a day before the opening", after)
		}
		if after := p.AfterOpening(-time.Second, line.Crowd{Waiting: 10}, key); after > 2*time.Second {
			t.Fatalf("one of ten asks after %v where the draw is due", after)
		}
	}
	for at, asked := range seconds {
		if asked > p.BudgetPerSecond {
			t.Errorf("%.0f ask in second %d", asked, at*10)
		}
	}
}

// TestCrowdInStep tells two hundred thousand people their place in the same
// second (six million, to a scale of one in thirty) and follows everybody's
// questions until the line is empty, through a pause. It counts the questions of
// each second, and how long after their turn came people hear of it.
func TestCrowdInStep(t *testing.T) {
	const (
		waiting   = 200_000
		perMinute = 1320
		pauseFrom = 1800 // seconds
		pauseTo   = 2400
	)
	p := line.DefaultPolling()
	p.BudgetPerSecond = 20_000 / 30.0
	ask := [][]event.Number{make([]event.Number, 0, waiting)} // who asks, by second
	for number := event.Number(1); number <= waiting; number++ {
		ask[0] = append(ask[0], number)
	}
	called := make([]int32, waiting+1) // second of the call, by number
	serving, asked, most := event.Number(0), 0, 0
	var late []int
	for second := 0; second < len(ask); second++ {
		paused := second >= pauseFrom && second < pauseTo
		for rise := event.Number(perMinute / 60); rise > 0 && !paused && serving < waiting; rise-- {
			serving++
			called[serving] = int32(second)
		}
		if second > 0 {
			asked, most = asked+len(ask[second]), max(most, len(ask[second]))
		}
		crowd := line.Crowd{Waiting: uint32(waiting - serving), PerMinute: perMinute, Paused: paused}
		for _, number := range ask[second] {
			if number <= serving {
				late = append(late, second-int(called[number]))
				continue
			}
			next := second + int(p.After(line.Ahead(number, serving), crowd, uint64(number))/time.Second)
			for len(ask) <= next {
				ask = append(ask, nil)
			}
			ask[next] = append(ask[next], number)
		}
		ask[second] = nil
	}
	slices.Sort(late)
	median, p99, last := late[len(late)/2], late[len(late)*99/100], late[len(late)-1]
	t.Logf("%.1f questions a person; %d in the busiest second, budget %.0f; hear of their turn after %d s (p50), %d s (p99), %d s (last)",
		float64(asked)/waiting, most, p.BudgetPerSecond, median, p99, last)
	if len(late) != waiting {
		t.Errorf("%d of %d heard of their turn", len(late), waiting)
	}
	if float64(most) > p.BudgetPerSecond {
		t.Errorf("%d questions in a second, budget %.0f", most, p.BudgetPerSecond)
	}
	if median > 3 || p99 > 5 {
		t.Errorf("people hear late of their turn: after %d s (p50), %d s (p99)", median, p99)
	}
}

func TestCheckPolling(t *testing.T) {
	if err := line.DefaultPolling().Check(); err != nil {
		t.Fatal(err)
	}
	for name, wrong := range map[string]line.Polling{
		"nothing":      {},
		"no budget":    {Floor: time.Second, Ceiling: time.Second},
		"no number":    {BudgetPerSecond: math.NaN(), Floor: time.Second, Ceiling: time.Second},
		"no floor":     {BudgetPerSecond: 1, Ceiling: time.Minute},
		"wrong order":  {BudgetPerSecond: 1, Floor: time.Minute, Ceiling: time.Second},
		"long ceiling": {BudgetPerSecond: 1, Floor: time.Minute, Ceiling: 48 * time.Hour},
	} {
		if wrong.Check() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func BenchmarkAfter(b *testing.B) {
	p, crowd := line.DefaultPolling(), line.Crowd{Waiting: 6_000_000, PerMinute: 30_000}
	b.ReportAllocs()
	key := uint64(0)
	for b.Loop() {
		key++
		p.After(uint32(key%6_000_000), crowd, key)
	}
}
