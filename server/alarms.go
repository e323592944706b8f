package server

import (
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"weir/core"
	"weir/core/campaign"
	"weir/core/event"
)

// Alarms are what an operator should look at. Each is a condition that the
// keeper tests at every tick; it is raised when the condition comes true and
// cleared when it has been false for alarmRest. Both go into the audit and the
// log of the process.

// alarmCode names an alarm.
type alarmCode string

// The alarms.
const (
	alarmRefusals alarmCode = "refusals_jumped" // many more of those who ask are refused than before
	alarmCommits  alarmCode = "commits_slow"    // the journal takes long
	alarmStalls   alarmCode = "line_stalls"     // people wait, booking is open, and nobody is called
	alarmClock    alarmCode = "clock_stepped"   // the machine's clock was moved
	alarmLine     alarmCode = "line_not_kept"   // the line could not be kept, a draw not performed
)

// alarmRest is how long an alarm stands after its condition was true last.
const alarmRest = time.Minute

// alarm is one that stands.
type alarm struct {
	Code     alarmCode `json:"code"`
	Campaign string    `json:"campaign,omitempty"` // empty: it concerns the server
	Since    auditTime `json:"since"`
	Message  string    `json:"message"` // for people

	last time.Duration // when its condition was true last, monotonic
}

// alarms is the list of those that stand. Safe for concurrent use.
type alarms struct {
	mu   sync.Mutex
	list []alarm // in the order in which they were raised; guarded by mu
}

func (l *alarms) standing() []alarm {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.list)
}

// test raises the alarm where message is not empty, and clears it where it has
// been empty for long enough. changed is the alarm that was raised or cleared.
func (l *alarms) test(code alarmCode, campaignID, message string, now event.Time, at time.Duration) (changed *alarm, raised bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.IndexFunc(l.list, func(a alarm) bool { return a.Code == code && a.Campaign == campaignID })
	switch {
	case i < 0 && message != "":
		a := alarm{Code: code, Campaign: campaignID, Since: auditTime(now), Message: message, last: at}
		l.list = append(l.list, a)
		return &a, true
	case i >= 0 && message != "":
		l.list[i].Message, l.list[i].last = message, at
	case i >= 0 && at-l.list[i].last >= alarmRest:
		a := l.list[i]
		l.list = slices.Delete(l.list, i, i+1)
		return &a, false
	}
	return nil, false
}

// alarm tests one alarm and tells of it where it changed.
func (k *keeper) alarm(code alarmCode, campaignID, message string, now event.Time, at time.Duration) {
	changed, raised := k.s.alarms.test(code, campaignID, message, now, at)
	if changed == nil {
		return
	}
	action := "alarm_cleared"
	if raised {
		action = "alarm_raised"
		k.s.log.Warn("alarm", slog.String("code", string(code)), slog.String("campaign", campaignID), slog.String("message", message))
	}
	k.s.history.audit.add(auditEntry{
		At: auditTime(now), Source: auditProcess, Campaign: campaignID, Action: action, Detail: string(code) + ": " + changed.Message,
	})
}

// watchServer tests the alarms that concern no campaign.
func (k *keeper) watchServer(now event.Time, at, elapsed time.Duration) {
	k.alarm(alarmCommits, "", k.slow.test(max(k.queue, k.commit), at), now, at)
	k.alarm(alarmClock, "", k.clock.test(now, k.s.clockBehind(), elapsed), now, at)
}

// watchLine tests the alarms of one campaign.
func (k *keeper) watchLine(e *entry, now event.Time, at time.Duration) {
	t := e.turnstile
	d, _ := e.core.Definition()
	state := e.core.Line()
	open := d.Line.Enabled && !state.Paused && d.State(now) == campaign.Open
	k.alarm(alarmStalls, e.id, t.stalled.test(&state, open, at), now, at)
	asked, refused := t.door.totals()
	k.alarm(alarmRefusals, e.id, t.refused.test(asked, refused, at), now, at)
	message := ""
	if t.trouble != "" {
		message = "The line could not be kept: " + t.trouble
	}
	k.alarm(alarmLine, e.id, message, now, at)
}

// slowWatch finds a journal that takes long and goes on doing so.
type slowWatch struct {
	slow  bool
	since time.Duration
}

const (
	slowCommit    = 100 * time.Millisecond
	slowCommitFor = 3 * time.Second
)

func (w *slowWatch) test(delay, at time.Duration) string {
	if delay < slowCommit {
		w.slow = false
		return ""
	}
	if !w.slow {
		w.slow, w.since = true, at
	}
	if at-w.since < slowCommitFor {
		return ""
	}
	return fmt.Sprintf("Nine of ten commits take up to %v, or the journal has stood still for as long.", delay.Round(time.Millisecond))
}

// stallWatch finds a line that does not move.
type stallWatch struct {
	serving event.Number
	since   time.Duration // from when on the mark stood there while people waited
}

const stallFor = 30 * time.Second

func (w *stallWatch) test(state *core.LineState, open bool, at time.Duration) string {
	if !open || state.Issued <= state.Serving || state.Serving != w.serving {
		w.serving, w.since = state.Serving, at
		return ""
	}
	if at-w.since < stallFor {
		return ""
	}
	return fmt.Sprintf("%d people wait, booking is open, and nobody has been called for %v.", state.Issued-state.Serving, (at - w.since).Round(time.Second))
}

// clockWatch finds steps of the machine's clock, by the monotonic one.
type clockWatch struct {
	started bool
	latest  event.Time
	drift   time.Duration // of the clock against the monotonic one, forgotten slowly
	step    time.Duration // the drift at its widest, while it is one to tell of
}

const (
	clockStep   = time.Second
	clockForget = 0.99 // a tick: a clock that is set right smoothly raises no alarm
)

func (w *clockWatch) test(now event.Time, behind, elapsed time.Duration) string {
	if w.started {
		w.drift += time.Duration(now-w.latest)*time.Millisecond - elapsed
		w.drift = time.Duration(float64(w.drift) * clockForget)
	}
	w.started, w.latest = true, now
	switch {
	case behind >= clockStep:
		return fmt.Sprintf("The machine's clock is %v behind the newest time in use; the server's stands still until it has caught up.", behind.Round(time.Millisecond))
	case w.drift.Abs() < clockStep:
		w.step = 0
		return ""
	case w.drift.Abs() > w.step.Abs():
		w.step = w.drift
	}
	return fmt.Sprintf("The clock was moved by about %v.", w.step.Round(100*time.Millisecond))
}

// refusalWatch finds a jump in the share of those who ask for a place and are
// refused: a rule that was got wrong, or a crowd that came on the wrong day.
type refusalWatch struct {
	began          time.Duration // the present window
	asked, refused int64         // when it began
	usual          float64       // share of those who asked that was refused, in earlier windows
}

const (
	refusalWindow = 10 * time.Second
	refusalFewest = 50  // refusals in a window, below which they are none to speak of
	refusalJump   = 0.3 // of the share of all who ask
	refusalLearn  = 0.1 // of a window's share goes into what is usual
)

func (w *refusalWatch) test(asked, refused int64, at time.Duration) string {
	people, no := asked-w.asked, refused-w.refused
	usual, share := w.usual, 0.0
	if people > 0 {
		share = float64(no) / float64(people)
	}
	if at-w.began >= refusalWindow {
		if people > 0 {
			w.usual += refusalLearn * (share - usual)
		}
		w.began, w.asked, w.refused = at, asked, refused
	}
	if no < refusalFewest || share < usual+refusalJump {
		return ""
	}
	return fmt.Sprintf("%.0f%% of those who ask for a place in line are refused, where %.0f%% were before. See refused in the campaign's stats.", 100*share, 100*usual)
}
