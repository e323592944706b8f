package admission

import (
	"fmt"
	"time"
)

// Rate is a limit on how often. It is the generic cell rate algorithm (ITU-T
// I.371), which is a token bucket that needs one number a key: the time at
// which a steady sender would come next, its theoretical arrival time.
type Rate struct {
	interval time.Duration // between two requests of a steady sender
	slack    time.Duration // how far ahead of a steady sender one may be; (burst-1)·interval
}

// Every returns the rate of perSecond requests a second on average, and burst
// of them at once after a pause.
func Every(perSecond float64, burst int) (Rate, error) {
	if !(perSecond > 0 && perSecond <= perSecondMax) {
		return Rate{}, fmt.Errorf("admission: a rate must be above 0 and at most %d a second, is %v", perSecondMax, perSecond)
	}
	if burst < 1 {
		return Rate{}, fmt.Errorf("admission: a burst must be at least 1, is %d", burst)
	}
	interval := float64(time.Second) / perSecond
	if slack := interval * float64(burst-1); slack > float64(slackMax) {
		return Rate{}, fmt.Errorf("admission: a burst of %d at %v a second takes longer than %v to come back", burst, perSecond, slackMax)
	}
	return Rate{
		interval: time.Duration(interval),
		slack:    time.Duration(interval * float64(burst-1)),
	}, nil
}

const (
	perSecondMax = 10_000 // finer than that the table does not count
	slackMax     = time.Hour
)

// Take asks for one request at now, from a key whose next steady arrival is
// at due. Wait is zero when it may go through, and next is then the key's new
// due. Otherwise wait is how long until it may, and next is due.
func (r Rate) Take(due, now time.Duration) (next, wait time.Duration) {
	due = max(due, now)
	if wait = due - now - r.slack; wait > 0 {
		return due, wait
	}
	return due + r.interval, 0
}
