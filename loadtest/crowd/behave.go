//go:build linux

package crowd

import (
	"time"

	"github.com/valyala/fastjson"

	"weir/core/event"
	"weir/loadtest/answers"
	"weir/loadtest/openloop"
	"weir/loadtest/scenario"
)

// driver plays the people of one loop. It belongs to the loop's thread.
type driver struct {
	crowd    *Crowd
	loop     int
	people   []person
	wallet   wallet
	minter   *minter
	record   *answers.Recorder
	parser   fastjson.Parser
	told     answers.Answer  // scratch
	document *fastjson.Value // of the newest answer
	picks    []event.SlotID  // scratch
	word     []byte          // scratch
	text     []byte          // scratch
	noted    []byte          // the draws of the public state, as they were noted last
	counts   Counts
	live     *Live
	err      error // of the recorder, the first
}

func newDriver(c *Crowd, loop int) *driver {
	p := &c.plan
	return &driver{
		crowd: c, loop: loop, people: make([]person, c.share(loop)), live: &c.Live,
		minter: newMinter(&p.Issuer, p.Expires), record: p.File.Recorder(),
	}
}

// who is the person behind a client of the loop.
func (d *driver) who(client openloop.Client) answers.Person {
	return answers.Person(int(client)*d.crowd.plan.Loops + d.loop)
}

// Start sets everybody's timer to their time of the curve.
func (d *driver) Start(l *openloop.Loop) {
	for i := range d.people {
		l.WakeAt(openloop.Client(i), d.crowd.curve.At(float64(d.who(openloop.Client(i)))))
	}
}

// The tag of a request says what it asks for, since the person may have gone on
// when it is composed or answered.
//
//	bit 63 second device   bits 62..55 key   bits 54..50 step   bits 49..0 slot or ref
const (
	secondDevice = 1 << 63
	keyShift     = 55
	stepShift    = 50
	refMask      = 1<<stepShift - 1
)

func tagOf(p *person, s step, subject uint64) uint64 {
	return uint64(p.key)<<keyShift | uint64(s)<<stepShift | subject&refMask
}

func keyOf(tag uint64) uint32   { return uint32(tag >> keyShift & 0xff) }
func stepOf(tag uint64) step    { return step(tag >> stepShift & 0x1f) }
func subject(tag uint64) uint64 { return tag & refMask }

// The step of a request is the version of the credential that the person had.

// kinds are what each step asks for.
var kinds = [...]answers.Kind{
	join: answers.Join, look: answers.Sites, poll: answers.Line, askPlace: answers.OwnPlace, leave: answers.Leave,
	browse: answers.Slots, hold: answers.Hold, release: answers.Release, bookHold: answers.Book, bookSlot: answers.Book,
	change: answers.Change, cancel: answers.Cancel, review: answers.OwnBookings, inquire: answers.Eligibility,
	forge: answers.Book, findOut: answers.OwnBookings, gone: 0,
}

// Wake takes a person's next step.
func (d *driver) Wake(l *openloop.Loop, client openloop.Client, due time.Duration) {
	p, at := &d.people[client], d.who(client)
	if p.step == arrive {
		d.live.Came.Add(1)
		p.step = d.first(at, p)
	}
	if due > d.crowd.closing() && p.step != findOut {
		d.finish(l, client, p)
		return
	}
	if p.step == gone {
		return
	}
	r := openloop.Request{
		Client: client, Label: labelOf(kinds[p.step]), Step: d.wallet.version(p.pass), Tag: d.subjectOf(at, p), Due: due,
		Patience: d.crowd.plan.Scenario.Behaviour.Patience.Of(),
	}
	l.Send(r)
	if d.twice(at, p) {
		r.Tag |= secondDevice
		l.Send(r)
	}
}

// first is what a person does when they come.
func (d *driver) first(at answers.Person, p *person) step {
	switch {
	case d.crowd.isBot(at):
		p.tries = uint8(d.crowd.plan.Scenario.Behaviour.Tries)
		return forge
	case d.wants(at, p, d.crowd.plan.Scenario.Behaviour.LooksAtSites):
		return look
	}
	return join
}

// twice says whether the step is taken on two devices at once.
func (d *driver) twice(at answers.Person, p *person) bool {
	switch p.step {
	case join, askPlace, bookHold, bookSlot, review:
		return p.retries == 0 && d.crowd.hasTwoDevices(at)
	}
	return false
}

// subjectOf is the tag of the request that p is about to send.
func (d *driver) subjectOf(at answers.Person, p *person) uint64 {
	switch p.step {
	case browse:
		return tagOf(p, p.step, uint64(d.wish(at, p)))
	case hold, bookSlot, change, forge:
		if p.step != hold && p.step != forge && p.retries == 0 {
			p.key++
		}
		return tagOf(p, p.step, uint64(p.slot))
	case bookHold:
		if p.retries == 0 {
			p.key++
		}
		return tagOf(p, p.step, uint64(p.ref))
	case release, cancel:
		return tagOf(p, p.step, uint64(p.ref))
	}
	return tagOf(p, p.step, 0)
}

// wish is a slot that a person would like: near home, early rather than late.
func (d *driver) wish(at answers.Person, p *person) event.SlotID {
	plan := &d.crowd.plan
	site := d.crowd.home(at)
	if p.tries > 0 || d.wants(at, p, plan.Scenario.Behaviour.Elsewhere) {
		site += int(d.roll(at, p)*7) - 3 // the file has neighbours side by side
	}
	sites := len(plan.Rules.Sites)
	first, end := plan.Rules.SiteSlots((site + sites) % sites)
	early := d.roll(at, p)
	day := int(early * early * float64(int(end-first)/scenario.SlotsPerDay))
	return first + event.SlotID(day*scenario.SlotsPerDay+int(d.roll(at, p)*scenario.SlotsPerDay))
}

// then is what a person does next, and how much later.
func (d *driver) then(l *openloop.Loop, client openloop.Client, p *person, next step, after time.Duration) {
	p.step, p.retries = next, 0
	d.wake(l, client, p, l.Now()+after)
}

// wake sets somebody's timer. Nobody sleeps far beyond the end: they find out
// within a second that it is over.
func (d *driver) wake(l *openloop.Loop, client openloop.Client, p *person, at time.Duration) {
	if closing := d.crowd.closing(); at > closing && p.step != findOut {
		at = min(at, closing+time.Duration(client%1000+1)*time.Millisecond)
	}
	l.WakeAt(client, at)
}

// think is then after some thought.
func (d *driver) think(l *openloop.Loop, client openloop.Client, p *person, next step) {
	d.then(l, client, p, next, d.pause(d.who(client), p, d.crowd.plan.Scenario.Behaviour.Think.Of()))
}

const (
	backoff    = time.Second
	backoffMax = 20 * time.Second
	findOutMax = 60 // tries
)

// again repeats the step later, or gives up.
func (d *driver) again(l *openloop.Loop, client openloop.Client, p *person, after time.Duration) {
	most := d.crowd.plan.Scenario.Behaviour.Retries
	if p.step == findOut {
		most = findOutMax
	}
	if int(p.retries) >= most {
		if p.step == findOut { // nobody knows what they have; the judge says so
			d.end(p)
			return
		}
		d.finish(l, client, p)
		return
	}
	if after == 0 {
		after = min(backoff<<min(p.retries, 5), backoffMax)
	}
	p.retries++
	at := d.who(client)
	d.wake(l, client, p, l.Now()+after+time.Duration(d.roll(at, p)*float64(after)/2))
}

// finish ends a person's evening, after they have found out what they have
// where that is in doubt.
func (d *driver) finish(l *openloop.Loop, client openloop.Client, p *person) {
	if p.flags&unsure != 0 && p.step != findOut {
		d.then(l, client, p, findOut, d.pause(d.who(client), p, time.Second))
		return
	}
	d.end(p)
}

func (d *driver) end(p *person) {
	if p.step == gone {
		return
	}
	d.wallet.drop(p.pass)
	p.pass, p.step = 0, gone
	d.live.Gone.Add(1)
}
