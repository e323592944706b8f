package main

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/loadtest/process"
)

// lined is a campaign with a line and a draw that opens then.
func (s *site) lined(opens time.Time) string {
	s.t.Helper()
	text, err := os.ReadFile(smallFile)
	if err != nil {
		s.t.Fatal(err)
	}
	var b strings.Builder
	for line := range strings.Lines(string(text)) {
		switch {
		case strings.HasPrefix(line, "  - {cohorts:"):
			fmt.Fprintf(&b, "  - {cohorts: [all], opens: %s, closes: 2099-01-01T00:00}\n", opens.Format("2006-01-02T15:04:05"))
			b.WriteString("line: {enabled: true, opens_before: 1h, order: draw}\n")
		case strings.HasPrefix(line, "line:"):
		case strings.HasPrefix(line, "time_zone:"):
			b.WriteString("time_zone: UTC\n")
		default:
			b.WriteString(line)
		}
	}
	name := filepath.Join(s.dir, "lined.yaml")
	if err := os.WriteFile(name, []byte(b.String()), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return name
}

func (s *site) tokenFile() string {
	s.t.Helper()
	name := filepath.Join(s.dir, "admin.token")
	if err := os.WriteFile(name, []byte("an-operator-token-of-tests\n"), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return name
}

// admin runs `weir admin` against a server.
func (s *site) admin(server *process.Server, args ...string) answer {
	s.t.Helper()
	return weir(s.t, append(append([]string{"admin"}, args...), "--admin", server.Admin, "--admin-token-file", filepath.Join(s.dir, "admin.token"))...)
}

// place asks for a person's place.
func (s *site) place(server *process.Server, method, person string) map[string]any {
	s.t.Helper()
	path := "/line"
	if method == "GET" {
		path = "/line/me"
	}
	status, place := s.ask(method, small(server)+path, s.identityOf(person), "")
	if status != http.StatusOK && status != http.StatusCreated {
		s.t.Fatalf("place of %s: %d %v", person, status, place)
	}
	return place
}

// TestTheLineSurvives: kill -9 before the draw, after it, and in a pause. Places,
// turns, the draw, the pause and the operator's settings are there again.
func TestTheLineSurvives(t *testing.T) {
	const people = 8
	s := newSite(t)
	token := s.tokenFile()
	start := func(more ...string) *process.Server { return s.start(append(more, "--admin-token-file", token)...) }
	server := start("--campaign", s.lined(time.Now().UTC().Add(6*time.Second)))
	indices := map[string]float64{}
	for p := range people {
		person := fmt.Sprint("person-", p)
		place := s.place(server, "POST", person)
		if place["state"] != "early" || place["number"] != nil {
			t.Fatalf("%v", place)
		}
		indices[person] = place["draw"].(map[string]any)["index"].(float64)
	}
	_, public := s.ask("GET", small(server)+"/line", "", "")
	commitment := public["draw"].(map[string]any)["commitment"].(string)
	s.admin(server, "line", "small", "--admit-per-minute", "600", "--ceiling", "77").want(t, exitDone, "600", "ceiling 77")
	server.Kill()

	server = start()
	for person, index := range indices {
		if place := s.place(server, "POST", person); place["draw"].(map[string]any)["index"] != index {
			t.Fatalf("%s had index %v: %v", person, index, place)
		}
	}
	await(t, server, "the draw", func() bool { return s.place(server, "GET", "person-0")["state"] != "early" })
	numbers := map[string]float64{}
	for person, index := range indices {
		place := s.place(server, "GET", person)
		numbers[person] = place["number"].(float64)
		weir(t, "draw", "verify", "--from", "http://"+server.Addr, "--campaign", "small", "--index", fmt.Sprint(index), "--commitment", commitment).
			want(t, exitDone, "is sound", fmt.Sprintf("index %v has number %v\n", index, numbers[person]))
		weir(t, "draw", "verify", "--from", small(server)+"/line", fmt.Sprint(numbers[person])).
			want(t, exitDone, fmt.Sprintf("index %v has number %v\n", index, numbers[person]))
	}
	await(t, server, "the turn", func() bool { return s.place(server, "GET", "person-0")["state"] == "admitted" })
	pass := s.place(server, "GET", "person-0")["pass"].(string)
	s.admin(server, "pause", "small", "--reason", "서버를 늘립니다").want(t, exitDone, "small is paused, since", "서버를 늘립니다")
	_, public = s.ask("GET", small(server)+"/line", "", "")
	serving := public["serving"].(float64)
	server.Kill()

	server = start()
	_, public = s.ask("GET", small(server)+"/line", "", "")
	if public["state"] != "paused" || public["reason"] != "서버를 늘립니다" || public["serving"].(float64) < serving ||
		public["draw"].(map[string]any)["commitment"] != commitment {
		t.Fatalf("after a restart: %v", public)
	}
	for person, number := range numbers {
		if place := s.place(server, "GET", person); place["number"] != number {
			t.Fatalf("%s had number %v: %v", person, number, place)
		}
	}
	const slot = `{"slot":"s1/2099-01-05/09:30/a"}`
	if status, problem := s.ask("POST", small(server)+"/bookings", pass, slot); status != http.StatusConflict || problem["code"] != "campaign_paused" {
		t.Fatalf("%d %v", status, problem)
	}
	s.admin(server, "resume", "small").want(t, exitDone, "small goes on; it is open")
	s.admin(server, "resume", "small").want(t, exitDone, "already")
	if status, problem := s.ask("POST", small(server)+"/bookings", pass, slot); status != http.StatusCreated {
		t.Fatalf("%d %v", status, problem)
	}
	s.admin(server, "line", "small").want(t, exitDone, "600", "ceiling 77")
	s.admin(server, "stats", "small").want(t, exitDone, "all", "1 booked")
	s.admin(server, "audit").want(t, exitDone, "draw_opened", "drawn", "paused", "서버를 늘립니다", "resumed", "record ")
	s.stop(server)
	weir(t, "verify", "--data", s.data()).want(t, exitDone, "sound")
}

func TestAdminCommands(t *testing.T) {
	s := newSite(t)
	server := s.start("--campaign", smallFile, "--admin-token-file", s.tokenFile())
	s.admin(server, "status").want(t, exitDone, "ready", "campaign small", "open, version 1")
	var status struct{ Ready bool }
	if err := json.Unmarshal([]byte(s.admin(server, "status", "--json").want(t, exitDone).stdout), &status); err != nil || !status.Ready {
		t.Errorf("%v, %+v", err, status)
	}
	s.admin(server, "line", "small").want(t, exitDone, "admit per minute  auto")
	s.admin(server, "line", "small", "--floor", "3").want(t, exitWrong, "has no line")
	s.admin(server, "pause", "none", "--reason", "x").want(t, exitWrong, "no such campaign")
	s.admin(server, "pause", "small").want(t, exitUsage, "--reason")
	s.admin(server, "pause").want(t, exitUsage, "one campaign")
	s.admin(server, "line", "small", "--admit-per-minute", "fast").want(t, exitUsage, "fast")
	s.admin(server, "audit", "--limit", "0").want(t, exitWrong, "limit")
	s.admin(server, "audit", "small", "--json").want(t, exitDone, `"defined"`)

	if err := os.WriteFile(filepath.Join(s.dir, "admin.token"), []byte("another-token-than-the-server's\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.admin(server, "status").want(t, exitWrong, "does not take the token")
	weir(t, "admin", "status", "--admin", server.Addr, "--admin-token-file", filepath.Join(s.dir, "admin.token")).want(t, exitWrong, "weir: ")
	weir(t, "admin", "status", "--admin", server.Admin).want(t, exitUsage, "--admin-token-file")
	s.stop(server)
	s.admin(server, "status").want(t, exitWrong, "no server answers")
}

// TestAdminOverTLS believes the certificate that the configuration names, and no
// other that the machine does not.
func TestAdminOverTLS(t *testing.T) {
	s := newSite(t)
	token := s.tokenFile()
	asked := make(chan string, 1)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Header.Get("Authorization")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte(`{"code":"starting","detail":"It will be here shortly."}`)) // the client says what it read
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	defer server.Close()
	good, other := filepath.Join(s.dir, "good.pem"), filepath.Join(s.dir, "other.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(good, text, 0o600); err != nil {
		t.Fatal(err)
	}
	writeCertificate(t, other, filepath.Join(s.dir, "other.key"))
	status := func(cert string) answer {
		return weir(t, "admin", "status", "--admin", server.Listener.Addr().String(), "--admin-token-file", token, "--cacert", cert)
	}
	status(good).want(t, exitWrong, "It will be here shortly. (starting)")
	if got := <-asked; got != "Bearer an-operator-token-of-tests" {
		t.Errorf("asked with %q", got)
	}
	status(other).want(t, exitWrong, "certificate")
	status(filepath.Join(s.dir, "none.pem")).want(t, exitUsage, "none.pem")
	if len(asked) != 0 {
		t.Error("the token was told to a stranger")
	}
}

func TestDrawVerifyRefuses(t *testing.T) {
	const seed = "0000000000000000000000000000000000000000000000000000000000000000"
	const commitment = "9ac10a4bbf4d4e4b6cd2aa4a5dbb8b3bb2f4b8ac7a6b1cf64b0a5b3df6d1f5cd"
	file := filepath.Join(t.TempDir(), "line.json")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`{"draws":[{"ordinal":1,"commitment":"` + commitment + `","seed":"` + seed + `","size":5,"base":0}]}`)
	weir(t, "draw", "verify", "--from", file).want(t, exitWrong, "NOT SOUND", "not the one that was committed to")
	weir(t, "draw", "verify", "--from", file, "--json").want(t, exitWrong, `"sound": false`)
	write(`{"draws":[{"ordinal":1,"commitment":"` + commitment + `","seed":"00"}]}`)
	weir(t, "draw", "verify", "--from", file).want(t, exitWrong, "32 bytes")
	write(`{"draws":[{"ordinal":1,"commitment":"` + commitment + `"}]}`)
	weir(t, "draw", "verify", "--from", file).want(t, exitWrong, "no seed yet")
	write(`no object`)
	weir(t, "draw", "verify", "--from", file).want(t, exitWrong, "no public object")
	weir(t, "draw", "verify").want(t, exitUsage, "--from")
	weir(t, "draw", "verify", "--from", file, "0").want(t, exitUsage, "no number")
	weir(t, "draw", "verify", "--from", file, "7", "--index", "3").want(t, exitUsage, "not both")
	weir(t, "draw", "verify", "--from", "http://127.0.0.1:1").want(t, exitUsage, "--campaign")
	gone := httptest.NewServer(http.NotFoundHandler())
	defer gone.Close()
	weir(t, "draw", "verify", "--from", gone.URL, "--campaign", "x").want(t, exitWrong, "404")
}
