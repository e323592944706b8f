package server

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"weir/server/reactor"
)

// The front of the public listener. Plain HTTP is served by the loops of
// package reactor, through s.lanes; what they hand over, and TLS, by the HTTP
// library with a goroutine for each connection, through s.public.

// lane is a loop's connection to the HTTP library.
type lane = reactor.Lane[accounts]

// front is a public listener with its loops.
type front struct {
	server   *Server
	listener *boundListener
	loops    *reactor.Reactor[accounts]
	handed   *handedListener
}

// newFront starts the loops for a listener whose connections are rawConns.
func (s *Server) newFront(l *boundListener) (*front, error) {
	f := &front{server: s, listener: l, handed: newHandedListener(l.Addr(), s.limits.Connections)}
	loops, err := reactor.New(reactor.Config[accounts]{
		Loops: loopCount(),
		Began: s.began,
		Guard: s.loopGuard(l),
		Paces: reactor.Paces{Read: l.paces.read, Write: l.paces.write, Idle: l.paces.idle},
		Serve: s.lanes.ServeConn,
		Other: f.take,
		Late:  func() []byte { return wholeAnswer(faultTimeout, english) },
		Left:  func(a *accounts) { s.left(a) },
		Lost:  s.lost,
	})
	if err != nil {
		return nil, fmt.Errorf("serve public listener: %w", err)
	}
	f.loops = loops
	if err := l.Listener.(*rawListener).watched(loops.Watch); err != nil {
		loops.Stop()
		loops.Wait()
		return nil, fmt.Errorf("serve public listener: %w", err)
	}
	return f, nil
}

// serve accepts until the listener ends. When that is because the server shuts
// down, the connections may go on until drained is closed.
func (f *front) serve(h *fasthttp.Server, closed func() bool, drained <-chan struct{}) error {
	served := make(chan error, 1)
	go func() { served <- h.Serve(f.handed) }()
	err := f.accept()
	if closed() {
		<-drained // Shutdown has a deadline
	}
	f.loops.Stop()
	err = errors.Join(err, f.handed.Close())
	f.loops.Wait()
	if err = errors.Join(err, <-served); err != nil {
		return fmt.Errorf("serve public listener: %w", err)
	}
	return nil
}

func (f *front) accept() error {
	for {
		if !f.mayAccept() {
			return nil
		}
		c, err := f.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		f.loops.Add(c.(*boundConn))
	}
}

// acceptPause is how long the listener waits before it asks again whether it
// may take a connection.
const acceptPause = 2 * time.Millisecond

// mayAccept waits until admission lets one more connection in. It returns false
// when the listener is closed before.
func (f *front) mayAccept() bool {
	g := f.server.guard
	for g != nil && !g.gate.Accept(time.Since(f.server.began)) {
		if !f.listener.pause(acceptPause) {
			return false
		}
	}
	return true
}

// take has the HTTP library serve a connection that a loop hands over.
func (f *front) take(h reactor.Handed) {
	c := h.Socket.(*boundConn)
	conn, err := c.Conn.(*rawConn).polled()
	if err != nil {
		_ = c.Close() // out of descriptors: it is refused
		return
	}
	c.Conn = &headedConn{Conn: conn, head: h.Read}
	f.listener.track(c)
	if !f.handed.give(c) {
		_ = c.Close() // the server is shutting down
	}
}

// headedConn is a connection of which something was read before.
type headedConn struct {
	net.Conn
	head []byte
}

func (c *headedConn) Read(b []byte) (int, error) {
	if len(c.head) == 0 {
		return c.Conn.Read(b)
	}
	n := copy(b, c.head)
	c.head = c.head[n:]
	return n, nil
}

// handedListener is a listener of connections that come from the loops.
type handedListener struct {
	addr  net.Addr
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

// newHandedListener has room for as many connections as there can be, so that
// no loop ever waits for it.
func newHandedListener(addr net.Addr, room int) *handedListener {
	return &handedListener{addr: addr, conns: make(chan net.Conn, room), done: make(chan struct{})}
}

func (l *handedListener) give(c net.Conn) bool {
	select {
	case <-l.done:
		return false
	default:
	}
	select {
	case l.conns <- c:
		return true
	default:
		return false
	}
}

// Accept returns the next connection that was handed over.
func (l *handedListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close ends Accept.
func (l *handedListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

// Addr is the public listener's.
func (l *handedListener) Addr() net.Addr { return l.addr }
