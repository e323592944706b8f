package server

import (
	"bufio"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"weir/core/event"
	"weir/server/token"
)

// hotBooking is a booking request ready to be handed to the handler again and
// again: without sockets, so that what is counted is ours.
func hotBooking(t testing.TB, s *stand) *fasthttp.RequestCtx {
	t.Helper()
	ctx := new(fasthttp.RequestCtx)
	raw := s.credentials().Replace(booking(goodBody, asJSON, "Idempotency-Key: 5f1b7a0e", "User-Agent: a", "Accept: */*", "Accept-Language: ko"))
	must(t, readRequest(&ctx.Request, raw))
	return ctx
}

// BenchmarkBookAgain is the handler alone for a booking that exists: matcher,
// seal, decoder, engine, encoder. It leaves out sockets, HTTP parsing and the
// disk.
func BenchmarkBookAgain(b *testing.B) {
	s := parts(b, nil)
	s.attach()
	ctx := hotBooking(b, s)
	b.ReportAllocs()
	for b.Loop() {
		ctx.Response.Reset()
		s.srv.servePublic(ctx)
	}
	if ctx.Response.StatusCode() != 200 {
		b.Fatalf("%d %s", ctx.Response.StatusCode(), ctx.Response.Body())
	}
}

// BenchmarkBookFull is the handler for one more booking of a slot that is
// full, each by another person: what a rush is made of.
func BenchmarkBookFull(b *testing.B) {
	s := parts(b, nil)
	s.attach()
	for _, who := range []string{"first", "second"} {
		ctx := s.bookingOf(b, s.hasher.Person(testIssuer, who))
		if s.srv.servePublic(ctx); ctx.Response.StatusCode() != 201 {
			b.Fatalf("%s", ctx.Response.Body())
		}
	}
	var requests []*fasthttp.RequestCtx
	for i := range 512 {
		requests = append(requests, s.bookingOf(b, event.PersonKey{1, byte(i), byte(i >> 8)}))
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		ctx := requests[i%len(requests)]
		ctx.Response.Reset()
		if s.srv.servePublic(ctx); ctx.Response.StatusCode() != 409 {
			b.Fatalf("%s", ctx.Response.Body())
		}
	}
}

func (s *stand) bookingOf(t testing.TB, person event.PersonKey) *fasthttp.RequestCtx {
	t.Helper()
	pass := s.ring.Append(nil, &token.Claims{
		Kind: token.Pass, Campaign: token.CampaignHash("small"), Person: person, Born: old, Number: 1,
		Expires: s.clock.event() + event.Time(time.Hour.Milliseconds()),
	})
	ctx := new(fasthttp.RequestCtx)
	must(t, readRequest(&ctx.Request, rawBooking(string(pass), slotBody(slotA9))))
	return ctx
}

func readRequest(r *fasthttp.Request, raw string) error {
	return r.Read(bufio.NewReader(strings.NewReader(raw)))
}
