package judge

import (
	"cmp"
	"slices"
	"time"

	"weir/loadtest/answers"
)

// A history whose requests overlap is sound where they can be put into an order
// that agrees with real time and in which each answer is right. The search goes
// through the calls and returns in the order of their times and keeps every
// configuration that is still possible: the person's state, and which of the
// requests under way have taken effect already. At a return, that request must
// have taken effect: if it has not, others that are under way may have done so
// just before it, in any order (just-in-time linearization: Gavin Lowe,
// "Testing for linearizability", 2017). Unlike a depth-first search it ends with
// all states that are possible, and a request without an answer costs no more
// than one that stays under way.

// lanesMax bounds the requests of one person that are under way at once.
const lanesMax = 64

// configuration is one possibility. Bit i of done says that the request in lane
// i, still under way, has taken effect.
type configuration struct {
	state state
	done  uint64
}

// search looks for an order of one person's requests. It belongs to a
// personJudge.
type search struct {
	*personJudge
	history  *history
	lanes    [lanesMax]*answers.Answer // under way; nil: free
	possible []configuration
	ways     []configuration // scratch
}

// edge is a call or a return.
type edge struct {
	at      time.Duration
	returns bool
	asked   *answers.Answer
}

// search judges a history whose requests overlap.
func (j *personJudge) search(h *history) {
	s := search{personJudge: j, history: h, possible: []configuration{{}}}
	for _, e := range s.edges() {
		if !e.returns {
			if !s.call(e.asked) {
				j.record.undecided("person %d: more than %d requests at once", h.person, lanesMax)
				return
			}
			continue
		}
		if !s.answer(e.asked) {
			return
		}
	}
	s.settle()
}

// edges are the calls and returns in the order of their times, calls first: a
// request that was sent in the moment of another's answer overlaps it.
func (s *search) edges() []edge {
	var all []edge
	for i := range s.history.asked {
		a := &s.history.asked[i]
		if a.Outcome.Refused() || a.Outcome == answers.NotSent || a.Outcome == answers.NoAnswer && !a.Kind.Changes() {
			continue // it cannot matter
		}
		all = append(all, edge{a.Sent, false, a})
		if until, ends := s.decided(a); ends {
			all = append(all, edge{until, true, a})
		}
	}
	slices.SortStableFunc(all, func(a, b edge) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(order(a.returns), order(b.returns)))
	})
	return all
}

func order(returns bool) int {
	if returns {
		return 1
	}
	return 0
}

// decided is when a request has been carried out at the latest, if it was. One
// that nobody answered may be carried out at any time later, but not behind a
// restart of the server.
func (s *search) decided(a *answers.Answer) (until time.Duration, ends bool) {
	if a.Outcome != answers.NoAnswer {
		return a.Answered, true
	}
	for _, d := range s.slots.ends.downs {
		if d.From >= a.Sent {
			return max(d.To, a.Answered), true
		}
	}
	return 0, false
}

func (s *search) call(a *answers.Answer) bool {
	lane := slices.Index(s.lanes[:], nil)
	if lane < 0 {
		return false
	}
	s.lanes[lane] = a
	return true
}

// answer keeps the configurations in which a has taken effect as it was
// answered, and is false where there are none or too many.
func (s *search) answer(a *answers.Answer) bool {
	lane := slices.Index(s.lanes[:], a)
	bit := uint64(1) << lane
	if !s.closure(bit) {
		s.record.undecided("person %d: more than %d possibilities at %v", s.history.person, statesMax, a.Answered)
		return false
	}
	kept := s.ways[:0]
	for i := range s.ways {
		c := s.ways[i]
		// Where nobody answered, the server has gone: it took effect or never will.
		if c.done&bit == 0 && a.Outcome != answers.NoAnswer {
			continue
		}
		c.done &^= bit
		kept = add(kept, c)
	}
	if len(kept) == 0 {
		s.impossible(a)
		return false
	}
	s.possible, s.ways = kept, s.possible
	s.lanes[lane] = nil
	return true
}

// closure puts into ways every configuration that can follow from the possible
// ones while nothing returns, as far as is needed for the request of one lane to
// have taken effect; of all lanes where last is 0. It is false where there are
// too many.
func (s *search) closure(last uint64) bool {
	s.ways = append(s.ways[:0], s.possible...)
	for i := 0; i < len(s.ways); i++ {
		if last != 0 && s.ways[i].done&last != 0 {
			continue
		}
		for lane, a := range s.lanes {
			bit := uint64(1) << lane
			if a == nil || s.ways[i].done&bit != 0 {
				continue
			}
			before := s.ways[i]
			s.next = s.model.step(&before.state, a, s.next[:0])
			for n := range s.next {
				s.ways = add(s.ways, configuration{s.next[n], before.done | bit})
			}
			if len(s.ways) > statesMax {
				return false
			}
		}
	}
	return true
}

// add appends a configuration that is not there yet.
func add(to []configuration, c configuration) []configuration {
	if slices.Contains(to, c) {
		return to
	}
	return append(to, c)
}

// impossible blames a request that no configuration explains. Where there was
// but one, the model says what is wrong; else only that nothing fits.
func (s *search) impossible(a *answers.Answer) {
	_ = s.model.step(&s.possible[0].state, a, nil)
	kind, why := s.model.kind, s.model.why
	if len(s.ways) > 1 {
		kind, why = ErrHistory, why+" (whatever the order)"
	}
	s.blame(s.history, a, kind, why)
}

// settle asks whether one of the configurations can end as what was found.
func (s *search) settle() {
	if !s.closure(0) {
		s.record.undecided("person %d: more than %d possibilities at the end", s.history.person, statesMax)
		return
	}
	for i := range s.ways {
		if s.agrees(&s.ways[i].state, s.history.found) {
			return
		}
	}
	why, kind := s.difference(&s.possible[0].state, s.history.found)
	if len(s.ways) > 1 {
		why, kind = s.history.missing()
	}
	s.blame(s.history, nil, kind, why)
}
