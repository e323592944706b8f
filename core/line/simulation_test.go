package line_test

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"weir/core/event"
	"weir/core/line"
)

const tick = 100 * time.Millisecond

// world is a crowd in front of a server, both small models. The server has one
// queue and works off so many requests a second. A session sends a request,
// waits for its answer, thinks for a second and sends the next, sixty of them on
// average. So the server is full at capacity sessions, and above that each
// further one in a hundred adds ten milliseconds.
type world struct {
	random     *rand.Rand
	controller *line.Controller
	steering   line.Steering

	// The crowd: how long people take to come in once called, on average, and
	// which share of them does.
	answerTime time.Duration
	share      float64
	joinsPerS  float64 // people who join while the line moves

	now      time.Duration
	issued   event.Number
	serving  event.Number
	coming   [1024]int // people to come in, by tick, around and around
	ticks    int
	sessions int
	came     uint64
	ended    int

	perSecond   float64 // requests the server works off
	perSession  float64 // requests of a session, on average
	commitDelay time.Duration
	queued      float64 // requests it has not answered yet
	stalled     time.Duration
	closed      bool
	paused      bool

	unattended bool // nobody calls the controller

	last  line.Decision
	rule  func(w *world) // steers by another rule than the controller's own
	trace []sample
}

// sample is one tick as it looked from outside.
type sample struct {
	at       time.Duration
	sessions int
	called   int // numbers called up to here
	waiting  int // people not called
	delay    time.Duration
}

// capacity is the number of sessions that fill the server.
const capacity = 2000

func newWorld(seed uint64, waiting event.Number) *world {
	steering := line.DefaultSteering()
	steering.Floor = 100
	return &world{
		random: rand.New(rand.NewPCG(seed, 1)), controller: line.NewController(steering), steering: steering,
		answerTime: 5 * time.Second, share: 1, issued: waiting, perSecond: capacity,
		perSession: 60, commitDelay: time.Millisecond,
	}
}

func (w *world) set(change func(s *line.Steering)) {
	change(&w.steering)
	if err := w.steering.Check(); err != nil {
		panic(err)
	}
	w.controller.Set(w.steering)
}

// run plays the world on for a time.
func (w *world) run(span time.Duration) {
	for end := w.now + span; w.now < end; {
		w.step(tick)
	}
}

func (w *world) step(passed time.Duration) {
	w.now += passed
	w.serve(passed)
	before := min(w.serving, w.issued)
	w.issued += event.Number(w.poisson(w.joinsPerS * passed.Seconds()))
	waiting := max(int(w.issued)-int(w.serving), 0) // who has just joined and isn't in
	if w.rule != nil {
		w.rule(w)
	}
	if !w.unattended {
		w.steer(before)
	}
	w.trace = append(w.trace, sample{
		at: w.now, sessions: w.sessions, called: int(min(w.serving, w.issued)),
		waiting: waiting, delay: w.delay(),
	})
}

func (w *world) steer(before event.Number) {
	w.last = w.controller.Next(line.Signals{
		At: w.now, Issued: w.issued, Serving: w.serving, Sessions: uint32(w.sessions), Came: w.came,
		QueueDelay: w.delay(), CommitDelay: w.commitDelay, Paused: w.paused, Closed: w.closed,
	})
	if w.last.Serving < w.serving {
		panic("the mark fell")
	}
	w.serving = w.last.Serving
	w.call(int(min(w.serving, w.issued) - before))
}

// serve works requests off, ends sessions and lets called people in.
func (w *world) serve(passed time.Duration) {
	thinking := max(float64(w.sessions)-w.queued, 0)
	w.queued += float64(w.poisson(thinking * passed.Seconds()))
	if w.stalled += passed; w.stalled > 0 { // below zero: stalled until it is zero
		w.stalled = 0
		done := min(w.queued, w.perSecond*passed.Seconds())
		w.queued -= done
		ended := min(w.poisson(done/w.perSession), w.sessions)
		w.sessions -= ended
		w.ended += ended
	}
	w.ticks++
	now := &w.coming[w.ticks%len(w.coming)]
	w.sessions += *now
	w.came += uint64(*now)
	*now = 0
}

// delay is how long a request waits that comes now, or has waited in a stall.
func (w *world) delay() time.Duration {
	waits := time.Duration(w.queued / w.perSecond * float64(time.Second))
	if w.stalled < 0 {
		return waits - w.stalled
	}
	return waits
}

// call sends called people on their way: at the earliest in one second, and the
// later ones of them much later.
func (w *world) call(n int) {
	for range n {
		if w.random.Float64() >= w.share {
			continue
		}
		after := time.Second + time.Duration((w.random.ExpFloat64()+w.random.ExpFloat64())/2*float64(w.answerTime-time.Second))
		w.coming[(w.ticks+min(int(after/tick), len(w.coming)-1))%len(w.coming)]++
	}
}

// stall stops the server for a time; what it was asked stays with it.
func (w *world) stall(d time.Duration) { w.stalled = -d }

func (w *world) poisson(mean float64) int {
	if mean > 50 {
		return max(0, int(math.Round(mean+math.Sqrt(mean)*w.random.NormFloat64())))
	}
	limit, n := math.Exp(-mean), 0
	for p := w.random.Float64(); p > limit; p *= w.random.Float64() {
		n++
	}
	return n
}

// figures sum a span of time up.
type figures struct {
	mean, low, high float64 // sessions
	swing           float64 // standard deviation of the sessions, in parts of the mean
	perMinute       float64 // numbers called
	delayP50        time.Duration
	delayP99        time.Duration
}

func (f figures) String() string {
	return fmt.Sprintf("sessions %.0f (%.0f to %.0f, swing %.1f %%), %.0f numbers a minute, delay p50 %v, p99 %v",
		f.mean, f.low, f.high, 100*f.swing, f.perMinute, f.delayP50.Round(100*time.Microsecond), f.delayP99.Round(100*time.Microsecond))
}

// between returns the figures of a span of time.
func (w *world) between(from, to time.Duration) figures {
	first, _ := slices.BinarySearchFunc(w.trace, from, func(s sample, at time.Duration) int { return cmp.Compare(s.at, at) })
	last, _ := slices.BinarySearchFunc(w.trace, to, func(s sample, at time.Duration) int { return cmp.Compare(s.at, at) })
	span := w.trace[first:last]
	f := figures{low: math.Inf(1), high: math.Inf(-1)}
	var delays []time.Duration
	var sum, squares float64
	for _, s := range span {
		n := float64(s.sessions)
		f.low, f.high = min(f.low, n), max(f.high, n)
		sum, squares = sum+n, squares+n*n
		delays = append(delays, s.delay)
	}
	f.mean = sum / float64(len(span))
	f.swing = math.Sqrt(max(squares/float64(len(span))-f.mean*f.mean, 0)) / f.mean
	f.perMinute = float64(span[len(span)-1].called-span[0].called) / (span[len(span)-1].at - span[0].at).Minutes()
	slices.Sort(delays)
	f.delayP50, f.delayP99 = delays[len(delays)/2], delays[len(delays)*99/100]
	return f
}

// reached returns when sessions first came to n.
func (w *world) reached(n int) time.Duration {
	for _, s := range w.trace {
		if s.sessions >= n {
			return s.at
		}
	}
	return math.MaxInt64
}
