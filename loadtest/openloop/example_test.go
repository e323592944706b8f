//go:build linux

package openloop_test

import (
	"context"
	"fmt"
	"net"
	"time"

	"weir/loadtest/openloop"

	"github.com/valyala/fasthttp"
)

// visitor is a driver of people who ask, and come again as they are told.
type visitor struct{ left []int } // visits of each client

const visits = openloop.Label(0)

func (v *visitor) Start(l *openloop.Loop) {
	for client := range v.left {
		l.WakeAt(openloop.Client(client), time.Duration(client)*time.Millisecond)
	}
}

func (v *visitor) Wake(l *openloop.Loop, client openloop.Client, due time.Duration) {
	l.Send(openloop.Request{Client: client, Label: visits, Due: due})
}

func (v *visitor) Compose(dst []byte, _ openloop.Request) []byte {
	return append(dst, "GET /line HTTP/1.1\r\nHost: weir\r\n\r\n"...)
}

func (v *visitor) Ended(l *openloop.Loop, r openloop.Request, a *openloop.Answer) openloop.Label {
	if v.left[r.Client]--; v.left[r.Client] > 0 && a.HasRetry {
		l.WakeAt(r.Client, l.Now()+a.RetryAfter/100)
	}
	return visits
}

func Example() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	server := &fasthttp.Server{NoDefaultDate: true, CloseOnShutdown: true, Handler: func(ctx *fasthttp.RequestCtx) {
		ctx.Response.Header.Set("Retry-After", "1")
	}}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()

	people := &visitor{left: []int{3, 1, 2}}
	engine, err := openloop.New(openloop.Options{
		Addr: listener.Addr().String(), Labels: []string{"visits"}, Clients: len(people.left),
		Driver: func(int) openloop.Driver { return people },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	result, err := engine.Run(context.Background())
	fmt.Println(result.Labels[visits].ByStatus, err)
	fmt.Println(server.Shutdown(), <-served)
	// Output:
	// map[200:6] <nil>
	// <nil> <nil>
}
