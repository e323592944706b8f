package server

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"weir/core"
	"weir/core/event"
)

// TestKeeperRunsAndStops lets the goroutine itself keep the line, on the time
// of a bubble.
func TestKeeperRunsAndStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := parts(t, nil)
		s.srv.keepEvery = keepInterval
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			s.srv.keep(ctx)
		}()
		time.Sleep(time.Second) // nothing is attached yet
		s.attach(drawn)
		small := s.srv.attached.Load().find([]byte("small"))
		first := small.turnstile.document.Load()
		time.Sleep(time.Second)
		synctest.Wait()
		if second := small.turnstile.document.Load(); second == first {
			t.Error("the line was not published anew")
		}
		if state := small.core.Line(); state.Serving == 0 {
			t.Error("the mark did not rise")
		}
		cancel()
		<-ended
	})
}

// TestKeeperWaitsForTheDisk: nothing is published that is not durable.
func TestKeeperWaitsForTheDisk(t *testing.T) {
	s := parts(t, nil)
	s.attach(drawn)
	small := s.srv.attached.Load().find([]byte("small"))
	published := small.turnstile.document.Load()
	s.journal.set(nil, core.ErrOutcomeUnknown)
	s.tick(time.Second)
	if small.turnstile.document.Load() != published {
		t.Fatalf("published: %s", small.turnstile.document.Load().body)
	}
	s.journal.set(nil, nil)
	s.tick(0)
	if small.turnstile.document.Load() == published {
		t.Fatal("not published when it was durable")
	}
}

// TestALostDrawKey: a draw that cannot be performed raises an alarm, gives
// nobody a number, and is performed when the key is back.
func TestALostDrawKey(t *testing.T) {
	var lost atomic.Bool
	s := newStand(t, func(c *Config) {
		right := c.Seed
		c.Seed = func(id string, draw uint16) [32]byte {
			if lost.Load() {
				draw++
			}
			return right(id, draw)
		}
	}, drawn)
	s.clock.set(opening.Add(-time.Minute))
	s.do("POST", small+"/line", s.identity("kim", old), "").want(201, "")
	lost.Store(true)
	s.clock.set(opening)
	s.elapse(time.Second)
	if a := s.do("GET", small+"/line/me", s.identity("kim", old), "").want(200, ""); a.text("state") != "early" {
		t.Fatalf("place: %s", a.body)
	}
	if text := string(s.operate("GET", "/admin/v1/status", "").body); !strings.Contains(text, `"code":"line_not_kept","campaign":"small"`) {
		t.Fatal(text)
	}
	if text := string(get(t, "http://"+s.admin+"/metrics", "").body); !strings.Contains(text, `weir_alarm{code="line_not_kept",campaign="small"} 1`) {
		t.Fatal(text)
	}
	lost.Store(false)
	s.tick(0)
	if a := s.do("GET", small+"/line/me", s.identity("kim", old), "").want(200, ""); a.number("number") != 1 {
		t.Fatalf("place: %s", a.body)
	}
	s.elapse(alarmRest)
	if text := string(s.operate("GET", "/admin/v1/status", "").body); strings.Contains(text, "line_not_kept") {
		t.Fatal(text)
	}
	actions := ""
	for _, e := range s.srv.history.audit.newest(10, "small") {
		actions += e.Action + " "
	}
	if actions != "alarm_cleared alarm_raised " {
		t.Fatalf("audit: %s", actions)
	}
}

func TestWatches(t *testing.T) {
	t.Run("slow commits", func(t *testing.T) {
		var w slowWatch
		at := time.Duration(0)
		for range 30 {
			if at += keepInterval; w.test(slowCommit, at) != "" {
				t.Fatalf("after %v", at)
			}
		}
		if w.test(slowCommit, at+keepInterval) == "" || w.test(time.Millisecond, at) != "" || w.test(slowCommit, at+time.Hour) != "" {
			t.Fatal("wrong")
		}
	})
	t.Run("a line that stalls", func(t *testing.T) {
		var w stallWatch
		line := core.LineState{Issued: 10, Serving: 5}
		w.test(&line, true, 0)
		if w.test(&line, true, stallFor-1) != "" || w.test(&line, false, 2*stallFor) != "" || w.test(&line, true, 3*stallFor-1) != "" {
			t.Fatal("too early, or while it is closed")
		}
		if !strings.Contains(w.test(&line, true, 3*stallFor), "5 people") {
			t.Fatal("not found")
		}
		line.Serving++
		if w.test(&line, true, 9*stallFor) != "" {
			t.Fatal("it moved")
		}
		line.Serving = 20
		if w.test(&line, true, 99*stallFor) != "" {
			t.Fatal("nobody waits")
		}
	})
	t.Run("a clock that steps", func(t *testing.T) {
		var w clockWatch
		now := event.Time(1_000_000)
		for range 100 {
			now += 101 // it runs fast by a hundredth, as it may
			if text := w.test(now, 0, keepInterval); text != "" {
				t.Fatal(text)
			}
		}
		if w.test(now+5000, 0, keepInterval) == "" {
			t.Fatal("a step ahead was not found")
		}
		w = clockWatch{}
		w.test(now, 0, keepInterval)
		found := false
		for range 20 { // it stands still
			found = found || w.test(now, 0, keepInterval) != ""
		}
		if !found || w.test(now, clockStep, keepInterval) == "" {
			t.Fatal("a step back was not found")
		}
	})
	t.Run("refusals that jump", func(t *testing.T) {
		var w refusalWatch
		var asked, refused int64
		at := time.Duration(0)
		second := func(people, no int64) string {
			at += time.Second
			asked += people
			refused += no
			return w.test(asked, refused, at)
		}
		for range 600 {
			if text := second(100, 10); text != "" {
				t.Fatal(text)
			}
		}
		found := ""
		for range 5 {
			found = second(100, 75)
		}
		if !strings.Contains(found, "10% were before") {
			t.Fatalf("found: %q", found)
		}
		for range 600 {
			found = second(100, 75)
		}
		if found != "" {
			t.Fatalf("what is usual is no alarm: %s", found)
		}
	})
}

// TestAfterARestart reckons with those who may be in.
func TestAfterARestart(t *testing.T) {
	engine := core.New()
	engine.Start(new(tape))
	s := &stand{t: t, engine: engine, clock: new(handClock), journal: new(tape)}
	s.define(arrival)
	c := engine.Campaign("small")
	var h History
	at := event.Time(opening.UnixMilli())
	apply := func(r event.Record) {
		r.At = at
		must(t, engine.Apply(event.Seq(at), &r))
		h.Applied(event.Seq(at), &r, engine)
	}
	for n := event.Number(1); n <= 100; n++ {
		apply(event.Record{Kind: event.Joined, Version: 1, Person: event.PersonKey{byte(n), 1}, Number: n})
	}
	for n := event.Number(10); n <= 90; n += 10 { // a minute apart
		at += 60_000
		apply(event.Record{Kind: event.Served, Version: 1, Number: n})
	}
	apply(event.Record{Kind: event.Paused, Version: 1, Payload: []byte("stop")})
	if n := h.calledLast(c); n != 40 {
		t.Fatalf("%d were called shortly before the end", n)
	}
	if list := h.audit.newest(10, ""); len(list) != 1 || list[0].Action != "paused" || list[0].Detail != "stop" || list[0].Source != auditLog {
		t.Fatalf("audit: %+v", list)
	}
	if turnstile := newTurnstile(LineSettings{}, h.calledLast(c)); turnstile.sessions.Presumed(turnstile.unclaimed) != h.calledLast(c) {
		t.Fatal("nobody is presumed to be in")
	}
}

func TestErrorsOfTheKeeperAreToldOnce(t *testing.T) {
	s := parts(t, nil)
	s.attach(drawn)
	e := s.srv.attached.Load().find([]byte("small"))
	for range 3 {
		s.srv.keeper.report(e, errors.New("the key is lost"))
	}
	if n := strings.Count(s.log.String(), "the key is lost"); n != 1 {
		t.Fatalf("told %d times", n)
	}
}
