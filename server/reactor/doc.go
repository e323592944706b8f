// Package reactor serves many connections from a few goroutines.
//
// An HTTP library that gives each connection a goroutine pays, for every
// request, a read that finds nothing yet, a trip through the scheduler, and
// buffers that left the processor's caches long ago; where the answer has to
// wait for a disk it pays the trip twice. Here one goroutine a processor, a
// loop, owns its share of the sockets. The library still does all of HTTP: to
// it a loop is one connection without end, the Lane, on which whole requests
// come one after the other, and it is told nothing of whose they are.
//
// # The way of a request
//
//  1. The library asks the lane for bytes (Lane.Read). The loop takes the next
//     socket that has some and reads them straight into the library's buffer.
//  2. frame.go looks whether they are one whole, plain request. The rest of a
//     request that came in pieces is waited for, without a goroutine. Anything
//     unusual, by its framing or its size, is handed to the Other with all that
//     was read, and is served there like any connection by a goroutine of its
//     own.
//     The Guard is asked whether it is let through (admit.go). A refusal was
//     made in advance, and the socket rests for a while after it (rest.go).
//  3. The library parses the request and calls its handler. The handler asks
//     Lane.Whole whether the library read the request as long as the loop did,
//     and refuses it where not.
//  4. An answer that rests on a record not durable yet is announced with
//     Lane.Keep. When the library writes it (Lane.Write), the loop keeps its
//     bytes and goes on with the next request.
//  5. One goroutine a loop waits for the oldest record of kept answers. When it
//     is durable, the loop sends all answers whose records are.
//
// # Behind
//
// A loop that has more to read than it can serve sets those aside, unread, who
// have waited longest (behind.go): in order, everyone would wait as long as the
// queue is, and what is served at last nobody waits for any more. A crowd of a
// moment is served to the last; where it lasts, a loop keeps its hands full and
// no fuller, and those aside are served when that leaves time, or told to come
// back in the end.
//
// # Full
//
// Where connections or descriptors run out, MakeRoom closes those that have
// been idle longest, or have not ended their request for longest: strangers
// first, and who showed a valid pass only where there is no stranger and after a
// quarter of the time that it may be idle (room.go).
// It costs a bounded look each and nothing at all before. Nobody goes who has a
// request under way or an answer unsent: the paces end those, so that callers
// who read nothing may hold all room for as long as an answer may take.
//
// # Invariants
//
//  1. Between two reads of the library a lane belongs to one socket: all that
//     is written meanwhile goes there.
//  2. The library gets one whole request a read and nothing beyond it. A read
//     for more of the same request fails, so bytes of two sockets never meet in
//     one buffer. A library that found the request shorter is caught by Whole
//     before anything of it is acted on.
//  3. A socket with an answer under way is not read, so answers leave in the
//     order of their requests, and a caller that does not read what it asked
//     for is not served further.
//  4. No kept answer leaves before its record is durable.
//
// # Rejected
//
// Blocking in epoll_wait on a thread of one's own lets go of the scheduler's
// processor only when it is taken away, which delays the goroutine that writes
// the log. So a loop waits for its epoll descriptor with the runtime's poller.
// A goroutine that sends the answers of a batch on behalf of its connections
// leaves the other trips through the scheduler and the cold buffers in place.
//
// # Not protected against
//
// A handler that blocks stops its loop, and with it the sockets of that loop:
// handlers wait for locks that are held for microseconds, and for nothing else.
// A panic of the library or of a handler ends the process. The deadlines are
// kept to within two ticks of a clock that stands while the process does. How
// long an answer may wait for its record is the journal's to bound.
package reactor
