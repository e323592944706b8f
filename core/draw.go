package core

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"weir/core/campaign"
	"weir/core/event"
	"weir/core/line"
)

// Who joins for an opening before it comes enters its draw, unless the campaign
// goes by arrival. There is one draw an opening. It lives through three records:
//
//	DrawOpened  before anybody enters: the commitment to a seed
//	Entered     a person each: an index, from 1
//	Drawn       once the opening has come: the seed
//
// From Drawn on everybody who entered has a number, which Rank computes from
// seed, size and index whenever it is asked for; no row is touched. Who left
// keeps the index used and is in nobody's way: the number is served to nobody.
// Who comes after the opening but before Drawn enters the draw as well, so that
// nobody slips in front of those who were early.
//
// The seed comes from outside and is not in the log before Drawn.
//
// A draw is for an opening and a definition may move that. Windows have no
// names, so the draw keeps the cohorts that allowed people to enter, and since
// when. Its opening is the first of those windows of theirs that had not closed
// when they entered: under the definition that they entered by, the one that
// they entered for. Where a new definition has no such window any more, the
// draw keeps the opening that it had. Two draws whose openings were moved onto
// each other stay two; who joins then enters the older.

// DrawState is one draw.
type DrawState struct {
	Opens      event.Time // the opening that it is for, as the definition in force has it
	Commitment line.Commitment

	Drawn bool
	Seed  line.Seed    // once it is drawn
	Size  uint32       // once it is drawn: indices given
	Base  event.Number // once it is drawn: its numbers are Base+1 to Base+Size

	ranks *line.Permutation // once it is drawn
}

// number returns the number that the draw gives to an index, 0 before it is
// drawn.
func (d *DrawState) number(index event.Index) event.Number {
	if !d.Drawn {
		return 0
	}
	return d.Base + 1 + event.Number(d.ranks.Rank(uint32(index)-1))
}

// drawList is who entered a draw, but for their rows.
type drawList struct {
	size    uint32    // owner: waitingLine.Mutex
	cohorts []entrant // owner: waitingLine.Mutex
}

// entrant is a cohort by which people entered a draw, the first of them since.
type entrant struct {
	cohort uint16
	since  event.Time
}

var (
	// ErrDrawNotOpen says that a person who wants to join would enter a draw
	// that is not open yet: the caller has it opened (Engine.OpenDraw) and
	// asks again.
	ErrDrawNotOpen = errors.New("draw not open")
	// ErrDrawNotDue says that the opening has not come.
	ErrDrawNotDue = errors.New("draw not due")
	// ErrSeed says that a seed is not the one that was committed to.
	ErrSeed = errors.New("seed does not match the commitment")
)

// DrawnNumber returns the number that a draw gave to an index, from what is
// public of it: how anybody recomputes a place. It answers an error where there
// was no such index.
func DrawnNumber(seed line.Seed, size uint32, base event.Number, index event.Index) (event.Number, error) {
	if index == 0 || uint32(index) > size {
		return 0, fmt.Errorf("no index %d in a draw of %d", index, size)
	}
	return base + 1 + event.Number(line.Rank(seed, size, uint32(index)-1)), nil
}

// pending returns the draw for an opening that is not drawn yet, or 0.
func (s *LineState) pending(opens event.Time) event.Draw {
	for i := range s.Draws {
		if !s.Draws[i].Drawn && s.Draws[i].Opens == opens {
			return event.Draw(i + 1)
		}
	}
	return 0
}

// DueDraws appends the draws whose opening has come and that are not drawn.
func (s *LineState) DueDraws(dst []event.Draw, now event.Time) []event.Draw {
	for i := range s.Draws {
		if !s.Draws[i].Drawn && s.Draws[i].Opens <= now {
			dst = append(dst, event.Draw(i+1))
		}
	}
	return dst
}

// NextOpening returns the first opening that a draw waits for, and false where
// none does.
func (s *LineState) NextOpening() (opens event.Time, found bool) {
	for i := range s.Draws {
		if d := &s.Draws[i]; !d.Drawn && (!found || d.Opens < opens) {
			opens, found = d.Opens, true
		}
	}
	return opens, found
}

// earlyWindow returns the window that somebody of that verdict joins early for
// at now, or -1.
func (r *rules) earlyWindow(verdict campaign.Decision, now event.Time) int {
	if verdict.Reason == campaign.Eligible || verdict.Next < 0 || now < r.LineOpens(verdict.Next) {
		return -1
	}
	return verdict.Next
}

// byLot says whether those who join early enter a draw.
func (r *rules) byLot() bool { return r.Line.Enabled && r.Line.Order == campaign.Draw }

// OpenDraw opens the draw that somebody born on that day would enter at now.
// seal returns the commitment to the seed of the draw with that number; it is
// called with all people locked and has to be quick. Where that draw is open
// already, or there is none to open, nothing changes and it returns 0. Errors
// are those of Journal.Reserve.
func (e *Engine) OpenDraw(now event.Time, c *Campaign, born campaign.Date, seal func(event.Draw) line.Commitment) (event.Seq, error) {
	r := event.Record{Kind: event.DrawOpened, At: now}
	return e.steer(c, &r, func(state *LineState) (bool, error) {
		rules := c.rules.Load()
		window := rules.earlyWindow(rules.Decide(born, now), now)
		if window < 0 || !rules.byLot() || state.pending(rules.Windows[window].Opens) != 0 {
			return false, nil
		}
		if len(state.Draws) == math.MaxUint16 {
			return false, fmt.Errorf("open draw: a campaign has %d draws at most", math.MaxUint16)
		}
		r.Draw = event.Draw(len(state.Draws) + 1)
		r.Until, r.Cohort = rules.Windows[window].Opens, uint16(rules.CohortOf(born, window))
		commitment := seal(r.Draw)
		r.Payload = commitment[:]
		return true, nil
	})
}

// Draw gives everybody in a draw, whose opening has come, their numbers. A draw
// that is drawn stays as it is, and the answer is 0. Errors: NotFound,
// ErrDrawNotDue, ErrSeed, and those of Journal.Reserve.
func (e *Engine) Draw(now event.Time, c *Campaign, draw event.Draw, seed line.Seed) (event.Seq, error) {
	r := event.Record{Kind: event.Drawn, At: now, Draw: draw, Payload: seed[:]}
	return e.steer(c, &r, func(state *LineState) (bool, error) {
		if draw == 0 || int(draw) > len(state.Draws) {
			return false, NotFound
		}
		switch d := &state.Draws[draw-1]; {
		case d.Drawn:
			return false, nil
		case now < d.Opens:
			return false, ErrDrawNotDue
		case seed.Commitment() != d.Commitment:
			return false, ErrSeed
		}
		return true, nil
	})
}

func (c *Campaign) applyDrawOpened(next *LineState, r *event.Record) error {
	if int(r.Draw) != len(next.Draws)+1 || len(r.Payload) != event.SecretSize {
		return fmt.Errorf("draw %d follows %d", r.Draw, len(next.Draws))
	}
	cohort, err := c.cohort(r)
	if err != nil {
		return err
	}
	next.Draws = append(slices.Clip(next.Draws), DrawState{Opens: r.Until, Commitment: line.Commitment(r.Payload)})
	c.line.lists = append(c.line.lists, &drawList{cohorts: []entrant{{cohort, r.At}}})
	return nil
}

// enter gives the next index of a draw away. The line is locked.
func (c *Campaign) enter(r *event.Record, cohort uint16) error {
	if r.Draw == 0 || int(r.Draw) > len(c.line.lists) || c.line.state.Load().Draws[r.Draw-1].Drawn {
		return fmt.Errorf("draw %d is not open", r.Draw)
	}
	list := c.line.lists[r.Draw-1]
	if uint32(r.Index) != list.size+1 {
		return fmt.Errorf("index %d of draw %d follows %d", r.Index, r.Draw, list.size)
	}
	list.size++
	c.line.early.Add(1)
	if !slices.ContainsFunc(list.cohorts, func(e entrant) bool { return e.cohort == cohort }) {
		list.cohorts = append(list.cohorts, entrant{cohort, r.At})
	}
	return nil
}

func (c *Campaign) applyDrawn(next *LineState, r *event.Record) error {
	if r.Draw == 0 || int(r.Draw) > len(next.Draws) || next.Draws[r.Draw-1].Drawn {
		return fmt.Errorf("draw %d is not open", r.Draw)
	}
	next.Draws = slices.Clone(next.Draws)
	draw := &next.Draws[r.Draw-1]
	if len(r.Payload) != event.SecretSize || line.Seed(r.Payload).Commitment() != draw.Commitment {
		return fmt.Errorf("draw %d: %w", r.Draw, ErrSeed)
	}
	c.line.Lock()
	defer c.line.Unlock()
	draw.Drawn, draw.Seed, draw.Size = true, line.Seed(r.Payload), c.line.lists[r.Draw-1].size
	draw.Base = event.Number(c.line.issued.Load())
	draw.ranks = line.NewPermutation(draw.Seed, draw.Size)
	c.line.issued.Add(draw.Size)
	c.line.early.Add(-draw.Size)
	return nil
}

// moveDraws lets the draws that wait for an opening wait for the one that rules
// have. All shards of people are locked.
func (c *Campaign) moveDraws(rules *rules) {
	next := *c.line.state.Load()
	next.Draws = slices.Clone(next.Draws)
	for i := range next.Draws {
		if draw := &next.Draws[i]; !draw.Drawn {
			draw.Opens = rules.openingOf(c.line.lists[i].cohorts, draw.Opens)
		}
	}
	c.line.state.Store(&next)
}

// openingOf returns the first opening of the entrants' windows, or otherwise
// where they have none left.
func (r *rules) openingOf(entrants []entrant, otherwise event.Time) event.Time {
	opens, found := otherwise, false
	for _, w := range r.Windows {
		if (!found || w.Opens < opens) && slices.ContainsFunc(entrants, func(e entrant) bool {
			return w.Closes > e.since && slices.ContainsFunc(w.Cohorts, func(i int) bool { return r.cohorts[i] == e.cohort })
		}) {
			opens, found = w.Opens, true
		}
	}
	return opens
}
