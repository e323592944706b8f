package server

import (
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"weir/core/event"
)

// auditMax bounds the entries that an audit keeps; the oldest go first.
const auditMax = 2000

// The sources of audit entries.
const (
	// auditLog marks what is in the log: it was read from there at the start,
	// or appended to it since, and its sequence number is given.
	auditLog = "log"
	// auditProcess marks what this process alone knows: it is gone with it.
	auditProcess = "process"
)

// auditEntry says who did what, and when.
type auditEntry struct {
	At       auditTime `json:"at"`
	Source   string    `json:"source"`
	Sequence event.Seq `json:"sequence,omitempty"` // of its record in the log
	Campaign string    `json:"campaign,omitempty"`
	Action   string    `json:"action"`
	Detail   string    `json:"detail,omitempty"`
	By       string    `json:"by,omitempty"` // who, as the operator's client says; the log does not keep it
}

// auditTime is a time in UTC, to the millisecond.
type auditTime event.Time

// MarshalJSON gives RFC 3339.
func (t auditTime) MarshalJSON() ([]byte, error) {
	return json.Marshal(time.UnixMilli(int64(t)).UTC().Format("2006-01-02T15:04:05.000Z"))
}

// audit remembers what operators changed, and what the server did on its own
// that they should know of: the newest entries, in memory. What stands in the
// log comes back at the next start (History); the log's records do not say who
// asked, so that is known of the changes of this process alone. All methods are
// safe for concurrent use.
type audit struct {
	mu      sync.Mutex
	entries []auditEntry // a ring once it is full; guarded by mu
	next    int          // where the next entry goes; guarded by mu
}

// replayed notes a record of a campaign that was read from the log. Records of
// people are none of an audit's business.
func (a *audit) replayed(seq event.Seq, r *event.Record, campaignID string) {
	action, detail := describeRecord(r)
	a.add(auditEntry{
		At: auditTime(r.At), Source: auditLog, Sequence: seq, Campaign: campaignID, Action: action, Detail: detail,
	})
}

// describeRecord says what a campaign's record changed.
func describeRecord(r *event.Record) (action, detail string) {
	switch r.Kind {
	case event.Defined:
		detail = fmt.Sprintf("version %d", r.Version)
	case event.DrawOpened:
		detail = fmt.Sprintf("draw %d, commitment %x", r.Draw, r.Payload)
	case event.Drawn:
		detail = fmt.Sprintf("draw %d, seed %x", r.Draw, r.Payload)
	case event.Paused:
		detail = string(r.Payload)
	}
	return r.Kind.String(), detail
}

// defined notes that a definition was put in force under the record seq.
func (a *audit) defined(at event.Time, seq event.Seq, campaignID string, version event.Version) {
	a.add(auditEntry{
		At: auditTime(at), Source: auditLog, Sequence: seq, Campaign: campaignID,
		Action: event.Defined.String(), Detail: fmt.Sprintf("version %d", version),
	})
}

func (a *audit) add(e auditEntry) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.entries) < auditMax {
		a.entries = append(a.entries, e)
		return
	}
	a.entries[a.next] = e
	a.next = (a.next + 1) % auditMax
}

// newest returns up to limit entries, the newest first; of one campaign where
// its id is not empty.
func (a *audit) newest(limit int, campaignID string) []auditEntry {
	a.mu.Lock()
	defer a.mu.Unlock()
	list := make([]auditEntry, 0, min(limit, len(a.entries)))
	for back := 1; back <= len(a.entries) && len(list) < limit; back++ {
		e := &a.entries[(a.next-back+2*len(a.entries))%len(a.entries)]
		if campaignID == "" || e.Campaign == campaignID {
			list = append(list, *e)
		}
	}
	return list
}
