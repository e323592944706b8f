package server

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestRoomForPeople fills a server with callers who ask for nothing, or for
// nothing whole: who has a connection keeps it, who has a pass gets one.
func TestRoomForPeople(t *testing.T) {
	const room = 64
	for name, beginning := range map[string]string{
		"silent":    "",
		"half":      "GET /v1/campaigns HTTP/1.1\r\nHost",
		"goroutine": "\r\nGET /v1/campaigns HTTP/1.1\r\nHost",
	} {
		t.Run(name, func(t *testing.T) {
			s := newStand(t, func(c *Config) { c.Limits.Connections = room })
			kept := dial(t, s.public)
			from := bufio.NewReader(kept)
			own := s.askOwn(kept, from, "kept")
			if own != 200 {
				t.Fatalf("status %d", own)
			}
			for i := range 4 * room {
				conn, err := net.Dial("tcp", s.public)
				if err != nil {
					continue // refused: there was no room at that moment
				}
				defer func() { _ = conn.Close() }()
				_, _ = io.WriteString(conn, beginning) // it may have made room already
				if i%room == room-1 {
					s.wantRoom(fmt.Sprint("person", i))
				}
			}
			if own := s.askOwn(kept, from, "kept"); own != 200 {
				t.Errorf("who was there before: status %d", own)
			}
			l := s.srv.running()[0]
			if n := s.srv.displaced(l); n < room || l.open.Load() > room {
				t.Errorf("%d made room, %d are open", n, l.open.Load())
			}
		})
	}
}

// wantRoom has a person connect and ask until there is room.
func (s *stand) wantRoom(subject string) {
	s.t.Helper()
	waitFor(s.t, "room for "+subject, func() bool {
		conn, err := net.Dial("tcp", s.public)
		if err != nil {
			return false
		}
		defer func() { _ = conn.Close() }()
		return s.askOwn(conn, bufio.NewReader(conn), subject) == 200
	})
}

// askOwn asks for a person's bookings with a pass, and returns the status; 0
// where the connection ended.
func (s *stand) askOwn(conn net.Conn, from *bufio.Reader, subject string) int {
	s.t.Helper()
	status, _, err := ask(conn, from, "GET /v1/campaigns/small/bookings/me HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer "+s.pass(subject)+"\r\n\r\n")
	if err != nil {
		return 0
	}
	return status
}

// TestConnectionsFitDescriptors: some are left for the log's files.
func TestConnectionsFitDescriptors(t *testing.T) {
	var files unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &files))
	var log strings.Builder
	fitted, err := Limits{Connections: 1 << 30}.fitting(slog.New(slog.NewTextHandler(&log, nil)))
	must(t, err)
	if left := int(files.Cur) - fitted.Connections; left != int(min(files.Cur/filesShare, filesMax)) || !strings.Contains(log.String(), "LimitNOFILE") {
		t.Errorf("%d descriptors are left; log: %s", left, log.String())
	}
	log.Reset()
	if fitted, err := (Limits{Connections: 3}).fitting(slog.New(slog.NewTextHandler(&log, nil))); err != nil || fitted.Connections != 3 || log.Len() > 0 {
		t.Errorf("%d connections, %v; log: %s", fitted.Connections, err, log.String())
	}
}
