//go:build linux

package reactor

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"
)

// hasty are paces that a test can wait for, but for the one named.
func hasty(change func(*Paces)) Paces {
	p := patient
	change(&p)
	return p
}

const short = 200 * time.Millisecond

// within runs what ends by a deadline of the reactor's, which must not come
// early.
func within(t *testing.T, what string, run func()) {
	t.Helper()
	began := time.Now()
	run()
	if took := time.Since(began); took < short/2 || took > 20*short {
		t.Errorf("%s: it took %v, the pace is %v", what, took, short)
	}
}

// TestSlowRequests begins requests and does not end them.
func TestSlowRequests(t *testing.T) {
	s := newStand(t, hasty(func(p *Paces) { p.Read = short }), nil)
	for _, beginning := range []string{"", "GET / HT", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc"} {
		within(t, beginning, func() { s.call().send(beginning).wantEnd(lateAnswer) })
	}
	// The time runs from a request's first byte, however many follow, and for
	// one that came with the request before, from that one's answer.
	within(t, "byte by byte", func() {
		c := s.call().get("/", "a")
		c.want("a")
		drip := time.NewTicker(short / 20)
		defer drip.Stop()
		for range 100 {
			if _, err := io.WriteString(c.TCPConn, "G"); err != nil {
				return
			}
			<-drip.C
		}
		t.Error("it may go on for ever")
	})
	within(t, "behind another", func() {
		c := s.call().send(getText("/", "a") + "GET /")
		c.want("a")
		c.wantEnd(lateAnswer)
	})
}

func TestIdleConnectionsAreClosed(t *testing.T) {
	s := newStand(t, hasty(func(p *Paces) { p.Idle = short }), nil)
	within(t, "idle", func() {
		c := s.call().get("/", "a")
		c.want("a")
		c.wantEnd("")
	})
}

// TestUnreadAnswers asks for more than a socket takes and does not read it: the
// connection ends, and what was kept of the answer is given up.
func TestUnreadAnswers(t *testing.T) {
	s := newStand(t, hasty(func(p *Paces) { p.Write = short }), nil)
	within(t, "not read", func() {
		s.call().get(fmt.Sprint("/large?bytes=", len(pattern)), "")
		waitFor(t, "the connection to open", func() bool { return s.open.Load() == 1 })
		waitFor(t, "the connection to be given up", func() bool { return s.open.Load() == 0 })
	})
}

// TestUnreadAnswersAreBounded has so many callers not read that their answers
// together are too much: some are closed at once, and who reads is served.
func TestUnreadAnswersAreBounded(t *testing.T) {
	s := newStand(t, patient, func(c *Config[int]) { c.Loops = 1 })
	const callers = 2 * unsentMax / (16 << 20)
	for range callers {
		c := s.call()
		must(t, c.SetReadBuffer(4096))
		c.get(fmt.Sprint("/large?bytes=", len(pattern)), "")
	}
	waitFor(t, "some to be given up", func() bool { return s.accepted.Load() == callers && s.open.Load() < callers })
	if s.open.Load() == 0 {
		t.Fatal("all were given up")
	}
	s.call().get("/", "a").want("a")
}

// TestLargeAnswers reads answers of many sockets' worth slowly, in order, with
// requests pipelined behind them.
func TestLargeAnswers(t *testing.T) {
	s := newStand(t, patient, nil)
	for _, size := range []int{1 << 20, len(pattern)} {
		c := s.call()
		must(t, c.SetReadBuffer(16<<10))
		c.send(getText(fmt.Sprint("/large?bytes=", size), "") + getText("/", "behind"))
		res, err := http.ReadResponse(c.from, nil)
		must(t, err)
		var got bytes.Buffer
		for got.Len() < size {
			_, err := io.CopyN(&got, res.Body, int64(min(size/16, size-got.Len())))
			must(t, err)
			s.call().get("/", "meanwhile").want("meanwhile")
		}
		if !bytes.Equal(got.Bytes(), pattern[:size]) {
			t.Fatalf("an answer of %d bytes is not what was sent", size)
		}
		c.want("behind")
	}
}
