package server

import (
	"fmt"
	"log/slog"
	"runtime"
	"strings"

	"github.com/valyala/fasthttp"

	"weir/core"
	"weir/core/campaign"
	"weir/core/event"
	"weir/server/availability"
)

// exchange is one request on its way to its answer. It belongs to the
// goroutine that serves the request and goes back to the pool after it, so
// slices and commands in it cost nothing anew.
type exchange struct {
	s     *Server
	ctx   *fasthttp.RequestCtx
	now   event.Time // the one reading of the clock
	terms event.Time // now, without the campaign's pauses: by which tickets and passes end; where the route asks for one
	tally *tally     // that its figures go to
	gate  *gate      // of the connection, where it keeps the answer back
	lane  *lane      // of the loop, where it keeps the answer back

	fields   fields
	query    []byte               // of the request target, without the question mark
	segments [maxSegments][]byte  // of the path, decoded
	depth    int                  // of them are in use
	route    *route               // nil until found
	state    *attached            // the engine and its campaigns
	campaign *entry               // where the route names one
	rules    *campaign.Definition // in force when the request came
	who      claimant             // where the route asks for one
	command  core.Command         //
	outcome  core.Outcome         // of command
	person   []core.Booking       // scratch for Campaign.Person
	near     []event.SlotID       // scratch for alternatives
	target   []byte               // scratch: decoded segments
	text     []byte               // scratch: decoded strings of the body
	word     []byte               // scratch: one id on its way into JSON
	encoder                       // of the answer's body
	sites    availability.SitesQuery
	slots    availability.SlotsQuery
}

const jsonType = "application/json"

// Header fields of nearly every answer, in the form that needs no looking at.
var (
	cacheControl       = []byte(fasthttp.HeaderCacheControl)
	contentTypeOptions = []byte(fasthttp.HeaderXContentTypeOptions)
	noStore            = []byte("no-store")
	noSniff            = []byte("nosniff")
)

// begin makes x ready for the request in ctx. What is not reset here is
// scratch, or set before it is read.
func (x *exchange) begin(s *Server, ctx *fasthttp.RequestCtx) {
	x.s, x.ctx = s, ctx
	x.route, x.state, x.campaign, x.rules = nil, nil, nil, nil
	x.who = claimant{}
	x.command, x.outcome = core.Command{}, core.Outcome{}
	x.out = x.out[:0]
}

// servePublic answers one request of the public listener.
func (s *Server) servePublic(ctx *fasthttp.RequestCtx) {
	x := s.exchanges.Get().(*exchange)
	x.begin(s, ctx)
	defer s.finish(x)
	if !s.looped(ctx) {
		s.inFlight.Add(1)
		x.fail(faultRequest)
		return
	}
	if s.inFlight.Add(1) > int64(s.limits.InFlight) {
		x.fail(faultOverloaded)
		return
	}
	if err := x.settle(x.serve()); err != nil {
		x.fail(err)
	}
}

// finish counts the exchange and puts it back. A panic of a handler ends here:
// the caller gets 500, the connection is closed and the server goes on.
func (s *Server) finish(x *exchange) {
	if cause := recover(); cause != nil {
		s.metrics.panics.Inc()
		s.logPanic(cause)
		x.ctx.Response.Reset()
		writeProblem(x.ctx, faultInternal, s.language.match(x.fields.acceptLanguage))
	}
	a := x.accounts()
	switch {
	case x.gate != nil:
		x.gate.accounts, x.gate = a, nil
	case x.lane != nil:
		x.lane.Keep(x.state.booker, x.outcome.Seq, a)
		x.lane = nil
	default:
		s.left(&a)
	}
	x.ctx = nil
	x.fields = fields{}
	s.exchanges.Put(x)
}

// accounts is what is to be counted of the exchange.
func (x *exchange) accounts() accounts {
	route := len(publicRoutes)
	if x.route != nil {
		route = x.route.index
	}
	return accounts{
		tally: x.tally, route: route, status: x.ctx.Response.StatusCode(), began: x.ctx.Time(),
		language: x.s.language.match(x.fields.acceptLanguage),
	}
}

// logPanic says what happened and where, but not with which values: those
// could be a person's.
func (s *Server) logPanic(cause any) {
	what := fmt.Sprintf("%T", cause)
	if err, ok := cause.(runtime.Error); ok {
		what = err.Error()
	}
	var pcs [24]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:])])
	var where strings.Builder
	for {
		frame, more := frames.Next()
		fmt.Fprintf(&where, "%s:%d ", frame.Function, frame.Line)
		if !more {
			break
		}
	}
	s.log.Error("handler panicked", slog.String("what", what), slog.String("where", where.String()))
}

// serve takes the steps that all requests have in common.
func (x *exchange) serve() error {
	if err := x.fields.read(x.ctx.Request.Header.RawHeaders()); err != nil {
		return err
	}
	if v := x.ctx.Request.Header.Protocol(); string(v) != "HTTP/1.1" && string(v) != "HTTP/1.0" {
		return faultRequest
	}
	if len(x.fields.expect) > 0 && !is(x.fields.expect, "100-continue") {
		return faultExpectation
	}
	if err := x.s.stage.refusal(); err != nil {
		return err
	}
	if err := x.split(); err != nil {
		return err
	}
	if err := x.match(); err != nil {
		return err
	}
	x.state = x.s.attached.Load()
	x.now = event.Time(x.s.clock.Now().UnixMilli())
	if err := x.prepare(); err != nil {
		return err
	}
	return x.route.handle(x)
}

// prepare finds the campaign and the person that the route asks for.
func (x *exchange) prepare() error {
	if !x.route.body && len(x.ctx.Request.Body()) > 0 {
		return faultNoBody
	}
	if x.route.campaign {
		if x.campaign = x.state.find(x.segments[campaignSegment]); x.campaign == nil {
			return faultNotFound
		}
		x.rules, _ = x.campaign.core.Definition()
	}
	if x.route.who == 0 {
		return nil
	}
	x.terms = x.campaign.terms(x.now)
	return x.authenticate()
}

// fail answers err. Errors that are nobody's but ours are logged.
func (x *exchange) fail(err error) {
	f := faultOf(err)
	if f == faultInternal {
		x.s.log.Error("request failed", slog.String("route", x.route.label()), slog.Any("error", err))
	}
	l := x.s.language.match(x.fields.acceptLanguage)
	if f == faultMethod {
		x.ctx.Response.Header.Set(fasthttp.HeaderAllow, x.allowed())
	}
	x.out = append(x.out[:0], problemHead[f][l]...)
	x.out = append(x.appendExtras(x.out, f), '}')
	x.ctx.Response.SetBody(x.out)
	problemHeaders(x.ctx, f, l)
	if f == faultStarting {
		setRetryAfter(&x.ctx.Response.Header, x.s.stage.now.Load().left())
	}
	x.s.metrics.problems[f].Inc()
}

// json answers with x.out. The answer is one person's unless the caller says
// otherwise with share.
func (x *exchange) json(status int) error {
	x.ctx.SetStatusCode(status)
	h := &x.ctx.Response.Header
	h.SetContentType(jsonType)
	h.SetCanonical(cacheControl, noStore)
	h.SetCanonical(contentTypeOptions, noSniff)
	x.ctx.Response.SetBody(x.out)
	return nil
}

const sharedFor = "public, max-age=1"

// shared answers with body, which everybody may see and caches may keep for a
// second; with 304 where the client has it already.
func (x *exchange) shared(contentType string, body []byte, etag string) error {
	h := &x.ctx.Response.Header
	h.Set(fasthttp.HeaderCacheControl, sharedFor)
	h.Set(fasthttp.HeaderETag, etag)
	h.Set(fasthttp.HeaderXContentTypeOptions, "nosniff")
	if x.fields.matches(etag) {
		x.ctx.SetStatusCode(fasthttp.StatusNotModified)
		return nil
	}
	h.SetContentType(contentType)
	x.ctx.Response.SetBodyRaw(body)
	return nil
}

// sharedOut is shared for x.out, which belongs to the exchange and is copied.
func (x *exchange) sharedOut() error {
	err := x.shared(jsonType, nil, entityTag(x.out))
	if x.ctx.Response.StatusCode() != fasthttp.StatusNotModified {
		x.ctx.Response.SetBody(x.out)
	}
	return err
}
