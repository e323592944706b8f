package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/core/campaign"
	"weir/loadtest/process"
	"weir/server/identity"
	"weir/server/roster"
)

const testDeadline = 60 * time.Second

// site is a place to run servers in: a data directory, secrets, a campaign.
type site struct {
	t      *testing.T
	dir    string
	secret string
	client *http.Client
}

func newSite(t *testing.T) *site {
	dir := t.TempDir()
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{}}
	t.Cleanup(client.CloseIdleConnections)
	return &site{t: t, dir: dir, secret: newSecretFile(t, dir), client: client}
}

func (s *site) data() string { return filepath.Join(s.dir, "data") }

// args are those of a server on this site.
func (s *site) args(more ...string) []string {
	return append([]string{
		"--data", s.data(),
		"--identity-hs256-file", s.secret, "--identity-issuer", "i", "--identity-audience", "a",
	}, more...)
}

// start runs the real command and awaits it.
func (s *site) start(more ...string) *process.Server {
	s.t.Helper()
	server, err := process.Start(binary, nil, s.args(more...)...)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(server.Kill)
	ctx, cancel := context.WithTimeout(s.t.Context(), testDeadline)
	defer cancel()
	if err := server.Ready(ctx); err != nil {
		s.t.Fatal(err)
	}
	return server
}

// refused runs a server that is to end by itself, and returns what it said.
func (s *site) refused(code int, more ...string) string {
	s.t.Helper()
	server, err := process.Start(binary, nil, s.args(more...)...)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(server.Kill)
	ctx, cancel := context.WithTimeout(s.t.Context(), testDeadline)
	defer cancel()
	got, err := server.Wait(ctx)
	if err != nil || got != code {
		s.t.Fatalf("exit code %d, want %d, err %v\n%s", got, code, err, server.Log())
	}
	return server.Log()
}

func (s *site) stop(server *process.Server) {
	s.t.Helper()
	if err := server.Stop(); err != nil {
		s.t.Fatal(err)
	}
}

// ask sends a request and returns status and body.
func (s *site) ask(method, url, bearer, body string) (int, map[string]any) {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), method, url, bytes.NewBufferString(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if bearer != "" {
		request.Header.Set("Authorization", "Bearer "+bearer)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := s.client.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	text, err := io.ReadAll(response.Body)
	_ = response.Body.Close() // read to its end
	if err != nil {
		s.t.Fatal(err)
	}
	var fields map[string]any
	if len(text) > 0 && text[0] == '{' {
		if err := json.Unmarshal(text, &fields); err != nil {
			s.t.Fatalf("%s %s: %s: %v", method, url, text, err)
		}
	}
	return response.StatusCode, fields
}

func (s *site) identityOf(person string) string {
	s.t.Helper()
	secret, err := identity.ReadSecret(s.secret)
	if err != nil {
		s.t.Fatal(err)
	}
	born, err := campaign.ParseDate("1967-08-15")
	if err != nil {
		s.t.Fatal(err)
	}
	return identity.Mint(secret, "i", "a", person, born, time.Now(), time.Hour)
}

// book joins and books as person, and returns the booking.
func (s *site) book(base, person, slot string) map[string]any {
	s.t.Helper()
	status, place := s.ask("POST", base+"/line", s.identityOf(person), "")
	if status != http.StatusCreated {
		s.t.Fatalf("join: %d %v", status, place)
	}
	status, booking := s.ask("POST", base+"/bookings", place["pass"].(string), fmt.Sprintf(`{"slot":%q}`, slot))
	if status != http.StatusCreated {
		s.t.Fatalf("book: %d %v", status, booking)
	}
	return booking
}

// bookings are the person's own, by code.
func (s *site) bookings(base, person string) map[string]map[string]any {
	s.t.Helper()
	status, all := s.ask("GET", base+"/bookings/me", s.identityOf(person), "")
	if status != http.StatusOK {
		s.t.Fatalf("own bookings: %d %v", status, all)
	}
	byCode := make(map[string]map[string]any)
	for _, b := range all["bookings"].([]any) {
		booking := b.(map[string]any)
		byCode[booking["code"].(string)] = booking
	}
	return byCode
}

func small(server *process.Server) string { return "http://" + server.Addr + "/v1/campaigns/small" }

const smallFile = "testdata/campaign/small.yaml"

// TestLifeOfABooking: from the socket to the disk, through a stop, and out of
// every command that reads the disk.
func TestLifeOfABooking(t *testing.T) {
	s := newSite(t)
	server := s.start("--campaign", smallFile)
	booking := s.book(small(server), "person-1", "s1/2099-01-05/09:30/a")
	code := booking["code"].(string)
	s.wantNotice(server, "")
	if held := weir(t, "state", "--data", s.data()); held.code != exitWrong || !strings.Contains(held.stderr, "in use") {
		t.Errorf("state beside a running server: %+v", held)
	}
	s.stop(server)

	weir(t, "recover", "--data", s.data(), "--json").want(t, exitDone, `"ok": true`, `"clean_close": true`)
	weir(t, "recover", "--data", s.data()).want(t, exitDone, "recovered: records 1 to 3", "campaign small, version 1")
	weir(t, "verify", "--data", s.data()).want(t, exitDone, "sound: records 1 to 3")
	a := weir(t, "state", "--data", s.data(), "--format", "json").want(t, exitDone)
	var state stateReport
	if err := json.Unmarshal([]byte(a.stdout), &state); err != nil {
		t.Fatal(err)
	}
	if state.LastSequence != 3 || state.Digest == "" || state.NewestTime == "" || len(state.Campaigns) != 1 ||
		state.Campaigns[0].Booked != 1 || state.Campaigns[0].Taken != 1 || state.Campaigns[0].Places != 32 || state.Campaigns[0].Issued != 1 {
		t.Errorf("%s", a.stdout)
	}
	weir(t, "state", "--data", s.data()).want(t, exitDone, state.Digest, "1 stand")
	s.wantExported(booking)
	weir(t, "wal", "dump", "--data", s.data(), "--json").want(t, exitDone, `"kind":"defined"`, `"kind":"joined"`, `"kind":"booked"`)
	if dump := weir(t, "wal", "dump", "--data", s.data(), "--from", "3").want(t, exitDone, "booked"); strings.Count(dump.stdout, "\n") != 1 {
		t.Errorf("from 3: %s", dump.stdout)
	}

	server = s.start() // the campaign is in the log
	if got := s.bookings(small(server), "person-1")[code]; got["state"] != "booked" || got["slot"] != booking["slot"] {
		t.Errorf("after a restart: %v", got)
	}
	s.stop(server)
}

func (s *site) wantExported(booking map[string]any) {
	s.t.Helper()
	a := weir(s.t, "export", "bookings", "--data", s.data(), "--format", "ndjson").want(s.t, exitDone)
	if strings.Count(a.stdout, "\n") != 1 {
		s.t.Errorf("one booking in %q", a.stdout)
	}
	var row roster.Row
	if err := json.Unmarshal([]byte(a.stdout), &row); err != nil {
		s.t.Fatal(err)
	}
	if row.Code != booking["code"] || row.Slot != booking["slot"] || row.StartsAt != booking["starts_at"] || row.State != "booked" ||
		row.BookedAt != booking["booked_at"] || row.Cohort != "all" || row.Version != 1 || float64(row.Sequence) != booking["sequence"] || row.Booked != 3 || len(row.Person) != 32 {
		s.t.Errorf("%+v\n%v", row, booking)
	}
	out := filepath.Join(s.dir, "bookings.csv")
	weir(s.t, "export", "bookings", "--data", s.data(), "--format", "csv", "--out", out).want(s.t, exitDone)
	table, err := os.ReadFile(out)
	if err != nil {
		s.t.Fatal(err)
	}
	want := strings.Join(roster.Header, ",") + "\n" + strings.Join(row.Fields(), ",") + "\n"
	if string(table) != want {
		s.t.Errorf("got\n%s\nwant\n%s", table, want)
	}
}

// TestKillKeepsTheBooking: what was confirmed is there after SIGKILL.
func TestKillKeepsTheBooking(t *testing.T) {
	s := newSite(t)
	server := s.start("--campaign", smallFile)
	codes := make([]string, 4) // two slots, full
	for i := range codes {
		slot := fmt.Sprintf("s2/2099-01-06/%02d:00/a", 9+i%2)
		codes[i] = s.book(small(server), fmt.Sprint("person-", i), slot)["code"].(string)
	}
	server.Kill()
	server = s.start("--campaign", smallFile)
	for i, code := range codes {
		if got := s.bookings(small(server), fmt.Sprint("person-", i))[code]; got["state"] != "booked" {
			t.Errorf("person %d: %v", i, got)
		}
	}
	s.stop(server)
	weir(t, "verify", "--data", s.data()).want(t, exitDone, "sound")
}

// TestMemoryJournalSaysSo on stderr, in the log, in the metrics and to who asks
// whether it is ready.
func TestMemoryJournalSaysSo(t *testing.T) {
	s := newSite(t)
	server := s.start("--campaign", smallFile, "--journal", "memory")
	s.book(small(server), "person-1", "s1/2099-01-05/09:00/a")
	if !strings.Contains(server.Log(), "NOTHING SURVIVES THIS PROCESS") {
		t.Errorf("no warning:\n%s", server.Log())
	}
	s.wantMetric(server, "weir_journal_durable 0")
	s.wantNotice(server, "NOTHING SURVIVES THIS PROCESS")
	s.stop(server)
	if _, err := os.Stat(s.data()); !os.IsNotExist(err) {
		t.Errorf("a data directory was made: %v", err)
	}
}

// TestEmptyLogServesTheSample: without any campaign there is the built-in one,
// and the log says so; where the log has one, that is it.
func TestEmptyLogServesTheSample(t *testing.T) {
	const words = "no campaign is given and the log has none"
	s := newSite(t)
	for version := range 2 {
		server := s.start()
		if said := strings.Contains(server.Log(), words); said != (version == 0) {
			t.Errorf("start %d: said so: %v\n%s", version+1, said, server.Log())
		}
		s.wantCampaigns(server, sampleName)
		s.stop(server)
	}
	weir(t, "state", "--data", s.data()).want(t, exitDone, "campaign "+sampleName+", version 1")

	other := newSite(t)
	other.stop(other.start("--campaign", smallFile))
	server := other.start()
	if strings.Contains(server.Log(), words) {
		t.Errorf("the log has a campaign:\n%s", server.Log())
	}
	other.wantCampaigns(server, "small")
	other.stop(server)
}

func (s *site) wantCampaigns(server *process.Server, ids ...string) {
	s.t.Helper()
	status, all := s.ask("GET", "http://"+server.Addr+"/v1/campaigns", "", "")
	if status != http.StatusOK {
		s.t.Fatalf("campaigns: %d %v", status, all)
	}
	var got []string
	for _, c := range all["campaigns"].([]any) {
		got = append(got, c.(map[string]any)["id"].(string))
	}
	if !slices.Equal(got, ids) {
		s.t.Errorf("campaigns %v, want %v", got, ids)
	}
}

// wantNotice wants /readyz to say the words, or nothing where they are empty.
func (s *site) wantNotice(server *process.Server, words string) {
	s.t.Helper()
	status, ready := s.ask("GET", "http://"+server.Admin+"/readyz", "", "")
	notice, there := ready["notice"].(string)
	if status != http.StatusOK || there != (words != "") || !strings.Contains(notice, words) {
		s.t.Errorf("%d %v, want the notice %q", status, ready, words)
	}
}

func (s *site) wantMetric(server *process.Server, line string) {
	s.t.Helper()
	response, err := s.client.Get("http://" + server.Admin + "/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	text, err := io.ReadAll(response.Body)
	_ = response.Body.Close() // read to its end
	if err != nil || !strings.Contains("\n"+string(text), "\n"+line+"\n") {
		s.t.Errorf("%q is not in the metrics, err %v:\n%s", line, err, text)
	}
}

// TestChangedDefinition: the next version is put in force; one with other
// slots is refused and says why.
func TestChangedDefinition(t *testing.T) {
	s := newSite(t)
	text, err := os.ReadFile(smallFile)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(s.dir, "small.yaml")
	change := func(old, changed string) {
		if err := os.WriteFile(file, []byte(strings.Replace(string(text), old, changed, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	change("capacity: 2", "capacity: 2")
	s.stop(s.start("--campaign", file))
	s.stop(s.start("--campaign", file)) // the same again is no new version
	weir(t, "state", "--data", s.data()).want(t, exitDone, "version 1")
	change("capacity: 2", "capacity: 3")
	s.stop(s.start("--campaign", file))
	weir(t, "state", "--data", s.data()).want(t, exitDone, "version 2", "48 in 16 slots")
	change("every: 30m", "every: 20m")
	if said := s.refused(exitWrong, "--campaign", file); !strings.Contains(said, "small") || !strings.Contains(said, "slots") {
		t.Errorf("said: %s", said)
	}
	weir(t, "verify", "--data", s.data()).want(t, exitDone, "version 2")
}

// TestRefusals: what is wrong, and what to do about it.
func TestRefusals(t *testing.T) {
	s := newSite(t)
	if said := s.refused(exitWrong, "--campaign", "testdata/campaign/wrong.yaml"); !strings.Contains(said, "wrong.yaml:7:") {
		t.Errorf("wrong campaign: %s", said)
	}
	s.stop(s.start("--campaign", smallFile))

	if said := s.refused(exitUsage, "--keys-dir", filepath.Join(s.dir, "none")); !strings.Contains(said, "--keys-dir") {
		t.Errorf("without the secrets: %s", said)
	}
	if exists(filepath.Join(s.dir, "none")) {
		t.Error("new secrets were made beside data that has others")
	}
	other := newSite(t)
	other.stop(other.start("--campaign", smallFile))
	if said := s.refused(exitUsage, "--keys-dir", filepath.Join(other.dir, "weir.keys")); !strings.Contains(said, "person.key") || !strings.Contains(said, "--keys-dir") {
		t.Errorf("with other secrets: %s", said)
	}
	if said := s.refused(exitWrong, "--admin-token-file", filepath.Join(s.dir, "none")); !strings.Contains(said, "admin token") {
		t.Errorf("without the admin token: %s", said)
	}
	first := s.start()
	if said := s.refused(exitWrong); !strings.Contains(said, "in use") {
		t.Errorf("two servers on one directory: %s", said)
	}
	s.stop(first)
	weir(t, "verify", "--data", filepath.Join(s.dir, "nothing")).want(t, exitWrong, "--data")
	weir(t, "recover", "--data", filepath.Join(s.dir, "nothing")).want(t, exitWrong, "--data")
}
