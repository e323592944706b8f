package server

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"weir/server/token"
)

// badBodies are bodies that no booking has. The fuzzer starts from them.
var badBodies = []string{
	``, ` `, `{`, `}`, `{}`, `[]`, `null`, `true`, `0`, `"slot"`, `{"slot"}`, `{"slot":}`, `{"slot":"a"`, `{"slot":"a",}`,
	`{,"slot":"a"}`, `{"slot":"a"}}`, `{"slot":"a"} x`, `{"slot":"a"}{"slot":"a"}`, `{"slot":null}`, `{"slot":1}`, `{"slot":true}`,
	`{"slot":["a"]}`, `{"slot":{"a":"b"}}`, `{"slot":"a","slot":"a"}`, `{"slot":"a","\u0073lot":"b"}`, `{"slot":"a","hold":"b"}`,
	`{"hold":"a","slot":"b"}`, `{"hold":"a","hold":"b"}`, `{"Slot":"a"}`, `{"slot ":"a"}`, `{"slots":"a"}`, `{"slot":"a","x":1}`,
	`{"x":"a"}`, `{'slot':'a'}`, `{slot:"a"}`, `{"slot":'a'}`, `{"slot":"a` + "\n" + `"}`, `{"slot":"a` + "\x00" + `"}`, `{"slot":"\x41"}`,
	`{"slot":"\u12"}`, `{"slot":"\u12g4"}`, `{"slot":"\ud800"}`, `{"slot":"\ud800\u0041"}`, `{"slot":"\udc00"}`, `{"slot":"\ud800\ud800"}`,
	`{"slot":"\`, `{"slot":"\"}`, "{\"slot\":\"\xff\"}", "{\"slot\":\"\xc3\"}", "{\"slot\":\"\xed\xa0\x80\"}", "\ufeff" + `{"slot":"a"}`,
	`{"slot":"a"}//x`, `/**/{"slot":"a"}`, `{"slot":"a"};`, `slot=a`, `<slot>a</slot>`, `{"slot":NaN}`, `{"slot":-1e999}`,
	`{"":"a"}`, `{"slot":"a","":""}`, strings.Repeat("[", 4000), strings.Repeat(`{"slot":`, 500), `{"__proto__":"a","slot":"a"}`,
}

// badCase is one request that must be refused, as bytes on the wire. {PASS},
// {TICKET}, {ID} and the like stand for credentials of the moment.
type badCase struct {
	name   string
	raw    string
	status int
	code   string
}

// head joins header lines; a body follows where there is one.
func head(first string, lines ...string) string {
	return first + "\r\nHost: a\r\n" + strings.Join(append(lines, "", ""), "\r\n")
}

const (
	authPass   = "Authorization: Bearer {PASS}"
	asJSON     = "Content-Type: application/json"
	bookLine   = "POST " + small + "/bookings HTTP/1.1"
	goodBody   = `{"slot":"` + slotA9 + `"}`
	chunkedTE  = "Transfer-Encoding: chunked"
	getRequest = "GET /v1/campaigns HTTP/1.1"
)

// hungUp stands for a connection that is closed without an answer, as its
// other end was in the middle of a request.
const hungUp = 0

func length(body string) string { return fmt.Sprint("Content-Length: ", len(body)) }

func booking(body string, lines ...string) string {
	return head(bookLine, append([]string{authPass, length(body)}, lines...)...) + body
}

func badFraming() []badCase {
	bad := func(name, raw string) badCase { return badCase{name, raw, 400, "bad_request"} }
	return []badCase{
		bad("no HTTP", "hello\r\n\r\n"),
		bad("binary", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
		bad("HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
		bad("version 3.0", "GET / HTTP/3.0\r\nHost: a\r\n\r\n"),
		bad("version of text", "GET / HTTP/one\r\nHost: a\r\n\r\n"),
		bad("lower case version", "GET / http/1.1\r\nHost: a\r\n\r\n"),
		bad("no version", "GET /\r\nHost: a\r\n\r\n"),
		bad("two spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
		bad("space in target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"),
		bad("tab for space", "GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n"),
		bad("no method", " / HTTP/1.1\r\nHost: a\r\n\r\n"),
		bad("method of signs", "G(T / HTTP/1.1\r\nHost: a\r\n\r\n"),
		bad("no host", "GET /v1/campaigns HTTP/1.1\r\n\r\n"),
		bad("two hosts", head(getRequest, "Host: b")),
		bad("line folded by space", head(getRequest, "X-A: b", " c")),
		bad("line folded by tab", head(getRequest, "X-A: b", "\tc")),
		bad("first line folded", getRequest+"\r\n Host: a\r\n\r\n"),
		bad("bare LF", "GET /v1/campaigns HTTP/1.1\r\nHost: a\nX-A: b\r\n\r\n"),
		bad("bare CR in value", head(getRequest, "X-A: b\rc")),
		bad("NUL in value", head(getRequest, "X-A: b\x00c")),
		bad("no colon", head(getRequest, "X-A")),
		bad("no name", head(getRequest, ": b")),
		bad("space before colon", head(getRequest, "X-A : b")),
		bad("space in name", head(getRequest, "X A: b")),
		bad("control in name", head(getRequest, "X\x01A: b")),
		bad("ends in headers", "GET / HTTP/1.1\r\nHost: a\r\nX-A"),
		bad("ends in the first line", "GET / HT"),
	}
}

// badLengths are bodies whose end two readers could see in different places.
func badLengths() []badCase {
	bad := func(name, raw string) badCase { return badCase{name, raw, 400, "bad_request"} }
	lengths := func(name string, lines ...string) badCase {
		return bad(name, head(bookLine, append([]string{authPass, asJSON}, lines...)...)+goodBody)
	}
	chunks := func(name, body string) badCase {
		return bad(name, head(bookLine, authPass, asJSON, chunkedTE)+body)
	}
	size := length(goodBody)
	return []badCase{
		lengths("two equal lengths", size, size),
		lengths("two different lengths", size, "Content-Length: 5"),
		lengths("list of lengths", "Content-Length: 5, 5"),
		lengths("negative length", "Content-Length: -1"),
		lengths("signed length", "Content-Length: +5"),
		lengths("hexadecimal length", "Content-Length: 0x10"),
		lengths("length of text", "Content-Length: ten"),
		lengths("no length given", "Content-Length: "),
		lengths("length past 64 bits", "Content-Length: 99999999999999999999999"),
		lengths("length that wraps", "Content-Length: 18446744073709551616"),
		lengths("length of two words", "Content-Length: 5 5"),
		lengths("body cut short", "Content-Length: 500"),
		lengths("length and chunked", size, chunkedTE),
		lengths("chunked and length", chunkedTE, size),
		lengths("length and identity", size, "Transfer-Encoding: identity"),
		lengths("folded coding", "Transfer-Encoding:", " chunked", size),
		lengths("coding with a space", "Transfer-Encoding : chunked", size),
		lengths("two codings", chunkedTE, chunkedTE),
		lengths("coding twice over", "Transfer-Encoding: chunked, chunked"),
		lengths("gzip coding", "Transfer-Encoding: gzip, chunked"),
		lengths("unknown coding", "Transfer-Encoding: xchunked"),
		lengths("coding in quotes", `Transfer-Encoding: "chunked"`),
		lengths("coding with vertical tab", "Transfer-Encoding: \vchunked"),

		chunks("chunk of no number", "zz\r\nx\r\n0\r\n\r\n"),
		chunks("negative chunk", "-1\r\nx\r\n0\r\n\r\n"),
		chunks("chunk longer than said", "1\r\nxyz\r\n0\r\n\r\n"),
		chunks("chunk shorter than said", "5\r\nx\r\n0\r\n\r\n"),
		chunks("chunk past 64 bits", "fffffffffffffffffffff\r\nx\r\n0\r\n\r\n"),
		{"no last chunk", head(bookLine, authPass, asJSON, chunkedTE) + "1\r\n{\r\n", hungUp, ""},
		chunks("LF in chunk size", "1\nx\r\n0\r\n\r\n"),
		chunks("no chunk", "\r\n\r\n"),
		chunks("chunks of no wish", "2\r\n{}\r\n0\r\n\r\n"),
		chunks("length in the trailer", "2\r\n{}\r\n0\r\nContent-Length: 5\r\n\r\n"),
		bad("chunked in HTTP/1.0", "POST "+small+"/bookings HTTP/1.0\r\n"+chunkedTE+"\r\n\r\n0\r\n\r\n"),
		bad("body on GET", head(getRequest, "Content-Length: 3")+"abc"),
		bad("body on DELETE", head("DELETE "+small+"/bookings/AAAAA-AAAAA HTTP/1.1", authPass, "Content-Length: 3")+"abc"),
		bad("body on join", head("POST "+small+"/line HTTP/1.1", "Authorization: Bearer {ID}", "Content-Length: 2")+"{}"),
		{"body too large", head(bookLine, authPass, asJSON, "Content-Length: 9000"), 413, "body_too_large"},
		{"body too large by far", head(bookLine, authPass, asJSON, "Content-Length: 9000000000"), 413, "body_too_large"},
		{"chunks too large", head(bookLine, authPass, asJSON, chunkedTE) + "2329\r\n" + strings.Repeat("x", 9001) + "\r\n0\r\n\r\n", 413, "body_too_large"},
		{"chunk that claims much", head(bookLine, authPass, asJSON, chunkedTE) + "7fffffff\r\nx", 413, "body_too_large"},
		{"large with 100-continue", head(bookLine, authPass, asJSON, "Expect: 100-continue", "Content-Length: 9000"), 413, "body_too_large"},
		{"unknown expectation", head(getRequest, "Expect: 200-maybe"), 417, "expectation_failed"},
		{"long header", head(getRequest, "X-A: "+strings.Repeat("b", 9000)), 431, "headers_too_large"},
		{"many headers", head(getRequest, strings.Split(strings.Repeat("X-A: b\n", 2000), "\n")[:2000]...), 431, "headers_too_large"},
		{"long target", head("GET /" + strings.Repeat("a", 3000) + " HTTP/1.1"), 414, "target_too_long"},
		{"long query", head("GET /v1/campaigns?" + strings.Repeat("a", 3000) + " HTTP/1.1"), 414, "target_too_long"},
		{"target past the buffer", head("GET /" + strings.Repeat("a", 20000) + " HTTP/1.1"), 431, "headers_too_large"},
	}
}

func badTargets() []badCase {
	get := func(target string, status int, code string) badCase {
		return badCase{"GET " + target, head("GET " + target + " HTTP/1.1"), status, code}
	}
	query := func(target string) badCase { return get(small+target, 400, "bad_request") }
	method := func(method, target string, status int, code string) badCase {
		return badCase{method + " " + target, head(method + " " + target + " HTTP/1.1"), status, code}
	}
	cases := []badCase{
		get("*", 400, "bad_request"), get("v1/campaigns", 400, "bad_request"), get("ftp://a/v1/campaigns", 400, "bad_request"),
		get("/v1/campaigns#x", 400, "bad_request"), get("/v1/campaigns/%", 400, "bad_request"), get("/v1/campaigns/%4", 400, "bad_request"),
		get("/v1/campaigns/%zz", 400, "bad_request"), get("/v1/campaigns/%00", 400, "bad_request"), get("/v1/campaigns/%ff", 400, "bad_request"),
		get("/v1/campaigns/%0d%0aX:y", 400, "bad_request"), get("/v1", 404, "not_found"), get("//v1/campaigns", 404, "not_found"),
		get("/v1//campaigns", 404, "not_found"), get("/v1/campaigns/", 404, "not_found"), get("/V1/campaigns", 404, "not_found"),
		get("/v1/./campaigns", 404, "not_found"), get("/v1/x/../campaigns", 404, "not_found"), get("/v1/campaigns/../../etc/passwd", 404, "not_found"),
		get("/v1%2fcampaigns", 404, "not_found"), get("/v1/campaigns/nobody", 404, "not_found"), get("/v1/campaigns/small%2fline", 404, "not_found"),
		get(small+"/nothing", 404, "not_found"), get(small+"/line/me/x", 404, "not_found"), get(small+"/bookings/me/calendar.ics/x", 404, "not_found"),
		get("/a/b/c/d/e/f/g/h", 404, "not_found"), get("/metrics", 404, "not_found"), get("/debug/pprof/", 404, "not_found"),
		get("/admin/v1/status", 404, "not_found"), get("/openapi.yaml/", 404, "not_found"), get("/%6fpenapi.yam", 404, "not_found"),
		method("OPTIONS", "*", 400, "bad_request"), method("CONNECT", "a:443", 400, "bad_request"), method("TRACE", "/", 405, "method_not_allowed"),
		method("POST", "/", 405, "method_not_allowed"), method("PUT", small+"/bookings", 405, "method_not_allowed"),
		method("GET", small+"/bookings", 405, "method_not_allowed"), method("get", "/v1/campaigns", 405, "method_not_allowed"),
		method("DELETE", small+"/line", 405, "method_not_allowed"), method("PATCH", small+"/holds", 405, "method_not_allowed"),
		method("BREW", "/v1/campaigns", 405, "method_not_allowed"), method("POST", "/v1/campaigns", 405, "method_not_allowed"),
		query("/slots"), query("/slots?"), query("/slots?site=a&site=b"), query("/slots?site=a&x=1"), query("/slots?site=a&date=2021-13-01"),
		query("/slots?site=a&date=2021-02-29"), query("/slots?site=a&date=today"), query("/slots?site=a&date="), query("/slots?site=a&available=false"),
		query("/slots?site=a&available=1"), query("/slots?site=%"), query("/slots?site=a&date=2021-07-22T00:00:00"), query("/slots?site=a&=b"),
		query("/sites?near=37.5"), query("/sites?near=37.5,"), query("/sites?near=a,b"), query("/sites?near=91,0"), query("/sites?near=0,181"),
		query("/sites?near=NaN,NaN"), query("/sites?near=1e1,1"), query("/sites?near=0x1,1"), query("/sites?near=1,1,1"),
		query("/sites?near=37.5,127&radius_km=0"), query("/sites?near=37.5,127&radius_km=-1"), query("/sites?near=37.5,127&radius_km=inf"),
		query("/sites?near=37.5,127&radius_km=99999"), query("/sites?radius_km=5"), query("/sites?limit=0"), query("/sites?limit=-1"),
		query("/sites?limit=501"), query("/sites?limit=ten"), query("/sites?limit=99999999999999999999"), query("/sites?limit=1.5"),
		query("/sites?cursor=zzzz"), query("/sites?cursor="), query("/sites?region="), query("/sites?region=%ff"), query("/sites?unknown=1"),
		query("/sites?limit=1&&limit=2"), query("/sites?Region=KR-11"), query("/sites?region=a%00b"),
		get(small+"/sites?product=none", 404, "not_found"), get(small+"/slots?site=none", 404, "not_found"), get(small+"/slots?site=", 404, "not_found"),
	}
	return cases
}

func badCredentials() []badCase {
	book := func(name, line string, status int, code string) badCase {
		return badCase{name, head(bookLine, line, asJSON, length(goodBody)) + goodBody, status, code}
	}
	refused := func(name, line string) badCase { return book(name, line, 401, "unauthenticated") }
	id := func(name, credential string, status int, code string) badCase {
		return badCase{name, head("POST "+small+"/line HTTP/1.1", "Authorization: Bearer "+credential), status, code}
	}
	return []badCase{
		refused("no credential", "X-A: b"), refused("empty credential", "Authorization:"), refused("scheme alone", "Authorization: Bearer"),
		refused("scheme and space", "Authorization: Bearer "), refused("basic", "Authorization: Basic a2ltOnB3"), refused("no scheme", "Authorization: {PASS}"),
		refused("two of them", authPass+"\r\n"+authPass), refused("comma", "Authorization: Bearer {PASS},{PASS}"),
		refused("in quotes", `Authorization: Bearer "{PASS}"`), refused("trailing text", "Authorization: Bearer {PASS} x"),
		refused("prefix alone", "Authorization: Bearer wp1."), refused("unknown prefix", "Authorization: Bearer wx1.AAAA"),
		refused("cut pass", "Authorization: Bearer {CUT}"), refused("pass with a changed byte", "Authorization: Bearer {FORGED}"),
		refused("ticket dressed as pass", "Authorization: Bearer {DRESSED}"), refused("not base64", "Authorization: Bearer wp1.!!!!"),
		refused("long rubbish", "Authorization: Bearer wp1."+strings.Repeat("A", 4000)), refused("none algorithm", "Authorization: Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJraW0ifQ."),
		refused("dots", "Authorization: Bearer ..."), refused("control text", "Authorization: Bearer \xc3\xa9\xc3\xa9"),
		refused("cookie", "Cookie: Authorization=Bearer {PASS}"),
		book("ticket for pass", "Authorization: Bearer {TICKET}", 403, "not_your_turn"), book("identity for pass", "Authorization: Bearer {ID}", 403, "not_your_turn"),
		book("other campaign's pass", "Authorization: Bearer {OTHER}", 403, "wrong_campaign"),
		book("other campaign's ticket", "Authorization: Bearer {OTHERTICKET}", 403, "wrong_campaign"),
		book("expired pass", "Authorization: Bearer {EXPIRED}", 401, "token_expired"), book("expired identity", "Authorization: Bearer {EXPIREDID}", 401, "token_expired"),
		id("pass for identity", "{PASS}", 401, "unauthenticated"), id("ticket for identity", "{TICKET}", 401, "unauthenticated"),
		id("identity with a changed byte", "{FORGEDID}", 401, "unauthenticated"), id("identity without signature", "{UNSIGNED}", 401, "unauthenticated"),
		id("child", "{CHILD}", 403, "not_eligible"),
	}
}

func badWishes() []badCase {
	var cases []badCase
	for _, body := range badBodies {
		cases = append(cases, badCase{fmt.Sprintf("body %.40q", body), booking(body, asJSON), 400, "bad_request"})
	}
	kind := func(line string) badCase {
		return badCase{line, booking(goodBody, line), 415, "unsupported_media_type"}
	}
	key := func(line string) badCase {
		return badCase{fmt.Sprintf("%.40q", line), booking(goodBody, asJSON, line), 400, "bad_request"}
	}
	wish := func(body string, status int, code string) badCase {
		return badCase{body, booking(body, asJSON), status, code}
	}
	named := func(method, path string) badCase {
		return badCase{method + " " + path, head(method+" "+small+path+" HTTP/1.1", authPass), 404, "not_found"}
	}
	holds := head("POST "+small+"/holds HTTP/1.1", authPass, asJSON, "Content-Length: 14") + `{"hold":"abcd"}`[:14]
	return append(cases,
		kind("X-A: b"), kind("Content-Type:"), kind("Content-Type: text/plain"), kind("Content-Type: application/json5"),
		kind("Content-Type: application/x-www-form-urlencoded"), kind("Content-Type: multipart/form-data; boundary=x"),
		kind("Content-Type: application"), kind(asJSON+"\r\n"+asJSON), kind("Content-Type: text/html, application/json"),
		key("Idempotency-Key:"), key("Idempotency-Key: a b"), key("Idempotency-Key: \xc3\xa9"), key("Idempotency-Key: "+strings.Repeat("k", 256)),
		key("Idempotency-Key: a\r\nIdempotency-Key: a"), key("Idempotency-Key: a\x7fb"),
		wish(`{"slot":""}`, 404, "not_found"), wish(`{"slot":"a"}`, 404, "not_found"), wish(`{"slot":"a/2021-07-22/09:00"}`, 404, "not_found"),
		wish(`{"slot":"a/2021-07-22/09:00/moderna/x"}`, 404, "not_found"), wish(`{"slot":"A/2021-07-22/09:00/moderna"}`, 404, "not_found"),
		wish(`{"slot":"a/2021-07-22/25:00/moderna"}`, 404, "not_found"), wish(`{"slot":"a/2021-7-22/9:00/moderna"}`, 404, "not_found"),
		wish(`{"slot":"a%2F2021-07-22%2F09:00%2Fmoderna"}`, 404, "not_found"), wish(`{"slot":"a/2021-07-24/09:00/moderna"}`, 404, "not_found"),
		wish(`{"slot":"`+strings.Repeat("a", 5000)+`"}`, 404, "not_found"), wish(`{"slot":"../../etc/passwd"}`, 404, "not_found"),
		wish(`{"slot":"'; DROP TABLE slots; --"}`, 404, "not_found"), wish(`{"slot":"a\u0000/2021-07-22/09:00/moderna"}`, 404, "not_found"),
		wish(`{"hold":""}`, 404, "not_found"), wish(`{"hold":"AAAAA-AAAAA"}`, 404, "not_found"), wish(`{"hold":"12345"}`, 404, "not_found"),
		wish(`{"hold":"UUUUU-UUUUU"}`, 404, "not_found"), wish(`{"hold":"`+strings.Repeat("0", 300)+`"}`, 404, "not_found"),
		badCase{"hold for a hold", holds, 400, "bad_request"},
		named("DELETE", "/bookings/"), named("DELETE", "/bookings/x"), named("DELETE", "/bookings/me"), named("DELETE", "/bookings/AAAAA-AAAAA"),
		named("DELETE", "/bookings/%41%41"), named("DELETE", "/bookings/-1"), named("DELETE", "/bookings/18446744073709551615"),
		named("DELETE", "/holds/x"), named("DELETE", "/holds/"+strings.Repeat("7", 200)), named("GET", "/bookings/x/calendar.ics"),
		named("GET", "/bookings//calendar.ics"), named("DELETE", "/bookings/%EA%B0%80"),
	)
}

// credentials are the texts that stand behind the placeholders.
func (s *stand) credentials() *strings.Replacer {
	pass, ticket, id := s.pass("kim"), s.token(token.Ticket, "small", "kim", old, time.Hour), s.identity("kim", old)
	middle := len(pass) / 2
	forged := []byte(pass)
	forged[middle] ^= 1 // stays a letter or digit: only the seal can tell
	forgedID := []byte(id)
	forgedID[strings.IndexByte(id, '.')+20] ^= 1
	s.clock.add(-2 * time.Hour)
	expiredID := s.identity("kim", old)
	s.clock.add(2 * time.Hour)
	return strings.NewReplacer(
		"{PASS}", pass, "{TICKET}", ticket, "{ID}", id, "{CUT}", pass[:middle], "{FORGED}", string(forged),
		"{DRESSED}", "wp1."+strings.TrimPrefix(ticket, "wt1."), "{OTHER}", s.token(token.Pass, "other", "kim", old, time.Hour),
		"{OTHERTICKET}", s.token(token.Ticket, "other", "kim", old, time.Hour), "{EXPIRED}", s.token(token.Pass, "small", "kim", old, 0),
		"{EXPIREDID}", expiredID, "{FORGEDID}", string(forgedID), "{UNSIGNED}", id[:strings.LastIndexByte(id, '.')+1], "{CHILD}", s.identity("child", child),
	)
}

// internals are what no answer may contain.
var internals = []string{"fasthttp", "goroutine", ".go:", "panic", "runtime", "/root", "weir/", "invalid character", "nil pointer", "unmarshal", "syscall"}

func TestBadInput(t *testing.T) {
	s := newStand(t, nil)
	replace := s.credentials()
	var cases []badCase
	for _, group := range [][]badCase{badFraming(), badLengths(), badTargets(), badCredentials(), badWishes()} {
		cases = append(cases, group...)
	}
	if len(cases) < 150 {
		t.Fatalf("only %d cases", len(cases))
	}
	for _, c := range cases {
		s.refuses(t, c, replace.Replace(c.raw))
	}
	if totals := s.engine.Campaign("small").Totals(); totals.Booked != 0 || totals.Holds != 0 || totals.People != 0 {
		t.Fatalf("something came of it: %+v", totals)
	}
	s.do("POST", small+"/bookings", s.pass("kim"), slotBody(slotA9)).want(201, "")
	if n := s.srv.metrics.panics.Get(); n != 0 {
		t.Fatalf("%d panics", n)
	}
}

// refuses sends one bad request and holds what comes back.
func (s *stand) refuses(t *testing.T, c badCase, raw string) {
	t.Helper()
	conn := dial(t, s.public)
	_, _ = io.WriteString(conn, raw) // the server may have hung up in the middle
	_ = conn.(*net.TCPConn).CloseWrite()
	all, _ := io.ReadAll(conn) // a reset may follow the answer
	if c.status == hungUp {
		if len(all) > 0 {
			t.Errorf("%s: %s", c.name, all)
		}
		return
	}
	all = bytes.TrimPrefix(all, []byte("HTTP/1.1 100 Continue\r\n\r\n"))
	from := bufio.NewReader(bytes.NewReader(all))
	res, err := http.ReadResponse(from, nil)
	if err != nil {
		t.Errorf("%s: no answer: %v: %q", c.name, err, all)
		return
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Errorf("%s: %v", c.name, err)
	}
	var problem struct{ Code, Detail string }
	if err := json.Unmarshal(body, &problem); err != nil {
		t.Errorf("%s: %d %v: %s", c.name, res.StatusCode, err, body)
		return
	}
	if res.StatusCode != c.status || problem.Code != c.code || problem.Detail == "" || res.Header.Get("Content-Type") != problemType {
		t.Errorf("%s: got %d %s, want %d %s", c.name, res.StatusCode, body, c.status, c.code)
	}
	for _, word := range internals {
		if bytes.Contains(bytes.ToLower(all), []byte(word)) {
			t.Errorf("%s: the answer contains %q: %s", c.name, word, all)
		}
	}
	if rest, _ := io.ReadAll(from); len(rest) > 0 {
		t.Errorf("%s: a second answer: %s", c.name, rest)
	}
}

// TestSlowRequestsAreCut sends the beginning of a request and no more.
func TestSlowRequestsAreCut(t *testing.T) {
	s := newStand(t, func(c *Config) { c.Limits.ReadTimeout = 200 * time.Millisecond })
	for _, beginning := range []string{
		"", "GET", "GET / HTTP/1.1\r\nHost: a\r\nX-A: b", s.credentials().Replace(booking(goodBody, asJSON))[:200],
		s.credentials().Replace(head(bookLine, authPass, asJSON, chunkedTE)) + "5\r\nab",
	} {
		conn := dial(t, s.public)
		send(t, conn, beginning)
		from := time.Now()
		all, _ := io.ReadAll(conn)
		if took := time.Since(from); took > 5*time.Second {
			t.Errorf("%.30q: cut off after %v", beginning, took)
		}
		if !bytes.HasPrefix(all, []byte("HTTP/1.1 408 ")) || !bytes.Contains(all, []byte(`"code":"request_timeout"`)) {
			t.Errorf("%.30q: %s", beginning, all)
		}
	}
}

// TestInFlightIsBounded holds one booking at the journal of a server that
// answers one request at a time.
func TestInFlightIsBounded(t *testing.T) {
	s := newStand(t, func(c *Config) { c.Limits.InFlight = 1 })
	waiting, release := s.journal.hold()
	booked := make(chan *answer, 1)
	go func() { booked <- s.do("POST", small+"/bookings", s.pass("kim"), slotBody(slotA9)) }()
	<-waiting
	s.do("GET", "/v1/campaigns", "", "").want(503, "overloaded")
	release()
	(<-booked).want(201, "")
	s.do("GET", "/v1/campaigns", "", "").want(200, "")
}
