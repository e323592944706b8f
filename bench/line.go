//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"weir/core/campaign"
	"weir/loadtest/loader"
	"weir/server/identity"
)

const (
	linePath   = "/v1/campaigns/" + lineID + "/line"
	tokenStart = "eyJ" // an object in base64, which every JWT begins with
	tokenLife  = 12 * time.Hour

	// standingMin is how many people stand in line before anybody is measured,
	// at least: more than are called while the bench runs, so that whoever joins
	// has to wait.
	standingMin = 5000

	joinLeast    = 0.7 // of the bare server's requests
	objectLeast  = 0.9 // of the bare server's requests
	refusalMost  = 0.6 // of a booking's CPU
	refusedLeast = 0.9 // of the answers of a round of refusals

	// oneAddress has one client ask for everybody, by the word of a proxy. It
	// is of those that are for documents (RFC 3849), and of IPv6, where one
	// client may ask least often: what goes through is dearer than what is
	// refused, above all where few are booked together.
	oneAddress = "X-Forwarded-For: 2001:db8::1\r\n"
)

// What people ask of the line, as the bare server reads it.
var (
	joinRequest   = bareRequest{Method: http.MethodPost, Path: linePath, Bearer: tokenStart}
	objectRequest = bareRequest{Method: http.MethodGet, Path: linePath}
)

// The answers of the section.
var (
	joined       = answer(http.StatusCreated, `{"state":"waiting"`)
	publicLine   = answer(http.StatusOK, `"issued":`)
	notEligible  = answer(http.StatusForbidden, `"code":"not_eligible"`)
	bookedBefore = answer(http.StatusOK, `{"code":"`)
	tooMany      = answer(http.StatusTooManyRequests, `"code":"too_many_requests"`)
)

// lineField is the field with what the line is asked at.
type lineField struct {
	*field
	weir     *target // has a campaign with a line and one without
	proxied  *target // believes a proxy who its clients are
	join     *target // bare: answers as weir answered somebody who joined
	object   *target // bare: answers as weir did to who asked how far the line is
	tooYoung campaign.Date
	people   int // who have joined, or tried to
}

// The cases of the section.
const (
	joinCase        = "join: weir, durable"
	bareJoinCase    = "join: bare fasthttp"
	objectCase      = "line object: weir, durable"
	bareObjectCase  = "line object: bare fasthttp"
	bookingCase     = "book: weir, durable"
	notEligibleCase = "refuse: not eligible"
	tooManyCase     = "refuse: one address, too many"
)

// runLine has weir and a bare server take the same joins and the same questions
// for the line in turns, and compares what a refusal costs with a booking.
func runLine(ctx context.Context, o *options, s *Section) error {
	s.wantAtLeast(joinCase, "of bare", joinLeast)
	s.wantAtLeast(objectCase, "of bare", objectLeast)
	s.wantAtMost(notEligibleCase, "CPU of booking", refusalMost)
	s.wantAtMost(tooManyCase, "CPU of booking", refusalMost)
	s.note("%d connections, %d requests a round; every join by another person, who then waits, behind %d or more",
		o.connections, o.requests, max(standingMin, o.requests))
	s.note("not eligible: asks for a place in line, and the identity token is verified; too many: the bookings of the row above, of which one address sends more than it may (refused: the share); those that went through are in the row's figures")
	return withField(ctx, o, httpCapacity, func(served *field) error {
		f := &lineField{field: served}
		if err := f.start(ctx, o); err != nil {
			return err
		}
		return o.inRounds(func(n int) error { return f.round(ctx, o, s, n) })
	})
}

// start starts weir twice, lets a crowd join, and starts bare servers that
// answer as weir did then.
func (f *lineField) start(ctx context.Context, o *options) (err error) {
	if f.tooYoung, err = campaign.ParseDate(bornTooLate); err != nil {
		return err
	}
	lined, err := plan{slots: slotsPerSite, capacity: httpCapacity, line: true}.save(f.dir)
	if err != nil {
		return err
	}
	if f.weir, err = f.startWeir(ctx, "durable", "--campaign", lined); err != nil {
		return err
	}
	if f.proxied, err = f.startWeir(ctx, "proxied", "--client-header", "x-forwarded-for", "--trusted-proxy", "127.0.0.0/8"); err != nil {
		return err
	}
	standing, err := f.joiners(max(standingMin, o.requests), f.born)
	if err != nil {
		return err
	}
	load := standing.load(o, answer(http.StatusCreated, `"ticket":"`)) // the first of them are called at once
	if _, err := f.weir.measure(ctx, load); err != nil {
		return fmt.Errorf("let a crowd join: %w", err)
	}
	last, err := f.joiners(1, f.born)
	if err != nil {
		return err
	}
	if f.join, err = f.startLike(ctx, &joinRequest, last.asks()(0, nil), joined); err != nil {
		return err
	}
	f.object, err = f.startLike(ctx, &objectRequest, askForLine(0, nil), publicLine)
	return err
}

// startLike starts a bare server that answers such requests as weir does this
// one.
func (f *lineField) startLike(ctx context.Context, like *bareRequest, request []byte, passes check) (*target, error) {
	task, err := record(ctx, f.weir, request, passes)
	if err != nil {
		return nil, err
	}
	task.bareRequest = *like
	return f.startBare(ctx, task)
}

// round has all targets take their part, one after the other. Round 0 warms up
// and is dropped.
func (f *lineField) round(ctx context.Context, o *options, s *Section, n int) error {
	joiners, err := f.joiners(o.requests, f.born)
	if err != nil {
		return err
	}
	join := func() loader.Options { return joiners.load(o, joined) }
	object := func() loader.Options {
		return loader.Options{Connections: o.connections, Requests: int64(o.requests), Next: askForLine, Check: publicLine}
	}
	bareJoin, err1 := f.join.measure(ctx, join())
	weirJoin, err2 := f.weir.measure(ctx, join())
	bareObject, err3 := f.object.measure(ctx, object())
	weirObject, err4 := f.weir.measure(ctx, object())
	refusals, err5 := f.refuse(ctx, o, n)
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil || n == 0 {
		return err
	}
	s.entry(bareJoinCase).addRound(f.join, bareJoin, bareJoin, "bare")
	s.entry(joinCase).addRound(f.weir, weirJoin, bareJoin, "bare")
	s.entry(bareObjectCase).addRound(f.object, bareObject, bareObject, "bare")
	s.entry(objectCase).addRound(f.weir, weirObject, bareObject, "bare")
	s.entry(bookingCase).addRound(f.weir, refusals.booking, refusals.booking, "booking")
	s.entry(notEligibleCase).addRound(f.weir, refusals.notEligible, refusals.booking, "booking")
	s.entry(tooManyCase).addRound(f.proxied, refusals.tooMany, refusals.booking, "booking")
	s.entry(tooManyCase).add("refused", "", refusals.tooMany.share(http.StatusTooManyRequests))
	return nil
}

// refusals is what refusing and booking came to in one round.
type refusals struct{ booking, notEligible, tooMany round }

// refuse has weir book, then turn away who is not eligible, and then whoever
// comes by one address that asks without end: that is answered before anything
// is parsed, with what was prepared, as all that admission refuses.
func (f *lineField) refuse(ctx context.Context, o *options, n int) (r refusals, err error) {
	crowd, err := f.crowd(n*o.requests, o.requests, f.anySlot)
	if err != nil {
		return r, err
	}
	if r.booking, err = f.weir.measure(ctx, crowd.load(o)); err != nil {
		return r, err
	}
	young, err := f.joiners(o.requests, f.tooYoung)
	if err != nil {
		return r, err
	}
	if r.notEligible, err = f.weir.measure(ctx, young.load(o, notEligible)); err != nil {
		return r, err
	}
	crowd.header = oneAddress
	r.tooMany, err = f.refuseOften(ctx, o, crowd)
	return r, err
}

// refuseTries is how often a round of refusals is taken before it counts as
// failed.
const refuseTries = 5

// refuseOften has one address ask without end. What it may ask grows with time,
// so where something held the machine up between using that up and the round,
// the round is taken again.
func (f *lineField) refuseOften(ctx context.Context, o *options, crowd *crowd) (r round, err error) {
	for range refuseTries {
		if err := f.exhaust(ctx, o); err != nil {
			return r, err
		}
		load := crowd.load(o)
		load.Check = refusedOrBooked
		if r, err = f.proxied.measure(ctx, load); err != nil {
			return r, err
		}
		if r.share(http.StatusTooManyRequests) >= refusedLeast {
			return r, nil
		}
	}
	return r, fmt.Errorf("of the requests by one address only a share of %.2f was refused: the machine is too slow or too busy to reach that limit",
		r.share(http.StatusTooManyRequests))
}

// refusedOrBooked takes refusals of an address, new bookings, and those that
// were made before.
func refusedOrBooked(conn, status int, body []byte) error {
	switch status {
	case http.StatusCreated:
		return created(conn, status, body)
	case http.StatusOK:
		return bookedBefore(conn, status, body)
	}
	return tooMany(conn, status, body)
}

// exhaustMax is far more than one address may ask at once.
const exhaustMax = 1_000_000

// exhaust uses up what the one address may ask at once.
func (f *lineField) exhaust(ctx context.Context, o *options) error {
	refused := false
	_, err := loader.Run(ctx, loader.Options{
		Addr: f.proxied.addr, Connections: o.connections, Requests: exhaustMax,
		Next: func(_ int, dst []byte) []byte {
			if refused {
				return dst[:0]
			}
			return append(dst, "GET /v1/campaigns/"+campaignID+"/line HTTP/1.1\r\nHost: 127.0.0.1\r\n"+oneAddress+"\r\n"...)
		},
		Check: func(_, status int, _ []byte) error {
			refused = refused || status == http.StatusTooManyRequests
			return nil
		},
	})
	if err == nil && !refused {
		err = fmt.Errorf("%d requests by one address, and none was refused", exhaustMax)
	}
	return err
}

// askForLine asks for the public object of the line.
func askForLine(_ int, dst []byte) []byte {
	return append(dst, "GET "+linePath+" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"...)
}

// joiners is some people with an identity token each, who ask for a place in
// line.
type joiners struct{ credentials }

// joiners mints the tokens of people who have not been there yet.
func (f *lineField) joiners(count int, born campaign.Date) (*joiners, error) {
	j, now := &joiners{}, time.Now()
	err := j.mint(count, func(dst []byte, n int) []byte {
		subject := fmt.Sprintf("person-%010d", f.people+n)
		return append(dst, identity.Mint(secret, issuer, audience, subject, born, now, tokenLife)...)
	})
	f.people += count
	return j, err
}

// load is one request of each.
func (j *joiners) load(o *options, passes check) loader.Options {
	return loader.Options{Connections: o.connections, Requests: int64(len(j.text) / j.size), Next: j.asks(), Check: passes}
}

// asks is that of a crowd.
func (j *joiners) asks() func(conn int, dst []byte) []byte {
	n := 0
	return func(_ int, dst []byte) []byte {
		dst = append(dst, "POST "+linePath+" HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\nAuthorization: Bearer "...)
		dst = append(append(dst, j.of(n)...), "\r\n\r\n"...)
		n++
		return dst
	}
}
