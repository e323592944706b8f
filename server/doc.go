// Package server is weir's HTTP front: a public listener for the people and
// an admin listener for the operator, over an engine that it knows only as a
// Booker.
//
// A request passes these steps, and an error at any of them ends it with a
// problem document (problem.go):
//
//  1. listener.go accepts connections, bounds them and keeps them coming. Plain
//     HTTP is read by event loops (package reactor), which give fasthttp one
//     whole request after the other; TLS, and what is not plain, by fasthttp
//     with a goroutine for each connection (front.go). The loops ask admission
//     (guard.go) whether a request is let through before anything of it is
//     parsed.
//  2. headers.go reads the header lines once, and refuses framing that a proxy
//     in front could read differently.
//  3. routes.go finds the route: one table, searched by segment, without
//     allocation. A router that hands out parameters by name was left aside
//     for that reason; with twenty rows the table is also the shorter text.
//  4. credential.go opens the ticket, pass or identity token that the route
//     asks for.
//  5. The handler decodes the body (decode.go), fills in a core.Command by
//     value, lets the engine decide (commit.go) and encodes the answer
//     (encode.go).
//  6. The loop keeps the answer until what it rests on is durable, and writes it
//     then; on a connection with a goroutine the answer stands at its gate
//     (gate.go).
//
// An exchange (exchange.go) carries a request through these steps. It comes
// from a pool and nothing of the request outlives the handler. Booking with a
// pass allocates nothing in this package.
//
// A campaign's line is the engine's; what the server keeps beside it is its
// turnstile (turnstile.go). One goroutine, the keeper (keeper.go), performs the
// draws, has the serving mark follow what the server can carry, and publishes
// the public object that everybody who waits asks for. The operator's API
// (operator.go) pauses, steers and looks on.
//
// Connections are bounded by the limits, and by what the process may open less
// some descriptors that are kept for the log's files (room.go). Near the bound,
// and where descriptors run out all the same, the idlest connections make room
// for who comes, strangers' before those over which a pass was shown; what has a
// request under way or an answer unsent stays until its deadline.
//
// The server exists before the engine does: until Attach, /livez and /readyz
// answer and every public request gets 503 starting.
//
// What it does not protect against: it believes whoever holds a token; it speaks
// HTTP/1.1 only; a request beyond the limits is refused but still costs its
// connection. Callers who read nothing of what they ask for never have to make
// room, so as many of them as there is room for keep others out, each for as
// long as the write timeout. Of connections with a goroutine, those over TLS
// among them, the idlest goes whether a pass was shown or not. Over its own TLS
// a request is not seen before it is parsed, so admission sheds nothing there
// but by the bound of requests in flight: under load TLS is a proxy's.
package server
