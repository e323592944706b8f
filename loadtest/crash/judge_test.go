//go:build linux

package crash

import (
	"errors"
	"slices"
	"testing"
)

// soundWorld is two people with three bookings, one of them cancelled, and
// somebody's hold.
func soundWorld() ([]*Person, *World) {
	people := []*Person{
		{Subject: "a", Number: 1, Cancels: 1, Bookings: []Booking{
			{Code: "A1", Slot: "s1", State: stateCancelled, Sequence: 3},
			{Code: "A2", Slot: "s2", State: stateBooked, Sequence: 7},
		}},
		{Subject: "b", Number: 2, Bookings: []Booking{{Code: "B1", Slot: "s1", State: stateBooked, Sequence: 5}}},
		{Subject: "c"},
	}
	world := &World{
		Bookings: []Booking{
			{Code: "A1", Slot: "s1", State: stateCancelled, Sequence: 3, Person: "pa"},
			{Code: "A2", Slot: "s2", State: stateBooked, Sequence: 7, Person: "pa"},
			{Code: "B1", Slot: "s1", State: stateBooked, Sequence: 5, Person: "pb"},
		},
		Capacity:  map[string]int{"s1": 1, "s2": 2},
		PerPerson: 1,
		Totals:    Totals{Slots: 2, Places: 3, Taken: 3, Booked: 2, Cancelled: 1, Holds: 1},
	}
	return people, world
}

// replaceOldest gives the person two more cancelled bookings, asks for another
// one without an answer, and lets the oldest be gone as if it had come.
func replaceOldest(p *Person, w *World) {
	p.Pending = &Request{Kind: Book, Slot: "s2", Key: "k"}
	for i, code := range []string{"A3", "A4"} {
		b := Booking{Code: code, Slot: "s2", State: stateCancelled, Sequence: uint64(20 + i)}
		p.Bookings = append(p.Bookings, b)
		b.Person = "pa"
		w.Bookings = append(w.Bookings, b)
	}
	p.Cancels += 2
	w.Totals.Cancelled += 2
	w.Bookings = w.Bookings[1:]
}

func TestJudgeFindsPlantedFaults(t *testing.T) {
	cases := map[string]struct {
		plant func(people []*Person, w *World)
		want  []error // nil: sound
	}{
		"nothing wrong": {func([]*Person, *World) {}, nil},
		"a lost booking": {func(_ []*Person, w *World) {
			w.Bookings = w.Bookings[:2]
			w.Totals.Booked, w.Totals.Taken = 1, 2
		}, []error{ErrLost}},
		"a lost cancelled booking": {func(_ []*Person, w *World) {
			w.Bookings = w.Bookings[1:]
		}, []error{ErrLost}},
		"a lost cancellation": {func(_ []*Person, w *World) {
			w.Bookings[0].State = stateBooked
			w.Capacity["s1"], w.PerPerson = 2, 2
			w.Totals = Totals{Places: 4, Taken: 4, Booked: 3, Cancelled: 1, Holds: 1}
		}, []error{ErrAltered}},
		"a lost cancellation that the count knows too": {func(_ []*Person, w *World) { w.Totals.Cancelled = 0 }, []error{ErrTotals}},
		"a cancelled booking that an unanswered one replaced": {func(people []*Person, w *World) {
			replaceOldest(people[0], w)
		}, nil},
		"a cancelled booking that was replaced too early": {func(people []*Person, w *World) {
			replaceOldest(people[0], w)
			people[0].Pending = nil
		}, []error{ErrLost}},
		"a newer cancelled booking replaced": {func(people []*Person, w *World) {
			replaceOldest(people[0], w)
			w.Bookings[2] = people[0].Bookings[0]
		}, []error{ErrLost}},
		"a lost change":           {func(people []*Person, _ *World) { people[0].Bookings[1].Slot = "s1" }, []error{ErrAltered}},
		"another sequence number": {func(_ []*Person, w *World) { w.Bookings[1].Sequence = 8 }, []error{ErrAltered}},
		"a booking in the export twice": {func(_ []*Person, w *World) {
			w.Bookings = append(w.Bookings, w.Bookings[1])
		}, []error{ErrDouble}},
		"one code for two people": {func(people []*Person, _ *World) {
			people[2].Bookings = people[1].Bookings
		}, []error{ErrDouble}},
		"one sequence number for two bookings": {func(people []*Person, w *World) {
			people[1].Bookings[0].Sequence, w.Bookings[2].Sequence = 7, 7
		}, []error{ErrDouble}},
		"one number for two people":  {func(people []*Person, _ *World) { people[1].Number = 1 }, []error{ErrDouble}},
		"an oversold slot":           {func(_ []*Person, w *World) { w.Capacity["s1"] = 0 }, []error{ErrOversold}},
		"a slot that does not exist": {func(_ []*Person, w *World) { delete(w.Capacity, "s2") }, []error{ErrOversold}},
		"a person with two bookings": {func(_ []*Person, w *World) { w.Bookings[2].Person = "pa" }, []error{ErrOversold}},
		"an invented booking": {func(_ []*Person, w *World) {
			w.Bookings = append(w.Bookings, Booking{Code: "X", Slot: "s2", State: stateBooked, Sequence: 9, Person: "px"})
			w.Totals.Booked, w.Totals.Holds = 3, 0
		}, []error{ErrInvented}},
		"booked total off":    {func(_ []*Person, w *World) { w.Totals.Booked, w.Totals.Holds = 1, 2 }, []error{ErrTotals}},
		"cancelled total off": {func(_ []*Person, w *World) { w.Totals.Cancelled = 2 }, []error{ErrTotals}},
		"taken total off":     {func(_ []*Person, w *World) { w.Totals.Taken = 2 }, []error{ErrTotals}},
		"more taken than there is": {func(_ []*Person, w *World) {
			w.Totals.Taken, w.Totals.Holds = 4, 2
		}, []error{ErrTotals}},
		"an unanswered booking that came": {func(people []*Person, w *World) {
			people[2].Pending = &Request{Kind: Book, Slot: "s2", Key: "k"}
			w.Bookings = append(w.Bookings, Booking{Code: "X", Slot: "s2", State: stateBooked, Sequence: 9, Person: "px"})
			w.Totals.Booked, w.Totals.Holds = 3, 0
		}, nil},
		"an unanswered booking that did not come": {func(people []*Person, _ *World) {
			people[2].Pending = &Request{Kind: Book, Slot: "s2", Key: "k"}
		}, nil},
		"an unanswered booking that came elsewhere": {func(people []*Person, w *World) {
			people[2].Pending = &Request{Kind: Book, Slot: "s1", Key: "k"}
			w.Bookings = append(w.Bookings, Booking{Code: "X", Slot: "s2", State: stateBooked, Sequence: 9, Person: "px"})
			w.Totals.Booked, w.Totals.Holds = 3, 0
		}, []error{ErrInvented}},
		"an unanswered booking that came twice": {func(people []*Person, w *World) {
			people[2].Pending = &Request{Kind: Book, Slot: "s2", Key: "k"}
			w.Capacity["s2"] = 3
			w.Bookings = append(w.Bookings,
				Booking{Code: "X", Slot: "s2", State: stateBooked, Sequence: 9, Person: "px"},
				Booking{Code: "Y", Slot: "s2", State: stateBooked, Sequence: 10, Person: "py"})
			w.Totals = Totals{Places: 4, Taken: 4, Booked: 4, Cancelled: 1}
		}, []error{ErrInvented}},
		"an unanswered booking that came cancelled": {func(people []*Person, w *World) {
			people[2].Pending = &Request{Kind: Book, Slot: "s2", Key: "k"}
			w.Bookings = append(w.Bookings, Booking{Code: "X", Slot: "s2", State: stateCancelled, Sequence: 9, Person: "px"})
		}, []error{ErrInvented}},
		"an unanswered cancellation that came": {func(people []*Person, w *World) {
			people[0].Pending = &Request{Kind: Cancel, Code: "A2"}
			w.Bookings[1].State, w.Bookings[1].Sequence = stateCancelled, 9
			w.Totals.Booked, w.Totals.Cancelled, w.Totals.Taken = 1, 2, 2
		}, nil},
		"a cancellation that another asked for": {func(people []*Person, w *World) {
			people[1].Pending = &Request{Kind: Cancel, Code: "A2"}
			w.Bookings[1].State, w.Bookings[1].Sequence = stateCancelled, 9
			w.Totals.Booked, w.Totals.Cancelled, w.Totals.Taken = 1, 2, 2
		}, []error{ErrAltered}},
		"an unanswered change that came": {func(people []*Person, w *World) {
			people[0].Pending = &Request{Kind: Change, Code: "A2", Slot: "s3"}
			w.Bookings[1].Slot, w.Bookings[1].Sequence, w.Capacity["s3"] = "s3", 9, 1
		}, nil},
		"an unanswered change that came without a record": {func(people []*Person, w *World) {
			people[0].Pending = &Request{Kind: Change, Code: "A2", Slot: "s3"}
			w.Bookings[1].Slot, w.Capacity["s3"] = "s3", 1
		}, []error{ErrAltered}},
		"an unanswered change that went elsewhere": {func(people []*Person, w *World) {
			people[0].Pending = &Request{Kind: Change, Code: "A2", Slot: "s4"}
			w.Bookings[1].Slot, w.Bookings[1].Sequence, w.Capacity["s3"] = "s3", 9, 1
		}, []error{ErrAltered}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			people, world := soundWorld()
			c.plant(people, world)
			checkFaults(t, Judge(people, world), c.want)
		})
	}
}

func TestJudgeOwnFindsPlantedFaults(t *testing.T) {
	untold := Booking{Code: "X", Slot: "s2", State: stateBooked, Sequence: 9}
	cases := map[string]struct {
		plant  func(p *Person, has []Booking) []Booking
		untold string
		want   []error
	}{
		"nothing wrong": {func(_ *Person, has []Booking) []Booking { return has }, "", nil},
		"lost":          {func(_ *Person, has []Booking) []Booking { return has[1:] }, "", []error{ErrLost}},
		"altered": {func(_ *Person, has []Booking) []Booking {
			has[1].Slot = "s1"
			return has
		}, "", []error{ErrAltered}},
		"invented": {func(_ *Person, has []Booking) []Booking { return append(has, untold) }, "", []error{ErrInvented}},
		"unanswered and there": {func(p *Person, has []Booking) []Booking {
			p.Pending = &Request{Kind: Book, Slot: "s2", Key: "k"}
			return append(has, untold)
		}, "X", nil},
		"unanswered and there twice": {func(p *Person, has []Booking) []Booking {
			p.Pending = &Request{Kind: Book, Slot: "s2", Key: "k"}
			return append(has, untold, Booking{Code: "Y", Slot: "s2", State: stateBooked, Sequence: 10})
		}, "X", []error{ErrInvented}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			people, _ := soundWorld()
			has := c.plant(people[0], slices.Clone(people[0].Bookings))
			got, faults := JudgeOwn(people[0], has)
			checkFaults(t, faults, c.want)
			if code := codeOf(got); code != c.untold {
				t.Errorf("untold booking %q, want %q", code, c.untold)
			}
		})
	}
}

func codeOf(b *Booking) string {
	if b == nil {
		return ""
	}
	return b.Code
}

// checkFaults wants one finding of each kind and none of another.
func checkFaults(t *testing.T, got, want []error) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("found %v, want %v", got, want)
	}
	for i := range want {
		if !errors.Is(got[i], want[i]) {
			t.Errorf("found %v, want %v", got[i], want[i])
		}
	}
}
