//go:build linux

package crowd

import (
	"math"
	"os"
	"path/filepath"
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
		{browse, 200, `{"slots":[{"id":"` + slot + `","available":2}]}`, answers.OK},
		{browse, 200, `{"slots":[{"id":"nowhere","available":2}]}`, answers.Odd},
	} {
		r := openloop.Request{Tag: tagOf(&d.people[0], test.step, 5)}
		got := d.read(r, &openloop.Answer{Status: test.status, Body: []byte(test.body)})
		if got.Outcome != test.want {
			t.Errorf("%v %d %s: %v, want %v", kinds[test.step], test.status, test.body, got.Outcome, test.want)
		}
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

func TestWalletUsesPlacesAgain(t *testing.T) {
	var w wallet
	a, _ := w.put(0, []byte("wt1.a"), false, 1)
	b, _ := w.put(0, []byte("wp1.b"), true, 2)
	if again, _ := w.put(a, []byte("wp1.a"), true, 3); again != a || string(w.get(a).text[:w.get(a).size]) != "wp1.a" || !w.get(a).pass {
		t.Errorf("place %d became %d: %+v", a, again, w.get(a))
	}
	w.drop(a)
	if c, _ := w.put(0, []byte("wt1.c"), false, 4); c != a || string(w.get(b).text[:5]) != "wp1.b" {
		t.Errorf("place %d, want %d", c, a)
	}
	if _, kept := w.put(0, make([]byte, credentialMax+1), true, 0); kept || w.get(0) != nil {
		t.Error("what is too long to be a credential was kept")
	}
}
