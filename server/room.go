package server

import (
	"fmt"
	"log/slog"

	"golang.org/x/sys/unix"
)

// Room for connections. Strangers who hold connections and send nothing, or
// never a whole request, must not keep those out whose turn it is. So the last
// of the room is kept free: from there on each connection that is accepted has
// the idlest one closed, by its loop (reactor.MakeRoom), or here where it has a
// goroutine of its own.
const (
	roomShare     = 32 // one in so many of the connections is room that is kept free
	roomBatch     = 32 // connections that make room when descriptors run out
	roomSample    = 16 // connections with a goroutine, of which the idlest goes
	goroutineOdds = 8  // those go first where they are more than one in so many of all
)

// makeRoom has up to n connections closed that wait for nothing but their
// callers. Any goroutine may call it.
func (l *boundListener) makeRoom(n int) {
	l.mu.Lock()
	dear := len(l.conns)
	l.mu.Unlock()
	if l.relief != nil && int64(dear) <= l.limit/goroutineOdds {
		l.relief(n)
		return
	}
	for range n {
		if c := l.idlest(); c != nil {
			l.cleared.Add(1)
			_ = c.cut() // there is nobody to tell
		} else if l.relief != nil {
			l.relief(1)
		}
	}
}

// relieve has up to n connections of the loops closed, where they run.
func (s *Server) relieve(n int) {
	if f := s.loops(); f != nil {
		f.loops.MakeRoom(n)
	}
}

// displaced is how many connections of the listener have made room.
func (s *Server) displaced(l runningListener) uint64 {
	n := l.cleared.Load()
	if f := s.loops(); f != nil && f.listener == l.boundListener {
		n += f.loops.Displaced()
	}
	return n
}

// idlest returns, of some connections taken at random, the one whose goroutine
// waits for its caller and has begun what it does first; nil: none does.
func (l *boundListener) idlest() (found *boundConn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	looks := 0
	for c := range l.conns {
		if c.idle.Load() && (found == nil || c.act.since() < found.act.since()) {
			found = c
		}
		if looks++; looks == roomSample {
			break
		}
	}
	return found
}

// Descriptors are the log's, too: where connections take the last one, the log
// can't begin its next file, and a log that can't be written ends the process.
const (
	filesShare = 5 // one in so many descriptors is kept for files,
	filesMax   = 512
)

// fitting lowers the bound of connections to what the process may open.
func (l Limits) fitting(log *slog.Logger) (Limits, error) {
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		return l, fmt.Errorf("ask for the limit of open files: %w", err)
	}
	room := files.Cur - min(files.Cur/filesShare, filesMax)
	if uint64(l.Connections) > room {
		log.Warn("fewer connections than the limits allow: the process may not open as many files. Raise LimitNOFILE of the service (ulimit -n)",
			slog.Int("wanted", l.Connections), slog.Uint64("connections", room), slog.Uint64("files", files.Cur))
		l.Connections = int(room)
	}
	return l, nil
}
