package server

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"weir/core"
	"weir/core/event"
	"weir/server/token"
)

const small = "/v1/campaigns/small"

func TestCampaigns(t *testing.T) {
	s := newStand(t, nil)
	list := s.do("GET", "/v1/campaigns", "", "").want(200, "").list("campaigns")
	if len(list) != 2 || list[0].(map[string]any)["id"] != "small" {
		t.Fatalf("campaigns: %v", list)
	}
	a := s.do("GET", small, "", "").want(200, "")
	if a.text("id") != "small" || a.text("name.ko") != "작은 접종" || a.text("state") != "open" || a.number("version") != 1 {
		t.Fatalf("campaign: %s", a.body)
	}
	if a.text("now") != "2021-07-19T20:01:00+09:00" {
		t.Fatalf("now: %s", a.text("now"))
	}
	window := a.list("windows")[0].(map[string]any)
	if window["opens_at"] != "2021-07-19T20:00:00+09:00" || len(a.list("cohorts")) != 2 || a.value("line.enabled") != false {
		t.Fatalf("campaign: %s", a.body)
	}
	s.do("GET", "/v1/campaigns/none", "", "").want(404, "not_found")
}

func TestCampaignDefinedLater(t *testing.T) {
	s := newStand(t, nil)
	s.define(strings.Replace(smallCampaign, "campaign: small", "campaign: later", 1))
	s.do("GET", "/v1/campaigns/later", "", "").want(200, "")
	if n := len(s.do("GET", "/v1/campaigns", "", "").list("campaigns")); n != 3 {
		t.Fatalf("%d campaigns", n)
	}
}

func TestEligibility(t *testing.T) {
	s := newStand(t, nil)
	for _, c := range []struct {
		who      string
		at       time.Duration // from the opening
		old      bool
		eligible bool
		reason   string
		next     bool
	}{
		{who: "o", at: -time.Millisecond, old: true, reason: "window_not_open", next: true},
		{who: "o", at: 0, old: true, eligible: true, reason: "eligible"},
		{who: "o", at: 22*time.Hour - time.Millisecond, old: true, eligible: true, reason: "eligible"},
		{who: "o", at: 22 * time.Hour, old: true, reason: "window_closed"},
		{who: "y", at: 0, reason: "window_not_open", next: true},
	} {
		s.clock.set(opening.Add(c.at))
		born := young
		if c.old {
			born = old
		}
		a := s.do("GET", small+"/eligibility", s.identity(c.who, born), "").want(200, "")
		if a.value("eligible") != c.eligible || a.text("reason") != c.reason || (a.value("next_window") != nil) != c.next {
			t.Errorf("%+v: %s", c, a.body)
		}
	}
	s.clock.set(opening)
	a := s.do("GET", small+"/eligibility", s.identity("c", child), "").want(200, "")
	if a.text("reason") != "not_in_any_cohort" || a.value("cohort") != nil {
		t.Errorf("child: %s", a.body)
	}
	s.do("POST", small+"/bookings", s.pass("o"), slotBody(slotA9)).want(201, "")
	if a := s.do("GET", small+"/eligibility", s.identity("o", old), ""); a.text("reason") != "already_booked" {
		t.Errorf("booked: %s", a.body)
	}
	s.do("GET", small+"/eligibility", "", "").want(401, "unauthenticated")
	s.do("GET", small+"/eligibility", s.pass("o"), "").want(401, "unauthenticated")
}

func TestJoiningWithoutALine(t *testing.T) {
	s := newStand(t, nil)
	id := s.identity("kim", old)
	s.do("GET", small+"/line/me", id, "").want(404, "not_found")
	a := s.do("POST", small+"/line", id, "").want(201, "")
	if a.text("state") != "admitted" || a.number("number") != 1 || a.number("ahead") != 0 || a.number("eta_seconds") != 0 {
		t.Fatalf("place: %s", a.body)
	}
	if a.text("ticket_expires_at") != "2021-07-20T20:01:00+09:00" || a.text("pass_expires_at") != "2021-07-19T20:31:00+09:00" {
		t.Fatalf("place: %s", a.body)
	}
	if n := s.do("POST", small+"/line", id, "").want(200, "").number("number"); n != 1 {
		t.Fatalf("number %v the second time", n)
	}
	ticket, pass := a.text("ticket"), a.text("pass")
	for _, credential := range []string{id, ticket} {
		me := s.do("GET", small+"/line/me", credential, "").want(200, "")
		if me.number("number") != 1 {
			t.Fatalf("me: %s", me.body)
		}
		s.do("POST", small+"/holds", me.text("pass"), slotBody(slotA9))
	}
	s.do("GET", small+"/line/me", pass, "").want(401, "unauthenticated")
	s.tick(0)
	public := s.do("GET", small+"/line", "", "").want(200, "")
	if public.number("issued") != 1 || public.number("serving") != 1 || public.text("state") != "open" {
		t.Fatalf("line: %s", public.body)
	}
	s.do("DELETE", small+"/line/me", ticket, "").want(204, "")
	s.do("GET", small+"/line/me", id, "").want(404, "not_found")
	s.do("DELETE", small+"/line/me", id, "").want(404, "not_found")

	a = s.do("POST", small+"/line", s.identity("child", child), "").want(403, "not_eligible")
	if a.text("reason") != "not_in_any_cohort" {
		t.Fatalf("child: %s", a.body)
	}
	s.clock.set(opening.Add(-31 * time.Minute))
	a = s.do("POST", small+"/line", s.identity("early", old), "").want(409, "line_not_open")
	if a.text("opens_at") != "2021-07-19T20:00:00+09:00" {
		t.Fatalf("opens_at: %s", a.body)
	}
}

func TestBooking(t *testing.T) {
	s := newStand(t, nil)
	pass, path := s.pass("kim"), small+"/bookings"
	a := s.do("POST", path, pass, slotBody(slotA9), "Idempotency-Key", "k1").want(201, "")
	code := a.text("code")
	if a.text("slot") != slotA9 || a.text("site") != "a" || a.text("state") != "booked" || a.text("campaign") != "small" ||
		a.text("starts_at") != "2021-07-22T09:00:00+09:00" || a.text("ends_at") != "2021-07-22T09:30:00+09:00" ||
		a.text("product") != "moderna" || a.text("booked_at") != "2021-07-19T20:01:00+09:00" || a.number("sequence") < 1 {
		t.Fatalf("booking: %s", a.body)
	}
	same := s.do("POST", path, pass, slotBody(slotA9), "Idempotency-Key", "k1").want(200, "")
	if same.text("code") != code {
		t.Fatalf("another booking: %s", same.body)
	}
	s.do("POST", path, pass, slotBody(slotA930), "Idempotency-Key", "k1").want(422, "idempotency_key_reused")
	a = s.do("POST", path, pass, slotBody(slotA930)).want(409, "already_booked")
	if a.text("booking.code") != code {
		t.Fatalf("already_booked: %s", a.body)
	}
	id, ticket := s.identity("kim", old), s.token(token.Ticket, "small", "kim", old, time.Hour)
	for _, credential := range []string{pass, id, ticket} {
		if list := s.do("GET", path+"/me", credential, "").want(200, "").list("bookings"); len(list) != 1 {
			t.Fatalf("bookings: %v", list)
		}
	}
	if list := s.do("GET", path+"/me", s.identity("nobody", old), "").want(200, "").list("bookings"); len(list) != 0 {
		t.Fatalf("bookings of nobody: %v", list)
	}
	one := path + "/" + code
	s.do("PATCH", one, s.pass("lee"), slotBody(slotB9)).want(404, "not_found")
	s.do("DELETE", one, s.pass("lee"), "").want(404, "not_found")
	s.do("PATCH", one, id, slotBody(slotB9)).want(403, "not_your_turn")
	s.do("DELETE", one, ticket, "").want(403, "not_your_turn")
	a = s.do("PATCH", one, pass, slotBody(slotB9)).want(200, "")
	if a.text("slot") != slotB9 || a.text("code") != code {
		t.Fatalf("changed: %s", a.body)
	}
	a = s.do("DELETE", path+"/"+strings.ToLower(code), id, "").want(200, "")
	if a.text("state") != "cancelled" {
		t.Fatalf("cancelled: %s", a.body)
	}
	s.do("DELETE", one, pass, "").want(200, "")
	s.do("PATCH", one, pass, slotBody(slotA9)).want(404, "not_found")
}

func TestBookingRefused(t *testing.T) {
	s := newStand(t, nil)
	path := small + "/bookings"
	for i := range 2 {
		s.do("POST", path, s.pass(fmt.Sprint("first", i)), slotBody(slotA9)).want(201, "")
	}
	a := s.do("POST", path, s.pass("late"), slotBody(slotA9)).want(409, "slot_full")
	near := a.list("alternatives")
	if len(near) != 5 || near[0].(map[string]any)["id"] != slotA930 {
		t.Fatalf("alternatives: %s", a.body)
	}
	mine := s.do("POST", path, s.pass("mover"), slotBody(slotB9)).want(201, "").text("code")
	s.do("PATCH", path+"/"+mine, s.pass("mover"), slotBody(slotA9)).want(409, "slot_full")
	if list := s.do("GET", path+"/me", s.pass("mover"), "").list("bookings"); list[0].(map[string]any)["slot"] != slotB9 {
		t.Fatalf("the old booking does not stand: %v", list)
	}
	s.do("POST", path, s.token(token.Pass, "small", "y", young, time.Hour), slotBody(slotB9)).want(409, "window_not_open")
	s.do("POST", path, s.token(token.Pass, "small", "c", child, time.Hour), slotBody(slotB9)).want(403, "not_eligible")
	s.do("POST", path, s.token(token.Pass, "other", "o", old, time.Hour), slotBody(slotB9)).want(403, "wrong_campaign")
	s.do("POST", path, s.token(token.Ticket, "small", "o", old, time.Hour), slotBody(slotB9)).want(403, "not_your_turn")
	s.do("POST", path, s.identity("o", old), slotBody(slotB9)).want(403, "not_your_turn")
	s.do("POST", path, s.token(token.Pass, "small", "o", old, 0), slotBody(slotB9)).want(401, "token_expired")
	s.do("POST", path, s.pass("o"), slotBody("a/2021-07-22/09:01/moderna")).want(404, "not_found")
	s.clock.set(opening.Add(22 * time.Hour))
	s.do("POST", path, s.pass("o"), slotBody(slotB9)).want(409, "window_closed")
	s.clock.set(opening.Add(60 * time.Hour)) // 2021-07-22T08:00, an hour before the visit
	s.do("DELETE", path+"/"+mine, s.pass("mover"), "").want(409, "too_late_to_change")
}

func TestHolds(t *testing.T) {
	s := newStand(t, nil)
	pass := s.pass("kim")
	first := s.do("POST", small+"/holds", pass, slotBody(slotA9)).want(201, "")
	if first.text("slot") != slotA9 || first.text("expires_at") != "2021-07-19T20:06:00+09:00" {
		t.Fatalf("hold: %s", first.body)
	}
	again := s.do("POST", small+"/holds", pass, slotBody(slotA9)).want(201, "")
	if again.text("hold") != first.text("hold") {
		t.Fatalf("another hold: %s", again.body)
	}
	second := s.do("POST", small+"/holds", pass, slotBody(slotB9)).want(201, "").text("hold")
	s.do("POST", small+"/bookings", pass, `{"hold":"`+first.text("hold")+`"}`).want(409, "hold_expired")
	a := s.do("POST", small+"/bookings", pass, `{"hold":"`+strings.ToLower(second)+`"}`, "Idempotency-Key", "h").want(201, "")
	if a.text("slot") != slotB9 {
		t.Fatalf("booked: %s", a.body)
	}
	s.do("POST", small+"/bookings", pass, `{"hold":"`+second+`"}`, "Idempotency-Key", "h").want(200, "")
	s.do("DELETE", small+"/holds/"+second, pass, "").want(404, "not_found")

	lee := s.pass("lee")
	hold := s.do("POST", small+"/holds", lee, slotBody(slotA9)).want(201, "").text("hold")
	s.do("DELETE", small+"/holds/"+hold, s.pass("kim"), "").want(404, "not_found")
	s.do("DELETE", small+"/holds/"+hold, lee, "").want(204, "")
	hold = s.do("POST", small+"/holds", lee, slotBody(slotA9)).want(201, "").text("hold")
	s.clock.add(5 * time.Minute)
	s.do("POST", small+"/bookings", lee, `{"hold":"`+hold+`"}`).want(409, "hold_expired")
	s.do("POST", small+"/holds", s.identity("lee", old), slotBody(slotA9)).want(403, "not_your_turn")
}

func TestAvailability(t *testing.T) {
	s := newStand(t, nil)
	sites := s.do("GET", small+"/sites?region=KR-11&near=37.5%2C127&radius_km=50&date=2021-07-22&product=moderna&available=true&limit=10", "", "").want(200, "")
	if list := sites.list("sites"); len(list) != 1 || list[0].(map[string]any)["name"] != "가 의원" {
		t.Fatalf("sites: %s", sites.body)
	}
	first := s.do("GET", small+"/sites?limit=1", "", "").want(200, "")
	next := s.do("GET", small+"/sites?limit=1&cursor="+first.text("next"), "", "").want(200, "")
	if next.list("sites")[0].(map[string]any)["id"] != "b" {
		t.Fatalf("second page: %s", next.body)
	}
	slots := s.do("GET", small+"/slots?site=a&date=2021-07-22", "", "").want(200, "")
	if n := len(slots.list("slots")); n != 3 {
		t.Fatalf("%d slots: %s", n, slots.body)
	}
	s.do("GET", small+"/slots?site=zz", "", "").want(404, "not_found")
	s.do("GET", small+"/slots?site=a&product=zz", "", "").want(404, "not_found")
}

func TestConditionalGet(t *testing.T) {
	s := newStand(t, nil)
	for _, path := range []string{"/sites", "/slots?site=a", "/line", ""} {
		a := s.do("GET", small+path, "", "").want(200, "")
		etag := a.header.Get("ETag")
		if etag == "" || a.header.Get("Cache-Control") != "public, max-age=1" {
			t.Fatalf("%s: headers %v", path, a.header)
		}
		for _, match := range []string{etag, "*", `"other", ` + etag, strings.TrimPrefix(etag, "W/")} {
			b := s.do("GET", small+path, "", "", "If-None-Match", match).want(304, "")
			if len(b.body) != 0 || b.header.Get("ETag") != etag {
				t.Fatalf("%s, %s: %v %s", path, match, b.header, b.body)
			}
		}
		s.do("GET", small+path, "", "", "If-None-Match", `"other"`).want(200, "")
	}
	before := s.do("GET", small+"/slots?site=a", "", "").header.Get("ETag")
	s.do("POST", small+"/bookings", s.pass("kim"), slotBody(slotA9)).want(201, "")
	s.clock.add(2 * time.Second)
	s.do("GET", small+"/slots?site=a", "", "", "If-None-Match", before).want(200, "")
	s.tick(0)
	line := s.do("GET", small+"/line", "", "").header.Get("ETag")
	s.do("POST", small+"/line", s.identity("lee", old), "").want(201, "")
	s.tick(0)
	s.do("GET", small+"/line", "", "", "If-None-Match", line).want(200, "")
}

func TestCompression(t *testing.T) {
	many := strings.Replace(smallCampaign, "2021-07-22..2021-07-23, times: 09:00..10:30", "2021-07-22..2021-07-31, times: 09:00..18:00", 1)
	s := newStand(t, nil, many)
	plain := s.do("GET", small+"/slots?site=a", "", "").want(200, "")
	for header, packed := range map[string]bool{
		"gzip": true, "br, gzip;q=0.5": true, "*": true, "GZIP": true, "gzip;q=0": false, "identity": false, "*;q=0": false,
	} {
		a := s.do("GET", small+"/slots?site=a", "", "", "Accept-Encoding", header).want(200, "")
		if (a.header.Get("Content-Encoding") == "gzip") != packed {
			t.Fatalf("%q: %v", header, a.header)
		}
		if packed && !bytes.Equal(gunzip(t, a.body), plain.body) {
			t.Fatalf("%q: other content", header)
		}
	}
}

func gunzip(t *testing.T, packed []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(packed))
	must(t, err)
	plain, err := io.ReadAll(r)
	must(t, err)
	return plain
}

func TestLanguages(t *testing.T) {
	s := newStand(t, nil)
	for header, title := range map[string]string{
		"": "Not found", "ko": "찾을 수 없습니다", "ko-KR,ko;q=0.9,en;q=0.8": "찾을 수 없습니다", "en-US,en;q=0.9,ko;q=0.8": "Not found",
		"fr": "Not found", ";;;": "Not found", strings.Repeat("ko,", 200): "Not found",
	} {
		a := s.do("GET", "/v1/nothing", "", "", "Accept-Language", header).want(404, "not_found")
		if a.text("title") != title {
			t.Errorf("%q: %q", header, a.text("title"))
		}
	}
}

func TestPagesAndHead(t *testing.T) {
	s := newStand(t, nil)
	page := s.do("GET", "/", "", "").want(200, "")
	if !bytes.Contains(page.body, []byte("/openapi.yaml")) || !bytes.Contains(page.body, []byte("예약")) {
		t.Fatalf("page: %s", page.body)
	}
	if a := s.do("GET", "/openapi.yaml", "", "").want(200, ""); !bytes.Equal(a.body, openAPI) {
		t.Fatal("another description")
	}
	for _, path := range []string{"/", small, small + "/sites"} {
		if a := s.do("HEAD", path, "", "").want(200, ""); len(a.body) != 0 || a.header.Get("ETag") == "" {
			t.Fatalf("HEAD %s: %v %s", path, a.header, a.body)
		}
	}
	a := s.do("PUT", small+"/line", "", "").want(405, "method_not_allowed")
	if a.header.Get("Allow") != "GET, HEAD, POST" {
		t.Fatalf("Allow: %q", a.header.Get("Allow"))
	}
}

func TestMoments(t *testing.T) {
	s := newStand(t, nil)
	book := func() *answer { return s.do("POST", small+"/bookings", s.pass("kim"), slotBody(slotA9)) }
	for err, code := range map[error]string{
		core.ErrOverloaded: "overloaded", core.ErrReadOnly: "read_only", core.ErrFailed: "overloaded", core.ErrClosed: "overloaded",
	} {
		s.journal.set(err, nil)
		book().want(503, code)
	}
	for _, err := range []error{core.ErrOutcomeUnknown, core.ErrFailed, core.ErrClosed} {
		s.journal.set(nil, err)
		book().want(503, "outcome_unknown")
		s.do("GET", small+"/bookings/me", s.pass("kim"), "").want(503, "outcome_unknown")
		// Somebody else's refusal that rests on what is not durable waits too.
		s.do("POST", small+"/bookings", s.pass("kim"), slotBody(slotB9)).want(503, "outcome_unknown")
	}
	s.journal.set(nil, nil)
	book().want(200, "")
}

func TestCalendar(t *testing.T) {
	s := newStand(t, nil)
	code := s.do("POST", small+"/bookings", s.pass("kim"), slotBody(slotA9)).want(201, "").text("code")
	path := small + "/bookings/" + code + "/calendar.ics"
	for _, credential := range []string{s.pass("kim"), s.identity("kim", old), s.token(token.Ticket, "small", "kim", old, time.Hour)} {
		a := s.do("GET", path, credential, "").want(200, "")
		if !strings.HasPrefix(a.header.Get("Content-Type"), "text/calendar") || !bytes.HasPrefix(a.body, []byte("BEGIN:VCALENDAR\r\n")) {
			t.Fatalf("calendar: %v %s", a.header, a.body)
		}
	}
	s.do("GET", path, s.pass("lee"), "").want(404, "not_found")
	s.do("GET", small+"/bookings/AAAAA-AAAAA/calendar.ics", s.pass("kim"), "").want(404, "not_found")
	s.do("GET", path, "", "").want(401, "unauthenticated")
	never := string(core.AppendCode(nil, event.Seq(1<<40)))
	s.do("GET", small+"/bookings/"+never+"/calendar.ics", s.pass("kim"), "").want(404, "not_found")
}
