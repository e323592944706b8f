package judge

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"weir/loadtest/evidence"
)

// What can be found. Each finding is of one of these kinds.
var (
	ErrLost        = evidence.ErrLost
	ErrAltered     = evidence.ErrAltered
	ErrInvented    = evidence.ErrInvented
	ErrDouble      = evidence.ErrDouble
	ErrOversold    = evidence.ErrOversold
	ErrTotals      = evidence.ErrTotals
	ErrAnswer      = evidence.ErrAnswer
	ErrStale       = errors.New("an answer from the past")
	ErrUnjustified = errors.New("a refusal that nothing justifies")
	ErrIneligible  = errors.New("allowed to somebody who may not")
	ErrTurn        = errors.New("out of turn")
	ErrOrder       = errors.New("not in the order of coming")
	ErrHistory     = errors.New("answers that fit no order")
	ErrPaused      = errors.New("done while the campaign was paused")
	ErrDraw        = errors.New("not as the published draw says")
	ErrShown       = errors.New("shown as it cannot have been")
)

// Finding is one contradiction.
type Finding struct {
	Kind error
	Text string
}

func (f Finding) Error() string { return f.Text + ": " + f.Kind.Error() }
func (f Finding) Unwrap() error { return f.Kind }

// Checked says how much was looked at, so that a verdict that found nothing can
// be told from one that had nothing to find.
type Checked struct {
	Answers     int64 `json:"answers"`
	Unanswered  int64 `json:"unanswered"` // sent, and no answer came
	Refused     int64 `json:"refused"`    // for want of room: 429 and 503
	People      int64 `json:"people"`
	Overlapping int64 `json:"overlapping"` // of the people: with requests that overlap or were not answered
	Bookings    int64 `json:"bookings"`    // in the export
	Slots       int64 `json:"slots"`       // with a taker or a refusal
	SlotFull    int64 `json:"slot_full"`   // refusals
	Linearized  int64 `json:"linearized"`  // slots whose history was checked in full
	LinearOps   int64 `json:"linear_ops"`  // of these histories
	Numbers     int64 `json:"numbers"`     // in line, as told
	Lots        int64 `json:"lots"`        // numbers that were recomputed from a draw's seed
	Called      int64 `json:"called"`      // people of whose number it is known that it was called
	CameIn      int64 `json:"came_in"`     // of these, who asked and were let in
	TurnedAway  int64 `json:"turned_away"` // of these, who asked and got nothing but refusals for want of room, or no answer
	Paused      int64 `json:"paused"`      // refusals because of a pause
	Shown       int64 `json:"shown"`       // slots that were shown with so many places left
}

// Verdict is what a judgement comes to.
type Verdict struct {
	Checked   Checked          `json:"checked"`
	Counts    map[string]int64 `json:"counts,omitempty"` // of findings, by kind
	Findings  []Finding        `json:"-"`                // the first of each kind
	Undecided []string         `json:"undecided,omitempty"`
	// Cut says that a file of answers ends early, so that some requests are
	// not known. Bookings that nobody is known to have asked for are undecided
	// then.
	Cut bool `json:"cut,omitempty"`
}

// Violations is the number of findings.
func (v *Verdict) Violations() (n int64) {
	for _, count := range v.Counts {
		n += count
	}
	return n
}

// Sound says that nothing was found and nothing is in doubt.
func (v *Verdict) Sound() bool { return v.Violations() == 0 && len(v.Undecided) == 0 && !v.Cut }

// Texts are the findings for people to read.
func (v *Verdict) Texts() []string {
	texts := make([]string, len(v.Findings))
	for i := range v.Findings {
		texts[i] = v.Findings[i].Error()
	}
	return texts
}

const (
	findingsMax  = 20 // of each kind that are kept
	undecidedMax = 20
)

// record collects what is found. It is safe for concurrent use.
type record struct {
	mu      sync.Mutex
	verdict Verdict // under mu
}

func newRecord() *record { return &record{verdict: Verdict{Counts: map[string]int64{}}} }

func (r *record) fault(kind error, format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	name := kind.Error()
	if r.verdict.Counts[name]++; r.verdict.Counts[name] <= findingsMax {
		r.verdict.Findings = append(r.verdict.Findings, Finding{kind, fmt.Sprintf(format, args...)})
	}
}

func (r *record) undecided(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch n := len(r.verdict.Undecided); {
	case n < undecidedMax:
		r.verdict.Undecided = append(r.verdict.Undecided, fmt.Sprintf(format, args...))
	case n == undecidedMax:
		r.verdict.Undecided = append(r.verdict.Undecided, "and more")
	}
}

// count changes the figures of what was checked.
func (r *record) count(change func(*Checked)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.verdict.Checked)
}

// String is the verdict in a few lines.
func (v *Verdict) String() string {
	var b strings.Builder
	c := &v.Checked
	fmt.Fprintf(&b, "judged: %d answers (%d requests unanswered, %d refused for want of room), %d people (%d with requests that overlap), %d bookings, %d slots, %d refusals of full slots, %d slots of %d operations linearized, %d slots shown, %d refusals because of a pause\n",
		c.Answers, c.Unanswered, c.Refused, c.People, c.Overlapping, c.Bookings, c.Slots, c.SlotFull, c.Linearized, c.LinearOps, c.Shown, c.Paused)
	fmt.Fprintf(&b, "the line: %d numbers, %d of them recomputed from the draw, %d people known to have been called, %d of these asked and were let in, %d asked and were only turned away\n",
		c.Numbers, c.Lots, c.Called, c.CameIn, c.TurnedAway)
	if v.Cut {
		b.WriteString("cut: a file of answers ends early\n")
	}
	for _, text := range v.Undecided {
		fmt.Fprintf(&b, "undecided: %s\n", text)
	}
	for _, text := range v.Texts() {
		fmt.Fprintf(&b, "violation: %s\n", text)
	}
	fmt.Fprintf(&b, "%d violations\n", v.Violations())
	return b.String()
}
