//go:build linux

// Package loader is a closed-loop HTTP/1.1 load generator for loopback: every
// connection sends a request, reads its answer, checks it, sends the next. It
// is made to cost little, so that what is measured is the server: a thread or
// two run epoll over all connections, requests are appended to a buffer that
// is used again, answers are parsed where they were read, and nothing is
// allocated per request.
//
// Its latencies are those of a closed loop. A server that stalls is asked less
// while it stalls, so they leave out what people who come at their own pace
// would have waited (coordinated omission). They say what a request costs at a
// given concurrency, and nothing about an opening at 20:00; load offered at a
// fixed rate answers that.
//
// A goroutine a connection over package net was tried and costs a third more
// CPU a request: each one parks and wakes a goroutine and reads once in vain
// (BenchmarkGoroutines beside BenchmarkRun).
//
// The package does not protect against a server that lies: it reads one answer
// per request and believes its status. It speaks no TLS, no chunked bodies and
// no pipelining: an answer that it doesn't understand is an error and never
// skipped.
package loader

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Options say what to send where. Addr and Next must be given.
type Options struct {
	Addr        string        // "127.0.0.1:8080", "[::1]:8080": an IP of loopback and a port, no name
	Connections int           // kept alive, each with one request in flight; 1 where 0
	Threads     int           // that share the connections; 1 where 0
	Duration    time.Duration // no request is begun after it; 0: as many as Requests says
	Requests    int64         // no more are begun; 0: as many as Duration allows
	Timeout     time.Duration // for one answer; 10 s where 0
	MaxErrors   int64         // the run is given up beyond so many; 1000 where 0

	// Next appends the next request of a connection, head and body, and
	// returns the longer slice; an empty one retires the connection. It is
	// called by one thread for one connection at a time, by several for
	// different ones.
	Next func(conn int, dst []byte) []byte
	// Check judges an answer; nil takes every one. The body is valid during
	// the call alone. An error is counted, the connection goes on. It is
	// called as Next is.
	Check func(conn, status int, body []byte) error
}

// Result is what came back.
type Result struct {
	Requests    int64                   // answers read in full, whatever their status
	ByStatus    map[int]int64           // answers by status
	Errors      int64                   // answers refused by Check, odd or missing answers, broken connections
	FirstErrors []error                 // the first few of them
	Elapsed     time.Duration           // from the first request to the last answer
	Latency     *hdrhistogram.Histogram // nanoseconds from request to answer, of all answers read in full
	ClientCPU   time.Duration           // user and system time of the loader's own threads
}

// PerSecond is the rate of answers over the whole run.
func (r *Result) PerSecond() float64 {
	if r.Elapsed <= 0 {
		return 0
	}
	return float64(r.Requests) / r.Elapsed.Seconds()
}

const (
	latencyMax     = 10 * time.Minute
	firstErrorsMax = 8
	connectionsMax = 15_000 // of 20,000 descriptors that a process may have
)

var (
	// ErrNotLoopback refuses a target that is not this machine.
	ErrNotLoopback = errors.New("target is not a loopback address")
	// ErrTooManyErrors ends a run that goes wrong all the time.
	ErrTooManyErrors = errors.New("too many errors")
	errOptions       = errors.New("bad options")
)

// run is what the threads of one Run share.
type run struct {
	Options
	target netip.AddrPort
	begun  atomic.Int64 // requests
	errors atomic.Int64
	start  time.Time
}

// Run sends requests until the duration or their number is up, waits for the
// answers under way, closes every connection and returns what came back. It
// fails where the options are wrong, the target can't be reached, the context
// ends (with what came back until then) or nearly everything goes wrong
// (ErrTooManyErrors). Errors of single requests are counted in the result.
func Run(ctx context.Context, o Options) (Result, error) {
	r, err := newRun(o)
	if err != nil {
		return Result{}, fmt.Errorf("load: %w", err)
	}
	threads := make([]*thread, r.Threads)
	for i := range threads {
		if threads[i], err = newThread(r, i); err != nil {
			closeAll(threads[:i])
			return Result{}, fmt.Errorf("load %s: %w", o.Addr, err)
		}
	}
	r.start = time.Now()
	failures := make([]error, len(threads))
	var running sync.WaitGroup
	for i, t := range threads {
		running.Go(func() { failures[i] = t.loop(ctx) })
	}
	running.Wait()
	result := gather(threads)
	if err := errors.Join(failures...); err != nil {
		return result, fmt.Errorf("load %s: %w", o.Addr, err)
	}
	return result, nil
}

func newRun(o Options) (*run, error) {
	target, err := netip.ParseAddrPort(o.Addr)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errOptions, err)
	}
	if !target.Addr().Unmap().IsLoopback() {
		return nil, fmt.Errorf("%w: %s", ErrNotLoopback, target)
	}
	if o.Next == nil {
		return nil, fmt.Errorf("%w: no requests to send", errOptions)
	}
	if o.Duration <= 0 && o.Requests <= 0 {
		return nil, fmt.Errorf("%w: neither a duration nor a number of requests", errOptions)
	}
	o.Connections = max(o.Connections, 1)
	if o.Connections > connectionsMax {
		return nil, fmt.Errorf("%w: %d connections, at most %d", errOptions, o.Connections, connectionsMax)
	}
	o.Threads = min(max(o.Threads, 1), o.Connections)
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Second
	}
	if o.MaxErrors <= 0 {
		o.MaxErrors = 1000
	}
	return &run{Options: o, target: target}, nil
}

// mayBegin claims one request; false: the run is over.
func (r *run) mayBegin(now time.Duration) bool {
	if r.Duration > 0 && now >= r.Duration {
		return false
	}
	return r.Requests <= 0 || r.begun.Add(1) <= r.Requests
}

func newLatency() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, int64(latencyMax), 3)
}

func gather(threads []*thread) Result {
	result := Result{ByStatus: map[int]int64{}, Latency: newLatency()}
	for _, t := range threads {
		for status, n := range t.byStatus {
			if n > 0 {
				result.ByStatus[status] += n
				result.Requests += n
			}
		}
		result.Errors += t.errorCount
		room := firstErrorsMax - len(result.FirstErrors)
		result.FirstErrors = append(result.FirstErrors, t.firstErrors[:min(room, len(t.firstErrors))]...)
		result.Elapsed = max(result.Elapsed, t.lastAnswer)
		result.Latency.Merge(t.latency)
		result.ClientCPU += t.cpu
	}
	return result
}

func closeAll(threads []*thread) {
	for _, t := range threads {
		t.close()
	}
}
