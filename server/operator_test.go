package server

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/core/event"
	"weir/server/token"
)

const operated = "/admin/v1/campaigns/small"

// TestPauseInTheMiddle pauses a campaign while people hold places, for longer
// than passes and holds are good for, and lets it go on.
func TestPauseInTheMiddle(t *testing.T) {
	s := newStand(t, nil, arrival)
	id := s.identity("kim", old)
	s.do("POST", small+"/line", id, "").want(201, "")
	s.tick(time.Second)
	pass := s.do("GET", small+"/line/me", id, "").want(200, "").text("pass")
	hold := s.do("POST", small+"/holds", pass, slotBody(slotA9)).want(201, "").text("hold")
	s.clock.add(4 * time.Minute) // of the five that a hold has

	const reason = "서버를 늘리고 있습니다"
	a := s.operate("POST", operated+"/pause", `{"reason":"`+reason+`"}`).want(200, "")
	if a.text("state") != "paused" || a.text("reason") != reason || a.value("changed") != true {
		t.Fatalf("pause: %s", a.body)
	}
	if a = s.operate("POST", operated+"/pause", `{"reason":"`+reason+`"}`).want(200, ""); a.value("changed") != false {
		t.Fatalf("paused again: %s", a.body)
	}
	s.elapse(time.Second)
	s.clock.add(2*time.Hour - time.Second)
	for _, path := range []string{"", "/line"} {
		if a := s.do("GET", small+path, "", "").want(200, ""); a.text("state") != "paused" || a.text("reason") != reason || a.text("paused_at") == "" {
			t.Fatalf("%q: %s", path, a.body)
		}
	}
	if state := s.do("GET", "/v1/campaigns", "", "").list("campaigns")[0].(map[string]any)["state"]; state != "paused" {
		t.Fatalf("listed as %v", state)
	}
	if a := s.do("GET", small+"/eligibility", s.identity("kim", old), "").want(200, ""); a.text("reason") != "paused" || a.value("eligible") != false {
		t.Fatalf("eligibility: %s", a.body)
	}
	for path, body := range map[string]string{"/holds": slotBody(slotB9), "/bookings": `{"hold":"` + hold + `"}`} {
		if a := s.do("POST", small+path, pass, body).want(409, "campaign_paused"); a.text("reason") != reason {
			t.Fatalf("%s: %s", path, a.body)
		}
	}
	// Joining goes on; nobody is called, and polls are slower.
	a = s.do("POST", small+"/line", s.identity("lee", old), "").want(201, "")
	if me := s.do("GET", small+"/line/me", s.identity("kim", old), "").want(200, ""); me.number("poll_after_seconds") < 60 {
		t.Fatalf("place: %s", me.body)
	}
	serving := s.do("GET", small+"/line", "", "").number("serving")
	s.tick(10 * time.Second)
	if n := s.do("GET", small+"/line", "", "").number("serving"); n != serving {
		t.Fatalf("%v were called in the pause, %v before", n, serving)
	}

	if a := s.operate("POST", operated+"/resume", "").want(200, ""); a.text("state") != "open" || a.value("changed") != true {
		t.Fatalf("resume: %s", a.body)
	}
	if a := s.operate("POST", operated+"/resume", "").want(200, ""); a.value("changed") != false {
		t.Fatalf("resumed again: %s", a.body)
	}
	// The pass had 26 minutes left, and the hold one.
	s.clock.add(59 * time.Second)
	s.do("POST", small+"/bookings", pass, `{"hold":"`+hold+`"}`).want(201, "")
	s.clock.add(25 * time.Minute)
	s.do("GET", small+"/bookings/me", pass, "").want(200, "")
	s.clock.add(2 * time.Second)
	s.do("GET", small+"/bookings/me", pass, "").want(401, "token_expired")
	if issued := a.text("ticket"); s.do("GET", small+"/line/me", issued, "").want(200, "").text("state") == "early" {
		t.Fatal("a ticket from the pause")
	}
}

func TestPauseIsRefused(t *testing.T) {
	s := newStand(t, nil)
	for body, word := range map[string]string{
		``: "JSON", `[]`: "object", `{}`: "missing", `{"reason":""}`: "everybody", `{"reason":"  "}`: "everybody", `{"reason":1}`: "everybody",
		`{"reason":"a","reason":"b"}`: "twice", `{"why":"a"}`: "takes reason", `{"reason":"a"} x`: "JSON",
		`{"reason":"` + strings.Repeat("가", 167) + `"}`: "501 bytes",
	} {
		a := s.operate("POST", operated+"/pause", body).want(400, "bad_request")
		if !strings.Contains(a.text("detail"), word) {
			t.Errorf("%.40s: %s", body, a.body)
		}
	}
	s.operate("POST", "/admin/v1/campaigns/none/pause", `{"reason":"a"}`).want(404, "not_found")
	s.operate("POST", operated+"/resume", `{}`).want(400, "bad_request")
	if a := s.operate("GET", operated+"/pause", "").want(405, "method_not_allowed"); a.header.Get("Allow") != "POST" {
		t.Fatalf("Allow: %q", a.header.Get("Allow"))
	}
	s.send(s.admin, "POST", operated+"/pause", "wrong", `{"reason":"a"}`).want(401, "unauthenticated")
	s.send(s.public, "POST", operated+"/pause", adminSecret, `{"reason":"a"}`).want(404, "not_found")
	for _, name := range []string{strings.Repeat("x", 65), "박"} {
		s.send(s.admin, "POST", operated+"/resume", adminSecret, "", "Weir-Operator", name).want(400, "bad_request")
	}
	if s.engine.Campaign("small").Line().Paused {
		t.Fatal("it is paused")
	}
}

func TestSteeringByHand(t *testing.T) {
	file := filepath.Join(t.TempDir(), "settings.json")
	s := newStand(t, func(c *Config) { c.LineSettings = file }, arrival, otherCampaign)
	a := s.operate("GET", operated+"/line", "").want(200, "")
	if a.text("admit_per_minute") != "auto" || a.number("floor") != 0 || a.number("ceiling") != 0 {
		t.Fatalf("preset: %s", a.body)
	}
	for body, word := range map[string]string{
		`{}`: "Nothing", `{"admit_per_minute":0}`: "pause", `{"admit_per_minute":-1}`: "pause", `{"admit_per_minute":"fast"}`: "auto",
		`{"admit_per_minute":1e9}`: "10000000", `{"floor":1.5}`: "floor", `{"ceiling":-1}`: "ceiling", `{"floor":10,"ceiling":9}`: "above",
		`{"rate":1}`: "admit_per_minute, ceiling, floor",
	} {
		if a := s.operate("PUT", operated+"/line", body).want(400, "bad_request"); !strings.Contains(a.text("detail"), word) {
			t.Errorf("%s: %s", body, a.body)
		}
	}
	s.operate("PUT", "/admin/v1/campaigns/other/line", `{"floor":1}`).want(400, "bad_request")
	s.admit(`{"admit_per_minute":120,"ceiling":500}`)
	if a = s.admit(`{"floor":7}`); a.number("admit_per_minute") != 120 || a.number("floor") != 7 || a.number("ceiling") != 500 {
		t.Fatalf("set: %s", a.body)
	}
	for p := range 30 {
		s.do("POST", small+"/line", s.identity(fmt.Sprint("p", p), old), "").want(201, "")
	}
	s.elapse(10 * time.Second)
	if n := s.do("GET", small+"/line", "", "").number("serving"); n < 18 || n > 22 {
		t.Errorf("%v are called in ten seconds at 120 a minute", n)
	}
	again := newStand(t, func(c *Config) { c.LineSettings = file }, arrival)
	if a := again.operate("GET", operated+"/line", ""); a.number("admit_per_minute") != 120 || a.number("floor") != 7 {
		t.Errorf("after a restart: %s", a.body)
	}
	again.admit(`{"admit_per_minute":"auto","floor":0,"ceiling":0}`)
	if a := again.operate("GET", operated+"/line", ""); a.text("admit_per_minute") != "auto" {
		t.Errorf("back to automatic: %s", a.body)
	}
}

func TestSettingsThatCannotBeKept(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "settings.json")
	must(t, os.WriteFile(file, []byte("{"), 0o600))
	if _, err := openSettings(file); err == nil || !strings.Contains(err.Error(), file) {
		t.Fatalf("damaged: %v", err)
	}
	s, err := openSettings(filepath.Join(dir, "gone", "settings.json"))
	must(t, err)
	if err := s.set("small", LineSettings{Floor: 1}); err == nil || s.get("small") != (LineSettings{}) {
		t.Fatalf("%v, %+v", err, s.get("small"))
	}
}

// TestWhoCameAndWhy counts at the door.
func TestWhoCameAndWhy(t *testing.T) {
	s := newStand(t, nil, arrival)
	for range 3 {
		s.do("POST", small+"/line", s.identity("kim", old), "")
		s.do("POST", small+"/line", s.identity("child", child), "")
	}
	s.do("POST", small+"/line", s.identity("lee", old), "").want(201, "")
	s.do("POST", small+"/line", s.identity("young", young), "").want(403, "not_eligible")
	s.tick(time.Second)
	pass := s.do("GET", small+"/line/me", s.identity("kim", old), "").text("pass")
	s.do("GET", small+"/line/me", s.identity("lee", old), "").want(200, "")
	if a := s.operate("GET", operated+"/stats", ""); a.number("line.in_session") != 2 || a.number("line.present") != 2 {
		t.Fatalf("two came in: %s", a.body)
	}
	s.do("POST", small+"/bookings", pass, slotBody(slotA9)).want(201, "")
	s.do("DELETE", small+"/line/me", s.identity("lee", old), "").want(204, "")

	a := s.operate("GET", operated+"/stats", "").want(200, "")
	for path, want := range map[string]float64{
		"line.issued": 2, "line.called": 2, "line.waiting": 0, "line.present": 2, "line.in_session": 1,
		"totals.booked": 1, "totals.in_line": 1,
		"door.asked": 8, "door.joined": 2, "door.again": 2, "door.people": 4, "door.refused_people": 2,
		"door.refused.not_in_any_cohort": 3, "door.refused.window_not_open": 1,
		"outside.people": 1, "outside.refused.not_in_any_cohort": 3,
	} {
		if got := a.number(path); got != want {
			t.Errorf("%s is %v, want %v", path, got, want)
		}
	}
	cohorts := a.list("cohorts")
	olds, youngs := cohorts[0].(map[string]any), cohorts[1].(map[string]any)
	if olds["id"] != "old" || olds["joined"] != 2.0 || olds["left"] != 1.0 || olds["booked"] != 1.0 ||
		youngs["joined"] != 0.0 || youngs["door"].(map[string]any)["refused_people"] != 1.0 {
		t.Errorf("cohorts: %v", cohorts)
	}
	s.elapse(sessionIdle + 20*time.Second)
	if n := s.operate("GET", operated+"/stats", "").number("line.in_session"); n != 0 {
		t.Errorf("%v in session after they went idle", n)
	}
	status := s.operate("GET", "/admin/v1/status", "").want(200, "")
	if status.value("ready") != true || len(status.list("campaigns")) != 1 || status.number("connections.public") < 1 {
		t.Errorf("status: %s", status.body)
	}
	text := string(get(t, "http://"+s.admin+"/metrics", "").body)
	for _, line := range []string{
		`weir_line_waiting{campaign="small"} 0`, `weir_line_called{campaign="small"} 2`, `weir_line_present{campaign="small"} 2`,
		`weir_line_sessions{campaign="small"} 0`, `weir_line_serving{campaign="small"}`, `weir_campaign_paused{campaign="small"} 0`,
		`weir_door_people{campaign="small"} 4`, `weir_door_refused_total{campaign="small",reason="not_in_any_cohort"} 3`,
		`weir_door_asked_total{campaign="small"} 8`, `weir_journal_recent_seconds{of="commit"} 0`,
	} {
		if !strings.Contains(text, line) {
			t.Errorf("no %s", line)
		}
	}
}

func TestAudit(t *testing.T) {
	s := newStand(t, nil, arrival)
	s.send(s.admin, "POST", operated+"/pause", adminSecret, `{"reason":"why not"}`, "Weir-Operator", "park").want(200, "")
	s.operate("POST", operated+"/resume", "").want(200, "")
	s.admit(`{"ceiling":10}`)
	a := s.operate("GET", "/admin/v1/audit?campaign=small", "").want(200, "")
	entries := a.list("entries")
	if len(entries) != 3 {
		t.Fatalf("audit: %s", a.body)
	}
	paused := entries[2].(map[string]any)
	if paused["action"] != "paused" || paused["detail"] != "why not" || paused["by"] != "park" || paused["source"] != "log" || paused["sequence"] == nil {
		t.Fatalf("paused: %v", paused)
	}
	if set := entries[0].(map[string]any); set["action"] != "line_set" || set["source"] != "process" || set["detail"] != "admit_per_minute auto, floor 0, ceiling 10" {
		t.Fatalf("set: %v", set)
	}
	if n := len(s.operate("GET", "/admin/v1/audit?limit=1", "").list("entries")); n != 1 {
		t.Fatalf("%d entries", n)
	}
	for _, query := range []string{"?limit=0", "?limit=9999", "?limit=x", "?who=me"} {
		s.operate("GET", "/admin/v1/audit"+query, "").want(400, "bad_request")
	}
	s.operate("GET", "/admin/v1/nothing", "").want(404, "not_found")
}

func TestAuditIsBounded(t *testing.T) {
	var a audit
	for n := range 2*auditMax + 7 {
		a.add(auditEntry{Sequence: event.Seq(n)})
	}
	list := a.newest(auditMax+1, "")
	if len(list) != auditMax || list[0].Sequence != 2*auditMax+6 || list[auditMax-1].Sequence != auditMax+7 {
		t.Fatalf("%d entries, %d to %d", len(list), list[0].Sequence, list[len(list)-1].Sequence)
	}
}

func TestRoster(t *testing.T) {
	s := newStand(t, nil)
	code := s.do("POST", small+"/bookings", s.pass("kim"), slotBody(slotA9)).want(201, "").text("code")
	a := s.operate("GET", operated+"/bookings", "")
	if a.status != 200 || strings.Count(string(a.body), "\n") != 1 || !strings.Contains(string(a.body), code) || !strings.Contains(string(a.body), `"cohort":"old"`) {
		t.Fatalf("ndjson: %d %s", a.status, a.body)
	}
	a = s.operate("GET", operated+"/bookings?format=csv", "")
	if a.status != 200 || !strings.HasPrefix(string(a.body), "campaign,person,") || strings.Count(string(a.body), "\n") != 2 {
		t.Fatalf("csv: %d %s", a.status, a.body)
	}
	for _, query := range []string{"?format=xml", "?from=1", "?format=csv&x=1"} {
		s.operate("GET", operated+"/bookings"+query, "").want(400, "bad_request")
	}
}

// TestOperatorBeforeTheLogIsRead asks a server that has no engine yet.
func TestOperatorBeforeTheLogIsRead(t *testing.T) {
	s := parts(t, nil)
	s.listen()
	a := s.operate("GET", "/admin/v1/status", "").want(200, "")
	if a.value("ready") != false || len(a.list("campaigns")) != 0 {
		t.Fatalf("status: %s", a.body)
	}
	s.operate("POST", operated+"/pause", `{"reason":"a"}`).want(503, "starting")
}

// TestAPassWithoutItsTurn: a pass that the server signed for somebody whose
// number was then given up, or who never joined, opens nothing.
func TestAPassWithoutItsTurn(t *testing.T) {
	s := newStand(t, nil, arrival)
	s.tick(time.Second) // the mark is ahead of the line
	pass := s.token(token.Pass, "small", "stranger", old, time.Hour)
	s.do("POST", small+"/holds", pass, slotBody(slotA9)).want(403, "not_your_turn")
	s.do("POST", small+"/bookings", pass, slotBody(slotA9)).want(403, "not_your_turn")
}
