package admission

import "time"

// Relief is what keeps refusing from taking the time that it should save. What
// is left in the kernel, unread or unaccepted, costs nothing.
type Relief struct {
	// Rest is how long a connection is left unread after a refusal, about;
	// RestOf spreads it.
	Rest time.Duration
	// Hangup says that refusals end the connection, unless Peer.Through: there
	// are hardly any left for others.
	Hangup bool
	// AcceptEvery is the time between two connections that are accepted, on
	// average; zero: as they come. Gate.Accept keeps to it.
	AcceptEvery time.Duration
}

// RestOf is how long the connection is left unread after one refusal: between
// a half and three halves of Rest, so that those refused together do not come
// back together. turn is a counter of the loop. Connections that are Through,
// and those of proxies, which carry many people, are not rested.
func (r Relief) RestOf(turn uint64) time.Duration {
	spread := turn * 0x9e3779b97f4a7c15 >> 54 // golden ratio: neighbours fall far apart
	return r.Rest/2 + r.Rest*time.Duration(spread)/(1<<10)
}

// The bounds of relief, next to Settings.RestMax and AcceptMax. Nothing is ever
// shut.
const (
	restMin     = 20 * time.Millisecond
	reliefEvery = 100 * time.Millisecond

	restFrom   = 2   // times the aim: from there on connections rest
	acceptFrom = 3   // times the aim: from there on the listener helps
	hangupFrom = 0.9 // of the connections
	hangupTo   = 0.8
)

// refusal is what one interval cost.
type refusal struct {
	now         time.Duration
	share       float64 // of the loops' time that went into refusing
	aim         float64 // of share
	accepted    uint64  // connections, since the start
	connections float64 // share of those allowed that are open
	restMax     time.Duration
	acceptMax   time.Duration // of AcceptEvery
}

// relieving is the memory of relief. The zero value is none.
type relieving struct {
	relief   Relief
	average  float64 // of the share, smoothed
	resting  dial
	pacing   dial
	accepted uint64 // connections until AcceptEvery was looked at last
}

// next is the rule of relief, a pure function. The number of refusals goes
// with one over Rest, and with one over AcceptEvery: so both are moved in
// proportion to how far the share of refusing is from its aim. They begin well
// above the aim and end when they have come down to next to nothing: that is
// the hysteresis.
func (r relieving) next(f refusal) relieving {
	r.average += 0.2 * (f.share - r.average)
	r.relief.Hangup = f.connections > hangupFrom || r.relief.Hangup && f.connections > hangupTo
	r = r.rest(f)
	return r.pace(f)
}

func (r relieving) rest(f refusal) relieving {
	rest := r.relief.Rest
	if f.now-r.resting.at < max(reliefEvery, rest/2) { // its effect is not seen before
		return r
	}
	ratio := r.resting.ratio(f.now, r.average, f.aim)
	switch {
	case rest > 0:
		rest = scaled(rest, ratio)
	case r.average > restFrom*f.aim:
		rest = restMin
	}
	if rest < restMin {
		rest = 0
	}
	r.relief.Rest = min(rest, f.restMax)
	return r
}

func (r relieving) pace(f refusal) relieving {
	since := f.now - r.pacing.at
	if since < reliefEvery {
		return r
	}
	came := time.Duration(f.accepted - r.accepted)
	r.accepted = f.accepted
	ratio := r.pacing.ratio(f.now, r.average, f.aim)
	every := r.relief.AcceptEvery
	switch {
	case every > 0 && r.average < f.aim && came*every < since/2:
		every = 0 // it binds nobody any more
	case every > 0:
		every = scaled(every, ratio)
	case r.average > acceptFrom*f.aim && came > 0:
		every = scaled(since/came, ratio)
	}
	r.relief.AcceptEvery = min(every, f.acceptMax)
	return r
}

// dial is how one measure was set last.
type dial struct {
	at      time.Duration
	average float64 // of the share of refusing then
}

// ratio is by how much the measure is changed: it grows while the share is
// over the aim and not falling yet, and shrinks slowly while it is under it,
// since those whom it kept away are waiting.
func (d *dial) ratio(now time.Duration, average, aim float64) float64 {
	before := d.average
	*d = dial{at: now, average: average}
	switch {
	case average < aim:
		return max(average/aim, slowest)
	case average < 0.95*before:
		return 1
	}
	return min(average/aim, 2)
}

// slowest is how far a measure shrinks at most in one step.
const slowest = 0.85

func scaled(d time.Duration, ratio float64) time.Duration {
	return time.Duration(float64(d) * ratio)
}

// A Relief is kept in one word (sizes in bits):
//
//	+--------------------------+--------+--------------------+
//	| AcceptEvery, nanoseconds | Hangup | Rest, milliseconds |
//	|            32            |   1    |         31         |
//	+--------------------------+--------+--------------------+
const (
	hangupBit   = 1 << 31
	acceptShift = 32
)

func (r Relief) pack() uint64 {
	word := uint64(r.AcceptEvery)<<acceptShift | uint64(r.Rest/time.Millisecond)
	if r.Hangup {
		word |= hangupBit
	}
	return word
}

func unpackRelief(word uint64) Relief {
	return Relief{
		Rest:        time.Duration(word&(hangupBit-1)) * time.Millisecond,
		Hangup:      word&hangupBit != 0,
		AcceptEvery: time.Duration(word >> acceptShift),
	}
}
