// Package admission decides who is let through to the core and what is shed
// first. It is asked before anything of a request is parsed, works on the raw
// bytes of the head, allocates nothing and takes some tens of nanoseconds.
// Time comes in with each call as a monotonic duration; there are no
// goroutines, no locks, no clock and no sockets here.
//
// # How a loop uses it
//
//  1. The listener asks Gate.Accept before it takes a connection.
//  2. Once a round the loop calls Gate.Adjust, and hands Desk.Spent how long
//     it was at work in the round before and how much of that went into
//     refusing.
//  3. For a request whose head is there: Clients.Address says who asks,
//     Limiter.Address whether they ask too often (429).
//  4. Desk.Delay takes how long the request waited, Classify says what it is,
//     Desk.Admit whether it is let through (503).
//  5. A refusal is Refusals.Append into the connection's buffer; the connection
//     is then left unread for Relief.RestOf, or closed where Relief.Hangup says
//     so.
//  6. After authentication: Limiter.Person, and Peer.Through for the connection
//     once a valid pass came over it.
//
// # The rule
//
// What is measured is the queueing delay: how long what is served now had to
// wait. It needs no idea of the capacity, and unlike the number of requests
// under way it says the same for cheap requests and dear ones. The least delay
// of an interval is looked at, as in CoDel (Nichols and Jacobson, 2012): a burst
// leaves no trace in it, a standing queue does. A level moves in answer, as in
// DAGOR (Zhou et al., 2018): below it all are refused, above it nobody. It is
// made of the class and, within a class, of a cohort that the request's
// credential hashes to, so that the same people get through and finish instead
// of everybody failing now and then; the order of the cohorts turns around once
// in some minutes, so that everybody's turn comes. The steps are in rule.go.
//
// Refusing costs too, and at many times the capacity it is what the time goes
// into. So the share of time that it takes is held to an aim by what costs
// nothing (relief.go): leaving connections unread for a while after a refusal,
// and taking new ones at a pace.
//
// Settings.Spared keeps the queue's cut from classes that a loop has another way
// with: package reactor sets their requests aside, unread, where there are too
// many, which costs nothing, and refuses what becomes stale there.
//
// # Invariants
//
//  1. Of two requests of the same cohort in the same interval, both of which
//     write or both of which do not, the higher class is never refused while
//     the lower one is let through. The same holds for a request that does not
//     write and a lower one of any kind.
//  2. Whoever is through (Peer.Through) is in front of the whole class.
//  3. Nothing is shut for good: some share of what is offered is always let
//     through, some connections are always taken, a rest has an end; and
//     without delay, and with loops that are idle now and then, everybody is
//     let through again after a bounded number of intervals.
//  4. Memory is bounded and set at the start, whatever comes.
//  5. An address is kept only as a hash under a seed of this process.
//  6. No entry that a client wrote into a forwarding header is believed.
//  7. A collision or a full table forgives; it holds nobody up for longer than
//     an era of the limiter.
//
// # Rejected
//
// An adaptive concurrency limiter (failsafe-go's adaptivelimiter) in place of
// the rule. TestComparison, run with -v, prints both side by side in a
// simulation. By itself it collapses as soon as refusing costs something: at
// ten times the capacity and a third of a service a refusal, nothing is served.
// With this package's relief at its side it stands, and where refusing is cheap
// or clients storm it even carries some per cent more than the rule, which
// leaves a margin (busyMax) for the sake of the tail; where refusing is dear
// and the load two to five times the capacity it carries less. But it knows no
// classes: of those who cancel or look at their own booking it refuses a
// quarter to three quarters at ten times the capacity, the rule none. Its form
// that knows classes makes callers wait, which a loop cannot. It allocates a
// permit a request and holds a lock.
//
// One cut for both queues: a slow disk would then turn away everybody who
// reads before the first who writes. Shutting the listener for a while: at
// every opening a wave came in that was refused again. Dropping what waited too
// long whatever its class: it broke invariant 1 for a gain in the tail.
// Weighing Accept-Language: refusals go to the first language named that there
// is, which costs one look through the header lines and is right for browsers.
//
// # Not protected against
//
// Before parsing nobody is known: a forged pass has the class of a real one,
// and costs its decryption. Whoever sends many requests under random
// credentials is let through with the same share of them as everybody else;
// only the limits hold that up. Those hold nobody who has more networks than
// the table has slots. In front of the listener classes are not known: where
// most people come on new connections, high classes wait with the others. A
// rest delays what else comes over the same connection, so latency as the
// client sees it is worse than what is served here; behind a proxy there must
// be none. Floods below HTTP are the kernel's and the network's.
package admission
