package server

import (
	"encoding/hex"
	"fmt"
	"sync"
	"testing"
	"time"

	"weir/core"
	"weir/core/event"
	"weir/core/line"
	"weir/server/token"
)

// admit steers the line of small over the operator's API.
func (s *stand) admit(body string) *answer {
	s.t.Helper()
	return s.operate("PUT", "/admin/v1/campaigns/small/line", body).want(200, "")
}

// operate asks the operator's API.
func (s *stand) operate(method, path, body string) *answer {
	s.t.Helper()
	return s.send(s.admin, method, path, adminSecret, body)
}

// draws are the draws of the public object.
func (a *answer) draw(n int) core.DrawState {
	a.t.Helper()
	object := a.list("draws")[n].(map[string]any)
	var d core.DrawState
	seed, size, base := object["seed"], object["size"], object["base"]
	_, err := hex.Decode(d.Commitment[:], []byte(object["commitment"].(string)))
	must(a.t, err)
	if d.Drawn = seed != nil; d.Drawn {
		_, err = hex.Decode(d.Seed[:], []byte(seed.(string)))
		must(a.t, err)
		d.Size, d.Base = uint32(size.(float64)), event.Number(base.(float64))
	}
	return d
}

// TestDrawOverTheWire lives through an opening with a draw: people join early,
// the commitment is public before, the seed after, and everybody's number
// follows from public data. Nobody comes in out of turn.
func TestDrawOverTheWire(t *testing.T) {
	const people = 20
	s := newStand(t, nil, drawn)
	s.admit(`{"admit_per_minute": 60}`)
	s.clock.set(opening.Add(-20 * time.Minute))
	s.tick(0)
	public := s.do("GET", small+"/line", "", "").want(200, "")
	before := public.draw(0)
	if public.text("state") != "early" || before.Drawn || public.text("draw.commitment") != hex.EncodeToString(before.Commitment[:]) {
		t.Fatalf("before anybody joined: %s", public.body)
	}
	indices := map[float64]bool{}
	for p := range people {
		id := s.identity(fmt.Sprint("p", p), old)
		a := s.do("POST", small+"/line", id, "").want(201, "")
		again := s.do("POST", small+"/line", id, "").want(200, "")
		if a.text("state") != "early" || a.value("number") != nil || a.value("pass") != nil || a.number("eta_seconds") != 20*60 ||
			a.number("poll_after_seconds") < 30 || again.number("draw.index") != a.number("draw.index") {
			t.Fatalf("early: %s, again: %s", a.body, again.body)
		}
		indices[a.number("draw.index")] = true
		s.do("POST", small+"/bookings", a.text("ticket"), slotBody(slotA9)).want(403, "not_your_turn")
	}
	if len(indices) != people {
		t.Fatalf("%d indices", len(indices))
	}
	s.clock.set(opening)
	s.tick(0)
	public = s.do("GET", small+"/line", "", "").want(200, "")
	after := public.draw(0)
	if after.Commitment != before.Commitment || after.Seed.Commitment() != before.Commitment || after.Size != people {
		t.Fatalf("drawn: %s", public.body)
	}
	s.letIn(people, func(a *answer) float64 {
		number, err := core.DrawnNumber(after.Seed, after.Size, after.Base, event.Index(a.number("draw.index")))
		must(t, err)
		return float64(number)
	})
}

// letIn lets people p0, p1 … come in one after the other, as their numbers, of
// which number tells what they have to be, are called.
func (s *stand) letIn(people int, number func(*answer) float64) {
	s.t.Helper()
	came := map[float64]bool{}
	for range 10 * people {
		serving := s.do("GET", small+"/line", "", "").number("serving")
		for p := range people {
			subject := fmt.Sprint("p", p)
			a := s.do("GET", small+"/line/me", s.identity(subject, old), "").want(200, "")
			n := a.number("number")
			if n != number(a) || (n <= serving) != (a.text("state") == "admitted") {
				s.t.Fatalf("serving %v, number %v has to be %v: %s", serving, n, number(a), a.body)
			}
			forged := s.token(token.Pass, "small", subject, old, time.Hour)
			if n > serving {
				if a.number("ahead") != n-serving-1 || a.value("pass") != nil {
					s.t.Fatalf("serving %v: %s", serving, a.body)
				}
				// A pass in the wrong hands, or from elsewhere, is no turn.
				s.do("POST", small+"/bookings", forged, slotBody(slotA9)).want(403, "not_your_turn")
				s.do("POST", small+"/holds", forged, slotBody(slotA9)).want(403, "not_your_turn")
				continue
			}
			came[n] = true
			s.do("GET", small+"/bookings/me", a.text("pass"), "").want(200, "")
		}
		if len(came) == people {
			return
		}
		s.elapse(time.Second)
	}
	s.t.Fatalf("%d of %d came in", len(came), people)
}

func TestTheFirstToJoinOpensTheDraw(t *testing.T) {
	s := newStand(t, nil, drawn)
	s.clock.set(opening.Add(-30 * time.Minute))
	a := s.do("POST", small+"/line", s.identity("kim", old), "").want(201, "")
	if a.text("state") != "early" || a.number("draw.ordinal") != 1 || a.number("draw.index") != 1 {
		t.Fatalf("place: %s", a.body)
	}
	s.tick(0)
	want := line.Seed(testSeed("small", 1)).Commitment()
	if got := s.do("GET", small+"/line", "", "").draw(0); got.Commitment != want {
		t.Fatalf("commitment %x", got.Commitment)
	}
	s.do("POST", small+"/line", s.identity("lee", young), "").want(403, "not_eligible") // their window is tomorrow
	s.clock.add(-time.Minute)
	s.do("POST", small+"/line", s.identity("park", old), "").want(409, "line_not_open")
}

func TestArrival(t *testing.T) {
	s := newStand(t, nil, arrival)
	s.admit(`{"admit_per_minute": 60}`)
	s.clock.set(opening.Add(-10 * time.Minute))
	s.tick(0)
	for p := range 5 {
		a := s.do("POST", small+"/line", s.identity(fmt.Sprint("p", p), old), "").want(201, "")
		if a.text("state") != "waiting" || a.number("number") != float64(p+1) || a.number("ahead") != float64(p) ||
			a.number("eta_seconds") < 600 || a.number("poll_after_seconds") < 30 {
			t.Fatalf("place: %s", a.body)
		}
	}
	s.tick(10 * time.Second)
	if n := s.do("GET", small+"/line", "", "").number("serving"); n != 0 {
		t.Fatalf("%v are called before the opening", n)
	}
	s.clock.set(opening)
	numbers := map[string]float64{}
	s.letIn(5, func(a *answer) float64 {
		n := a.number("number")
		if before, ok := numbers[a.text("ticket")]; ok && before != n {
			t.Fatalf("number %v was %v", n, before)
		}
		return n
	})
}

// TestOnePersonManyTabs lets one person join from fifty devices at once, before
// the opening and after.
func TestOnePersonManyTabs(t *testing.T) {
	const tabs = 50
	for name, c := range map[string]struct {
		campaign string
		at       time.Time
		place    string
	}{
		"early":   {drawn, opening.Add(-time.Minute), "draw.index"},
		"arrival": {arrival, opening.Add(-time.Minute), "number"},
		"open":    {drawn, opening.Add(time.Minute), "number"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStand(t, nil, c.campaign)
			s.clock.set(c.at)
			s.tick(0)
			for p := range 3 {
				s.do("POST", small+"/line", s.identity(fmt.Sprint("other", p), old), "").want(201, "")
			}
			answers := make([]*answer, tabs)
			var all sync.WaitGroup
			for i := range tabs {
				all.Go(func() { answers[i] = s.do("POST", small+"/line", s.identity("kim", old), "") })
			}
			all.Wait()
			made := 0
			for _, a := range answers {
				if a.status == 201 {
					made++
				}
				if a.number(c.place) != 4 {
					t.Fatalf("another place: %s", a.body)
				}
			}
			if totals := s.engine.Campaign("small").Totals(); made != 1 || totals.InLine != 4 {
				t.Fatalf("%d places were made; %+v", made, totals)
			}
		})
	}
}

// TestALostTicket finds the place by the identity alone, and by a ticket from
// before the draw.
func TestALostTicket(t *testing.T) {
	s := newStand(t, nil, drawn)
	s.clock.set(opening.Add(-time.Minute))
	ticket := s.do("POST", small+"/line", s.identity("kim", old), "").want(201, "").text("ticket")
	s.clock.set(opening.Add(time.Second))
	s.tick(time.Second)
	for _, credential := range []string{ticket, s.identity("kim", old)} {
		a := s.do("GET", small+"/line/me", credential, "").want(200, "")
		if a.text("state") != "admitted" || a.number("number") != 1 {
			t.Fatalf("place: %s", a.body)
		}
		s.do("POST", small+"/bookings", a.text("pass"), slotBody(slotA9))
	}
	if n := len(s.do("GET", small+"/bookings/me", ticket, "").want(200, "").list("bookings")); n != 1 {
		t.Fatalf("%d bookings", n)
	}
}

// TestLateAndLeaving: a turn stays valid, and a place that was given up is
// nobody's.
func TestLateAndLeaving(t *testing.T) {
	s := newStand(t, nil, arrival)
	for _, who := range []string{"kim", "lee", "park"} {
		s.do("POST", small+"/line", s.identity(who, old), "").want(201, "")
	}
	s.tick(time.Second)
	pass := s.do("GET", small+"/line/me", s.identity("lee", old), "").want(200, "").text("pass")
	s.do("DELETE", small+"/line/me", s.identity("lee", old), "").want(204, "")
	s.do("DELETE", small+"/line/me", s.identity("lee", old), "").want(404, "not_found")
	s.do("GET", small+"/line/me", s.identity("lee", old), "").want(404, "not_found")
	s.do("POST", small+"/bookings", pass, slotBody(slotA9)).want(403, "not_your_turn")
	again := s.do("POST", small+"/line", s.identity("lee", old), "").want(201, "")
	if again.number("number") != 4 {
		t.Fatalf("joined again: %s", again.body)
	}
	s.clock.add(20 * time.Hour) // long after everybody else
	a := s.do("GET", small+"/line/me", s.identity("park", old), "").want(200, "")
	s.do("POST", small+"/bookings", a.text("pass"), slotBody(slotA9)).want(201, "")
}

// TestPublicLine holds what makes the object cacheable.
func TestPublicLine(t *testing.T) {
	s := newStand(t, nil, drawn)
	s.tick(time.Minute) // the mark rises to the free capacity, and stays
	a := s.do("GET", small+"/line", "", "").want(200, "")
	etag := a.header.Get("ETag")
	if etag == "" || a.header.Get("Cache-Control") != "public, max-age=1" || a.text("as_of") != "2021-07-19T20:01:00+09:00" {
		t.Fatalf("%v %s", a.header, a.body)
	}
	s.tick(0)
	if b := s.do("GET", small+"/line", "", "", "If-None-Match", etag).want(304, ""); len(b.body) != 0 {
		t.Fatalf("%s", b.body)
	}
	s.clock.add(time.Second)
	s.tick(0)
	if b := s.do("GET", small+"/line", "", "", "If-None-Match", etag).want(200, ""); b.text("as_of") != "2021-07-19T20:01:01+09:00" {
		t.Fatalf("%s", b.body)
	}
	if a.number("poll.budget_per_second") != 20000 || a.number("poll.floor_seconds") != 2 || a.number("poll.ceiling_seconds") != 120 {
		t.Fatalf("%s", a.body)
	}
}
