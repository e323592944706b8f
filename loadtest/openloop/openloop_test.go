//go:build linux

package openloop

import (
	"context"
	"errors"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
	"go.uber.org/goleak"
)

// A stopped fasthttp server leaves one goroutine asleep for ten seconds more.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
}

// serve starts a fasthttp server on a free port of loopback for the test.
func serve(t testing.TB, handler fasthttp.RequestHandler) (addr string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &fasthttp.Server{Handler: handler, NoDefaultDate: true, CloseOnShutdown: true, IdleTimeout: 20 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := errors.Join(server.ShutdownWithContext(ctx), <-served); err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

func get(dst []byte, n int64) []byte {
	dst = append(dst, "GET /"...)
	dst = strconv.AppendInt(dst, n, 10)
	return append(dst, " HTTP/1.1\r\nHost: weir\r\n\r\n"...)
}

func steady(t testing.TB, perSecond float64, length time.Duration) *Curve {
	t.Helper()
	c, err := Steady(perSecond, length)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func run(t testing.TB, o Options) *Result {
	t.Helper()
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	r, err := e.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestSendsAsScheduled(t *testing.T) {
	addr := serve(t, func(ctx *fasthttp.RequestCtx) { ctx.SetBody(ctx.Path()) })
	const loops, length = 2, 2 * time.Second
	curve := steady(t, 1000, length)
	var wrong int
	r := run(t, Options{
		Addr: addr, Labels: []string{"all"}, Clients: 1, Loops: loops, Duration: length,
		Driver: func(loop int) Driver {
			return &Stream{Curve: curve, Loop: loop, Loops: loops, Request: get, Judge: func(r Request, a *Answer) Label {
				if string(a.Body) != "/"+strconv.FormatUint(r.Tag, 10) && loop == 0 {
					wrong++
				}
				return 0
			}}
		},
	})
	if r.Labels[0].ByStatus[200] != 2000 || r.Planned != 2000 || r.Failed != 0 || wrong != 0 {
		t.Errorf("counters %+v, by status %v, %d wrong bodies", r.Counters, r.Labels[0].ByStatus, wrong)
	}
	for i, s := range r.Slices {
		if s.Labels[0].Due != 1000 || s.Labels[0].Latency.TotalCount() != 1000 {
			t.Errorf("slice %d: %+v", i, s.Labels[0])
		}
	}
}
