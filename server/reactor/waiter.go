package reactor

import "weir/core/event"

// waiter waits for a record on behalf of a loop, in a goroutine of its own. One
// wait is under way at a time.
type waiter struct {
	asks  chan wait       // closed by the loop in the end
	told  chan waitResult // has room for one
	asked bool            // loop: an ask is not answered yet
}

type wait struct {
	journal Journal
	seq     event.Seq
}

// waitResult is what Journal.Wait answered.
type waitResult struct {
	seq event.Seq
	err error
}

func newWaiter() waiter {
	return waiter{asks: make(chan wait, 1), told: make(chan waitResult, 1)}
}

// run answers the loop's asks and wakes it for each, until asks is closed.
func (w *waiter) run(wake func()) {
	for a := range w.asks {
		w.told <- waitResult{a.seq, a.journal.Wait(a.seq)}
		wake()
	}
}

// ask begins a wait, unless one is under way.
func (w *waiter) ask(j Journal, seq event.Seq) {
	if !w.asked {
		w.asked = true
		w.asks <- wait{j, seq}
	}
}

// answer returns the result of the wait that was asked for, if it is over.
func (w *waiter) answer() (waitResult, bool) {
	select {
	case r := <-w.told:
		w.asked = false
		return r, true
	default:
		return waitResult{}, false
	}
}
