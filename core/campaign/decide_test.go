package campaign

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"weir/core/event"
)

// july is the campaign of July 2021: its windows and birth years.
func july(t testing.TB) *Definition {
	t.Helper()
	d := &Definition{
		Cohorts: []Cohort{
			{"y1967-68", date(t, "1967-01-01"), date(t, "1968-12-31")},
			{"y1969-71", date(t, "1969-01-01"), date(t, "1971-12-31")},
		},
		Windows: []Window{
			{[]int{0}, ms(t, "2021-07-19T20:00:00+09:00"), ms(t, "2021-07-20T18:00:00+09:00")},
			{[]int{1}, ms(t, "2021-07-20T20:00:00+09:00"), ms(t, "2021-07-21T18:00:00+09:00")},
			{[]int{0, 1}, ms(t, "2021-07-21T20:00:00+09:00"), ms(t, "2021-07-24T18:00:00+09:00")},
		},
	}
	d.answers = newDecisionTable(d.Cohorts, d.Windows)
	return d
}

// TestDecideAtEveryEdge walks the boundaries of July 2021, to the millisecond
// and to the day.
func TestDecideAtEveryEdge(t *testing.T) {
	d := july(t)
	never := "not_in_any_cohort -1 -1 -1"
	older := []struct{ at, want string }{ // born 1967 and 1968
		{"2021-07-12T00:00:00.000+09:00", "window_not_open 0 -1 0"},
		{"2021-07-19T19:59:59.999+09:00", "window_not_open 0 -1 0"},
		{"2021-07-19T20:00:00.000+09:00", "eligible 0 0 2"},
		{"2021-07-20T03:00:00.000+09:00", "eligible 0 0 2"}, // the hour at which they were once told no
		{"2021-07-20T17:59:59.999+09:00", "eligible 0 0 2"},
		{"2021-07-20T18:00:00.000+09:00", "window_closed 0 0 2"},
		{"2021-07-20T20:00:00.000+09:00", "window_closed 0 0 2"},
		{"2021-07-21T19:59:59.999+09:00", "window_closed 0 0 2"},
		{"2021-07-21T20:00:00.000+09:00", "eligible 0 2 -1"},
		{"2021-07-24T17:59:59.999+09:00", "eligible 0 2 -1"},
		{"2021-07-24T18:00:00.000+09:00", "window_closed 0 2 -1"},
		{"2031-01-01T00:00:00.000+09:00", "window_closed 0 2 -1"},
	}
	younger := []struct{ at, want string }{ // born 1969 to 1971
		{"2021-07-19T20:00:00.000+09:00", "window_not_open 1 -1 1"},
		{"2021-07-20T18:00:00.000+09:00", "window_not_open 1 -1 1"},
		{"2021-07-20T19:59:59.999+09:00", "window_not_open 1 -1 1"},
		{"2021-07-20T20:00:00.000+09:00", "eligible 1 1 2"},
		{"2021-07-21T17:59:59.999+09:00", "eligible 1 1 2"},
		{"2021-07-21T18:00:00.000+09:00", "window_closed 1 1 2"},
		{"2021-07-21T19:59:59.999+09:00", "window_closed 1 1 2"},
		{"2021-07-21T20:00:00.000+09:00", "eligible 1 2 -1"},
		{"2021-07-24T17:59:59.999+09:00", "eligible 1 2 -1"},
		{"2021-07-24T18:00:00.000+09:00", "window_closed 1 2 -1"},
	}
	check := func(born, at, want string) {
		t.Helper()
		got := d.Decide(date(t, born), ms(t, at))
		if text := fmt.Sprint(got.Reason, got.Cohort, got.Window, got.Next); text != want {
			t.Errorf("born %s at %s: got %s, want %s", born, at, text, want)
		}
	}
	for _, c := range older {
		for _, born := range []string{"1967-01-01", "1967-12-31", "1968-02-29", "1968-12-31"} {
			check(born, c.at, c.want)
		}
		for _, born := range []string{"1900-01-01", "1966-12-31", "1972-01-01", "2199-12-31"} {
			check(born, c.at, never)
		}
	}
	for _, c := range younger {
		for _, born := range []string{"1969-01-01", "1970-01-01", "1971-12-31"} {
			check(born, c.at, c.want)
		}
	}
}

func TestDecideWithOverlaps(t *testing.T) {
	// Two cohorts share 1965, two windows share the hours from 30 to 40.
	d := &Definition{
		Cohorts: []Cohort{
			{"a", date(t, "1960-01-01"), date(t, "1965-12-31")},
			{"b", date(t, "1965-01-01"), date(t, "1969-12-31")},
		},
		Windows: []Window{{[]int{1}, 20, 40}, {[]int{1, 0}, 30, 60}, {[]int{0}, 5, 10}},
	}
	d.answers = newDecisionTable(d.Cohorts, d.Windows)
	for _, c := range []struct {
		born string
		now  event.Time
		want Decision
	}{
		{"1965-06-01", 4, Decision{WindowNotOpen, 0, -1, 2}},
		{"1965-06-01", 5, Decision{Eligible, 0, 2, 0}},
		{"1965-06-01", 10, Decision{WindowClosed, 0, 2, 0}},
		{"1965-06-01", 20, Decision{Eligible, 1, 0, 1}},
		{"1965-06-01", 30, Decision{Eligible, 1, 0, -1}}, // the first in the file's order
		{"1965-06-01", 40, Decision{Eligible, 1, 1, -1}}, // the first of the window's cohorts
		{"1965-06-01", 60, Decision{WindowClosed, 0, 1, -1}},
		{"1960-06-01", 20, Decision{WindowClosed, 0, 2, 1}},
		{"1960-06-01", 40, Decision{Eligible, 0, 1, -1}},
		{"1969-06-01", 4, Decision{WindowNotOpen, 1, -1, 0}},
	} {
		if got := d.Decide(date(t, c.born), c.now); got != c.want {
			t.Errorf("born %s at %d: got %+v, want %+v", c.born, c.now, got, c.want)
		}
	}
}

// slowDecide is Decide by the words of its docstring.
func slowDecide(d *Definition, born Date, now event.Time) Decision {
	result := Decision{Reason: NotInAnyCohort, Cohort: -1, Window: -1, Next: -1}
	open, closed := -1, -1
	firstOf := map[int]int{}
	for i, w := range d.Windows {
		for _, c := range w.Cohorts {
			if d.Cohorts[c].From > born || d.Cohorts[c].To < born {
				continue
			}
			if _, known := firstOf[i]; !known {
				firstOf[i] = c
			}
			if result.Cohort == -1 || c < result.Cohort {
				result.Cohort = c
			}
		}
		if _, mine := firstOf[i]; !mine {
			continue
		}
		if now >= w.Opens && now < w.Closes && open == -1 {
			open = i
		}
		if now >= w.Closes && (closed == -1 || w.Closes > d.Windows[closed].Closes) {
			closed = i
		}
		if now < w.Opens && (result.Next == -1 || w.Opens < d.Windows[result.Next].Opens) {
			result.Next = i
		}
	}
	if len(firstOf) == 0 {
		return result
	}
	result.Reason = WindowNotOpen
	if closed >= 0 {
		result.Reason, result.Window = WindowClosed, closed
	}
	if open >= 0 {
		result.Reason, result.Window, result.Cohort = Eligible, open, firstOf[open]
	}
	return result
}

func TestDecideAgreesWithItsSlowTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := &Definition{}
		for range rapid.IntRange(1, 5).Draw(t, "cohorts") {
			from := Date(rapid.IntRange(-5, 5).Draw(t, "from"))
			d.Cohorts = append(d.Cohorts, Cohort{From: from, To: from + Date(rapid.IntRange(0, 5).Draw(t, "days"))})
		}
		for range rapid.IntRange(1, 5).Draw(t, "windows") {
			opens := event.Time(rapid.IntRange(0, 10).Draw(t, "opens"))
			d.Windows = append(d.Windows, Window{
				Cohorts: rapid.SliceOfNDistinct(rapid.IntRange(0, len(d.Cohorts)-1), 1, -1, rapid.ID).Draw(t, "of"),
				Opens:   opens, Closes: opens + event.Time(rapid.IntRange(1, 5).Draw(t, "lasts")),
			})
		}
		d.answers = newDecisionTable(d.Cohorts, d.Windows)
		for born := Date(-7); born < 12; born++ {
			for now := event.Time(-1); now < 17; now++ {
				if got, want := d.Decide(born, now), slowDecide(d, born, now); got != want {
					t.Fatalf("born %d at %d: got %+v, want %+v", born, now, got, want)
				}
			}
		}
	})
}

func TestDecideAllocatesNothing(t *testing.T) {
	d, born, now := july(t), date(t, "1968-05-05"), ms(t, "2021-07-20T03:00:00+09:00")
	var got Decision
	if n := testing.AllocsPerRun(100, func() { got = d.Decide(born, now) }); n != 0 || got.Reason != Eligible {
		t.Errorf("%v allocations for %+v", n, got)
	}
}

func TestReasonNames(t *testing.T) {
	want := []string{"eligible", "not_in_any_cohort", "window_not_open", "window_closed", "already_booked", "paused", "unknown"}
	for i, r := range []Reason{Eligible, NotInAnyCohort, WindowNotOpen, WindowClosed, HasBooking, Paused, Paused + 1} {
		if r.String() != want[i] {
			t.Errorf("got %s, want %s", r, want[i])
		}
	}
}

func TestStateAtEveryEdge(t *testing.T) {
	on := spring(t)
	off := springWith(t, "enabled: true", "enabled: false")
	first := ms(t, "2021-03-01T20:00:00+09:00")
	const half = 30 * 60 * 1000
	for _, c := range []struct {
		at        event.Time
		on, off   State
		lineTakes bool
	}{
		{first - half - 1, Scheduled, Scheduled, false},
		{first - half, Early, Scheduled, true},
		{first - 1, Early, Scheduled, true},
		{first, Open, Open, true},
		{ms(t, "2021-03-02T17:59:59.999+09:00"), Open, Open, true},
		{ms(t, "2021-03-02T18:00:00+09:00"), Scheduled, Scheduled, false},
		{ms(t, "2021-03-03T19:29:59.999+09:00"), Scheduled, Scheduled, false},
		{ms(t, "2021-03-03T19:30:00+09:00"), Early, Scheduled, true},
		{ms(t, "2021-03-03T20:00:00+09:00"), Open, Open, true},
		{ms(t, "2021-03-05T17:59:59.999+09:00"), Open, Open, true},
		{ms(t, "2021-03-05T18:00:00+09:00"), Closed, Closed, false},
	} {
		if got := on.State(c.at); got != c.on {
			t.Errorf("%s with a line: got %v, want %v", on.Time(c.at), got, c.on)
		}
		if got := off.State(c.at); got != c.off {
			t.Errorf("%s without a line: got %v, want %v", on.Time(c.at), got, c.off)
		}
		if got := on.LineOpen(c.at); got != c.lineTakes {
			t.Errorf("%s: line open is %v", on.Time(c.at), got)
		}
		if got := off.LineOpen(c.at); got != (c.off == Open) {
			t.Errorf("%s without a line: joining is open is %v", on.Time(c.at), got)
		}
	}
	if on.LineOpens(0) != first-half || off.LineOpens(0) != first {
		t.Errorf("the line opens at %d and %d", on.LineOpens(0), off.LineOpens(0))
	}
	names := fmt.Sprint(Scheduled, Early, Open, Closed, State(Paused), State(4))
	if names != "scheduled early open closed paused unknown" {
		t.Errorf("names: %s", names)
	}
}

// TestCohortOf asks by which cohort people wait for a window that names two
// cohorts, which overlap.
func TestCohortOf(t *testing.T) {
	d := &Definition{
		Cohorts: []Cohort{{ID: "all", From: 0, To: 99}, {ID: "young", From: 50, To: 99}, {ID: "old", From: 0, To: 50}},
		Windows: []Window{{Cohorts: []int{1, 2}}},
	}
	for born, want := range map[Date]int{-1: -1, 0: 2, 49: 2, 50: 1, 99: 1, 100: -1} {
		if got := d.CohortOf(born, 0); got != want {
			t.Errorf("born on day %d: cohort %d, want %d", born, got, want)
		}
	}
}
