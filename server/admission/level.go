package admission

import (
	"bytes"
	"hash/maphash"
	"time"
)

// Level orders all requests: by class, and within one by cohort, so that a
// class is refused in small steps and it is the same people who get through.
//
//	level = class<<16 | cohort
//
// A request is let through when its level is at or above the cut.
type Level uint32

const (
	cohortBits = 16
	cohorts    = 1 << cohortBits
	cohortMask = cohorts - 1
)

// NewLevel is the level of a class and a cohort in it.
func NewLevel(c Class, cohort uint16) Level { return Level(c)<<cohortBits | Level(cohort) }

// Class returns the level's class.
func (l Level) Class() Class { return Class(l >> cohortBits) }

// Peer is what the loop knows about the connection of a request without
// looking at the request.
type Peer struct {
	// Hash tells connections apart, or clients where their address is known
	// (Clients.Address). Requests without a credential get their cohort from it.
	Hash uint64
	// Through says that the last credential seen on the connection was a valid
	// pass. It puts the request in front of all others of its class. It is set
	// after the pass was opened, so nobody can claim it. It must stay false
	// where a proxy sends the requests of many people over one connection.
	Through bool
}

// cohortTurn is the time in which the order of the cohorts turns around once.
// Whoever is behind now is in front later: where a share s of a class gets
// through, everyone is out of it for at most (1-s)·cohortTurn at a time.
const cohortTurn = 4 * time.Minute

// cohort is the place of a request within its class at the moment: by the
// credential it carries, or else by its connection.
func (g *Gate) cohort(head []byte, p Peer) uint16 {
	if p.Through {
		return cohortMask
	}
	turn := uint16(g.turn.Load())
	if token := field(head, authorization); len(token) > 0 {
		return uint16(maphash.Bytes(g.seed, token)>>cohortBits) + turn
	}
	return uint16(maphash.Comparable(g.seed, p.Hash)>>cohortBits) + turn
}

// turnAt is how far the order of the cohorts has turned.
func turnAt(now time.Duration) uint16 {
	return uint16(now % cohortTurn * cohorts / cohortTurn)
}

// Names of header fields, as field wants them: in lower case.
const (
	authorization  = "authorization"
	acceptLanguage = "accept-language"
)

// field returns the value of the first header line of that name, nil when
// there is none. It is no parser: it believes what it finds up to the empty
// line, and nothing but cohorts and languages may rest on it.
func field(head []byte, name string) []byte {
	for {
		end := bytes.IndexByte(head, '\n')
		if end < 0 {
			return nil
		}
		head = head[end+1:]
		if len(head) <= len(name) || head[0] == '\r' {
			return nil
		}
		if head[len(name)] == ':' && isName(head[:len(name)], name) {
			return lineValue(head[len(name)+1:])
		}
	}
}

// lineValue is what stands before the end of the line, without blanks around.
func lineValue(rest []byte) []byte {
	if end := bytes.IndexByte(rest, '\n'); end >= 0 {
		rest = rest[:end]
	}
	return bytes.Trim(rest, " \t\r")
}

// isName compares ASCII without regard to case; name is in lower case.
func isName(b []byte, name string) bool {
	for i := range len(name) {
		c, w := b[i], name[i]
		if c != w && (c|0x20 != w || w < 'a' || w > 'z') {
			return false
		}
	}
	return true
}
