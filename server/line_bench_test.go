package server

import (
	"bufio"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"weir/core"
	"weir/core/event"
)

// request makes a request to be served again and again.
func request(t testing.TB, method, path, credential string) *fasthttp.RequestCtx {
	t.Helper()
	text := method + " " + path + " HTTP/1.1\r\nHost: weir\r\n"
	if credential != "" {
		text += "Authorization: Bearer " + credential + "\r\n"
	}
	ctx := new(fasthttp.RequestCtx)
	ctx.Init(&fasthttp.Request{}, nil, nil)
	must(t, ctx.Request.Header.Read(bufio.NewReader(strings.NewReader(text+"\r\n"))))
	return ctx
}

// BenchmarkPublicLine is the handler alone, beside that of a page that never
// changes.
func BenchmarkPublicLine(b *testing.B) {
	s := parts(b, nil)
	s.attach(drawn)
	s.tick(time.Second)
	for _, path := range []string{small + "/line", "/"} {
		b.Run(strings.ReplaceAll(path, "/", "_"), func(b *testing.B) {
			ctx := request(b, "GET", path, "")
			b.ReportAllocs()
			for b.Loop() {
				ctx.Response.Reset()
				s.srv.servePublic(ctx)
			}
		})
	}
}

// BenchmarkJoinAgain is the handler alone for somebody who has a place: identity
// token, engine, ticket, and the counting at the door.
func BenchmarkJoinAgain(b *testing.B) {
	s := parts(b, nil)
	s.attach(arrival)
	ctx := request(b, "POST", small+"/line", s.identity("kim", old))
	b.ReportAllocs()
	for b.Loop() {
		ctx.Response.Reset()
		s.srv.servePublic(ctx)
	}
}

// BenchmarkDoor is the counting at the door alone, by many at once.
func BenchmarkDoor(b *testing.B) {
	s := parts(b, nil)
	s.attach(arrival)
	rules, _ := s.engine.Campaign("small").Definition()
	var d door
	people := make([]event.PersonKey, 1024)
	for i := range people {
		people[i] = s.hasher.Person(testIssuer, fmt.Sprint(i))
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		out := core.Outcome{Done: true}
		for i := 0; pb.Next(); i++ {
			d.asked(rules, people[i%len(people)], old, s.clock.event(), nil, &out)
		}
	})
}
