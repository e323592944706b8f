//go:build linux

package openloop

import "time"

// Driver decides what is sent when. Each loop has its own, and calls it from
// its thread alone: a driver needs no locks, and must not wait for anything.
type Driver interface {
	// Start is called once, before anything else, at time 0 or soon after. It
	// sets the first timers.
	Start(l *Loop)

	// Wake is called when the timer of a client has come. due is the time that
	// the timer was set to, rounded up to a step of the wheel (65 µs).
	Wake(l *Loop, client Client, due time.Duration)

	// Compose appends the request, head and body, and returns the longer slice;
	// an empty one withdraws it. It is called when a connection is there, which
	// is often within Send and sometimes seconds later. It must not send.
	Compose(dst []byte, r Request) []byte

	// Ended is called once for each request handed to Send, never within Send,
	// and returns the label to record it under. What the answer points to is
	// valid during the call alone.
	Ended(l *Loop, r Request, a *Answer) Label
}

// Client is the number of a simulated client within its loop, from 0. It has
// one timer, and any number of requests under way.
type Client uint32

// Label is an index into Options.Labels: a route, a phase, an outcome.
type Label uint8

// Request is what is known of a request before its bytes are made.
type Request struct {
	Client   Client
	Label    Label         // under which it counts as due
	Step     uint8         // the driver's own
	Tag      uint64        // the driver's own
	Due      time.Duration // when it was meant to be sent, since the run's start; later than now is taken for now
	Patience time.Duration // from Due; then it is given up (GaveUp). 0: Options.Patience
	Timeout  time.Duration // from sending; then it is given up (TimedOut). 0: Options.Timeout
}

// Answer is the end of a request. Its slices are valid during Ended alone.
type Answer struct {
	Failure    Failure // None: there is an answer; otherwise all but the times is zero
	Status     int     // 200 to 599
	RetryAfter time.Duration
	HasRetry   bool // Retry-After was there, in seconds
	Closes     bool // the server closes the connection behind it
	ETag       []byte
	Body       []byte
	Head       []byte // status line and fields, each with its CRLF; see Field

	Sent time.Duration // when its first byte was written; 0 where none was
	At   time.Duration // when it ended
}

// Field returns the value of the first field of that name, without the space
// around it; nil where there is none.
func (a *Answer) Field(name string) []byte { return field(a.Head, name) }

// Failure says why a request has no answer. It is an error for those who want
// one, and a byte for those who write down millions.
type Failure uint8

// Why a request has no answer.
const (
	None        Failure = iota
	GaveUp              // the client's patience ended, sent or not
	TimedOut            // no whole answer in time after sending
	Broken              // the connection broke before a whole answer
	Stale               // the same, before any of it, on a connection that had brought answers: browsers send again
	Odd                 // the answer is none of HTTP/1.1 as this package reads it
	Unreachable         // the client's patience ended while no connection could be made
	Unconnected         // no connection was free within Options.ConnectWait
	Crowded             // the queue for connections is full: the loader's bound, not the server's answer
	Withdrawn           // the driver composed nothing
	Cut                 // the run ended first
	failures
)

var failureTexts = [failures]string{
	"none", "gave up", "timed out", "connection broken", "stale connection", "odd answer", "unreachable",
	"no connection free", "queue full", "withdrawn", "run ended",
}

func (f Failure) String() string {
	if f < failures {
		return failureTexts[f]
	}
	return "unknown failure"
}

func (f Failure) Error() string { return f.String() }
