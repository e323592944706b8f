//go:build linux

package openloop

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weir/loadtest/loader"

	"github.com/valyala/fasthttp"
)

// scripted is a server that answers the nth connection as script says: it is
// given each request in turn and returns the bytes to send, and whether the
// connection goes on.
func scripted(t *testing.T, script func(conn, request int) (answer string, goOn bool)) (addr string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for n := 0; ; n++ {
			conn, err := listener.Accept()
			if err != nil {
				return // the test is over
			}
			serving.Go(func() { playScript(t, conn, n, script) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		serving.Wait()
	})
	return listener.Addr().String()
}

func playScript(t *testing.T, conn net.Conn, n int, script func(conn, request int) (string, bool)) {
	defer func() { _ = conn.Close() }()
	in := bufio.NewReader(conn)
	for request := 0; ; request++ {
		r, err := http.ReadRequest(in)
		if err != nil {
			return // the client closed
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			t.Error(err)
		}
		answer, goOn := script(n, request)
		if _, err := io.WriteString(conn, answer); err != nil || !goOn {
			return
		}
	}
}

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// outcomes are what became of a stream's requests.
type outcomes struct {
	failures map[Failure]int
	statuses map[int]int
}

// stream runs a stream against addr; change may set other options.
func stream(t *testing.T, addr string, curve *Curve, change func(o *Options)) (*Result, outcomes) {
	t.Helper()
	seen := outcomes{map[Failure]int{}, map[int]int{}}
	o := Options{
		Addr: addr, Labels: []string{"all"}, Clients: 1, Duration: curve.End(),
		Driver: func(int) Driver {
			return &Stream{Curve: curve, Request: get, Judge: func(_ Request, a *Answer) Label {
				if a.Failure != None {
					seen.failures[a.Failure]++
				} else {
					seen.statuses[a.Status]++
				}
				return 0
			}}
		},
	}
	if change != nil {
		change(&o)
	}
	return run(t, o), seen
}

// TestStallIsSeen is what this package is for: a server that answers nobody for
// a second. Who comes at their own pace waits half a second on average, a third
// of all in a run of three seconds; a closed loop asks less meanwhile, and
// hardly notices.
func TestStallIsSeen(t *testing.T) {
	const stallFrom, stallTo, length = time.Second, 2 * time.Second, 3 * time.Second
	var started atomic.Int64
	addr := serve(t, func(ctx *fasthttp.RequestCtx) {
		since := time.Since(time.Unix(0, started.Load()))
		if stallFrom <= since && since < stallTo {
			<-time.After(stallTo - since)
		}
		ctx.SetBodyString("ok")
	})
	started.Store(time.Now().UnixNano())
	open, _ := stream(t, addr, steady(t, 500, length), func(o *Options) { o.Connections = 16 })
	started.Store(time.Now().UnixNano())
	closed, err := loader.Run(t.Context(), loader.Options{
		Addr: addr, Connections: 16, Duration: length,
		Next: func(_ int, dst []byte) []byte { return get(dst, 0) },
	})
	if err != nil {
		t.Fatal(err)
	}
	openP90 := time.Duration(open.Labels[0].Latency.ValueAtQuantile(90))
	closedP90 := time.Duration(closed.Latency.ValueAtQuantile(90))
	t.Logf("90th percentile with a stall of one second in three: open loop %v of %d, closed loop %v of %d",
		openP90, open.Answered, closedP90, closed.Requests)
	if open.Answered != 1500 || openP90 < 500*time.Millisecond || openP90 > time.Second {
		t.Errorf("open loop: %d answers, 90th percentile %v", open.Answered, openP90)
	}
	if closedP90 > 100*time.Millisecond {
		t.Errorf("closed loop: 90th percentile %v", closedP90)
	}
	if open.OpenPeak != 16 || open.Wait.Max() < int64(500*time.Millisecond) {
		t.Errorf("%d connections at most, waited for one at most %v", open.OpenPeak, time.Duration(open.Wait.Max()))
	}
	if lateness := time.Duration(open.Lateness.ValueAtQuantile(90)); lateness > 100*time.Millisecond {
		t.Errorf("the wait is taken for the loader's own lateness: %v", lateness)
	}
}

func TestGivesUp(t *testing.T) {
	release := make(chan struct{})
	addr := scripted(t, func(_, _ int) (string, bool) {
		<-release
		return "", false
	})
	defer close(release)
	// All ten come at once. The first two are given 50 ms each on the connection,
	// the third what is left, the others nothing.
	r, seen := stream(t, addr, steady(t, 1e6, 10*time.Microsecond), func(o *Options) {
		o.Connections, o.Timeout, o.Patience, o.Duration = 1, 50*time.Millisecond, 120*time.Millisecond, 0
	})
	if r.Planned != 10 || r.Sent != 3 || seen.failures[TimedOut] != 2 || seen.failures[GaveUp] != 8 {
		t.Errorf("counters %+v, %v", r.Counters, seen.failures)
	}
}

// TestQueueingIsLimited: who gets no connection in time is given up before the
// patience is over, and who has one isn't.
func TestQueueingIsLimited(t *testing.T) {
	release := make(chan struct{})
	addr := scripted(t, func(_, _ int) (string, bool) {
		<-release
		return "", false
	})
	defer close(release)
	r, seen := stream(t, addr, steady(t, 1e6, 10*time.Microsecond), func(o *Options) {
		o.Connections, o.Patience, o.ConnectWait, o.Duration = 2, 200*time.Millisecond, 50*time.Millisecond, 0
	})
	if r.Sent != 2 || seen.failures[Unconnected] != 8 || seen.failures[GaveUp] != 2 || r.Elapsed < 200*time.Millisecond {
		t.Errorf("counters %+v, %v, after %v", r.Counters, seen.failures, r.Elapsed)
	}
}

func TestReconnects(t *testing.T) {
	answers := map[string]struct {
		script  func(conn, request int) (string, bool)
		perConn int
		dialled int64
	}{
		"server closes politely": {func(_, _ int) (string, bool) {
			return "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", false
		}, 0, 20},
		"server just closes":  {func(_, _ int) (string, bool) { return ok, false }, 0, 20},
		"churn as configured": {func(_, _ int) (string, bool) { return ok, true }, 5, 4},
		"kept alive":          {func(_, _ int) (string, bool) { return ok, true }, 0, 1},
	}
	for name, c := range answers {
		t.Run(name, func(t *testing.T) {
			addr := scripted(t, c.script)
			r, seen := stream(t, addr, steady(t, 100, 200*time.Millisecond), func(o *Options) {
				o.Connections, o.PerConn = 1, c.perConn
			})
			stale := seen.failures[Stale] // sent just when the server closed: the connection was there already
			if seen.statuses[200]+stale != 20 || int(r.Dialled)+stale != int(c.dialled) {
				t.Errorf("%v %v, counters %+v", seen.statuses, seen.failures, r.Counters)
			}
		})
	}
}

func TestFailures(t *testing.T) {
	for name, c := range map[string]struct {
		script func(conn, request int) (string, bool)
		want   Failure
	}{
		"closes at once":       {func(_, _ int) (string, bool) { return "", false }, Broken},
		"closes in the middle": {func(_, _ int) (string, bool) { return ok[:len(ok)-1], false }, Broken},
		"talks nonsense":       {func(_, _ int) (string, bool) { return "hello\r\n\r\n", true }, Odd},
		"says too much":        {func(_, _ int) (string, bool) { return ok + "!", true }, Odd},
		"closes when it is asked again": {func(_, n int) (string, bool) {
			return strings.Repeat(ok, 1-min(n, 1)), n == 0
		}, Stale},
	} {
		t.Run(name, func(t *testing.T) {
			addr := scripted(t, c.script)
			r, seen := stream(t, addr, steady(t, 100, 100*time.Millisecond), func(o *Options) { o.Connections = 1 })
			if r.Failed == 0 || int64(seen.failures[c.want]) != r.Failed || r.Failed+r.Answered != 10 {
				t.Errorf("%v, %v, counters %+v", seen.failures, seen.statuses, r.Counters)
			}
			if got := r.Labels[0].Failures[c.want]; got != r.Failed {
				t.Errorf("%d recorded as %v", got, c.want)
			}
		})
	}
}

// TestServerComesLate has nobody listen at first: who waits is served when
// somebody does, and the wait counts.
func TestServerComesLate(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	server := &fasthttp.Server{
		Handler: func(ctx *fasthttp.RequestCtx) { ctx.SetBodyString("ok") }, CloseOnShutdown: true, NoDefaultDate: true,
	}
	served := make(chan error, 1)
	timer := time.AfterFunc(300*time.Millisecond, func() { served <- server.ListenAndServe(addr) })
	defer timer.Stop()
	r, seen := stream(t, addr, steady(t, 100, 400*time.Millisecond), func(o *Options) { o.Patience = 200 * time.Millisecond })
	if err := errors.Join(server.Shutdown(), <-served); err != nil {
		t.Fatal(err)
	}
	unserved := seen.failures[Unreachable] + seen.failures[GaveUp] // the latter: sent when little patience was left
	if seen.failures[Unreachable] == 0 || seen.statuses[200] < 10 || unserved+seen.statuses[200] != 40 {
		t.Errorf("%v %v, counters %+v", seen.statuses, seen.failures, r.Counters)
	}
	if r.Refused == 0 || r.Refused > 40 {
		t.Errorf("%d attempts to connect failed; they are to become rare", r.Refused)
	}
}

func TestQueueIsBounded(t *testing.T) {
	release := make(chan struct{})
	addr := scripted(t, func(_, _ int) (string, bool) {
		<-release
		return "", false
	})
	defer close(release)
	r, seen := stream(t, addr, steady(t, 100, 200*time.Millisecond), func(o *Options) {
		o.Connections, o.QueueMax, o.Drain = 1, 5, 50*time.Millisecond
	})
	if seen.failures[Crowded] < 10 || seen.failures[Cut] == 0 || seen.failures[Crowded]+seen.failures[Cut] != 20 {
		t.Errorf("%v, counters %+v", seen.failures, r.Counters)
	}
	if err := r.Valid(Bounds{}); !errors.Is(err, ErrInvalid) {
		t.Errorf("valid: %v", err)
	}
}

// TestLargeAnswers come in many reads, chunked and not, over connections that
// are used again.
func TestLargeAnswers(t *testing.T) {
	body := bytes.Repeat([]byte("0123456789abcdef"), 64<<10)
	addr := serve(t, func(ctx *fasthttp.RequestCtx) {
		if n, err := strconv.Atoi(string(ctx.Path()[1:])); err == nil && n%2 == 0 {
			ctx.SetBodyStream(bytes.NewReader(body), -1)
			return
		}
		ctx.SetBody(body)
	})
	curve, wrong := steady(t, 50, 400*time.Millisecond), 0
	r := run(t, Options{
		Addr: addr, Labels: []string{"all"}, Clients: 1, Connections: 2,
		Driver: func(int) Driver {
			return &Stream{Curve: curve, Request: get, Judge: func(_ Request, a *Answer) Label {
				if !bytes.Equal(a.Body, body) {
					wrong++
				}
				return 0
			}}
		},
	})
	if r.Answered != 20 || wrong > 0 {
		t.Errorf("%d wrong bodies, counters %+v", wrong, r.Counters)
	}
}

// TestLargeRequests fill the socket, so that they are written in parts.
func TestLargeRequests(t *testing.T) {
	body := bytes.Repeat([]byte("x"), 3<<20)
	addr := serve(t, func(ctx *fasthttp.RequestCtx) { ctx.SetBodyString(strconv.Itoa(len(ctx.PostBody()))) })
	curve, wrong := steady(t, 20, 200*time.Millisecond), 0
	r := run(t, Options{
		Addr: addr, Labels: []string{"all"}, Clients: 1, Connections: 1,
		Driver: func(int) Driver {
			return &Stream{
				Curve: curve,
				Request: func(dst []byte, _ int64) []byte {
					dst = append(dst, "POST / HTTP/1.1\r\nHost: weir\r\nContent-Length: "...)
					dst = strconv.AppendInt(dst, int64(len(body)), 10)
					return append(append(dst, "\r\n\r\n"...), body...)
				},
				Judge: func(_ Request, a *Answer) Label {
					if string(a.Body) != strconv.Itoa(len(body)) {
						wrong++
					}
					return 0
				},
			}
		},
	})
	if r.Answered != 4 || wrong > 0 {
		t.Errorf("%d wrong answers, counters %+v", wrong, r.Counters)
	}
}

func TestSources(t *testing.T) {
	var mu sync.Mutex
	var sources []string
	addr := serve(t, func(ctx *fasthttp.RequestCtx) {
		mu.Lock()
		defer mu.Unlock()
		sources = append(sources, ctx.RemoteIP().String())
	})
	stream(t, addr, steady(t, 100, 120*time.Millisecond), func(o *Options) { o.PerConn, o.Sources = 1, 3 })
	mu.Lock()
	defer mu.Unlock()
	slices.Sort(sources)
	if got := slices.Compact(slices.Clone(sources)); len(sources) != 12 || !slices.Equal(got, []string{"127.0.0.1", "127.0.0.2", "127.0.0.3"}) {
		t.Errorf("%d requests from %v", len(sources), got)
	}
}

func TestContextEndsARun(t *testing.T) {
	addr := serve(t, func(ctx *fasthttp.RequestCtx) { ctx.SetBodyString("ok") })
	curve := steady(t, 100, time.Minute)
	e, err := New(Options{
		Addr: addr, Labels: []string{"all"}, Clients: 1, Duration: time.Minute,
		Driver: func(int) Driver { return &Stream{Curve: curve, Request: get} },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	go func() {
		for e.Counters().Answered < 10 {
			runtime.Gosched()
		}
		cancel(why)
	}()
	r, err := e.Run(ctx)
	if !errors.Is(err, why) || r == nil || r.Answered < 10 || r.Open != 0 {
		t.Errorf("%v, result %+v", err, r)
	}
}

func TestRefusesOptions(t *testing.T) {
	good := func() Options {
		return Options{
			Addr: "127.0.0.1:1", Labels: []string{"all"}, Clients: 1,
			Driver: func(int) Driver { return &Stream{} },
		}
	}
	for name, c := range map[string]struct {
		change func(o *Options)
		want   error
	}{
		"name for an address":   {func(o *Options) { o.Addr = "localhost:80" }, ErrOptions},
		"somebody else's":       {func(o *Options) { o.Addr = "192.0.2.1:80" }, ErrNotLoopback},
		"no driver":             {func(o *Options) { o.Driver = nil }, ErrOptions},
		"no labels":             {func(o *Options) { o.Labels = nil }, ErrOptions},
		"no clients":            {func(o *Options) { o.Clients = 0 }, ErrOptions},
		"negative time":         {func(o *Options) { o.Patience = -1 }, ErrOptions},
		"too many connections":  {func(o *Options) { o.Connections = connectionsMax + 1 }, ErrOptions},
		"loops than none":       {func(o *Options) { o.Loops, o.Connections = 3, 2 }, ErrOptions},
		"slices without number": {func(o *Options) { o.Duration, o.Slice = time.Hour, time.Microsecond }, ErrOptions},
		"sources of IPv6":       {func(o *Options) { o.Addr, o.Sources = "[::1]:80", 2 }, ErrOptions},
	} {
		o := good()
		c.change(&o)
		if _, err := New(o); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	o := good()
	o.Addr, o.AnyAddress = "192.0.2.1:80", true
	if _, err := New(o); err != nil {
		t.Errorf("any address allowed: %v", err)
	}
}

// TestNothingIsAllocatedPerRequest counts over whole runs, and allows for what
// a run itself takes.
func TestNothingIsAllocatedPerRequest(t *testing.T) {
	addr := serve(t, func(ctx *fasthttp.RequestCtx) { ctx.SetBodyString("ok") })
	allocated := func(requests int) uint64 {
		var before, after runtime.MemStats
		d := &inTurn{clients: 8, left: requests}
		runtime.ReadMemStats(&before)
		run(t, Options{Addr: addr, Labels: []string{"all"}, Clients: 8, Driver: func(int) Driver { return d }})
		runtime.ReadMemStats(&after)
		if d.failed > 0 {
			t.Fatalf("%d requests failed", d.failed)
		}
		return after.Mallocs - before.Mallocs
	}
	allocated(1000) // the server's pools fill
	few, many := allocated(1000), allocated(11_000)
	if more := int64(many) - int64(few); more > 1000 { // the server's included
		t.Errorf("10,000 requests more took %d allocations", more)
	}
}
