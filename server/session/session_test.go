package session_test

import (
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"weir/core/event"
	"weir/server/session"
)

const (
	tick = 10 * time.Second
	idle = time.Minute
)

// twin is the table as one would write it down: when each was last heard of.
type twin struct {
	now    time.Duration
	last   map[event.Number]time.Duration
	booked map[event.Number]bool
	came   map[event.Number]bool
}

func (w *twin) inProgress() (n int) {
	for number, last := range w.last {
		if !w.booked[number] && w.now-last < idle {
			n++
		}
	}
	return n
}

func TestTableAndItsTwinAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := session.New(idle)
		w := &twin{last: map[event.Number]time.Duration{}, booked: map[event.Number]bool{}, came: map[event.Number]bool{}}
		number := rapid.Custom(func(t *rapid.T) event.Number {
			page := rapid.Uint32Range(0, 2).Draw(t, "page")
			return event.Number(page<<14 + rapid.Uint32Range(1, 20).Draw(t, "in page"))
		})
		t.Repeat(map[string]func(*rapid.T){
			"heard": func(t *rapid.T) {
				n := number.Draw(t, "number")
				table.Heard(n)
				w.last[n], w.came[n] = w.now, true
			},
			"booked": func(t *rapid.T) {
				n := number.Draw(t, "number")
				table.Booked(n)
				w.booked[n], w.came[n] = true, true
			},
			"time": func(t *rapid.T) {
				ticks := rapid.IntRange(1, 9).Draw(t, "ticks")
				table.Advance(time.Duration(ticks) * tick)
				w.now += time.Duration(ticks) * tick
			},
			"": func(t *rapid.T) {
				if got, want := table.InProgress(), w.inProgress(); got != want {
					t.Fatalf("%d in progress, the twin says %d", got, want)
				}
				if got, want := table.Came(), len(w.came); got != want {
					t.Fatalf("%d came, the twin says %d", got, want)
				}
			},
		})
	})
}

// TestPartsOfTicksAddUp lets time pass in the steps of a keeper.
func TestPartsOfTicksAddUp(t *testing.T) {
	table := session.New(idle)
	table.Heard(1)
	for range 599 {
		table.Advance(100 * time.Millisecond)
	}
	if table.InProgress() != 1 {
		t.Fatal("idle before its time")
	}
	table.Advance(100 * time.Millisecond)
	if table.InProgress() != 0 {
		t.Fatal("not idle at its time")
	}
	table.Heard(1)
	table.Advance(1000 * time.Hour)
	if table.InProgress() != 0 || table.Came() != 1 {
		t.Fatalf("%d in progress, %d came", table.InProgress(), table.Came())
	}
	table.Heard(2)
	if table.InProgress() != 1 {
		t.Fatal("not heard after a long time")
	}
}

func TestManyAtOnce(t *testing.T) {
	const people, goroutines = 3000, 8
	table := session.New(idle)
	var all sync.WaitGroup
	for g := range goroutines {
		all.Go(func() {
			for n := event.Number(1); n <= people; n++ {
				table.Heard(n)
				if n%3 == 0 && g%2 == 0 {
					table.Booked(n)
				}
			}
		})
	}
	all.Wait()
	if table.InProgress() != people-people/3 || table.Came() != people {
		t.Fatalf("%d in progress, %d came", table.InProgress(), table.Came())
	}
}

func TestPresumedLetsNoBurstIn(t *testing.T) {
	table := session.New(idle)
	for _, c := range []struct {
		pass time.Duration
		want int
	}{{0, 600}, {30 * time.Second, 300}, {15 * time.Second, 150}, {time.Minute, 0}} {
		table.Advance(c.pass)
		if got := table.Presumed(600); got != c.want {
			t.Errorf("%v later: %d presumed, want %d", c.pass, got, c.want)
		}
	}
	table = session.New(idle)
	table.Advance(30 * time.Second)
	for n := event.Number(1); n <= 400; n++ {
		table.Heard(n)
	}
	if got := table.Presumed(600); got != 400 {
		t.Errorf("%d presumed where 400 were heard of", got)
	}
}

func TestHeardAllocatesNothing(t *testing.T) {
	table := session.New(idle)
	table.Heard(1)
	if n := testing.AllocsPerRun(100, func() {
		table.Heard(1)
		table.Heard(2)
		table.Booked(2)
		table.InProgress()
	}); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

func BenchmarkHeard(b *testing.B) {
	table := session.New(idle)
	b.RunParallel(func(pb *testing.PB) {
		for n := event.Number(1); pb.Next(); n++ {
			table.Heard(n % 100_000)
		}
	})
}
