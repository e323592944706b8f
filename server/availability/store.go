package availability

import (
	"sync"
	"sync/atomic"
)

// The bounds of what one summary keeps of documents, in bytes and documents.
// They hold for the bodies; two summaries are alive while one replaces the
// other.
const (
	regularBytes = 64 << 20
	queryBytes   = 32 << 20
	queryMax     = 32 << 10
)

// entry is one document in its encodings, each made once.
type entry struct {
	making sync.Mutex                          // held while one of made is
	made   [encodings]atomic.Pointer[Document] // stored under making
}

// budget bounds the bytes that a store keeps. It is full for good from the
// first time that something does not fit.
type budget struct{ room atomic.Int64 }

// take claims n bytes, and says whether there was room for them.
func (b *budget) take(n int) bool { return b.room.Add(-int64(n)) >= 0 }

func (b *budget) full() bool { return b.room.Load() <= 0 }

// store keeps documents by query.
type store struct {
	budget
	sync.RWMutex
	entries map[key]*entry // under RWMutex; at most queryMax
}

// find returns the entry of k, and nil where there is no room for it.
func (s *store) find(k *key) *entry {
	s.RLock()
	e := s.entries[*k]
	s.RUnlock()
	if e != nil {
		return e
	}
	s.Lock()
	defer s.Unlock()
	if e := s.entries[*k]; e != nil {
		return e
	}
	if len(s.entries) >= queryMax || s.full() {
		return nil
	}
	if s.entries == nil {
		s.entries = map[key]*entry{}
	}
	e = &entry{}
	s.entries[*k] = e
	return e
}

// place returns where the document of k is kept, and the budget that it counts
// against. The entry is nil where there is no room for another.
func (s *snapshot) place(k *key) (*entry, *budget) {
	plain := k.date == all && k.product == all && !k.onlyAvailable && !k.near && k.after == all
	switch {
	case plain && k.site >= 0:
		return &s.slots[k.site], &s.regular
	case plain && k.site == all && k.region >= all && k.limit == DefaultLimit:
		return &s.whole[k.region+1], &s.regular
	}
	return s.queries.find(k), &s.queries.budget
}
