//go:build linux

// Package openloop is an open-loop HTTP/1.1 client for loopback: a request has
// a time at which it is due and is sent then, whatever the server does with
// those before it. Latency is taken from the time that was intended, so a
// server that stalls shows what people who come at their own pace would have
// waited (no coordinated omission: Gil Tene, "How NOT to Measure Latency").
//
// # The life of a request
//
//  1. A Driver is woken at a time that it asked for (Loop.WakeAt), or is told
//     that a request has ended, and hands the next one to Loop.Send.
//  2. Send notes how late that is (the loader's own lateness), and takes an
//     idle connection. Where there is none, the request waits in a queue and
//     another connection is opened, up to a bound. This wait is the server's
//     doing and counts in the latency.
//  3. On its connection the driver composes the request into a buffer of the
//     loop, and it is written at once.
//  4. The answer is read into a buffer of the loop, parsed where it lies, and
//     handed to the driver without a copy. An answer that does not come in
//     time, is odd, or a connection that breaks is a Failure.
//  5. The driver says under which label the latency is recorded.
//
// A Loop is one epoll instance on one operating-system thread with its own
// connections, timers, histograms and driver. Nothing is shared between loops
// while they run, so a driver needs no locks, and nothing is allocated per
// request. Timers are a hierarchical wheel of 12 bytes a client: six million
// simulated people take 72 MB. Connections are a pool that all clients of a
// loop share, as behind a proxy, and not one to a person.
//
// # Lateness
//
// A loader that is short of CPU is late itself, and then measures itself. Each
// run keeps a histogram of how late requests were taken up, and Result.Valid
// refuses a run that did not offer what it should have.
//
// # Rejected
//
// A goroutine a person needs kilobytes where the wheel needs 12 bytes, and a
// goroutine a connection costs a third more CPU a request (package loader).
// fasthttp's client keeps a goroutine in a blocking call for each request.
//
// # Not protected against
//
// The package believes what a server says of itself. It speaks no TLS, sends
// no HEAD, pipelines nothing, follows no redirects and decodes no content. An
// answer that it doesn't understand is a failure and never skipped. Timers
// have steps of 65 µs.
package openloop
