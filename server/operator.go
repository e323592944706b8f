package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/valyala/fasthttp"
	"github.com/valyala/fastjson"

	"weir/core/campaign"
	"weir/core/event"
)

// The operator's API: /admin/v1 of the admin listener, behind its token. It
// serves few requests, so it spends on clear errors and encoding/json what the
// public surface saves.

// operatorRoute is one row of the operator's API.
type operatorRoute struct {
	method  string
	pattern string // a segment in braces takes any value
	handle  func(*operation) error
}

const operatorPrefix = "/admin/v1/"

var operatorRoutes = []operatorRoute{
	{"GET", "/admin/v1/status", (*operation).status},
	{"GET", "/admin/v1/audit", (*operation).audit},
	{"POST", "/admin/v1/campaigns/{c}/pause", (*operation).pause},
	{"POST", "/admin/v1/campaigns/{c}/resume", (*operation).resume},
	{"GET", "/admin/v1/campaigns/{c}/line", (*operation).lineSettings},
	{"PUT", "/admin/v1/campaigns/{c}/line", (*operation).setLine},
	{"GET", "/admin/v1/campaigns/{c}/stats", (*operation).stats},
	{"GET", "/admin/v1/campaigns/{c}/bookings", (*operation).roster},
}

// operation is one request of the operator on its way to its answer.
type operation struct {
	s        *Server
	ctx      *fasthttp.RequestCtx
	now      event.Time // the one reading of the clock
	language lang
	by       string // who asks, as they say
	state    *attached
	campaign *entry               // where the route names one
	rules    *campaign.Definition // in force when the request came
}

// operate answers one request of the operator's API.
func (s *Server) operate(ctx *fasthttp.RequestCtx, l lang) {
	o := &operation{s: s, ctx: ctx, language: l, now: event.Time(s.clock.Now().UnixMilli()), state: s.attached.Load()}
	if err := o.serve(); err != nil {
		o.fail(err)
	}
}

func (o *operation) serve() error {
	var err error
	if o.by, err = operatorName(&o.ctx.Request.Header); err != nil {
		return err
	}
	r, id, err := findOperatorRoute(string(o.ctx.Method()), string(o.ctx.Path()))
	if err != nil {
		if errors.Is(err, faultMethod) {
			o.ctx.Response.Header.Set(fasthttp.HeaderAllow, allowedToOperator(string(o.ctx.Path())))
		}
		return err
	}
	if id == "" {
		return r.handle(o)
	}
	if o.state == nil {
		return faultStarting
	}
	if o.campaign = o.state.find([]byte(id)); o.campaign == nil {
		return faultNotFound
	}
	o.rules, _ = o.campaign.core.Definition()
	return r.handle(o)
}

// findOperatorRoute finds the route, and the campaign that the path names.
func findOperatorRoute(method, path string) (r *operatorRoute, id string, err error) {
	err = faultNotFound
	for i := range operatorRoutes {
		r := &operatorRoutes[i]
		id, ok := r.fits(path)
		switch {
		case ok && (method == r.method || method == "HEAD" && r.method == "GET"):
			return r, id, nil
		case ok:
			err = faultMethod
		}
	}
	return nil, "", err
}

// fits tells whether the path is the route's, and what stands for its brace.
func (r *operatorRoute) fits(path string) (id string, ok bool) {
	before, after, braced := strings.Cut(r.pattern, "{c}")
	if !braced {
		return "", path == r.pattern
	}
	rest, ok := strings.CutPrefix(path, before)
	if !ok {
		return "", false
	}
	id, ok = strings.CutSuffix(rest, after)
	return id, ok && id != "" && !strings.Contains(id, "/")
}

func allowedToOperator(path string) string {
	var methods []string
	for i := range operatorRoutes {
		r := &operatorRoutes[i]
		if _, ok := r.fits(path); ok {
			methods = append(methods, r.method)
			if r.method == "GET" {
				methods = append(methods, "HEAD")
			}
		}
	}
	slices.Sort(methods)
	return strings.Join(slices.Compact(methods), ", ")
}

// operatorHeader carries who asks. There is one token for all operators, so the
// name is a courtesy for the audit and proves nothing.
const (
	operatorHeader  = "Weir-Operator"
	operatorNameMax = 64
)

func operatorName(h *fasthttp.RequestHeader) (string, error) {
	name := h.Peek(operatorHeader)
	if len(name) > operatorNameMax {
		return "", refuse(faultBody, "The header Weir-Operator has more than 64 characters.", "Weir-Operator 헤더는 64자까지입니다.")
	}
	for _, c := range name {
		if c < ' ' || c > '~' {
			return "", refuse(faultBody, "The header Weir-Operator has characters that are not visible ASCII.", "Weir-Operator 헤더에는 영문·숫자·기호만 쓸 수 있습니다.")
		}
	}
	return string(name), nil
}

// refusal is a fault with words of its own.
type refusal struct {
	fault  fault
	detail [languages]string
}

func (r *refusal) Error() string { return r.detail[english] }

// refuse makes a refusal. Its details are for the operator alone.
func refuse(f fault, en, ko string) error {
	return &refusal{fault: f, detail: [languages]string{english: en, korean: ko}}
}

func (o *operation) fail(err error) {
	var r *refusal
	if errors.As(err, &r) {
		o.ctx.Response.ResetBody()
		o.ctx.Response.AppendBody(append(appendProblem(nil, r.fault, o.language, r.detail[o.language]), '}'))
		problemHeaders(o.ctx, r.fault, o.language)
		return
	}
	f := faultOf(err)
	if f == faultInternal {
		o.s.log.Error("operator's request failed", "path", string(o.ctx.Path()), "error", err)
	}
	writeProblem(o.ctx, f, o.language)
	if f == faultStarting {
		setRetryAfter(&o.ctx.Response.Header, o.s.stage.now.Load().left())
	}
}

// json answers with v.
func (o *operation) json(v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	o.ctx.SetContentType(jsonType)
	o.ctx.Response.Header.Set(fasthttp.HeaderCacheControl, "no-store")
	o.ctx.Response.Header.Set(fasthttp.HeaderXContentTypeOptions, "nosniff")
	o.ctx.SetBody(body)
	return nil
}

// localTime is a time of the campaign, for JSON.
func (o *operation) localTime(t event.Time) string { return string(o.rules.AppendTime(nil, t)) }

// settle waits until what the operator changed is durable.
func (o *operation) settle(seq event.Seq) error { return unknown(o.state.booker.Wait(seq)) }

// object reads the body strictly: one JSON object of the known fields, each
// once. known sets a field and returns a refusal where its value is wrong.
func (o *operation) object(known map[string]func(*fastjson.Value) error) error {
	var p fastjson.Parser
	v, err := p.ParseBytes(o.ctx.Request.Body())
	if err != nil {
		return refuse(faultBody, "The body is no JSON object: "+err.Error(), "본문이 JSON 객체가 아닙니다.")
	}
	object, err := v.Object()
	if err != nil {
		return refuse(faultBody, "The body is no JSON object.", "본문이 JSON 객체가 아닙니다.")
	}
	seen := make(map[string]bool, len(known))
	var wrong error
	object.Visit(func(key []byte, value *fastjson.Value) {
		set, ok := known[string(key)]
		switch {
		case wrong != nil:
		case !ok:
			wrong = refuse(faultBody, fmt.Sprintf("%.40q is no field of this request; it takes %s.", key, fieldNames(known)), "알 수 없는 항목이 있습니다.")
		case seen[string(key)]:
			wrong = refuse(faultBody, fmt.Sprintf("%q is there twice.", key), "같은 항목이 두 번 있습니다.")
		default:
			seen[string(key)] = true
			wrong = set(value)
		}
	})
	return wrong
}

func fieldNames(known map[string]func(*fastjson.Value) error) string {
	names := make([]string, 0, len(known))
	for name := range known {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// noBody refuses a body where none belongs.
func (o *operation) noBody() error {
	if len(o.ctx.Request.Body()) > 0 {
		return faultNoBody
	}
	return nil
}
