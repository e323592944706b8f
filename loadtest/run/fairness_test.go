//go:build linux

package run

import (
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"weir/core/event"
	"weir/loadtest/answers"
	"weir/loadtest/evidence"
	"weir/loadtest/judge"
	"weir/loadtest/report"
	"weir/loadtest/scenario"
)

// TestALineIsFair is the scenario of that name, small: a few thousand people in
// a line with a draw, one kill and one pause, and a judge that must find nothing
// and must have had much to look at.
func TestALineIsFair(t *testing.T) {
	defer goleak.VerifyNone(t)
	s, err := scenario.Load("fairness")
	if err != nil {
		t.Fatal(err)
	}
	s = s.Scaled(26_000).Lasting(11 * time.Second)
	second := scenario.Duration(time.Second)
	s.Operator.Kills = []scenario.Duration{4 * second}
	s.Operator.Pauses = []scenario.Pause{{At: 6 * second, For: 2 * second}}
	s.Campaign.Hold, s.Campaign.Pass, s.Behaviour.Away, s.Behaviour.Think = 10*second, 3*second, second, second/2
	seed, dir := uint64(time.Now().UnixNano()), t.TempDir()
	r, _, err := Run(t.Context(), Options{
		Scenario: s, Seed: seed, Dir: dir, Binary: binary, Grace: 3 * time.Second,
		Progress: func(e Event) {
			if e.Sample == nil {
				t.Log(e.Text)
			}
		},
	})
	if err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	if v := r.Verdict; v == nil || !v.Sound() {
		t.Errorf("seed %d: %v", seed, v)
	}
	if c := &r.Verdict.Checked; len(r.Kills) != 1 || len(r.Pauses) != 1 || c.Numbers < 2000 || c.Lots < 1000 || c.CameIn < 1000 ||
		c.Paused == 0 || c.Shown < 1000 || c.Unanswered == 0 {
		t.Errorf("seed %d: too little was tried: kills %v, pauses %v, looked at %+v", seed, r.Kills, r.Pauses, *c)
	}
	if !t.Failed() {
		exchangePlaces(t, dir, r)
	}
}

// exchangePlaces exchanges the numbers of two people of the draw in all that
// they were told: the judge must notice by the published seed.
func exchangePlaces(t *testing.T, dir string, r *report.Report) {
	t.Helper()
	name, changed := filepath.Join(dir, answersFile), filepath.Join(dir, "exchanged")
	header, err := answers.ReadHeader(name)
	if err != nil {
		t.Fatal(err)
	}
	numbers := map[answers.Person]event.Number{}
	if _, err := answers.Read(name, func(a *answers.Answer) error {
		if _, other := numbers[a.Person]; a.Place.Index != 0 && a.Place.Number != 0 && (len(numbers) < 2 || other) {
			numbers[a.Person] = a.Place.Number
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	sum := event.Number(0)
	for _, number := range numbers {
		sum += number
	}
	file, err := answers.Create(changed, &header)
	if err != nil {
		t.Fatal(err)
	}
	record := file.Recorder()
	_, err = answers.Read(name, func(a *answers.Answer) error {
		if numbers[a.Person] != 0 && a.Place.Number == numbers[a.Person] {
			a.Place.Number = sum - a.Place.Number
		}
		return record.Add(a)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	left, pause := &server{dir: dir}, r.Pauses[0]
	from, to := time.Duration(pause.From*float64(time.Second)), time.Duration(pause.To*float64(time.Second))
	v, err := Judge(t.Context(), Kept{
		Answers: []string{changed}, Rules: campaignOf(t, dir), Issuer: issuerName, Keys: left.keys(),
		Disk:  evidence.Directory{Binary: binary, Data: left.data()},
		Downs: []judge.Down{{From: 0, To: time.Hour}}, Pauses: []judge.Pause{{Asked: from, Paused: to, Ending: to, Ended: to}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(numbers) != 2 || v.Counts[judge.ErrDraw.Error()] < 2 {
		t.Errorf("the numbers of two people, %v, were exchanged: %v", numbers, v)
	}
}
