package reactor

import "weir/core/event"

// kept is one answer that waits for its record.
type kept[A any] struct {
	to      *conn
	seq     event.Seq
	account A
	bytes   []byte // reused by the entry's next answer
}

// shelf is the queue of kept answers, in the order in which they were made. It
// is bounded by the number of connections, each of which has one at most.
type shelf[A any] struct {
	ring []kept[A] // len is a power of two, or 0
	head uint      // of the oldest
	n    uint
}

// put adds an entry and returns it for filling.
func (s *shelf[A]) put() *kept[A] {
	if s.n == uint(len(s.ring)) {
		s.grow()
	}
	k := &s.ring[(s.head+s.n)&uint(len(s.ring)-1)]
	s.n++
	return k
}

func (s *shelf[A]) grow() {
	larger := make([]kept[A], max(64, 2*len(s.ring)))
	for i := range s.n {
		larger[i] = s.ring[(s.head+i)&uint(len(s.ring)-1)]
	}
	s.ring, s.head = larger, 0
}

// oldest returns the entry that is taken next, or nil.
func (s *shelf[A]) oldest() *kept[A] {
	if s.n == 0 {
		return nil
	}
	return &s.ring[s.head&uint(len(s.ring)-1)]
}

// newest returns the entry that was put last. There is one.
func (s *shelf[A]) newest() *kept[A] { return &s.ring[(s.head+s.n-1)&uint(len(s.ring)-1)] }

// drop takes the oldest away.
func (s *shelf[A]) drop() {
	s.ring[s.head&uint(len(s.ring)-1)].to = nil
	s.head++
	s.n--
}
