//go:build linux

package openloop

import "time"

// flightID is the place of a request in its loop's table, and the number of
// its timer in the wheel of deadlines.
type flightID uint32

// flight is a request between Send and Ended.
type flight struct {
	Request
	state   flightState
	failure Failure       // where it is failing
	conn    int32         // index of its connection, where it is under way
	taken   time.Duration // when Send took it
	sent    time.Duration // when it was written; 0: not yet
	next    flightID      // +1, in the queue; 0: last
	prev    flightID      // +1, in the queue; 0: first
}

type flightState uint8

const (
	landed   flightState = iota // the place is free
	queued                      // for a connection
	underWay                    // on one
	failing                     // in the list of those whose driver is to be told
)

// flights are the requests of a loop: a table whose places are used again, and
// a queue that runs through it, so that one that is given up leaves it in O(1).
type flights struct {
	table []flight
	free  []flightID
	first flightID // +1, of the queue; 0: none waits
	last  flightID // +1
	queue int      // length
	count int      // places in use
}

func (f *flights) take() flightID {
	f.count++
	if n := len(f.free); n > 0 {
		id := f.free[n-1]
		f.free = f.free[:n-1]
		return id
	}
	f.table = append(f.table, flight{})
	return flightID(len(f.table) - 1)
}

func (f *flights) release(id flightID) {
	f.table[id].state = landed
	f.free = append(f.free, id)
	f.count--
}

// push puts the request at the end of the queue.
func (f *flights) push(id flightID) {
	r := &f.table[id]
	r.state, r.next, r.prev = queued, 0, f.last
	if f.last == 0 {
		f.first = id + 1
	} else {
		f.table[f.last-1].next = id + 1
	}
	f.last = id + 1
	f.queue++
}

// pushFront puts it at the head.
func (f *flights) pushFront(id flightID) {
	r := &f.table[id]
	r.state, r.next, r.prev = queued, f.first, 0
	if f.first == 0 {
		f.last = id + 1
	} else {
		f.table[f.first-1].prev = id + 1
	}
	f.first = id + 1
	f.queue++
}

// leave takes it out of the queue.
func (f *flights) leave(id flightID) {
	r := &f.table[id]
	if r.prev == 0 {
		f.first = r.next
	} else {
		f.table[r.prev-1].next = r.next
	}
	if r.next == 0 {
		f.last = r.prev
	} else {
		f.table[r.next-1].prev = r.prev
	}
	r.next, r.prev = 0, 0
	f.queue--
}
