package scenario

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestBuiltIn(t *testing.T) {
	for _, name := range []string{"smoke", "opening-2021-07-19", "fairness"} {
		s, err := Load(name)
		if err != nil {
			t.Fatal(err)
		}
		if s.Name != name {
			t.Errorf("%s calls itself %s", name, s.Name)
		}
	}
	if len(Names()) != 3 {
		t.Errorf("built in: %v", Names())
	}
}

func TestTheOpeningIsTheOneOfThePapers(t *testing.T) {
	s, err := Load("opening-2021-07-19")
	if err != nil {
		t.Fatal(err)
	}
	if s.Requests != 10_000_000 || s.People != 6_000_000 || s.Eligible*float64(s.People) != 1_500_000 {
		t.Errorf("%d requests of %d people, %v of them eligible", s.Requests, s.People, s.Eligible)
	}
}

func TestScaledKeepsTheRates(t *testing.T) {
	s, err := Load("opening-2021-07-19")
	if err != nil {
		t.Fatal(err)
	}
	half := s.Scaled(s.Requests / 2)
	if half.People != s.People/2 || half.Duration != s.Duration/2 || half.Opening != s.Opening/2 || half.Campaign.Sites != s.Campaign.Sites/2 {
		t.Errorf("half of it: %+v", half)
	}
	if last := half.Curve[len(half.Curve)-1].At; last != s.Curve[len(s.Curve)-1].At/2 {
		t.Errorf("half its curve ends at %v", last.Of())
	}
	if small := s.Scaled(1000); small.Duration.Of() != durationMin || small.check() != nil {
		t.Errorf("a thousandth of it: %+v, %v", small, small.check())
	}
	if s.Curve[1].At.Of() != 25*time.Second {
		t.Error("scaling changed the original")
	}
}

// TestScaledKeepsTheOperatorsRate wants numbers called at the same rate where
// people come at the same rate, and what is done done at the same part of the run.
func TestScaledKeepsTheOperatorsRate(t *testing.T) {
	s, err := Load("fairness")
	if err != nil {
		t.Fatal(err)
	}
	half := s.Scaled(s.Requests / 2)
	if half.Operator.AdmitPerMinute != s.Operator.AdmitPerMinute || half.Operator.Kills[0] != s.Operator.Kills[0]/2 ||
		half.Operator.Pauses[1] != (Pause{s.Operator.Pauses[1].At / 2, s.Operator.Pauses[1].For / 2}) {
		t.Errorf("half of it: %+v", half.Operator)
	}
	if fast := s.Lasting(s.Duration.Of() / 4); fast.Operator.AdmitPerMinute != 4*s.Operator.AdmitPerMinute || fast.check() != nil {
		t.Errorf("four times as fast: %+v, %v", fast.Operator, fast.check())
	}
	if !s.Operator.Acts() || (&Operator{}).Acts() {
		t.Error("whether the operator acts is wrong")
	}
}

func TestBadScenarios(t *testing.T) {
	good, err := builtin.ReadFile("builtin/smoke.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ old, bad, want string }{
		{"people: 15000", "people: 0", "people: 0 is not from 1"},
		{"people: 15000", "poeple: 15000", `unknown field "poeple"`},
		{"people: 15000", "people: many", "[7:9]"},
		{"eligible: 0.3", "eligible: 1.3", "eligible: 1.3"},
		{"eligible: 0.3", "eligible: 0.3\neligible: 0.4", "eligible"},
		{"duration: 15s", "duration: 15", "no duration"},
		{"duration: 15s", "duration: 10s", "its last point is behind"},
		{"- {at: 6s, rate: 4}", "- {at: 2s, rate: 4}", "behind the one at"},
		{"rate: 6", "rate: -6", "rate -6"},
		{"line: {enabled: false}", "line: {enabled: true}", "none of draw, arrival"},
		{"holds: 0.4", "holds: 4", "behaviour.holds"},
		{"connections: 256", "connections: 256000", "client.connections"},
		{"booking_p99: 2s", "booking_p99: -2s", "no duration"},
		{"leaves: 0.02", "leaves: 0.02\n  returns: 2", "behaviour.returns"},
		{"hold: 10s", "hold: 10s\n  pass: 10ms", "campaign.pass"},
		{"about: a", "operator: {kills: [3s, 2s]}\nabout: a", "operator.kills: 2s"},
		{"about: a", "operator: {kills: [16s]}\nabout: a", "operator.kills: 16s"},
		{"about: a", "operator: {pauses: [{at: 3s, for: 2s}, {at: 4s, for: 2s}]}\nabout: a", "operator.pauses: the one at 4s"},
		{"about: a", "operator: {pauses: [{at: 3s}]}\nabout: a", "is empty"},
		{"about: a", "operator: {pause: [{at: 3s}]}\nabout: a", "unknown field"},
	} {
		text := strings.Replace(string(good), c.old, c.bad, 1)
		_, err := Parse("test.yaml", []byte(text))
		if !errors.Is(err, ErrScenario) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q in it", c.bad, err, c.want)
		}
	}
	if _, err := Load("no-such-scenario"); !errors.Is(err, ErrScenario) || !strings.Contains(err.Error(), "smoke") {
		t.Errorf("unknown name: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range Names() {
		source, err := builtin.ReadFile("builtin/" + name + ".yaml")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(source)
	}
	f.Fuzz(func(t *testing.T, source []byte) {
		s, err := Parse("fuzz", source)
		if (s == nil) == (err == nil) {
			t.Errorf("%v, %v", s, err)
		}
	})
}

func TestCampaignsAreSound(t *testing.T) {
	for _, name := range Names() {
		s, err := Load(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, requests := range []int64{1000, s.Requests} {
			scaled := s.Scaled(requests)
			opens := time.Date(2026, 3, 1, 23, 59, 58, 700, time.UTC)
			_, d, err := scaled.Write(t.TempDir(), opens)
			if err != nil {
				t.Fatal(err)
			}
			if len(d.Sites) != scaled.Campaign.Sites || d.SlotCount() != len(d.Sites)*scaled.Campaign.Days*SlotsPerDay {
				t.Errorf("%s: %d sites, %d slots", name, len(d.Sites), d.SlotCount())
			}
			if got := d.Windows[0].Opens; int64(got) != opens.Unix()*1000 {
				t.Errorf("%s opens at %d", name, got)
			}
		}
	}
}
