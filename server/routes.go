package server

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/valyala/fasthttp"
)

// route is one row of the public surface.
type route struct {
	method  string
	pattern string // as in the description; a segment in braces takes any value
	who     holder // whose credential it needs; zero: nobody's
	body    bool   // takes a JSON body
	handle  func(*exchange) error

	index    int // in the table: the metrics' name for it
	segments []string
	campaign bool // the third segment names a campaign
}

// campaignSegment and the one two behind it hold the parameters of all routes:
// /v1/campaigns/{c}/bookings/{code}.
const (
	campaignSegment = 2
	nameSegment     = 4
	maxSegments     = 6
)

// publicRoutes is the public surface, the busiest first.
var publicRoutes = prepareRoutes([]route{
	{method: "POST", pattern: "/v1/campaigns/{c}/bookings", who: byPass, body: true, handle: (*exchange).book},
	{method: "GET", pattern: "/v1/campaigns/{c}/line", handle: (*exchange).line},
	{method: "POST", pattern: "/v1/campaigns/{c}/line", who: byIdentity, handle: (*exchange).join},
	{method: "GET", pattern: "/v1/campaigns/{c}/slots", handle: (*exchange).findSlots},
	{method: "GET", pattern: "/v1/campaigns/{c}/sites", handle: (*exchange).findSites},
	{method: "POST", pattern: "/v1/campaigns/{c}/holds", who: byPass, body: true, handle: (*exchange).hold},
	{method: "GET", pattern: "/v1/campaigns/{c}/eligibility", who: byIdentity, handle: (*exchange).eligibility},
	{method: "GET", pattern: "/v1/campaigns/{c}/bookings/me", who: byIdentity | byTicket | byPass, handle: (*exchange).ownBookings},
	{method: "PATCH", pattern: "/v1/campaigns/{c}/bookings/{code}", who: byPass, body: true, handle: (*exchange).change},
	{method: "DELETE", pattern: "/v1/campaigns/{c}/bookings/{code}", who: byIdentity | byPass, handle: (*exchange).cancel},
	{method: "GET", pattern: "/v1/campaigns/{c}/bookings/{code}/calendar.ics", who: byIdentity | byTicket | byPass, handle: (*exchange).calendar},
	{method: "DELETE", pattern: "/v1/campaigns/{c}/holds/{hold}", who: byPass, handle: (*exchange).release},
	{method: "GET", pattern: "/v1/campaigns/{c}/line/me", who: byIdentity | byTicket, handle: (*exchange).ownPlace},
	{method: "DELETE", pattern: "/v1/campaigns/{c}/line/me", who: byIdentity | byTicket, handle: (*exchange).leave},
	{method: "GET", pattern: "/v1/campaigns/{c}", handle: (*exchange).describe},
	{method: "GET", pattern: "/v1/campaigns", handle: (*exchange).listCampaigns},
	{method: "GET", pattern: "/openapi.yaml", handle: (*exchange).description},
	{method: "GET", pattern: "/", handle: (*exchange).frontPage},
})

func prepareRoutes(routes []route) []route {
	for i := range routes {
		r := &routes[i]
		r.index = i
		r.segments = strings.Split(r.pattern[1:], "/")
		r.campaign = len(r.segments) > campaignSegment
	}
	return routes
}

// label names the route in metrics and logs, also where none was found.
func (r *route) label() string {
	if r == nil {
		return "none"
	}
	return r.method + " " + r.pattern
}

// fits tells whether the path is the route's.
func (r *route) fits(segments [][]byte) bool {
	if len(segments) != len(r.segments) {
		return false
	}
	// From the end: that is where the routes differ.
	for i := len(segments) - 1; i >= 0; i-- {
		if r.segments[i] != "" && r.segments[i][0] == '{' {
			continue
		}
		if string(segments[i]) != r.segments[i] {
			return false
		}
	}
	return true
}

// takes tells whether the route answers the method. HEAD is GET without the
// body, which the HTTP library leaves out.
func (r *route) takes(method []byte) bool {
	return string(method) == r.method || r.method == "GET" && string(method) == "HEAD"
}

// match finds the route.
func (x *exchange) match() error {
	method, segments := x.ctx.Method(), x.segments[:x.depth]
	known := false
	for i := range publicRoutes {
		r := &publicRoutes[i]
		if !r.fits(segments) {
			continue
		}
		if r.takes(method) {
			x.route = r
			return nil
		}
		known = true
	}
	if known {
		return faultMethod
	}
	return faultNotFound
}

// allowed lists the methods that the path has.
func (x *exchange) allowed() string {
	var methods []string
	for i := range publicRoutes {
		r := &publicRoutes[i]
		if !r.fits(x.segments[:x.depth]) {
			continue
		}
		methods = append(methods, r.method)
		if r.method == "GET" {
			methods = append(methods, "HEAD")
		}
	}
	slices.Sort(methods)
	return strings.Join(slices.Compact(methods), ", ")
}

// split takes the request target apart. It reads the target itself and not the
// library's normalised path: dot segments and doubled slashes name nothing
// here, and an encoded slash is part of its segment.
func (x *exchange) split() error {
	target := x.ctx.Request.Header.RequestURI()
	if len(target) > x.s.limits.TargetBytes {
		return faultTargetSize
	}
	path, query, _ := bytes.Cut(target, []byte{'?'})
	path, ok := originForm(path)
	if !ok || bytes.IndexByte(target, '#') >= 0 {
		return faultTarget
	}
	x.query = query
	return x.cutPath(path[1:])
}

// originForm strips scheme and authority from a target in absolute form.
func originForm(path []byte) ([]byte, bool) {
	if len(path) > 0 && path[0] == '/' {
		return path, true
	}
	scheme, rest, ok := bytes.Cut(path, []byte("://"))
	if !ok || !is(scheme, "http") && !is(scheme, "https") {
		return nil, false
	}
	slash := bytes.IndexByte(rest, '/')
	if slash < 0 {
		return []byte{'/'}, true
	}
	return rest[slash:], true
}

func (x *exchange) cutPath(path []byte) error {
	if bytes.IndexByte(path, '%') >= 0 {
		return x.cutEncoded(path)
	}
	x.depth = 0
	for {
		slash := bytes.IndexByte(path, '/')
		if slash < 0 {
			return x.push(path)
		}
		if err := x.push(path[:slash]); err != nil {
			return err
		}
		path = path[slash+1:]
	}
}

// cutEncoded is cutPath where something is percent-encoded.
func (x *exchange) cutEncoded(path []byte) error {
	x.depth = 0
	x.target = slices.Grow(x.target[:0], len(path)) // segments point into it: it must not move
	for more := true; more; {
		var segment []byte
		segment, path, more = bytes.Cut(path, []byte{'/'})
		from := len(x.target)
		var ok bool
		if x.target, ok = appendUnescaped(x.target, segment, false); !ok {
			return faultTarget
		}
		if err := x.push(x.target[from:]); err != nil {
			return err
		}
	}
	return nil
}

func (x *exchange) push(segment []byte) error {
	if x.depth == maxSegments {
		return faultNotFound
	}
	x.segments[x.depth] = segment
	x.depth++
	return nil
}

// appendUnescaped decodes percent-encoding, and "+" as a space where plus says
// so. It refuses what is not well formed: a percent sign without two digits,
// and bytes that are no UTF-8 or control characters.
func appendUnescaped(dst, src []byte, plus bool) ([]byte, bool) {
	from := len(dst)
	for i := 0; i < len(src); i++ {
		c := src[i]
		switch {
		case c == '%':
			if i+2 >= len(src) {
				return dst, false
			}
			high, low := unhex(src[i+1]), unhex(src[i+2])
			if high < 0 || low < 0 {
				return dst, false
			}
			c = byte(high<<4 | low)
			i += 2
		case c == '+' && plus:
			c = ' '
		}
		if c < ' ' || c == 0x7f {
			return dst, false
		}
		dst = append(dst, c)
	}
	return dst, utf8.Valid(dst[from:])
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

// frontPage is a small page in both languages, until there is a better one.
func (x *exchange) frontPage() error {
	x.ctx.Response.Header.Set(fasthttp.HeaderContentSecurityPolicy, "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	return x.shared("text/html; charset=utf-8", frontPage, frontPageTag)
}

// description is the OpenAPI description of this surface.
func (x *exchange) description() error {
	return x.shared("application/yaml; charset=utf-8", openAPI, openAPITag)
}
