package server

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weir/core"
	"weir/core/campaign"
	"weir/core/event"
	"weir/server/identity"
	"weir/server/token"
)

// A stand is a whole server over a real engine, on loopback, with a journal in
// memory and a clock that stands still until a test moves it.
type stand struct {
	t       testing.TB
	srv     *Server
	engine  *core.Engine
	journal *tape
	clock   *handClock
	ring    *token.Ring
	hasher  *identity.Hasher
	secret  []byte
	log     *bytes.Buffer // what the server logged; read after stop
	public  string        // addresses
	admin   string
	client  *http.Client
	served  chan error
}

const (
	testIssuer   = "https://id.example"
	testAudience = "weir"
	adminSecret  = "an-operator-token-of-tests"
)

const smallCampaign = `
campaign: small
name: {ko: 작은 접종, en: Small campaign}
time_zone: Asia/Seoul
cohorts:
  - {id: old, born: 1960-01-01..1965-12-31}
  - {id: young, born: 1966-01-01..1970-12-31}
windows:
  - {cohorts: [old], opens: 2021-07-19T20:00, closes: 2021-07-20T18:00}
  - {cohorts: [young], opens: 2021-07-20T12:00, closes: 2021-07-21T18:00}
products:
  - {id: moderna, name: {ko: 모더나, en: Moderna}}
sites:
  - {id: a, name: 가 의원, region: KR-11, address: 서울 A, lat: 37.5, lon: 127}
  - {id: b, name: B, region: KR-26, address: B, lat: 37.6, lon: 127}
slots:
  - {sites: all, dates: 2021-07-22..2021-07-23, times: 09:00..10:30, every: 30m, capacity: 2, product: moderna}
bookings: {hold: 5m, cancel_before: 24h, change_before: 12h}
`

var (
	otherCampaign = strings.Replace(smallCampaign, "campaign: small", "campaign: other", 1)
	arrival       = withLine("order: arrival") // smallCampaign with a line
	drawn         = withLine("order: draw")
	opening       = time.Date(2021, 7, 19, 11, 0, 0, 0, time.UTC) // of smallCampaign's first window
	old           = mustDate("1962-03-04")
	young         = mustDate("1968-03-04")
	child         = mustDate("2010-03-04")
)

const (
	slotA9   = "a/2021-07-22/09:00/moderna"
	slotA930 = "a/2021-07-22/09:30/moderna"
	slotB9   = "b/2021-07-22/09:00/moderna"
)

func withLine(order string) string {
	return strings.Replace(smallCampaign, "products:", "line: {enabled: true, opens_before: 30m, "+order+"}\nproducts:", 1)
}

func mustDate(s string) campaign.Date {
	d, err := campaign.ParseDate(s)
	if err != nil {
		panic(err)
	}
	return d
}

// handClock is moved by hand.
type handClock struct{ ms atomic.Int64 }

func (c *handClock) Now() time.Time      { return time.UnixMilli(c.ms.Load()).UTC() }
func (c *handClock) set(t time.Time)     { c.ms.Store(t.UnixMilli()) }
func (c *handClock) event() event.Time   { return event.Time(c.ms.Load()) }
func (c *handClock) add(d time.Duration) { c.ms.Add(d.Milliseconds()) }

// tape is a journal in memory, durable at once unless a test holds it.
type tape struct {
	mu      sync.Mutex
	last    event.Seq     // guarded by mu
	refuse  error         // guarded by mu; what Reserve answers
	fail    error         // guarded by mu; what Wait answers
	gate    chan struct{} // guarded by mu; not nil: Wait waits until it is closed
	waiting chan struct{} // guarded by mu; not nil: gets a value from each Wait at the gate
}

func (j *tape) Reserve(int) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.refuse
}

func (j *tape) Release(int) {}

func (j *tape) Append(*event.Record) event.Seq {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.last++
	return j.last
}

func (j *tape) Wait(event.Seq) error {
	j.mu.Lock()
	gate, waiting, fail := j.gate, j.waiting, j.fail
	j.mu.Unlock()
	if gate != nil {
		waiting <- struct{}{}
		<-gate
	}
	return fail
}

// Durable is everything, but while Wait stands or fails nothing.
func (j *tape) Durable() event.Seq {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.gate != nil || j.fail != nil {
		return 0
	}
	return j.last
}

func (j *tape) set(refuse, fail error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.refuse, j.fail = refuse, fail
}

// hold makes every Wait from now on stand until release is called.
func (j *tape) hold() (waiting chan struct{}, release func()) {
	j.mu.Lock()
	defer j.mu.Unlock()
	gate := make(chan struct{})
	j.gate, j.waiting = gate, make(chan struct{}, 1024)
	return j.waiting, func() {
		j.mu.Lock()
		j.gate = nil
		j.mu.Unlock()
		close(gate)
	}
}

// lockedBuffer takes log lines from several goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  *bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// parts makes what a server needs, without listeners and engine.
func parts(t testing.TB, change func(*Config)) *stand {
	t.Helper()
	s := &stand{t: t, clock: new(handClock), journal: new(tape), log: new(bytes.Buffer)}
	s.clock.set(opening.Add(time.Minute))
	s.secret = []byte("a-secret-of-thirty-two-bytes-and-more")
	file := filepath.Join(t.TempDir(), "identity.secret")
	must(t, os.WriteFile(file, s.secret, 0o600))
	verifier, err := identity.Open(identity.Config{Issuers: []identity.Issuer{
		{Name: testIssuer, Audience: testAudience, HS256File: file},
	}})
	must(t, err)
	t.Cleanup(verifier.Close)
	key := token.Key{ID: 1}
	copy(key.Secret[:], "a token key that is used in tests")
	s.ring, err = token.NewRing([]token.Key{key}, 0)
	must(t, err)
	s.hasher = identity.NewHasher([identity.PersonKeySize]byte{1})
	cfg := Config{
		Clock: s.clock, Identity: verifier, Ring: s.ring, Hasher: s.hasher,
		Seed:       testSeed,
		AdminToken: []byte(adminSecret), Logger: slog.New(slog.NewTextHandler(&lockedBuffer{b: s.log}, nil)),
	}
	if change != nil {
		change(&cfg)
	}
	s.srv, err = New(cfg)
	must(t, err)
	s.srv.keepEvery = 24 * time.Hour // its ticks are the tests' own
	return s
}

// tick has the keeper do its work as if time had passed, by the monotonic clock
// alone.
func (s *stand) tick(passed time.Duration) {
	for ; passed >= 0; passed -= keepInterval {
		s.srv.keeper.tick(s.srv.attached.Load(), s.srv.keeper.last+keepInterval)
	}
}

// elapse lets time pass on both clocks, with the keeper at work.
func (s *stand) elapse(d time.Duration) {
	for ; d > 0; d -= keepInterval {
		s.clock.add(keepInterval)
		s.tick(0)
	}
}

// newStand starts a server that is ready, with the campaigns given or else
// small and other.
func newStand(t testing.TB, change func(*Config), campaigns ...string) *stand {
	t.Helper()
	s := parts(t, change)
	s.listen()
	s.attach(campaigns...)
	return s
}

func (s *stand) listen() {
	s.t.Helper()
	public, err := net.Listen("tcp", "127.0.0.1:0")
	must(s.t, err)
	admin, err := net.Listen("tcp", "127.0.0.1:0")
	must(s.t, err)
	s.public, s.admin = public.Addr().String(), admin.Addr().String()
	s.client = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}}
	s.served = make(chan error, 1)
	go func() { s.served <- s.srv.Serve(public, admin) }()
	s.t.Cleanup(s.stop)
}

func (s *stand) stop() {
	s.client.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.srv.Shutdown(ctx); err != nil {
		s.t.Errorf("shutdown: %v", err)
	}
	select {
	case err := <-s.served:
		if err != nil {
			s.t.Errorf("serve: %v", err)
		}
		s.served <- nil // for a second stop
	case <-ctx.Done():
		s.t.Error("Serve did not return")
	}
	if s.engine != nil {
		if err := s.engine.Check(); err != nil {
			s.t.Errorf("check: %v", err)
		}
	}
}

func (s *stand) attach(campaigns ...string) {
	s.t.Helper()
	if len(campaigns) == 0 {
		campaigns = []string{smallCampaign, otherCampaign}
	}
	s.engine = core.New()
	s.engine.Start(s.journal)
	for _, text := range campaigns {
		s.define(text)
	}
	s.srv.Attach(s.engine)
}

func (s *stand) define(text string) {
	s.t.Helper()
	d, err := campaign.Parse("test.yaml", []byte(text), func(string) ([]byte, error) { return nil, errors.New("no such file") })
	must(s.t, err)
	_, seq, err := s.engine.Define(s.clock.event(), d)
	must(s.t, err)
	must(s.t, s.engine.Wait(seq))
}

// testSeed makes the seeds of draws in tests.
func testSeed(campaignID string, draw uint16) [32]byte {
	return sha256.Sum256(fmt.Appendf(nil, "%s %d", campaignID, draw))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// identity mints an identity token.
func (s *stand) identity(subject string, born campaign.Date) string {
	return identity.Mint(s.secret, testIssuer, testAudience, subject, born, s.clock.Now(), time.Hour)
}

// token makes a ticket or pass as the server would.
func (s *stand) token(kind token.Kind, campaign, subject string, born campaign.Date, expires time.Duration) string {
	return string(s.ring.Append(nil, &token.Claims{
		Kind: kind, Campaign: token.CampaignHash(campaign), Person: s.hasher.Person(testIssuer, subject),
		Born: born, Number: 1, Expires: s.clock.event() + event.Time(expires.Milliseconds()),
	}))
}

func (s *stand) pass(subject string) string {
	return s.token(token.Pass, "small", subject, old, time.Hour)
}

// answer is a response, read.
type answer struct {
	t      testing.TB
	status int
	header http.Header
	body   []byte
	fields map[string]any // of a JSON object
}

func (s *stand) do(method, path, credential, body string, headers ...string) *answer {
	s.t.Helper()
	return s.send(s.public, method, path, credential, body, headers...)
}

// send asks one of the listeners.
func (s *stand) send(address, method, path, credential, body string, headers ...string) *answer {
	s.t.Helper()
	req, err := http.NewRequest(method, "http://"+address+path, strings.NewReader(body))
	must(s.t, err)
	if credential != "" {
		req.Header.Set("Authorization", "Bearer "+credential)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := s.client.Do(req)
	must(s.t, err)
	a := readAnswer(s.t, res)
	checkDescribed(s.t, req, a)
	return a
}

func readAnswer(t testing.TB, res *http.Response) *answer {
	t.Helper()
	body, err := io.ReadAll(res.Body)
	must(t, err)
	must(t, res.Body.Close())
	a := &answer{t: t, status: res.StatusCode, header: res.Header, body: body}
	if strings.Contains(res.Header.Get("Content-Type"), "json") && res.Header.Get("Content-Encoding") == "" && len(body) > 0 {
		if err := json.Unmarshal(body, &a.fields); err != nil {
			t.Fatalf("answer is no JSON object: %v: %s", err, body)
		}
	}
	return a
}

// want holds the status, and the code of a problem ("" for no problem).
func (a *answer) want(status int, code string) *answer {
	a.t.Helper()
	got, _ := a.fields["code"].(string)
	problem := strings.HasPrefix(a.header.Get("Content-Type"), problemType)
	if a.status != status || problem != (code != "") || problem && got != code {
		a.t.Fatalf("got %d %q, want %d %q: %s", a.status, got, status, code, a.body)
	}
	if problem {
		a.wellFormed(status, code)
	}
	return a
}

// wellFormed holds what every problem has.
func (a *answer) wellFormed(status int, code string) {
	a.t.Helper()
	if a.fields["type"] != "/problems/"+code || a.fields["status"] != float64(status) ||
		a.fields["title"] == "" || a.fields["detail"] == "" {
		a.t.Fatalf("incomplete problem: %s", a.body)
	}
	if retry := a.header.Get("Retry-After"); (status == 429 || status == 503) != (retry != "") {
		a.t.Fatalf("status %d with Retry-After %q", status, retry)
	}
	if status == 401 && a.header.Get("WWW-Authenticate") != "Bearer" {
		a.t.Fatal("401 without WWW-Authenticate")
	}
}

// text returns a string field, by a dotted path.
func (a *answer) text(path string) string {
	a.t.Helper()
	v, ok := a.value(path).(string)
	if !ok {
		a.t.Fatalf("no string %q in %s", path, a.body)
	}
	return v
}

func (a *answer) number(path string) float64 {
	a.t.Helper()
	v, ok := a.value(path).(float64)
	if !ok {
		a.t.Fatalf("no number %q in %s", path, a.body)
	}
	return v
}

func (a *answer) list(path string) []any {
	a.t.Helper()
	v, ok := a.value(path).([]any)
	if !ok {
		a.t.Fatalf("no list %q in %s", path, a.body)
	}
	return v
}

func (a *answer) value(path string) any {
	var v any = a.fields
	for name := range strings.SplitSeq(path, ".") {
		object, _ := v.(map[string]any)
		v = object[name]
	}
	return v
}

func slotBody(slot string) string { return `{"slot":"` + slot + `"}` }
