package admission

import (
	"fmt"
	"time"
)

// Settings of a gate.
type Settings struct {
	Interval    time.Duration // between two decisions of the rule
	QueueDelay  time.Duration // target: least delay of an interval, from readable to served
	CommitDelay time.Duration // target: from append to durable
	Spared      Class         // from here up nobody is refused for the queue's sake: the loops have another way; Classes: nobody is spared
	JournalFill float64       // target: share of the journal's room that is taken, 0…1
	Refusing    float64       // aim: share of the loops' time that goes into refusing, 0…1
	RestMax     time.Duration // of Relief.Rest
	AcceptMax   time.Duration // of Relief.AcceptEvery: the slowest pace still takes one connection in that time
}

// DefaultSettings suit loops that serve some ten thousand requests a second on
// a disk that syncs in milliseconds.
func DefaultSettings() Settings {
	return Settings{
		Interval:    20 * time.Millisecond,
		QueueDelay:  time.Millisecond,
		CommitDelay: 50 * time.Millisecond,
		Spared:      Classes,
		JournalFill: 0.5,
		Refusing:    0.04,
		RestMax:     2 * time.Second,
		AcceptMax:   10 * time.Millisecond,
	}
}

func (s Settings) check() error {
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"interval", s.Interval},
		{"target of the queueing delay", s.QueueDelay},
		{"target of the commit delay", s.CommitDelay},
		{"longest rest", s.RestMax},
		{"slowest pace of accepting", s.AcceptMax},
	} {
		if d.value <= 0 {
			return fmt.Errorf("admission: %s must be positive, is %v", d.name, d.value)
		}
	}
	if s.Spared < 1 || s.Spared > Classes {
		return fmt.Errorf("admission: the classes to be spared must begin above the lowest, not at %d", s.Spared)
	}
	if !(s.JournalFill > 0 && s.JournalFill <= 1) {
		return fmt.Errorf("admission: target of the journal's fill must be above 0 and at most 1, is %v", s.JournalFill)
	}
	if !(s.Refusing > 0 && s.Refusing < 1) {
		return fmt.Errorf("admission: share of time for refusing must be between 0 and 1, is %v", s.Refusing)
	}
	return nil
}
