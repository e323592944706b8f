//go:build linux

package reactor

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"pgregory.net/rapid"
)

// fate is what becomes of a connection by one of its requests.
type fate int

const (
	goesOn fate = iota // it is answered
	ends               // it is answered, and nothing behind it
	breaks             // it is refused, and nothing behind it is answered
)

// requestKinds write a request with a secret and a body for the echo.
var requestKinds = []struct {
	name string
	fate fate
	text func(secret, body string) string
	bare bool // the body is not sent
}{
	{"get", goesOn, func(s, _ string) string { return getText("/", s) }, true},
	{"post", goesOn, func(s, b string) string { return postText("/", s, b) }, false},
	{"kept", goesOn, func(s, b string) string { return postText("/keep", s, b) }, false},
	{"kept get", goesOn, func(s, _ string) string { return getText("/keep", s) }, true},
	{"beyond the buffer", goesOn, func(s, b string) string {
		return postText("/", s, b+strings.Repeat("x", 2*bufferBytes))
	}, false},
	{"chunked", goesOn, func(s, b string) string {
		return "POST /keep HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nSecret: " + s + "\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(b), b)
	}, false},
	{"expecting", goesOn, func(s, b string) string {
		return strings.Replace(postText("/", s, b), "Host", "Expect: 100-continue\r\nHost", 1)
	}, false},
	{"get with a body", goesOn, func(s, b string) string { return strings.Replace(postText("/", s, b), "POST", "GET", 1) }, false},
	{"after an empty line", goesOn, func(s, b string) string { return "\r\n" + postText("/", s, b) }, false},
	{"absolute form", goesOn, func(s, _ string) string { return getText("http://b/", s) }, true},
	{"last", ends, func(s, b string) string {
		return strings.Replace(postText("/keep", s, b), "Host", "Connection: close\r\nHost", 1)
	}, false},
	{"HTTP/1.0", ends, func(s, _ string) string { return strings.Replace(getText("/", s), "1.1", "1.0", 1) }, true},
	{"two lengths", breaks, func(s, b string) string {
		return strings.Replace(postText("/", s, b), "Host", "Content-Length: 0\r\nHost", 1)
	}, false},
	{"space before a colon", breaks, func(s, b string) string {
		return strings.Replace(postText("/", s, b), "Length:", "Length :", 1)
	}, false},
	{"signed length", breaks, func(s, b string) string {
		return strings.Replace(postText("/", s, b), "Length: ", "Length: +", 1)
	}, false},
	{"no host", breaks, func(s, b string) string { return strings.Replace(postText("/", s, b), "Host", "Hose", 1) }, false},
	{"NUL", breaks, func(s, b string) string { return strings.Replace(postText("/", s, b), "Host: a", "Host: \x00", 1) }, false},
	{"noise", breaks, func(string, string) string { return "\x16\x03\x01\x02\r\n\r\n" }, false},
	{"cut", breaks, func(s, b string) string { t := postText("/", s, b+"cut"); return t[:len(t)-2] }, false},
}

// script is what one connection sends and is to get.
type script struct {
	kinds  []string
	pieces []string
	wants  []string // bodies, in order
	broken bool     // a refusal follows them
	ended  bool     // nothing is read behind them: not all that is sent need be
}

// drawScript makes a script. The requests behind one that ends the connection
// are there to be smuggled.
func drawScript(t *rapid.T, conn int) (s script) {
	var all strings.Builder
	for i := range rapid.IntRange(1, 12).Draw(t, "requests") {
		k := requestKinds[rapid.IntRange(0, len(requestKinds)-1).Draw(t, "kind")]
		secret := fmt.Sprintf("secret-%d-%d;", conn, i)
		body := strings.Repeat(secret, rapid.IntRange(1, 3).Draw(t, "body"))
		text := k.text(secret, body)
		s.kinds = append(s.kinds, k.name)
		all.WriteString(text)
		if s.ended {
			continue
		}
		_, sent, _ := strings.Cut(text, "\r\n\r\n")
		switch {
		case k.fate == breaks:
			s.broken, s.ended = true, true
			if k.name == "cut" { // what follows would be its body
				s.pieces = cut(t, all.String())
				return s
			}
			continue
		case k.bare:
			sent = ""
		case k.name == "beyond the buffer":
		default:
			sent = body
		}
		s.wants = append(s.wants, secret+sent)
		s.ended = k.fate == ends
	}
	s.pieces = cut(t, all.String())
	return s
}

// cut cuts the text where it may hurt.
func cut(t *rapid.T, text string) (pieces []string) {
	for len(text) > 0 && len(pieces) < 40 {
		n := rapid.OneOf(rapid.IntRange(1, 9), rapid.IntRange(1, 300), rapid.Just(len(text))).Draw(t, "piece")
		n = min(n, len(text))
		pieces = append(pieces, text[:n])
		text = text[n:]
	}
	return append(pieces, text)
}

// play sends the script and holds what comes back.
func (s script) play(c *caller) error {
	var sender sync.WaitGroup
	defer sender.Wait()
	defer func() { _ = c.Close() }() // before the sender is waited for
	sender.Go(func() {
		for _, piece := range s.pieces {
			if _, err := io.WriteString(c.TCPConn, piece); err != nil {
				return // it has ended, as it should or as the reader will notice
			}
			runtime.Gosched()
		}
		_ = c.CloseWrite()
	})
	for i, want := range s.wants {
		status, body, err := c.answer()
		if s.ended && errors.Is(err, syscall.ECONNRESET) {
			return nil // it was closed while more was sent: answers may be lost
		}
		if err != nil || status != 200 || body != want {
			return errors.Join(err, fmt.Errorf("%q: answer %d is %d %.80q, want %.80q", s.kinds, i, status, body, want))
		}
	}
	if s.broken {
		status, body, err := c.answer()
		if err == nil && (status < 400 || strings.Contains(body, "secret")) {
			return fmt.Errorf("%q: %d %q for a broken request", s.kinds, status, body)
		}
	}
	rest, err := io.ReadAll(c.from)
	if s.ended && errors.Is(err, syscall.ECONNRESET) {
		err = nil
	}
	if len(rest) > 0 || err != nil {
		return errors.Join(err, fmt.Errorf("%q: %q behind the last answer", s.kinds, rest))
	}
	return nil
}

// TestCallersStayApart lets many connections send requests of all kinds in
// pieces at the same time: each gets the answers to its own, in order and no
// others, and ends only where it should.
func TestCallersStayApart(t *testing.T) {
	s := newStand(t, patient, nil)
	s.commit()
	rapid.Check(t, func(rt *rapid.T) {
		scripts := make([]script, rapid.IntRange(1, 24).Draw(rt, "connections"))
		failed := make([]error, len(scripts))
		for i := range scripts {
			scripts[i] = drawScript(rt, i)
		}
		var all sync.WaitGroup
		for i := range scripts {
			c := s.call()
			all.Go(func() { failed[i] = scripts[i].play(c) })
		}
		all.Wait()
		if err := errors.Join(failed...); err != nil {
			rt.Fatal(err)
		}
	})
	if s.handed.Load() == 0 || s.left.Load() == 0 {
		t.Fatalf("%d handed over, %d kept: not everything was tried", s.handed.Load(), s.left.Load())
	}
}
