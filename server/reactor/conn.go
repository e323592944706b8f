//go:build linux

package reactor

import (
	"errors"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// Socket is an accepted connection. It does not block and belongs to the
// reactor from Add on, which closes it or hands it to the Other.
type Socket interface {
	FD() int
	Remote() netip.AddrPort
	Close() error
}

// doing is what a connection does; the paces bound how long.
type doing uint8

const (
	idling  doing = iota // between requests
	reading              // a request has begun, or the connection is new
	waiting              // its request is being answered, or the answer is kept
	writing              // an answer is partly sent
)

// conn is one socket of a loop. Everything in it belongs to the loop.
//
// Invariant: out is empty unless doing is writing.
type conn struct {
	socket   Socket
	fd       int
	in       []byte        // read, and not handed to the library yet, of which it has room for all; nil mostly
	out      []byte        // of an answer, not sent yet; nil mostly
	since    int64         // by the reactor's clock: when it began what it does
	ready    time.Duration // by the loop's clock: when it was queued, or a little before
	hash     uint64        // of the client's address, for admission
	requests int           // handed to the library, or refused
	doing    doing
	readable bool // the socket may have more to read
	last     bool // the other side has sent its last byte
	queued   bool // in loop.ready or loop.late
	aside    bool // in loop.late
	ending   bool // to be closed when its answer is out
	through  bool // a valid pass came over it
	proxy    bool // it carries the requests of many
	own      bool // it comes from this machine, and carries its own requests
	resting  bool // in loop.rests
	aged     bool // what it has to read may have lain there for long: in the listener's queue, or while it rested
	closed   bool
}

var (
	errEnd    = errors.New("the other side has closed or broken the connection")
	errUnread = errors.New("too much waits for callers that do not read their answers")
)

// store keeps in in what is not handed to the library now.
func (c *conn) store(b []byte) {
	if len(b) == 0 {
		c.in = nil
		return
	}
	c.in = append(c.in[:0], b...)
}

// read reads into b what there is; 0 where there is nothing now.
func (c *conn) read(b []byte) (int, error) {
	for {
		n, errno := rawRecv(c.fd, b)
		switch errno {
		case 0:
			if n == 0 {
				return 0, errEnd
			}
			c.readable = n == len(b) || c.last
			return n, nil
		case unix.EINTR:
		case unix.EAGAIN:
			c.readable = false
			return 0, nil
		default:
			return 0, errEnd
		}
	}
}

// write sends b and returns what the socket does not take now.
func (c *conn) write(b []byte) (rest []byte, err error) {
	for len(b) > 0 {
		n, errno := rawSend(c.fd, b)
		switch errno {
		case 0:
			b = b[n:]
		case unix.EINTR:
		case unix.EAGAIN:
			return b, nil
		default:
			return b, errEnd
		}
	}
	return nil, nil
}

// Handed is a connection on its way to the Other: the socket, and what was read
// of it.
type Handed struct {
	Socket Socket
	Read   []byte
}
