package campaign

import "weir/core/event"

// State is where a campaign stands as a whole.
type State uint8

// The states, next to Paused, which an operator alone decides.
const (
	Scheduled State = iota // a window is still to come
	Early                  // people may join the line of a window that has not opened
	Open                   // a window is open
	Closed                 // every window has closed
)

var stateNames = [...]string{
	Scheduled: "scheduled", Early: "early", Open: "open", Closed: "closed", Paused: "paused",
}

// String gives the state's name on the public surface.
func (s State) String() string {
	if int(s) < len(stateNames) && stateNames[s] != "" {
		return stateNames[s]
	}
	return "unknown"
}

// State returns the campaign's state at now by its windows alone: never Paused.
func (d *Definition) State(now event.Time) State {
	state := Closed
	for i := range d.Windows {
		w := &d.Windows[i]
		switch {
		case now >= w.Closes:
		case now >= w.Opens:
			return Open
		case now >= d.LineOpens(i):
			state = Early
		case state == Closed:
			state = Scheduled
		}
	}
	return state
}

// LineOpens returns when people may first join for a window: OpensBefore ahead
// of its opening, or at its opening where the campaign has no line.
func (d *Definition) LineOpens(window int) event.Time {
	opens := d.Windows[window].Opens
	if !d.Line.Enabled {
		return opens
	}
	return opens - event.Time(d.Line.OpensBefore.Milliseconds())
}

// LineOpen says whether people may join for some window at now: from its
// LineOpens to its closing.
func (d *Definition) LineOpen(now event.Time) bool {
	for i := range d.Windows {
		if now >= d.LineOpens(i) && now < d.Windows[i].Closes {
			return true
		}
	}
	return false
}
