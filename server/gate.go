package server

import (
	"bufio"
	"bytes"
	"errors"
	"time"

	"github.com/valyala/fasthttp"

	"weir/core/event"
)

// The gate. An answer rests on a record and may leave only once that is
// durable. The wait for it stands as late as can be, where the connection is
// written to: by then the answer is encoded and lies in the connection's
// buffer, and the goroutine that is woken a batch later, when all it used has
// left the processor's caches, has one system call left to make.
//
// This is for connections that have a goroutine of their own. A loop's lane
// keeps answers in the same way, without one (package reactor).
//
// Answers over TLS wait in their handler, since what passes the connection
// there is encrypted already and could not be taken back.

// gate is what a connection waits for before it writes. It belongs to the
// goroutine that serves the connection.
type gate struct {
	seq      event.Seq // nothing is written before it is durable; 0: open
	server   *Server
	booker   Booker
	accounts accounts
}

// accounts is what is counted of an exchange when its answer leaves.
type accounts struct {
	tally    *tally
	route    int
	status   int
	began    time.Time
	language lang
}

// shut closes the gate for what is written next, unless it is closed already,
// as pipelined requests make it.
func (g *gate) shut(seq event.Seq, s *Server, b Booker) bool {
	if g.seq != 0 {
		return false
	}
	g.seq, g.server, g.booker = seq, s, b
	return true
}

// pass waits until the gate may open, and counts the exchange. It returns why
// nothing may be told, where the record is not known to be durable.
func (g *gate) pass() error {
	err := unknown(g.booker.Wait(g.seq))
	if err != nil {
		g.server.lose(&g.accounts)
	}
	g.open()
	return err
}

// open counts the exchange as over.
func (g *gate) open() {
	g.seq = 0
	g.server.left(&g.accounts)
}

// left counts an exchange as over.
func (s *Server) left(a *accounts) {
	s.inFlight.Add(-1)
	a.tally.answered(a)
}

// lose counts an answer that is replaced by one that says that the outcome is
// not known.
func (s *Server) lose(a *accounts) {
	a.status = faults[faultOutcomeUnknown].status
	s.metrics.problems[faultOutcomeUnknown].Inc()
}

// lost is what a loop sends in place of such an answer.
func (s *Server) lost(a *accounts, _ error) []byte {
	s.lose(a)
	return wholeAnswer(faultOutcomeUnknown, a.language)
}

// looped tells whether a request that came by a loop's lane is what the loop
// took it for, and sees to the end of its connection where it is time.
func (s *Server) looped(ctx *fasthttp.RequestCtx) bool {
	l, ok := ctx.Conn().(*lane)
	if !ok {
		return true
	}
	const emptyLine = 2 // which is not among the headers where there are none
	as := l.Whole(max(emptyLine, len(ctx.Request.Header.RawHeaders())), len(ctx.Request.Body()))
	if !as || l.Requests() >= s.limits.RequestsPerConn || l.Draining() {
		ctx.SetConnectionClose()
	}
	return as
}

// wholeAnswer is the whole answer to a fault, as it is sent. The connection ends
// with it.
func wholeAnswer(f fault, l lang) []byte {
	var ctx fasthttp.RequestCtx
	writeProblem(&ctx, f, l)
	ctx.SetConnectionClose()
	var text bytes.Buffer
	w := bufio.NewWriter(&text)
	if err := errors.Join(ctx.Response.Write(w), w.Flush()); err != nil {
		panic(err) // a buffer takes everything
	}
	return text.Bytes()
}
