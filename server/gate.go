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
		g.accounts.status = faults[faultOutcomeUnknown].status
		g.server.metrics.problems[faultOutcomeUnknown].Inc()
	}
	g.open()
	return err
}

// open counts the exchange as over.
func (g *gate) open() {
	g.seq = 0
	g.server.inFlight.Add(-1)
	g.accounts.tally.answered(&g.accounts)
}

// unknownAnswer is the whole answer that the outcome is not known. The
// connection ends with it.
func unknownAnswer(l lang) []byte {
	var ctx fasthttp.RequestCtx
	writeProblem(&ctx, faultOutcomeUnknown, l)
	ctx.SetConnectionClose()
	var text bytes.Buffer
	w := bufio.NewWriter(&text)
	if err := errors.Join(ctx.Response.Write(w), w.Flush()); err != nil {
		panic(err) // a buffer takes everything
	}
	return text.Bytes()
}
