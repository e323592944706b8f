package server

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAdminToken(t *testing.T) {
	s := newStand(t, nil)
	url := "http://" + s.admin
	for _, credential := range []string{"", "wrong", adminSecret[1:], s.pass("kim"), s.identity("kim", old)} {
		for _, path := range []string{"/debug/pprof/", "/admin/v1/status", "/"} {
			get(t, url+path, credential).want(401, "unauthenticated")
		}
	}
	if a := get(t, url+"/debug/pprof/", adminSecret); a.status != 200 || !strings.Contains(string(a.body), "goroutine") {
		t.Fatalf("pprof: %d %s", a.status, a.body)
	}
	get(t, url+"/nothing", adminSecret).want(404, "not_found")
	get(t, "http://"+s.public+"/metrics", adminSecret).want(404, "not_found")

	s.srv.hasAdminToken = false
	get(t, url+"/debug/pprof/", adminSecret).want(401, "unauthenticated")
}

func TestReadAdminToken(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, []byte(text), mode))
		must(t, os.Chmod(path, mode))
		return path
	}
	tok, err := ReadAdminToken(write("good", adminSecret+"\n", 0o600))
	if err != nil || string(tok) != adminSecret {
		t.Fatalf("%q, %v", tok, err)
	}
	for name, path := range map[string]string{
		"readable": write("readable", adminSecret, 0o644),
		"short":    write("short", "abc", 0o600),
		"spaced":   write("spaced", "two words are no token", 0o600),
		"large":    write("large", strings.Repeat("x", adminTokenFileMax+1), 0o600),
		"missing":  filepath.Join(dir, "missing"),
	} {
		if _, err := ReadAdminToken(path); err == nil || strings.Contains(err.Error(), adminSecret) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMetrics(t *testing.T) {
	s := newStand(t, func(c *Config) {
		c.Gauges = func(emit func(string, float64)) {
			emit("weir_journal_durable", 7)
			emit(`weir_journal{bad`, 1)
		}
	})
	s.do("POST", small+"/bookings", s.pass("kim"), slotBody(slotA9)).want(201, "")
	s.do("POST", small+"/bookings", s.pass("kim"), slotBody(slotA9)).want(200, "")
	s.do("POST", small+"/bookings", s.pass("kim"), slotBody(slotB9)).want(409, "already_booked")
	text := string(get(t, "http://"+s.admin+"/metrics", "").body)
	for _, line := range []string{
		`weir_commands_total{op="book",outcome="done"} 1`,
		`weir_commands_total{op="book",outcome="repeated"} 1`,
		`weir_commands_total{op="book",outcome="already_booked"} 1`,
		`weir_http_problems_total{code="already_booked"} 1`,
		`weir_http_requests_total{route="POST /v1/campaigns/{c}/bookings",status="2xx"} 2`,
		`weir_http_request_seconds_count{route="POST /v1/campaigns/{c}/bookings"} 3`,
		`weir_campaign_booked{campaign="small"} 1`,
		`weir_campaign_places{campaign="small"} 24`,
		`weir_journal_durable 7`,
		`weir_http_in_flight 0`,
		`weir_ready 1`,
		`weir_connections{listener="public"}`,
		`weir_accept_errors_total{listener="public"} 0`,
		`go_goroutines`,
		`process_resident_memory_bytes`,
	} {
		if !strings.Contains(text, line) {
			t.Errorf("no %s", line)
		}
	}
	if t.Failed() || strings.Contains(text, "{bad") || strings.Contains(text, "kim") {
		t.Fatal(text)
	}
}
