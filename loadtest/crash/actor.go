//go:build linux

package crash

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// actor drives some people, one request at a time. It belongs to one goroutine.
type actor struct {
	name   string
	random *rand.Rand
	slots  []string
	people []*Person
	keys   int // idempotency keys made
	asked  int // requests answered

	lastChange time.Time // when the newest request was begun whose change was acknowledged
}

// peopleMax bounds the people of one actor. With fewer places than people some
// always find their slot full.
const peopleMax = 24

// run sends requests until the context ends or the server does not answer. It
// returns what contradicts the notes.
func (a *actor) run(ctx context.Context, c *client) error {
	for ctx.Err() == nil {
		p := a.pick()
		if p.Pending != nil { // outcome unknown: the same again
			if err := a.ask(ctx, c, p, p.Pending); err != nil {
				return ended(err)
			}
			continue
		}
		if err := a.ask(ctx, c, p, a.wish(p)); err != nil {
			return ended(err)
		}
	}
	return nil
}

// ended drops the errors that a killed server gives rise to.
func ended(err error) error {
	if errors.Is(err, errNoAnswer) || errors.Is(err, errNotSent) {
		return nil
	}
	return err
}

// ask sends r and notes what came of it.
func (a *actor) ask(ctx context.Context, c *client, p *Person, r *Request) error {
	began, before := time.Now(), p.acknowledged
	got, err := c.send(ctx, p, r)
	switch {
	case err == nil:
		a.asked++
		err = p.settle(r, &got)
		if p.acknowledged > before {
			a.lastChange = began
		}
	case errors.Is(err, errNoAnswer):
		p.unanswered(r)
	}
	return err
}

func (a *actor) pick() *Person {
	if len(a.people) < peopleMax && (len(a.people) == 0 || a.random.IntN(8) == 0) {
		p := &Person{Subject: fmt.Sprintf("%s-%d", a.name, len(a.people))}
		a.people = append(a.people, p)
		return p
	}
	return a.people[a.random.IntN(len(a.people))]
}

// wish is something that the person might do next.
func (a *actor) wish(p *Person) *Request {
	dice := a.random.IntN(100)
	if p.Pass == "" || dice < 4 {
		return &Request{Kind: Join}
	}
	slot := a.slots[a.random.IntN(len(a.slots))]
	if b := p.active(); b != nil {
		switch {
		case dice < 45:
			return &Request{Kind: Change, Code: b.Code, Slot: slot}
		case dice < 85:
			return &Request{Kind: Cancel, Code: b.Code}
		case dice < 93:
			return &Request{Kind: Book, Slot: b.Slot} // again
		}
		return &Request{Kind: Book, Slot: slot, Key: a.key()} // refused
	}
	if p.Hold.ID != "" {
		switch {
		case dice < 70 && time.Now().Before(p.Hold.Expires):
			return &Request{Kind: Book, Slot: p.Hold.Slot, Hold: p.Hold.ID, Key: a.key()}
		case dice < 85:
			return &Request{Kind: Release, Hold: p.Hold.ID}
		}
	}
	if dice < 50 {
		return &Request{Kind: Take, Slot: slot}
	}
	return &Request{Kind: Book, Slot: slot, Key: a.key()}
}

func (a *actor) key() string {
	a.keys++
	return fmt.Sprintf("%s-%d", a.name, a.keys)
}

// resolve asks what everybody has, judges it, repeats what was not answered
// and asks once more.
func (a *actor) resolve(ctx context.Context, c *client) error {
	var faults []error
	for _, p := range a.people {
		faults = append(faults, a.resolveOne(ctx, c, p)...)
	}
	return errors.Join(faults...)
}

func (a *actor) resolveOne(ctx context.Context, c *client, p *Person) []error {
	has, err := c.bookings(ctx, p)
	if err != nil {
		return []error{err}
	}
	untold, faults := JudgeOwn(p, has)
	if p.Pending == nil || len(faults) > 0 {
		return faults
	}
	r := p.Pending
	if r.Kind != Join && p.Pass == "" {
		return []error{fmt.Errorf("%s: asked %+v without a pass", p.Subject, *r)}
	}
	if err := a.ask(ctx, c, p, r); err != nil {
		return []error{err}
	}
	if p.Pending != nil {
		return []error{fmt.Errorf("%s: %w: still unanswered: %+v", p.Subject, ErrAnswer, *r)}
	}
	if untold != nil && p.booking(untold.Code) == nil {
		return []error{fmt.Errorf("%s: %w: booking %+v is there, but asking again does not tell it", p.Subject, ErrAnswer, *untold)}
	}
	if has, err = c.bookings(ctx, p); err != nil {
		return []error{err}
	}
	_, faults = JudgeOwn(p, has)
	return faults
}
