package judge

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"weir/core/event"
	"weir/loadtest/answers"
	"weir/loadtest/evidence"
)

// newLine is: persons 0, 1 and 2 join with numbers 1, 2 and 3 and wait. The mark
// rises to 2: 0 and 1 are let in, 1 books. 2 asks and still waits.
func newLine() *story {
	s := &story{line: true, found: Found{Totals: evidence.Totals{Slots: 8, Places: 16}}}
	s.joins(0, 0, 1, answers.Waiting)
	s.joins(time.Second, 1, 2, answers.Waiting)
	s.joins(2*time.Second, 2, 3, answers.Waiting)
	s.public(3*time.Second, 3, 0)
	s.at(5*time.Second, 0, answers.Admitted, 1)
	s.at(6*time.Second, 1, answers.Admitted, 2)
	s.books(7*time.Second, 1, 3, 10)
	s.at(8*time.Second, 2, answers.Waiting, 3)
	s.public(9*time.Second, 3, 2)
	return s
}

func (s *story) at(at time.Duration, person answers.Person, state answers.PlaceState, number event.Number) *answers.Answer {
	a := s.told(at, person, answers.OwnPlace, answers.OK)
	a.Place = answers.Place{State: state, Number: number}
	return a
}

// public tells the line's public state, half a second old.
func (s *story) public(at time.Duration, issued, serving event.Number) *answers.Answer {
	a := s.told(at, answers.Nobody, answers.Line, answers.OK)
	a.Serving = answers.Serving{AsOf: runBegan + event.Time((opened + at).Milliseconds()) - 500, Issued: issued, Serving: serving}
	return a
}

func TestLine(t *testing.T) {
	cases := map[string]struct {
		plant func(s *story)
		want  error // nil: sound
	}{
		"nothing wrong": {func(*story) {}, nil},
		"let in too early": {func(s *story) {
			s.at(6500*time.Millisecond, 2, answers.Admitted, 3)
			s.all[7].Person = 4 // else it is told to wait, once admitted
			s.all[7].Kind, s.all[7].Outcome, s.all[7].Place = answers.OwnBookings, answers.OK, answers.Place{}
			s.public(10*time.Second, 3, 2)
		}, ErrTurn},
		"let in before a smaller number": {func(s *story) {
			s.at(6500*time.Millisecond, 1, answers.Admitted, 2)
			s.at(7500*time.Millisecond, 0, answers.Waiting, 1)
			s.all[4].Place.State = answers.Waiting
		}, ErrTurn},
		"a booking before the turn": {func(s *story) {
			s.books(7*time.Second, 2, 5, 11)
		}, ErrTurn},
		"sent back into the line": {func(s *story) { s.at(10*time.Second, 1, answers.Waiting, 2) }, ErrTurn},
		"not your turn, and it is": {func(s *story) {
			s.told(10*time.Second, 0, answers.Book, answers.NotYourTurn).AskedSlot = 5
		}, ErrUnjustified},
		"not your turn, and it is not": {func(s *story) {
			s.told(10*time.Second, 2, answers.Book, answers.NotYourTurn).AskedSlot = 5
		}, nil},
		"a booking without a place in line": {func(s *story) { s.books(10*time.Second, 4, 5, 11) }, ErrIneligible},
		"the mark went back":                {func(s *story) { s.public(10*time.Second, 3, 1) }, ErrStale},
		"fewer issued than before":          {func(s *story) { s.public(10*time.Second, 2, 2) }, ErrStale},
		"an old public state":               {func(s *story) { s.public(20*time.Second, 3, 2).Serving.AsOf -= 15_000 }, ErrStale},
		"early again":                       {func(s *story) { s.at(10*time.Second, 2, answers.Early, 0) }, ErrStale},
		"early, then drawn": {func(s *story) {
			s.joins(10*time.Second, 4, 0, answers.Early)
			s.at(11*time.Second, 4, answers.Early, 0)
			s.at(12*time.Second, 4, answers.Waiting, 4)
		}, nil},
		"early, and never told": {func(s *story) { s.joins(10*time.Second, 4, 0, answers.Early) }, nil},
		"booked while early": {func(s *story) {
			s.joins(10*time.Second, 4, 0, answers.Early)
			s.books(11*time.Second, 4, 5, 11)
		}, ErrIneligible},
		"left, and joined again behind": {func(s *story) {
			s.told(10*time.Second, 2, answers.Leave, answers.NoContent)
			s.joins(11*time.Second, 2, 4, answers.Waiting)
		}, nil},
		"left, and joined again in the same place": {func(s *story) {
			s.told(10*time.Second, 1, answers.Leave, answers.NoContent)
			s.joins(11*time.Second, 1, 2, answers.Waiting)
		}, ErrOrder},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := newLine()
			c.plant(s)
			v := s.judge(t, t.TempDir(), true)
			if c.want == nil && !v.Sound() || c.want != nil && !hasKind(v, c.want) {
				t.Errorf("want %v, got %v", c.want, v)
			}
		})
	}
}

// TestCutFile judges what a killed client left: what is missing is no fault of
// the server, but nothing is called sound.
func TestCutFile(t *testing.T) {
	s := newStory()
	dir := t.TempDir()
	if v := s.judge(t, dir, true); !v.Sound() {
		t.Fatal(v)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(dir, "cut")
	if err := os.WriteFile(cut, whole[:len(whole)-10], 0o600); err != nil {
		t.Fatal(err)
	}
	s.books(20*time.Second, 2, 5, 20) // the client did not get to write it down
	k := Case{Files: []string{cut}, Rules: definition(t, false), Born: bornOf, Key: keyOf, Found: &s.found}
	v, err := Judge(context.Background(), k)
	if err != nil {
		t.Fatal(err)
	}
	if v.Violations() != 0 || v.Sound() || len(v.Undecided) != 1 || !v.Cut {
		t.Error(v)
	}
	s.lose(16) // what it did write down counts all the same
	k.Found = &s.found
	if v, err = Judge(context.Background(), k); err != nil || !hasKind(v, ErrLost) {
		t.Error(v, err)
	}
	k.Files = nil
	if _, err = Judge(context.Background(), k); !errors.Is(err, ErrCase) {
		t.Errorf("without files: %v", err)
	}
}
