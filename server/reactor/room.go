//go:build linux

package reactor

import "golang.org/x/sys/unix"

// Where connections run out, those that wait for nothing but their callers make
// room for who comes. The one that has waited longest goes, of some that are
// looked at: a list of all in that order would have to be kept with every
// request, for the sake of an hour that may never come. The loop looks on where
// it looked last, so everybody is looked at in turn (Redis evicts keys in the
// same manner, by samples).
const (
	roomLooks    = 512 // descriptors that are looked at for each that is closed, at most
	roomSample   = 64  // strangers' connections among them, at most
	roomMaxRound = 256 // connections that are closed at one look around
	knownShare   = 4   // who showed a pass has to go only after one in so many parts of Paces.Idle
)

// MakeRoom has up to n connections closed soon. Whoever has a request under
// way, or an answer that has not left, stays; who showed a valid pass, and a
// proxy, go only where there is no stranger to be found and they have asked for
// nothing for a while.
func (r *Reactor[A]) MakeRoom(n int) {
	for range n {
		l := r.loops[r.nextRoom.Add(1)%uint32(len(r.loops))]
		l.wanted.Add(1)
		l.wake()
	}
}

// Displaced is how many connections MakeRoom has had closed so far.
func (r *Reactor[A]) Displaced() uint64 { return r.displaced.Load() }

// makeRoom closes up to n connections.
func (l *loop[A]) makeRoom(n int64) {
	for range min(n, roomMaxRound) {
		c := l.idlest()
		if c == nil {
			return
		}
		l.displace(c)
	}
}

// idlest returns the connection that has to make room, or nil.
func (l *loop[A]) idlest() *conn {
	var stranger, known *conn
	longAgo := l.reactor.clock.Load() - int64(l.reactor.config.Paces.Idle/knownShare)
	for looks, seen := min(roomLooks, len(l.conns)), 0; looks > 0 && seen < roomSample; looks-- {
		if l.looked++; l.looked >= len(l.conns) {
			l.looked = 0
		}
		c := l.conns[l.looked]
		switch {
		case c == nil || !c.idle():
		case c.through || c.proxy:
			if c.since < longAgo {
				known = idler(known, c)
			}
		default:
			seen++
			stranger = idler(stranger, c)
		}
	}
	if stranger != nil {
		return stranger
	}
	return known
}

// idle tells whether all that is known to have come was answered, but for the
// beginning of a request.
func (c *conn) idle() bool {
	return (c.doing == idling || c.doing == reading) && !c.readable && !c.queued
}

// idler is the one that has been at what it does for longer; a may be nil.
func idler(a, b *conn) *conn {
	if a == nil || b.since < a.since {
		return b
	}
	return a
}

// displace closes a connection, unless something has come that epoll was not
// asked about yet. It is reset, so that the kernel does not keep it for a
// minute.
func (l *loop[A]) displace(c *conn) {
	var b [1]byte
	if n, _, err := unix.Recvfrom(c.fd, b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT); err == nil && n > 0 {
		c.readable = true
		l.again(c)
		return
	}
	_ = unix.SetsockoptLinger(c.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}) // closing without it works too
	l.close(c)
	l.reactor.displaced.Add(1)
}
