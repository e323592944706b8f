//go:build !race

package admission

import (
	"container/heap"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// The simulation: one loop in front of one disk, in virtual time, under an
// open load. Every arrival picks one of many connections, each of which carries
// one request at a time; the rest waits at the client. What is admitted takes
// service (exponential, mean 1/capacity) and then waits for the commit that
// takes it along; what is refused costs the loop a share of that. Whoever has
// no answer within patience leaves, and what is then done for them is waste.
const (
	simCapacity    = 10_000.0 // requests a second, when nothing is refused
	simService     = time.Duration(1e9 / simCapacity)
	simCommit      = 2 * time.Millisecond
	simConnections = 4_000
	simPatience    = 2 * time.Second
	simAccept      = 0.1 // of a service: accepting and closing a connection
	simBacklog     = 128 // connections that the kernel keeps while nothing is accepted

	simLoadAt  = 2 * time.Second // before it, and after simCalmAt, the load is simCalm
	simCalmAt  = 10 * time.Second
	simEnd     = 20 * time.Second
	simCalm    = 0.5
	simSteady  = 4 * time.Second // figures of the load are taken from here on
	simRetries = 3               // of a storm: at once, and then a reload after one to three seconds
)

type simConfig struct {
	load    float64 // offered between simLoadAt and simCalmAt, in multiples of the capacity
	refusal float64 // cost of a refusal, as a share of a service
	fresh   float64 // share of arrivals that come on a connection of their own
	storm   bool    // whoever is refused tries again at once
	seed    uint64
}

// simMix is who sends how much, in per cent.
var simMix = [Classes]int{
	Page: 25, Availability: 25, Line: 15, Join: 10, Place: 5, Hold: 8, Book: 8, Own: 2, Cancel: 2,
}

// policy is what is compared.
type policy interface {
	// early tells that requests are judged when they arrive, by a thread that
	// takes precedence; otherwise when it is their turn.
	early() bool
	admit(now time.Duration, r *simRequest) bool
	done(now time.Duration, r *simRequest)
	spent(busy, refusing time.Duration)
	rest(turn int) time.Duration
	accept(now time.Duration) bool
}

type simRequest struct {
	conn     int // -1: one of its own
	class    Class
	sent     time.Duration // by the client
	due      time.Duration // when the client wanted to send it
	readable time.Duration
	tries    int
	gone     bool // the client has left
	answered bool
	turned   bool // away, and the answer is being written
	permit   any
}

type simConn struct {
	class   Class
	waiting []time.Duration // due times at the client
	busy    bool
	resting time.Duration // unread until then
}

// simulation is the state of a run.
type simulation struct {
	simConfig
	policy policy
	rng    *rand.Rand
	now    time.Duration

	conns    []simConn
	ready    fifo[*simRequest]
	backlog  fifo[*simRequest]
	timeouts fifo[*simRequest]
	wakes    wakeHeap

	nextArrival time.Duration
	serving     *simRequest
	servedAt    time.Duration
	stolen      time.Duration // by early refusals, from the request being served
	pending     []*simRequest // served, waiting for the next commit
	committing  []*simRequest
	committedAt time.Duration

	good     [int(simEnd / simBin)]int // answers in time, by the time of the answer
	offered  [int(simEnd / simBin)]int
	seen     []time.Duration // delays of admitted work during the load, as the client has them
	served   []time.Duration // the same from the moment that a loop could see the request
	first    [Classes][2]int // offered and answered well, of first requests during the load
	refused  int
	retrying int  // clients
	asked    bool // whether the listener asks again
}

const (
	simBin   = 100 * time.Millisecond
	simNever = time.Duration(math.MaxInt64)
)

func simulate(c simConfig, p policy) *simulation {
	s := &simulation{simConfig: c, policy: p, rng: rand.New(rand.NewPCG(c.seed, 1)), conns: make([]simConn, simConnections)}
	s.servedAt, s.committedAt = simNever, simNever
	classes := simClasses()
	for i := range s.conns {
		s.conns[i].class = classes[i%len(classes)]
	}
	s.nextArrival = s.gap()
	for s.step() {
	}
	return s
}

func simClasses() (all []Class) {
	for c, n := range simMix {
		all = append(all, slices.Repeat([]Class{Class(c)}, n)...)
	}
	return all
}

func (s *simulation) gap() time.Duration {
	load := simCalm
	if s.now >= simLoadAt && s.now < simCalmAt {
		load = s.load
	}
	return s.now + time.Duration(s.rng.ExpFloat64()/(load*simCapacity)*1e9)
}

// step goes to the next event.
func (s *simulation) step() bool {
	at := min(s.nextArrival, s.servedAt, s.committedAt, s.wakes.first(), s.firstTimeout())
	if at >= simEnd {
		return false
	}
	s.now = max(s.now, at)
	switch at {
	case s.committedAt:
		s.commitEnds()
	case s.servedAt:
		s.serviceEnds()
	case s.wakes.first():
		heap.Pop(&s.wakes).(wake).do()
	case s.firstTimeout():
		s.timeout(s.timeouts.pop())
	default:
		s.arrive()
		s.nextArrival = s.gap()
	}
	if s.serving == nil {
		s.serveNext()
	}
	return true
}

func (s *simulation) arrive() {
	s.offered[s.now/simBin]++
	conn := s.rng.IntN(len(s.conns))
	if s.rng.Float64() < s.fresh {
		s.send(&simRequest{conn: -1, class: s.conns[conn].class, due: s.now})
		return
	}
	c := &s.conns[conn]
	c.waiting = append(c.waiting, s.now)
	s.sendNext(conn)
}

// sendNext sends the next request that waits at the client.
func (s *simulation) sendNext(conn int) {
	c := &s.conns[conn]
	for !c.busy && len(c.waiting) > 0 {
		due := c.waiting[0]
		c.waiting = c.waiting[1:]
		if s.now-due < simPatience {
			c.busy = true
			s.send(&simRequest{conn: conn, class: c.class, due: due})
		}
	}
}

func (s *simulation) send(r *simRequest) {
	r.sent = s.now
	if r.tries == 0 && s.loaded(r.due) {
		s.first[r.class][0]++
	}
	s.timeouts.push(r)
	switch {
	case r.conn < 0:
		if s.backlog.len() < simBacklog {
			s.backlog.push(r)
		}
		s.acceptAll()
	case r.conn >= 0 && s.conns[r.conn].resting > s.now:
		s.wakes.add(s.conns[r.conn].resting, func() { s.read(r) })
	default:
		s.read(r)
	}
}

func (s *simulation) loaded(t time.Duration) bool { return t >= simSteady && t < simCalmAt }

// read is the moment at which a loop could see the request.
func (s *simulation) read(r *simRequest) {
	r.readable = s.now
	if s.policy.early() && !s.policy.admit(s.now, r) {
		cost := s.refusalCost(r)
		s.policy.spent(cost, cost)
		s.steal(cost)
		s.refuse(r)
		return
	}
	s.ready.push(r)
}

func (s *simulation) refusalCost(r *simRequest) time.Duration {
	cost := time.Duration(s.refusal * float64(simService))
	if r.conn < 0 {
		cost += s.acceptCost()
	}
	return cost
}

func (s *simulation) acceptCost() time.Duration {
	return time.Duration(simAccept * float64(simService))
}

// steal takes time from what is being served, or will be next.
func (s *simulation) steal(cost time.Duration) {
	if s.serving != nil {
		s.servedAt += cost
		return
	}
	s.stolen += cost
}

// acceptAll takes what may be taken, and looks again in a millisecond.
func (s *simulation) acceptAll() {
	for s.backlog.len() > 0 {
		if !s.policy.accept(s.now) {
			if !s.asked {
				s.asked = true
				s.wakes.add(s.now+time.Millisecond, func() { s.asked = false; s.acceptAll() })
			}
			return
		}
		s.read(s.backlog.pop())
	}
}

func (s *simulation) serveNext() {
	if s.ready.len() == 0 {
		return
	}
	r := s.ready.pop()
	if !s.policy.early() && !s.policy.admit(s.now, r) {
		cost := s.refusalCost(r)
		s.policy.spent(cost, cost)
		r.turned = true
		s.serving, s.servedAt = r, s.now+cost
		return
	}
	cost := time.Duration(s.rng.ExpFloat64() * float64(simService))
	if r.conn < 0 {
		cost += s.acceptCost()
	}
	s.policy.spent(cost, 0)
	s.serving, s.servedAt = r, s.now+cost+s.stolen
	s.stolen = 0
}

func (s *simulation) serviceEnds() {
	r := s.serving
	s.serving, s.servedAt = nil, simNever
	if r.turned {
		s.refuse(r)
		return
	}
	s.pending = append(s.pending, r)
	if s.committedAt == simNever {
		s.commit()
	}
}

func (s *simulation) commit() {
	s.committing, s.pending = s.pending, nil
	s.committedAt = s.now + simCommit
}

func (s *simulation) commitEnds() {
	done := s.committing
	s.committedAt = simNever
	if len(s.pending) > 0 {
		s.commit()
	}
	for _, r := range done {
		s.policy.done(s.now, r)
		s.answer(r)
	}
}

// answer is that of admitted work.
func (s *simulation) answer(r *simRequest) {
	r.answered = true
	if r.gone {
		return
	}
	if s.loaded(s.now) {
		s.seen = append(s.seen, s.now-r.sent)
		s.served = append(s.served, s.now-r.readable)
	}
	if s.now-r.due < simPatience {
		s.good[s.now/simBin]++
		if r.tries == 0 && s.loaded(r.due) {
			s.first[r.class][1]++
		}
	}
	if r.tries > 0 {
		s.retrying--
	}
	s.free(r)
}

func (s *simulation) free(r *simRequest) {
	if r.conn >= 0 {
		s.conns[r.conn].busy = false
		s.sendNext(r.conn)
	}
}

func (s *simulation) refuse(r *simRequest) {
	s.refused++
	if r.conn >= 0 {
		s.conns[r.conn].resting = s.now + s.policy.rest(s.refused)
	}
	if !r.gone {
		r.answered = true
		s.failed(r)
	}
}

func (s *simulation) timeout(r *simRequest) {
	if !r.answered {
		r.gone = true
		s.failed(r)
	}
}

func (s *simulation) firstTimeout() time.Duration {
	for s.timeouts.len() > 0 {
		if r := s.timeouts.first(); !r.answered {
			return r.sent + simPatience
		}
		s.timeouts.pop()
	}
	return simNever
}

// failed is a request without success: in a storm its client comes again, on
// the same connection.
func (s *simulation) failed(r *simRequest) {
	if !s.storm {
		s.free(r)
		return
	}
	if r.tries == 0 {
		s.retrying++
	}
	again := &simRequest{conn: r.conn, class: r.class, due: s.now, tries: r.tries + 1}
	if again.tries%(simRetries+1) != 0 {
		s.wakes.add(s.now+time.Millisecond, func() { again.due = s.now; s.send(again) })
		return
	}
	pause := time.Second + time.Duration(s.rng.Int64N(int64(2*time.Second)))
	s.wakes.add(s.now+pause, func() { again.due = s.now; s.send(again) })
}

// fifo is a queue that does not give its memory back.
type fifo[T any] struct {
	items []T
	head  int
}

func (q *fifo[T]) push(v T) { q.items = append(q.items, v) }
func (q *fifo[T]) len() int { return len(q.items) - q.head }
func (q *fifo[T]) first() T { return q.items[q.head] }
func (q *fifo[T]) pop() (v T) {
	v = q.items[q.head]
	q.head++
	if q.head > 1024 && q.head > len(q.items)/2 {
		q.items = append(q.items[:0], q.items[q.head:]...)
		q.head = 0
	}
	return v
}

type wake struct {
	at time.Duration
	do func()
}

type wakeHeap []wake

func (h wakeHeap) Len() int           { return len(h) }
func (h wakeHeap) Less(i, j int) bool { return h[i].at < h[j].at }
func (h wakeHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *wakeHeap) Push(v any)        { *h = append(*h, v.(wake)) }
func (h *wakeHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

func (h *wakeHeap) add(at time.Duration, do func()) { heap.Push(h, wake{at, do}) }

func (h wakeHeap) first() time.Duration {
	if len(h) == 0 {
		return simNever
	}
	return h[0].at
}
