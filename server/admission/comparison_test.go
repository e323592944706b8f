//go:build !race

// The simulation is one goroutine, and under the race detector it takes
// minutes.

package admission

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/failsafe-go/failsafe-go/adaptivelimiter"
)

// everybody is the control.
type everybody struct{}

func (everybody) early() bool                           { return false }
func (everybody) admit(time.Duration, *simRequest) bool { return true }
func (everybody) done(time.Duration, *simRequest)       {}
func (everybody) spent(_, _ time.Duration)              {}
func (everybody) rest(int) time.Duration                { return 0 }
func (everybody) accept(time.Duration) bool             { return true }

// byDelay is this package.
type byDelay struct {
	gate *Gate
	desk *Desk
}

func newByDelay() *byDelay {
	g, err := NewGate(DefaultSettings(), 1)
	if err != nil {
		panic(err) // the defaults are good
	}
	return &byDelay{gate: g, desk: g.Desk(0)}
}

func (p *byDelay) early() bool                        { return false }
func (p *byDelay) done(time.Duration, *simRequest)    {}
func (p *byDelay) spent(busy, refusing time.Duration) { p.desk.Spent(busy, refusing) }
func (p *byDelay) rest(turn int) time.Duration        { return p.gate.Relief().RestOf(uint64(turn)) }
func (p *byDelay) accept(now time.Duration) bool      { return p.gate.Accept(now) }

// admit is Desk.Admit with cohorts that are the same in every run.
func (p *byDelay) admit(now time.Duration, r *simRequest) bool {
	p.gate.Adjust(now, Signals{CommitDelay: simCommit})
	p.desk.Delay(now - r.readable)
	cohort := uint16(uint64(r.conn)*0x9e3779b97f4a7c15>>48) + turnAt(now)
	through := NewLevel(r.class, cohort) >= p.desk.cut(r.class)
	p.desk.count(r.class, through)
	return through
}

// byConcurrency is the library's adaptive concurrency limiter, where its
// authors mean it to be: asked as soon as a request arrives. It knows no
// classes; the library's limiter with priorities queues, and a loop cannot
// wait. Where relieved, it has this package's relief at its side. It has a clock of its own, so it runs in a bubble whose clock is moved
// along.
type byConcurrency struct {
	limiter  adaptivelimiter.AdaptiveLimiter[any]
	began    time.Time
	*byDelay // relief; nil: none
}

func newByConcurrency(relief *byDelay) *byConcurrency {
	return &byConcurrency{
		byDelay: relief,
		limiter: adaptivelimiter.NewBuilder[any]().WithLimits(1, 2000, 50).
			WithRecentWindow(100*time.Millisecond, time.Second, 50).Build(),
		began: time.Now(),
	}
}

func (p *byConcurrency) early() bool { return true }

func (p *byConcurrency) spent(busy, refusing time.Duration) {
	if p.byDelay != nil {
		p.desk.Spent(busy, refusing)
	}
}

func (p *byConcurrency) rest(turn int) time.Duration {
	if p.byDelay == nil {
		return 0
	}
	return p.byDelay.rest(turn)
}

func (p *byConcurrency) accept(now time.Duration) bool {
	return p.byDelay == nil || p.byDelay.accept(now)
}

func (p *byConcurrency) admit(now time.Duration, r *simRequest) bool {
	if p.byDelay != nil {
		p.gate.Adjust(now, Signals{})
	}
	p.reach(now)
	permit, ok := p.limiter.TryAcquirePermit()
	r.permit = permit
	return ok
}

func (p *byConcurrency) done(now time.Duration, r *simRequest) {
	p.reach(now)
	r.permit.(adaptivelimiter.Permit).Record()
}

func (p *byConcurrency) reach(now time.Duration) {
	time.Sleep(now - time.Since(p.began))
}

// figures of one run.
type figures struct {
	goodput float64       // answers in time during the load, as a share of the capacity
	served  time.Duration // p99 of admitted work, from readable to durable
	seen    time.Duration // the same as the client has it, with the rest after an earlier refusal
	refused int
	top     float64       // share of requests of the two highest classes that were done at the first try
	back    time.Duration // after the load, until goodput stays at 0.95 of what is offered
	left    int           // clients who still try when the run ends
}

func (s *simulation) figures() figures {
	from, to := int(simSteady/simBin), int(simCalmAt/simBin)
	var good int
	for _, n := range s.good[from:to] {
		good += n
	}
	top := [2]int{s.first[Own][0] + s.first[Cancel][0], s.first[Own][1] + s.first[Cancel][1]}
	return figures{
		goodput: float64(good) / (simCalmAt - simSteady).Seconds() / simCapacity,
		served:  p99(s.served),
		seen:    p99(s.seen),
		refused: s.refused,
		top:     float64(top[1]) / float64(max(1, top[0])),
		back:    s.recovery(),
		left:    s.retrying,
	}
}

func p99(delays []time.Duration) time.Duration {
	if len(delays) == 0 {
		return 0
	}
	slices.Sort(delays)
	return delays[len(delays)*99/100]
}

// recovery is the time from which on every half second is good.
func (s *simulation) recovery() time.Duration {
	const window = 5
	at := len(s.good)
	for at-window >= int(simCalmAt/simBin) {
		var good, offered int
		for i := at - window; i < at; i++ {
			good += s.good[i]
			offered += s.offered[i]
		}
		if float64(good) < 0.95*float64(offered) {
			break
		}
		at--
	}
	return max(0, time.Duration(at-window)*simBin-simCalmAt)
}

var comparedPolicies = []struct {
	name string
	run  func(*testing.T, simConfig) figures
}{
	{"everybody", func(_ *testing.T, c simConfig) figures { return simulate(c, everybody{}).figures() }},
	{"by delay", func(_ *testing.T, c simConfig) figures { return simulate(c, newByDelay()).figures() }},
	{"concurrency", func(t *testing.T, c simConfig) figures { return runByConcurrency(t, c, nil) }},
	{"with relief", func(t *testing.T, c simConfig) figures { return runByConcurrency(t, c, newByDelay()) }},
}

func runByConcurrency(t *testing.T, c simConfig, relief *byDelay) (f figures) {
	synctest.Test(t, func(*testing.T) { f = simulate(c, newByConcurrency(relief)).figures() })
	return f
}

// The cases: what a refusal costs, how many come on new connections, and
// whether they storm.
var compared = []simConfig{{refusal: 0.02}, {refusal: 0.3}, {refusal: 0.3, fresh: 0.8}, {refusal: 0.3, storm: true}}

// TestComparison prints the table that says why this rule and no library, with
// -v.
func TestComparison(t *testing.T) {
	loads := []float64{10}
	if testing.Verbose() {
		loads = []float64{0.5, 0.8, 1, 2, 5, 10, 20}
	}
	var table strings.Builder
	for _, c := range compared {
		fmt.Fprintf(&table, "\na refusal costs %.2f of a service, %.0f %% on new connections, storm: %v\n", c.refusal, 100*c.fresh, c.storm)
		fmt.Fprintf(&table, "%-14s %5s %8s %10s %10s %9s %6s %7s %6s\n",
			"policy", "load", "goodput", "p99 served", "p99 seen", "refused", "top", "back", "left")
		best := map[string]float64{}
		for _, p := range comparedPolicies {
			for _, load := range loads {
				c.load, c.seed = load, 7
				f := p.run(t, c)
				fmt.Fprintf(&table, "%-14s %5.1f %8.3f %10s %10s %9d %6.3f %7s %6d\n", p.name, load, f.goodput,
					f.served.Round(10*time.Microsecond), f.seen.Round(10*time.Microsecond), f.refused, f.top, f.back, f.left)
				if load == 10 {
					best[p.name] = f.goodput
				}
			}
		}
		if best["by delay"] < best["concurrency"] || best["by delay"] < best["everybody"] {
			t.Errorf("at ten times the capacity another is better: %v in %+v", best, c)
		}
	}
	t.Log(table.String())
}

// TestSimulatedLoadIsCarried holds the rule to what is asked of it, in the
// cases in which people have connections of their own.
func TestSimulatedLoadIsCarried(t *testing.T) {
	for _, c := range compared {
		if c.fresh > 0 {
			continue // the class of who stands in front of the listener is not known: the table shows it
		}
		run := func(load float64) figures {
			c.load, c.seed = load, 11
			return simulate(c, newByDelay()).figures()
		}
		ordinary, peak := run(0.8), run(1)
		for _, load := range []float64{2, 5, 10, 20} {
			f := run(load)
			peak.goodput = max(peak.goodput, f.goodput)
			if f.back > 5*time.Second {
				t.Errorf("%+v: good again only %v after the load", c, f.back)
			}
			if f.left > 0 {
				t.Errorf("%+v: %d clients still try ten seconds after the load", c, f.left)
			}
			if f.top < 0.99 {
				t.Errorf("%+v: only %.3f of the highest classes got through", c, f.top)
			}
			if load != 10 {
				continue
			}
			if f.goodput < 0.88*peak.goodput {
				t.Errorf("%+v: goodput %.3f, of a peak of %.3f", c, f.goodput, peak.goodput)
			}
			if f.served > 2*ordinary.served+simCommit {
				t.Errorf("%+v: p99 of admitted work %v, of %v at 0.8", c, f.served, ordinary.served)
			}
		}
	}
}
