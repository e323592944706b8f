//go:build linux

package openloop

import (
	"maps"
	"math/bits"
	"slices"
	"testing"
	"unsafe"

	"pgregory.net/rapid"
)

// twin is the wheel as it should be: a map.
type twin struct {
	now uint32
	due map[uint32]uint32 // by id
}

func (w *twin) start(id, due uint32) { w.due[id] = max(due, w.now+1) }

// advance returns what comes due until tick, in the order of ticks, and of ids
// within one.
func (w *twin) advance(tick uint32) (fired [][2]uint32) {
	for id, due := range w.due {
		if due <= tick {
			fired = append(fired, [2]uint32{due, id})
		}
	}
	slices.SortFunc(fired, func(a, b [2]uint32) int { return slices.Compare(a[:], b[:]) })
	for _, f := range fired {
		delete(w.due, f[1])
	}
	w.now = max(w.now, tick)
	return fired
}

func TestWheelIsAMapOfTimers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const ids = 12
		w, model := newWheel(ids), &twin{due: map[uint32]uint32{}}
		id := rapid.Uint32Range(0, ids-1)
		// Every level is met, and the borders between them.
		ahead := rapid.Custom(func(t *rapid.T) uint32 {
			return rapid.Uint32Range(0, 1<<rapid.IntRange(0, 26).Draw(t, "bits")).Draw(t, "ahead")
		})
		t.Repeat(map[string]func(*rapid.T){
			"start": func(t *rapid.T) {
				id, due := id.Draw(t, "id"), w.now+ahead.Draw(t, "in")
				w.start(id, due)
				model.start(id, due)
			},
			"stop": func(t *rapid.T) {
				id := id.Draw(t, "id")
				w.stop(id)
				delete(model.due, id)
			},
			"advance": func(t *rapid.T) {
				tick := w.now + ahead.Draw(t, "by")
				var fired [][2]uint32
				last := w.now
				w.advance(tick, func(id, due uint32) {
					if due < last || due != w.now {
						t.Fatalf("timer of %d fired at %d, after %d", due, w.now, last)
					}
					last = due
					fired = append(fired, [2]uint32{due, id})
				})
				slices.SortFunc(fired, func(a, b [2]uint32) int { return slices.Compare(a[:], b[:]) })
				if want := model.advance(tick); !slices.Equal(fired, want) {
					t.Fatalf("until %d fired %v, want %v", tick, fired, want)
				}
			},
			"": func(t *rapid.T) { checkWheel(t, w, model) },
		})
	})
}

// checkWheel checks the invariants that the wheel's declaration names.
func checkWheel(t *rapid.T, w *wheel, model *twin) {
	if w.now != model.now || w.set != len(model.due) {
		t.Fatalf("now %d with %d timers, want %d with %d", w.now, w.set, model.now, len(model.due))
	}
	found := map[uint32]uint32{}
	earliest := ^uint32(0)
	for level := range w.heads {
		for slot := range w.heads[level] {
			for next := w.heads[level][slot]; next != 0; next = w.timers[next-1].next {
				due := w.timers[next-1].due
				found[next-1] = due
				earliest = min(earliest, due)
				if due <= w.now || (bits.Len32(due^w.now)-1)/slotBits != level || int(due>>(slotBits*level)&slotMask) != slot {
					t.Fatalf("timer of %d in slot %d of level %d at %d", due, slot, level, w.now)
				}
			}
			if level == 0 && (w.heads[0][slot] != 0) != (w.occupied[slot/64]>>(slot%64)&1 != 0) {
				t.Fatalf("slot %d: occupied %x", slot, w.occupied)
			}
		}
	}
	if !maps.Equal(found, model.due) {
		t.Fatalf("timers %v, want %v", found, model.due)
	}
	if next := w.next(); next <= w.now || next > earliest {
		t.Fatalf("next %d at %d, the first timer is due at %d", next, w.now, earliest)
	}
}

func TestWheelTimersStartTimers(t *testing.T) {
	w := newWheel(2)
	var fired []uint32
	w.start(0, 10)
	w.start(1, 10)
	w.advance(1000, func(id, due uint32) {
		w.stop(1 - id) // the other one, which is due in the same tick
		if fired = append(fired, due); len(fired) < 5 {
			w.start(id, due+uint32(len(fired))*100)
		}
	})
	if want := []uint32{10, 110, 310, 610}; !slices.Equal(fired, want) {
		t.Errorf("fired at %v, want %v", fired, want)
	}
	if w.set != 1 {
		t.Errorf("%d timers set, want the one of tick 1010", w.set)
	}
}

func TestWheelTakesTwelveBytes(t *testing.T) {
	const timers, wide = 1_000_000, 1 << 24
	w := newWheel(timers)
	fired := 0
	allocated := testing.AllocsPerRun(1, func() {
		begin := w.now
		for id := range uint32(timers) {
			w.start(id, begin+1+id*7)
		}
		w.advance(begin+wide, func(uint32, uint32) { fired++ })
	})
	const others = 10 // the runtime's and the race detector's
	if allocated > others || w.set != 0 || fired != 2*timers || unsafe.Sizeof(timer{}) != 12 {
		t.Errorf("%v allocations, %d timers left, %d fired, %d bytes each", allocated, w.set, fired, unsafe.Sizeof(timer{}))
	}
}

func BenchmarkWheel(b *testing.B) {
	const timers = 6_000_000
	w := newWheel(timers)
	for id := range uint32(timers) {
		w.start(id, 1+id%(1<<20))
	}
	left := b.N
	b.ResetTimer()
	for tick := w.now; left > 0; {
		tick += 16
		w.advance(tick, func(id, due uint32) {
			left--
			w.start(id, due+1<<20)
		})
	}
}
