package admission

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func newGate(t interface{ Fatal(...any) }, loops int) *Gate {
	g, err := NewGate(DefaultSettings(), loops)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func headOf(path, token string) []byte {
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", path, token)
}

// TestNobodyIsRefusedBehindALowerClass: within an interval, whoever is let
// through in a class has everyone of the same cohort in higher ones let
// through too. The journal's cut only compares those who write.
func TestNobodyIsRefusedBehindALowerClass(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := newGate(t, 2)
		now := time.Duration(0)
		for range rapid.IntRange(1, 60).Draw(t, "intervals") {
			drawInterval(t, g)
			now += g.settings.Interval
			g.Adjust(now, Signals{
				CommitDelay: time.Duration(rapid.IntRange(0, 300).Draw(t, "commit")) * time.Millisecond,
				JournalFill: rapid.Float64Range(0, 1).Draw(t, "fill"),
			})
			p := Peer{Hash: rapid.Uint64().Draw(t, "peer")}
			head := headOf("/", rapid.StringMatching(`[a-z]{0,8}`).Draw(t, "token"))
			checkOrder(t, g, p, head)
		}
	})
}

func drawInterval(t *rapid.T, g *Gate) {
	for i := range g.desks {
		for c := range Classes {
			g.desks[i].offered[c].Add(uint64(rapid.IntRange(0, 500).Draw(t, "offered")))
		}
		g.desks[i].Delay(time.Duration(rapid.IntRange(0, 10_000).Draw(t, "delay")) * time.Microsecond)
	}
}

func checkOrder(t *rapid.T, g *Gate, p Peer, head []byte) {
	var anybody, writer bool // was let through in a lower class
	for c := range Classes {
		admitted := g.Desk(int(c)%2).Admit(c, head, p)
		if !admitted && (writer || anybody && !c.Writes()) {
			t.Fatalf("%v is refused behind a lower class", c)
		}
		anybody = anybody || admitted
		writer = writer || admitted && c.Writes()
	}
}

// TestTheSparedAreNotRefusedForTheQueue, however long it is, but for the
// journal's sake.
func TestTheSparedAreNotRefusedForTheQueue(t *testing.T) {
	settings := DefaultSettings()
	settings.Spared = Hold
	g, err := NewGate(settings, 1)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(s Signals) (n [Classes]int) {
		before := g.Counts().Refused
		for i := range 200 {
			for c := range Classes {
				g.Desk(0).Admit(c, headOf("/", fmt.Sprint(i)), Peer{})
			}
			g.Desk(0).Delay(time.Second)
			g.Adjust(time.Duration(i+1)*settings.Interval+g.rule.last, s)
		}
		for c, after := range g.Counts().Refused {
			n[c] = int(after - before[c])
		}
		return n
	}
	for c, n := range refused(Signals{}) {
		if (n > 0) != (Class(c) < Hold) {
			t.Errorf("the queue had %d of class %v refused", n, Class(c))
		}
	}
	if n := refused(Signals{CommitDelay: time.Minute}); n[Book] == 0 {
		t.Error("a stalled journal had no booking refused")
	}
}

func TestGateRecoversWhenTheLoadEnds(t *testing.T) {
	g := newGate(t, 1)
	d := g.Desk(0)
	now := time.Duration(0)
	interval := func(delay time.Duration) {
		for c := range Classes {
			for range 50 {
				d.Admit(c, nil, Peer{})
			}
		}
		d.Delay(delay)
		now += g.settings.Interval
		g.Adjust(now, Signals{CommitDelay: delay})
	}
	for range 100 {
		interval(300 * time.Millisecond)
	}
	if queue, journal := g.Cuts(); queue == 0 || journal == 0 {
		t.Fatalf("cuts are %d and %d under load", queue, journal)
	}
	if g.Spread() <= spreadMin {
		t.Errorf("those refused come back within %d s", g.Spread())
	}
	for range recoverMax {
		interval(0)
	}
	if queue, journal := g.Cuts(); queue != 0 || journal != 0 {
		t.Errorf("cuts are still %d and %d", queue, journal)
	}
	if g.Spread() != spreadMin {
		t.Errorf("spread is still %d s", g.Spread())
	}
}

func TestSlowDiskRefusesOnlyWhoWrites(t *testing.T) {
	g := newGate(t, 1)
	d := g.Desk(0)
	for i := range 100 {
		for c := range Classes {
			for range 50 {
				d.Admit(c, nil, Peer{})
			}
		}
		d.Delay(0)
		g.Adjust(time.Duration(i+1)*g.settings.Interval, Signals{JournalFill: 1})
	}
	counts := g.Counts()
	for c := range Classes {
		if !c.Writes() && counts.Refused[c] > 0 {
			t.Errorf("%v: %d refused", c, counts.Refused[c])
		}
	}
	if counts.Refused[Join] == 0 {
		t.Error("nobody was refused")
	}
}

// TestWhoIsThroughIsPreferred, and the same people are let through again.
func TestWhoIsThroughIsPreferred(t *testing.T) {
	g := newGate(t, 1)
	g.cut.Store(uint32(NewLevel(Book, cohorts/2)))
	d := g.Desk(0)
	if !d.Admit(Book, nil, Peer{Through: true}) {
		t.Error("refused who is through")
	}
	admitted := 0
	for i := range 2000 {
		head := headOf("/v1/campaigns/a/bookings", fmt.Sprint("wp1.", i))
		first := d.Admit(Book, head, Peer{Hash: 1})
		if first {
			admitted++
		}
		if d.Admit(Book, head, Peer{Hash: 2}) != first {
			t.Fatal("the same pass was judged differently on another connection")
		}
	}
	if admitted < 800 || admitted > 1200 {
		t.Errorf("%d of 2000 let through, at a cut in the middle", admitted)
	}
}

// TestEverybodysTurnComes: in one turn of the cohorts everyone is let through
// for the share of the time that is let through.
func TestEverybodysTurnComes(t *testing.T) {
	g := newGate(t, 1)
	d := g.Desk(0)
	head := headOf("/", "somebody")
	admitted := 0
	const steps = 1000
	for i := range steps {
		g.turn.Store(uint32(turnAt(cohortTurn * time.Duration(i) / steps)))
		g.cut.Store(uint32(NewLevel(Page, cohorts*3/4)))
		if d.Admit(Page, head, Peer{}) {
			admitted++
		}
	}
	if admitted < steps/4-5 || admitted > steps/4+5 {
		t.Errorf("let through %d times of %d, with a quarter let through", admitted, steps)
	}
}

func TestGateRefusesBadSettings(t *testing.T) {
	good := DefaultSettings()
	for name, spoil := range map[string]func(*Settings){
		"interval": func(s *Settings) { s.Interval = 0 },
		"queue":    func(s *Settings) { s.QueueDelay = -1 },
		"commit":   func(s *Settings) { s.CommitDelay = 0 },
		"fill":     func(s *Settings) { s.JournalFill = 1.5 },
		"refusing": func(s *Settings) { s.Refusing = 1 },
	} {
		s := good
		spoil(&s)
		if _, err := NewGate(s, 1); err == nil {
			t.Errorf("%s was accepted: %+v", name, s)
		}
	}
	if _, err := NewGate(good, 0); err == nil {
		t.Error("a gate without loops was accepted")
	}
}

// TestLoopsShareAGate is for the race detector, and counts.
func TestLoopsShareAGate(t *testing.T) {
	const loops, each = 4, 5000
	g := newGate(t, loops)
	var loopsDone sync.WaitGroup
	for i := range loops {
		loopsDone.Go(func() {
			d := g.Desk(i)
			for n := range each {
				now := time.Duration(n) * 100 * time.Microsecond
				d.Delay(5 * time.Millisecond)
				d.Admit(Class(n)%Classes, nil, Peer{Hash: uint64(n)})
				d.Spent(50*time.Microsecond, 20*time.Microsecond)
				g.Accept(now)
				g.Adjust(now, Signals{})
			}
		})
	}
	loopsDone.Wait()
	var offered, refused uint64
	counts := g.Counts()
	for c := range Classes {
		offered += counts.Offered[c]
		refused += counts.Refused[c]
	}
	if offered != loops*each || refused == 0 || refused >= offered {
		t.Errorf("%d offered and %d refused of %d", offered, refused, loops*each)
	}
}
