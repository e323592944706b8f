//go:build linux

package crowd

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"weir/core/event"
	"weir/loadtest/answers"
	"weir/loadtest/openloop"
	"weir/loadtest/scenario"
	"weir/server/identity"
)

func newCrowd(t *testing.T, seed uint64) *Crowd {
	t.Helper()
	s, err := scenario.Load("smoke")
	if err != nil {
		t.Fatal(err)
	}
	_, rules, err := s.Write(t.TempDir(), time.Now().Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	file, err := answers.Create(filepath.Join(t.TempDir(), "answers"), &answers.Header{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	c, err := New(Plan{
		Scenario: s, Rules: rules, Seed: seed, Loops: 2, Host: "test", File: file, Expires: time.Now().Add(time.Hour),
		Issuer: Issuer{Secret: []byte("0123456789abcdef0123456789abcdef"), Name: "i", Audience: "a"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAPersonIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(person{}); size > 24 {
		t.Errorf("a person takes %d bytes", size)
	}
}

func TestPeopleFollowFromTheSeed(t *testing.T) {
	a, b, other := newCrowd(t, 7), newCrowd(t, 7), newCrowd(t, 8)
	differ := 0
	for p := range answers.Person(1000) {
		if a.Born(p) != b.Born(p) || a.home(p) != b.home(p) || a.isBot(p) != b.isBot(p) {
			t.Fatalf("person %d is another one with the same seed", p)
		}
		if a.Born(p) != other.Born(p) {
			differ++
		}
	}
	if differ < 900 {
		t.Errorf("another seed makes %d of 1000 people others", differ)
	}
}

func TestAsManyMayBookAsTheScenarioSays(t *testing.T) {
	c := newCrowd(t, 7)
	s := c.plan.Scenario
	want := s.Eligible * float64(s.People)
	if got := float64(c.Eligible()); math.Abs(got-want) > 5*math.Sqrt(want) {
		t.Errorf("%v may book, want about %v", got, want)
	}
	for p := range answers.Person(2000) {
		eligible := c.Born(p) >= c.eligible[0] && c.Born(p) <= c.eligible[1]
		if eligible != c.mayBook(p) {
			t.Fatalf("person %d: born %v, may book: %v", p, c.Born(p), c.mayBook(p))
		}
	}
}

// TestTokensAreBelieved holds the loader's own tokens against the server's
// verifier.
func TestTokensAreBelieved(t *testing.T) {
	c := newCrowd(t, 7)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, c.plan.Issuer.Secret, 0o600); err != nil {
		t.Fatal(err)
	}
	v, err := identity.Open(identity.Config{Issuers: []identity.Issuer{{Name: "i", Audience: "a", HS256File: secret}}})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	var token []byte
	for _, p := range []answers.Person{0, 9, 10, 5_999_999} {
		token = c.drivers[0].minter.append(token[:0], p, c.Born(p))
		claims, err := v.Verify(token, time.Now())
		if err != nil || claims.Subject != Subject(p) || claims.Born != c.Born(p) {
			t.Errorf("person %d: %+v, %v", p, claims, err)
		}
	}
	if n := testing.AllocsPerRun(100, func() { token = c.drivers[0].minter.append(token[:0], 12, c.Born(12)) }); n != 0 {
		t.Errorf("%v allocations a token", n)
	}
}

// TestAnswersAreReadStrictly wants each to be odd that lacks what it must have,
// or says something else than its status.
func TestAnswersAreReadStrictly(t *testing.T) {
	const (
		booking = `{"code":"00000-0000X","slot":"KR-11-001/2026-01-01/09:00/moderna","state":"booked","sequence":3}`
		place   = `{"state":"admitted","number":3,"ahead":0,"ticket":"wt1.x","ticket_expires_at":"2026-01-01T00:00:00Z","pass":"wp1.x"}`
	)
	c := newCrowd(t, 7)
	d := c.drivers[0]
	slot := string(c.plan.Rules.AppendSlotID(nil, 5))
	good := `{"code":"` + codeOf(9) + `","slot":"` + slot + `","state":"booked","sequence":9}`
	for _, test := range []struct {
		step   step
		status int
		body   string
		want   answers.Outcome
	}{
		{join, 201, place, answers.Created},
		{join, 201, `{"state":"admitted","number":3,"ticket":"wt1.x"}`, answers.Odd}, // no pass
		{join, 201, `{"state":"waiting","number":3,"ticket":"wt1.x","pass":"wp1.x"}`, answers.Odd},
		{join, 201, `{"state":"lost","number":3,"ticket":"wt1.x"}`, answers.Odd},
		{join, 201, `{"state":`, answers.Odd},
		{join, 403, `{"code":"not_eligible","reason":"not_in_any_cohort"}`, answers.NotEligible},
		{join, 409, `{"code":"not_eligible"}`, answers.Odd}, // another status than it has
		{join, 403, `{}`, answers.Odd},
		{join, 302, `{}`, answers.Odd},
		{bookSlot, 201, good, answers.Created},
		{bookSlot, 201, booking, answers.Odd}, // a code with a wrong check, and a slot that is none
		{bookSlot, 201, `{"code":"` + codeOf(9) + `","slot":"` + slot + `","state":"maybe","sequence":9}`, answers.Odd},
		{bookSlot, 201, `{"code":"` + codeOf(9) + `","slot":"` + slot + `","state":"booked"}`, answers.Odd},
		{bookSlot, 409, `{"code":"already_booked","booking":` + good + `}`, answers.BookedAlready},
		{bookSlot, 409, `{"code":"already_booked"}`, answers.Odd},
		{hold, 201, `{"hold":"` + codeOf(4) + `","slot":"` + slot + `","expires_at":"2026-01-01T00:00:00.5+09:00"}`, answers.Created},
		{hold, 201, `{"hold":"` + codeOf(4) + `","slot":"` + slot + `","expires_at":"soon"}`, answers.Odd},
		{review, 200, `{"bookings":[` + good + `]}`, answers.OK},
		{review, 200, `{"bookings":[]}`, answers.OK},
		{review, 200, `{"bookings":null}`, answers.Odd},
		{release, 204, ``, answers.NoContent},
		{browse, 200, `{"slots":[{"id":"` + slot + `","available":2}],"as_of":"2026-01-01T00:00:00.5+09:00"}`, answers.OK},
		{browse, 200, `{"slots":[{"id":"nowhere","available":2}],"as_of":"2026-01-01T00:00:00.5+09:00"}`, answers.Odd},
	} {
		r := openloop.Request{Tag: tagOf(&d.people[0], test.step, 5)}
		got := d.read(r, &openloop.Answer{Status: test.status, Body: []byte(test.body)})
		if got.Outcome != test.want {
			t.Errorf("%v %d %s: %v, want %v", kinds[test.step], test.status, test.body, got.Outcome, test.want)
		}
	}
}

// TestTheLineIsRead reads the public state: the draws once as long as they stay,
// and when to ask again as a client works it out.
func TestTheLineIsRead(t *testing.T) {
	d := newCrowd(t, 7).drivers[0]
	hex := strings.Repeat("0a", 32)
	text := func(seed string) string {
		return `{"state":"paused","issued":9,"serving":4,"waiting":5,"admitted_per_minute":60,"poll":{"budget_per_second":20000,"floor_seconds":2,"ceiling_seconds":120},` +
			`"draws":[{"ordinal":1,"opens_at":"2026-01-01T00:00:00+09:00","commitment":"` + hex + `"` + seed + `}],"as_of":"2026-01-01T00:00:01+09:00"}`
	}
	ask := func(body string) *answers.Answer {
		return d.read(openloop.Request{Tag: tagOf(&d.people[0], poll, 0)}, &openloop.Answer{Status: 200, Body: []byte(body)})
	}
	first := ask(text(""))
	if want := (answers.Serving{AsOf: 1767193201000, Issued: 9, Serving: 4, Paused: true}); first.Serving != want || len(first.Draws) != 1 || first.Draws[0].Drawn {
		t.Errorf("%+v, %+v", first.Serving, first.Draws)
	}
	if after := interval(d.document, 9, 4, 0); after < 10*time.Second || after > 30*time.Second {
		t.Errorf("in a pause people ask again after %v", after)
	}
	if again := ask(text("")); len(again.Draws) != 0 {
		t.Errorf("the same draws are noted again: %+v", again.Draws)
	}
	drawn := `,"seed":"` + hex + `","size":5,"base":3`
	if now := ask(text(drawn)); len(now.Draws) != 1 || !now.Draws[0].Drawn || now.Draws[0].Seed[31] != 10 || now.Draws[0].Size != 5 || now.Draws[0].Base != 3 {
		t.Errorf("%+v", now.Draws)
	}
	if odd := ask(text(`,"seed":"0a"`)); odd.Outcome != answers.Odd {
		t.Errorf("a short seed is %v", odd.Outcome)
	}
	serving, draws, ok := ReadLine([]byte(text(drawn)))
	if _, _, none := ReadLine([]byte(`{}`)); !ok || none || serving != first.Serving || len(draws) != 1 {
		t.Errorf("%+v, %+v, %v", serving, draws, ok)
	}
}

func TestSlotsAreNotedByTheDay(t *testing.T) {
	d := newCrowd(t, 7).drivers[0]
	slot := string(d.crowd.plan.Rules.AppendSlotID(nil, 21))
	body := `{"slots":[{"id":"` + slot + `","available":2}],"as_of":"2026-01-01T00:00:01+09:00"}`
	a := d.read(openloop.Request{Tag: tagOf(&d.people[0], browse, 30)}, &openloop.Answer{Status: 200, Body: []byte(body)})
	if s := &a.Shown; s.First != 16 || len(s.Left) != 16 || s.Left[5] != 2 || s.Left[6] != 0 || s.AsOf != 1767193201000 || len(d.picks) != 1 {
		t.Errorf("%+v, picks %v", a.Shown, d.picks)
	}
	other := d.read(openloop.Request{Tag: tagOf(&d.people[0], browse, 3)}, &openloop.Answer{Status: 200, Body: []byte(body)})
	if s := &other.Shown; s.First != 0 || slices.Max(s.Left) != 0 {
		t.Errorf("a slot of another day is noted: %+v", *s)
	}
}

func codeOf(ref event.Seq) string {
	var d driver
	b := builder{d: &d}
	return string(b.code(ref).out)
}

func TestFailuresAreToldApart(t *testing.T) {
	d := newCrowd(t, 7).drivers[0]
	r := openloop.Request{Tag: tagOf(&d.people[0], bookSlot, 5)}
	for _, test := range []struct {
		answer openloop.Answer
		want   answers.Outcome
	}{
		{openloop.Answer{Failure: openloop.GaveUp, At: time.Second}, answers.NotSent},
		{openloop.Answer{Failure: openloop.GaveUp, Sent: 1, At: time.Second}, answers.NoAnswer},
		{openloop.Answer{Failure: openloop.Broken, Sent: 1, At: time.Second}, answers.NoAnswer},
		{openloop.Answer{Failure: openloop.Unreachable, At: time.Second}, answers.NotSent},
		{openloop.Answer{Failure: openloop.Odd, Sent: 1, At: time.Second}, answers.Odd},
	} {
		if got := d.read(r, &test.answer); got.Outcome != test.want || got.Sent > got.Answered {
			t.Errorf("%v: %+v, want %v", test.answer.Failure, got, test.want)
		}
	}
}

// TestTermsOfCredentials tells the credential that a request was sent with from
// the one that the person got since.
func TestTermsOfCredentials(t *testing.T) {
	var w wallet
	at, _ := w.put(0, []byte("wp1.a"), true, term{told: 1, expires: 10})
	first := w.version(at)
	_, _ = w.put(at, []byte("wp1.b"), true, term{told: 2, expires: 20})
	c := w.get(at)
	if c.termOf(first).expires != 10 || c.termOf(w.version(at)).expires != 20 || c.termOf(first-1) != (term{}) {
		t.Errorf("%+v", c)
	}
	if w.lose(at); !w.get(at).lost() || w.get(at).termOf(first).expires != 10 || w.version(0) != 0 || !w.get(0).lost() {
		t.Errorf("lost: %+v", w.get(at))
	}
}

func TestWalletUsesPlacesAgain(t *testing.T) {
	var w wallet
	a, _ := w.put(0, []byte("wt1.a"), false, term{expires: 1})
	b, _ := w.put(0, []byte("wp1.b"), true, term{expires: 2})
	if again, _ := w.put(a, []byte("wp1.a"), true, term{expires: 3}); again != a || string(w.get(a).text[:w.get(a).size]) != "wp1.a" || !w.get(a).pass {
		t.Errorf("place %d became %d: %+v", a, again, w.get(a))
	}
	w.drop(a)
	if c, _ := w.put(0, []byte("wt1.c"), false, term{expires: 4}); c != a || string(w.get(b).text[:5]) != "wp1.b" {
		t.Errorf("place %d, want %d", c, a)
	}
	if _, kept := w.put(0, make([]byte, credentialMax+1), true, term{}); kept || w.get(0) != nil {
		t.Error("what is too long to be a credential was kept")
	}
}
