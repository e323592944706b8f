package line_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"weir/core/event"
	"weir/core/line"
)

const (
	minute    = time.Minute
	millions  = event.Number(6_000_000)
	worlds    = 3 // seeds that a scenario is played with
	settledBy = 5 * minute
)

// played plays a scenario with several seeds and hands each world to check.
func played(t *testing.T, waiting event.Number, play, check func(w *world)) {
	t.Helper()
	for seed := range uint64(worlds) {
		w := newWorld(seed, waiting)
		play(w)
		check(w)
		if t.Failed() {
			t.Fatalf("in the world of seed %d", seed)
		}
	}
}

// atLeast and atMost hold a figure to its bound.
func atLeast(t *testing.T, what string, got, want float64) {
	t.Helper()
	if !(got >= want) {
		t.Errorf("%s: %.4g, want at least %.4g", what, got, want)
	}
}

func atMost(t *testing.T, what string, got, want float64) {
	t.Helper()
	if !(got <= want) {
		t.Errorf("%s: %.4g, want at most %.4g", what, got, want)
	}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// TestConverges lets six million wait in front of a server that carries two
// thousand sessions, for people quick and slow to answer and for any share who
// come, all with the same settings.
func TestConverges(t *testing.T) {
	for _, share := range []float64{1, 0.4, 0.15} {
		for _, answerTime := range []time.Duration{2 * time.Second, 5 * time.Second, 12 * time.Second, 20 * time.Second} {
			t.Run(fmt.Sprintf("share %v, answer %v", share, answerTime), func(t *testing.T) {
				played(t, millions, func(w *world) {
					w.share, w.answerTime = share, answerTime
					w.run(15 * minute)
				}, func(w *world) {
					start, rest := w.between(0, settledBy), w.between(settledBy, 15*minute)
					t.Logf("90 %% of capacity after %v, most %.0f; then %v", w.reached(capacity*9/10), start.high, rest)
					atMost(t, "seconds to 90 % of capacity", w.reached(capacity*9/10).Seconds(), 270)
					atMost(t, "most sessions at first", start.high, capacity*1.1+capacity*0.03*answerTime.Seconds())
					atLeast(t, "sessions", rest.mean, 0.95*capacity)
					atMost(t, "sessions", rest.mean, capacity)
					atLeast(t, "fewest sessions", rest.low, 0.8*capacity)
					atMost(t, "most sessions", rest.high, 1.1*capacity)
					atMost(t, "swing", rest.swing, 0.06)
					atMost(t, "p99 of the delay, ms", milliseconds(rest.delayP99), 100)
				})
			})
		}
	}
}

// TestSessionLengths has people who are done in a quarter of a minute, and such
// who take five.
func TestSessionLengths(t *testing.T) {
	for _, requests := range []float64{15, 300} {
		played(t, millions, func(w *world) {
			w.perSession = requests
			w.run(25 * minute)
		}, func(w *world) {
			rest := w.between(10*minute, 25*minute)
			t.Logf("%v requests: 90 %% of capacity after %v, most %.0f; then %v",
				requests, w.reached(capacity*9/10), w.between(0, 10*minute).high, rest)
			atLeast(t, "sessions", rest.mean, 0.93*capacity)
			atMost(t, "most sessions", rest.high, 1.15*capacity)
			atMost(t, "swing", rest.swing, 0.06)
		})
	}
}

// TestDropOuts compares a crowd of whom 60 % never come with one that comes
// whole: the server is as full, and the line moves 2.5 times as fast.
func TestDropOuts(t *testing.T) {
	whole := newWorld(1, millions)
	whole.run(15 * minute)
	some := newWorld(1, millions)
	some.share = 0.4
	some.run(15 * minute)
	all, few := whole.between(settledBy, 15*minute), some.between(settledBy, 15*minute)
	t.Logf("all come: %v", all)
	t.Logf("40 %% come: %v; measured share %.3f", few, some.last.ShareCame)
	atLeast(t, "sessions in proportion", few.mean/all.mean, 0.98)
	atLeast(t, "numbers a minute in proportion", few.perMinute/all.perMinute, 2.4)
	atMost(t, "numbers a minute in proportion", few.perMinute/all.perMinute, 2.6)
	atLeast(t, "measured share", some.last.ShareCame, 0.36)
	atMost(t, "measured share", some.last.ShareCame, 0.44)
}

// TestDropOutsBegin lets six of ten stay away from one moment on.
func TestDropOutsBegin(t *testing.T) {
	played(t, millions, func(w *world) {
		w.run(10 * minute)
		w.share = 0.4
		w.run(5 * minute)
		w.share = 1
		w.run(5 * minute)
	}, func(w *world) {
		fewer, after := w.between(10*minute, 12*minute), w.between(12*minute, 15*minute)
		back := w.between(15*minute, 17*minute)
		t.Logf("at first %v; then %v; when all come again %v", fewer, after, back)
		atLeast(t, "sessions at first", fewer.mean, 0.8*capacity)
		atLeast(t, "sessions then", after.mean, 0.95*capacity)
		atMost(t, "most sessions when all come again", back.high, 1.35*capacity)
	})
}

// TestStall stops the server for five seconds.
func TestStall(t *testing.T) {
	played(t, millions, func(w *world) {
		w.run(10 * minute)
		w.stall(5 * time.Second)
		w.run(5 * minute)
	}, func(w *world) {
		stall, after := w.between(10*minute, 10*minute+5*time.Second), w.between(10*minute+30*time.Second, 12*minute)
		again := w.between(10*minute+10*time.Second, 15*minute)
		t.Logf("in the stall %v; 30 s later and on %v", stall, after)
		atMost(t, "numbers called in the stall", stall.perMinute/12, 0.03*capacity)
		atMost(t, "most sessions after it", again.high, 1.1*capacity)
		atLeast(t, "sessions 30 s later and on", after.mean, 0.93*capacity)
		atMost(t, "p99 of the delay 30 s later and on, ms", milliseconds(after.delayP99), 100)
	})
}

// TestHiccups has a commit take six times its limit now and then, whatever the
// load: the price is a little capacity.
func TestHiccups(t *testing.T) {
	played(t, millions, func(w *world) {
		for w.now < 15*minute {
			w.run(time.Duration(15+w.random.IntN(30)) * time.Second)
			w.commitDelay = 300 * time.Millisecond
			w.run(500 * time.Millisecond)
			w.commitDelay = time.Millisecond
		}
	}, func(w *world) {
		f := w.between(settledBy, 15*minute)
		t.Logf("%v", f)
		atLeast(t, "sessions", f.mean, 0.9*capacity)
		atMost(t, "most sessions", f.high, 1.1*capacity)
	})
}

// TestCapacityChanges halves the server and doubles it again, as when one of
// two machines goes and comes back.
func TestCapacityChanges(t *testing.T) {
	played(t, millions, func(w *world) {
		w.run(10 * minute)
		w.perSecond = capacity / 2
		w.run(10 * minute)
		w.perSecond = capacity
		w.run(10 * minute)
	}, func(w *world) {
		half, whole := w.between(13*minute, 20*minute), w.between(23*minute, 30*minute)
		t.Logf("three minutes after it is halved %v; three after it is doubled %v", half, whole)
		atLeast(t, "sessions at half", half.mean, 0.95*capacity/2)
		atMost(t, "most sessions at half", half.high, 1.15*capacity/2)
		atLeast(t, "sessions at full", whole.mean, 0.92*capacity)
		atMost(t, "most sessions at full", whole.high, 1.2*capacity)
	})
}

// TestFixedRate holds rates through ticks that come late, early and not at all.
func TestFixedRate(t *testing.T) {
	for _, perMinute := range []float64{6, 1000, 1777.7, 12345} {
		played(t, millions, func(w *world) {
			w.set(func(s *line.Steering) { s.PerMinute = perMinute })
			for w.now < 20*minute {
				w.step(time.Duration(20+w.random.IntN(400)) * time.Millisecond)
			}
		}, func(w *world) {
			f, reported := w.between(0, 20*minute), w.last.PerMinute
			t.Logf("%v a minute: %.2f, reported %.1f, %v", perMinute, f.perMinute, reported, w.last.Limit)
			atMost(t, "off the rate, numbers", math.Abs(f.perMinute-perMinute)*20, max(0.01*perMinute*20, 1))
			if perMinute >= 1000 {
				atMost(t, "reported off the rate", math.Abs(reported/perMinute-1), 0.02)
			}
			if w.last.Limit != line.Rate {
				t.Errorf("limited by %v", w.last.Limit)
			}
		})
	}
}

// TestFixedRateOfAnEmptyLine lets more join than the rate allows, from the
// moment on when nobody waits: what was not used before is not saved up.
func TestFixedRateOfAnEmptyLine(t *testing.T) {
	played(t, 0, func(w *world) {
		w.set(func(s *line.Steering) { s.PerMinute = 600 })
		w.run(10 * minute)
		w.joinsPerS = 15
		w.run(10 * minute)
	}, func(w *world) {
		f, first := w.between(10*minute, 20*minute), w.between(10*minute, 10*minute+10*time.Second)
		atMost(t, "numbers a minute", math.Abs(f.perMinute-600), 6)
		atMost(t, "numbers in the first ten seconds", first.perMinute/6, 112)
	})
}

func TestFloorAndCeiling(t *testing.T) {
	t.Run("ceiling", func(t *testing.T) {
		played(t, millions, func(w *world) {
			w.set(func(s *line.Steering) { s.Ceiling = 1000 })
			w.run(10 * minute)
		}, func(w *world) {
			f := w.between(settledBy, 10*minute)
			t.Logf("%v, %v", f, w.last.Limit)
			atLeast(t, "sessions", f.mean, 950)
			atMost(t, "most sessions", f.high, 1100)
			if w.last.Limit != line.Ceiling || w.last.Target != 1000 {
				t.Errorf("limited by %v at %d", w.last.Limit, w.last.Target)
			}
		})
	})
	t.Run("ceiling of a fixed rate", func(t *testing.T) {
		played(t, millions, func(w *world) {
			w.set(func(s *line.Steering) { s.Ceiling, s.PerMinute = 1000, 60_000 })
			w.run(10 * minute)
		}, func(w *world) {
			f := w.between(settledBy, 10*minute)
			t.Logf("%v, %v", f, w.last.Limit)
			atLeast(t, "sessions", f.mean, 850)
			atMost(t, "most sessions", f.high, 1150)
		})
	})
	t.Run("floor", func(t *testing.T) {
		played(t, millions, func(w *world) {
			w.set(func(s *line.Steering) { s.Floor, s.CommitDelayLimit = 300, time.Microsecond })
			w.run(10 * minute)
		}, func(w *world) {
			f := w.between(settledBy, 10*minute)
			t.Logf("%v, %v", f, w.last.Limit)
			atLeast(t, "sessions", f.mean, 250)
			atMost(t, "most sessions", f.high, 360)
			if w.last.Limit != line.Floor || w.last.Target != 300 {
				t.Errorf("limited by %v at %d", w.last.Limit, w.last.Target)
			}
		})
	})
}

// TestNobodyComes calls into the void: no more than the floor in each answer
// time once that is plain. When people come again the line is itself again.
func TestNobodyComes(t *testing.T) {
	played(t, millions, func(w *world) {
		w.run(10 * minute)
		w.share = 0
		w.run(30 * minute)
		if w.last.Limit != line.Unanswered {
			t.Errorf("limited by %v", w.last.Limit)
		}
		w.share = 1
		w.run(10 * minute)
	}, func(w *world) {
		first, later := w.between(10*minute, 12*minute), w.between(12*minute, 40*minute)
		again := w.between(45*minute, 50*minute)
		t.Logf("called in the first two minutes %.0f, then a minute %.0f; when people come again %v",
			first.perMinute*2, later.perMinute, again)
		atMost(t, "called in the first two minutes", first.perMinute*2, 8*capacity)
		atMost(t, "called a minute then", later.perMinute, 100*6)
		atLeast(t, "sessions when people come again", again.mean, 0.9*capacity)
		atMost(t, "most sessions when people come again", w.between(40*minute, 50*minute).high, 1.25*capacity)
	})
}

// TestFreeCapacity has fewer people join than the server carries. Once the
// target has grown from its floor to what they need, all are let in where they
// join, and so is a small rush.
func TestFreeCapacity(t *testing.T) {
	const grown = 90 * time.Second
	played(t, 0, func(w *world) {
		w.joinsPerS = 5
		w.run(10 * minute)
		w.issued += 10
		w.run(minute)
	}, func(w *world) {
		waited, most, ticks := 0, 0, 0
		for _, s := range w.trace {
			most = max(most, s.waiting)
			if s.at > grown {
				ticks++
				waited += min(s.waiting, 1)
			}
		}
		t.Logf("%d joined; %d at most waited at first, later some at %d of %d ticks", w.issued, most, waited, ticks)
		atMost(t, "most who waited at first", float64(most), 100)
		atMost(t, "share of ticks at which people waited later", float64(waited)/float64(ticks), 0.002)
		if w.last.Limit != line.Idle {
			t.Errorf("limited by %v", w.last.Limit)
		}
		atMost(t, "how far the mark runs ahead", float64(w.serving)-float64(w.issued), 100)
	})
}

// TestNoBurst pauses, closes and leaves the controller alone for ten minutes:
// afterwards no second calls more than the pace of a server that is empty.
func TestNoBurst(t *testing.T) {
	breaks := map[string]func(w *world){
		"paused":     func(w *world) { w.paused = true; w.run(10 * minute); w.paused = false },
		"closed":     func(w *world) { w.closed = true; w.run(10 * minute); w.closed = false },
		"left alone": func(w *world) { w.unattended = true; w.run(10 * minute); w.unattended = false },
	}
	for name, pause := range breaks {
		t.Run(name, func(t *testing.T) {
			played(t, millions, func(w *world) {
				w.run(10 * minute)
				before := w.serving
				pause(w)
				if called := w.serving - before; called != 0 {
					t.Errorf("%d numbers called while %s", called, name)
				}
				w.run(5 * minute)
			}, func(w *world) {
				after := w.trace[len(w.trace)-int(5*minute/tick)-1:]
				most := 0
				for i := 10; i < len(after); i++ {
					most = max(most, after[i].called-after[i-10].called)
				}
				f := w.between(w.now-5*minute, w.now)
				rest := w.between(w.now-3*minute, w.now)
				t.Logf("at most %d called in a second; most sessions %.0f; two minutes later %v", most, f.high, rest)
				atMost(t, "called in a second", float64(most), 0.2*capacity)
				atMost(t, "most sessions", f.high, 1.25*capacity)
				atLeast(t, "sessions two minutes later", rest.mean, 0.9*capacity)
			})
		})
	}
}

// TestRules plays the rule of the target against additive increase with
// multiplicative decrease: first on a whole server, and then on
// half of it. Decreased by half the server idles after every swing; decreased
// by little it is full but always at its limit, and slow to follow.
func TestRules(t *testing.T) {
	play := func(rule func(w *world)) (rest, halved figures) {
		w := newWorld(1, millions)
		w.rule = rule
		w.run(20 * minute)
		w.perSecond /= 2
		w.run(10 * minute)
		return w.between(10*minute, 20*minute), w.between(20*minute, 24*minute)
	}
	rest, halved := play(nil)
	t.Logf("bands of pressure:  %v; halved: delay p50 %v", rest, halved.delayP50)
	for _, keep := range []float64{0.5, 0.8, 0.9, 0.95} {
		other, otherHalved := play(additiveIncrease(keep))
		t.Logf("decrease to %3.0f %%: %v; halved: delay p50 %v", 100*keep, other, otherHalved.delayP50)
		if other.mean >= rest.mean && other.delayP50 <= rest.delayP50 && otherHalved.delayP50 <= halved.delayP50 {
			t.Errorf("decrease to %v is better in all", keep)
		}
	}
}

// additiveIncrease pins the controller's target to one that grows by one
// percent of the capacity a second while the delay is below its limit, and
// else shrinks, at most once in ten seconds.
func additiveIncrease(keep float64) func(w *world) {
	target, shrunk := 100.0, time.Duration(0)
	return func(w *world) {
		switch {
		case w.delay() < w.steering.QueueDelayLimit:
			if float64(w.sessions) > 0.8*target {
				target += 0.01 * capacity * tick.Seconds()
			}
		case w.now-shrunk > 10*time.Second:
			target, shrunk = max(target*keep, 100), w.now
		}
		w.controller.Set(line.Steering{
			Floor: uint32(target), Ceiling: uint32(target), AnswerTime: w.steering.AnswerTime,
			QueueDelayLimit: time.Hour, CommitDelayLimit: time.Hour,
		})
	}
}

// TestAnySignals feeds what no server measures. The mark never falls, jumps no
// further than its bounds allow, and stands still while paused or closed.
func TestAnySignals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		steering := line.DefaultSteering()
		steering.Floor = rapid.Uint32Range(1, 2000).Draw(t, "floor")
		steering.Ceiling = steering.Floor + rapid.Uint32Range(0, 100_000).Draw(t, "room")
		steering.PerMinute = rapid.SampledFrom([]float64{0, 0, 1, 100_000}).Draw(t, "per minute")
		if err := steering.Check(); err != nil {
			t.Fatal(err)
		}
		c := line.NewController(steering)
		most := max(float64(steering.Ceiling)*3, steering.PerMinute/60) + 1
		var s line.Signals
		for range rapid.IntRange(1, 200).Draw(t, "ticks") {
			s.At += time.Duration(rapid.Int64Range(-1e9, 1e11).Draw(t, "elapsed"))
			s.Issued = max(s.Issued, event.Number(rapid.Uint32().Draw(t, "issued")))
			s.Sessions = rapid.Uint32().Draw(t, "sessions")
			s.Came = rapid.Uint64().Draw(t, "came")
			s.QueueDelay = time.Duration(rapid.Int64().Draw(t, "queue delay"))
			s.CommitDelay = time.Duration(rapid.Int64Range(0, 1e8).Draw(t, "commit delay"))
			s.Paused, s.Closed = rapid.Bool().Draw(t, "paused"), rapid.Bool().Draw(t, "closed")
			d := c.Next(s)
			step := float64(d.Serving) - float64(s.Serving)
			if d.Serving < s.Serving || step > most || (s.Paused || s.Closed) && step != 0 {
				t.Fatalf("%+v: the mark goes by %.0f, at most %.0f", s, step, most)
			}
			if d.Target < steering.Floor || d.Target > steering.Ceiling {
				t.Fatalf("target %d, bounds %d and %d", d.Target, steering.Floor, steering.Ceiling)
			}
			if !(d.ShareCame >= 0 && d.ShareCame <= 1 && d.PerMinute >= 0 && d.PerMinute < math.Inf(1)) {
				t.Fatalf("%+v", d)
			}
			s.Serving = d.Serving
		}
	})
}

func TestCheckSteering(t *testing.T) {
	wrong := map[string]func(s *line.Steering){
		"floor of 0":        func(s *line.Steering) { s.Floor = 0 },
		"ceiling too low":   func(s *line.Steering) { s.Ceiling = s.Floor - 1 },
		"negative rate":     func(s *line.Steering) { s.PerMinute = -1 },
		"rate not a number": func(s *line.Steering) { s.PerMinute = math.NaN() },
		"no queue limit":    func(s *line.Steering) { s.QueueDelayLimit = 0 },
		"no commit limit":   func(s *line.Steering) { s.CommitDelayLimit = -1 },
		"no answer time":    func(s *line.Steering) { s.AnswerTime = 0 },
		"long answer time":  func(s *line.Steering) { s.AnswerTime = time.Hour },
	}
	for name, change := range wrong {
		s := line.DefaultSteering()
		if err := s.Check(); err != nil {
			t.Fatal(err)
		}
		change(&s)
		if err := s.Check(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func BenchmarkNext(b *testing.B) {
	c := line.NewController(line.DefaultSteering())
	s := line.Signals{Issued: millions, Sessions: 500}
	b.ReportAllocs()
	for b.Loop() {
		s.At += tick
		s.Came++
		s.Serving = c.Next(s).Serving
	}
}
