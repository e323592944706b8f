package server

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"weir/core"
)

// bookingText is a whole request to book a slot with a pass.
func (s *stand) bookingText(subject, slot string) string {
	return strings.Replace(booking(slotBody(slot), asJSON), "{PASS}", s.pass(subject), 1)
}

// TestNothingPassesTheGate sends two bookings at once on one connection while
// the journal stands: not a byte comes back before it goes on, and then both
// answers do, in order.
func TestNothingPassesTheGate(t *testing.T) {
	s := newStand(t, nil)
	waiting, release := s.journal.hold()
	conn := dial(t, s.public)
	send(t, conn, s.bookingText("kim", slotA9)+s.bookingText("lee", slotB9))
	<-waiting
	must(t, conn.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	if n, err := conn.Read(make([]byte, 1)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("%d bytes came before the records were durable, %v", n, err)
	}
	release()
	must(t, conn.SetReadDeadline(time.Now().Add(10*time.Second)))
	from := bufio.NewReader(conn)
	for _, slot := range []string{slotA9, slotB9} {
		res, err := http.ReadResponse(from, nil)
		must(t, err)
		if a := readAnswer(t, res); a.status != http.StatusCreated || !strings.Contains(string(a.body), slot) {
			t.Fatalf("%d %s, want a booking of %s", a.status, a.body, slot)
		}
	}
	s.wantIdle()
}

// TestClosedGateEndsTheConnection lets the journal lose sight of a record: the
// caller is told that the outcome is unknown, and then the connection ends.
func TestClosedGateEndsTheConnection(t *testing.T) {
	s := newStand(t, nil)
	s.journal.set(nil, core.ErrOutcomeUnknown)
	conn := dial(t, s.public)
	send(t, conn, s.bookingText("kim", slotA9))
	from := bufio.NewReader(conn)
	res, err := http.ReadResponse(from, nil)
	must(t, err)
	if a := readAnswer(t, res); a.status != 503 || !res.Close || res.Header.Get("Retry-After") == "" ||
		!strings.Contains(string(a.body), "outcome_unknown") {
		t.Fatalf("%d %v %s", a.status, res.Header, a.body)
	}
	if _, err := from.ReadByte(); err == nil {
		t.Fatal("the connection goes on")
	}
	s.wantIdle()
}

// TestCallerLeavesAtTheGate closes connections whose answer waits; what they
// occupied is given back.
func TestCallerLeavesAtTheGate(t *testing.T) {
	s := newStand(t, nil)
	_, release := s.journal.hold()
	var conns []net.Conn
	for who, slot := range map[string]string{"kim": slotA9, "lee": slotA930, "park": slotB9} {
		conn := dial(t, s.public)
		send(t, conn, s.bookingText(who, slot))
		conns = append(conns, conn)
	}
	waitFor(t, "three answers to wait", func() bool { return s.srv.inFlight.Load() == 3 })
	for _, conn := range conns {
		must(t, conn.Close())
	}
	release()
	s.wantIdle()
}

// wantIdle waits until no request counts as being answered.
func (s *stand) wantIdle() {
	s.t.Helper()
	waitFor(s.t, "no request to be being answered", func() bool { return s.srv.inFlight.Load() == 0 })
}
