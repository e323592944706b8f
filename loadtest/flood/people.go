//go:build linux

package flood

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"weir/core/event"
)

const (
	moveEvery     = 500 * time.Millisecond // between what one person who stays asks for; every other one thinks longer
	strangerEvery = 250 * time.Millisecond
	againAfter    = 50 * time.Millisecond // a connection was closed or refused
	faultsMax     = 10                    // that are kept in words
)

// people are those who have a pass and want a booking, and strangers who look
// on.
type people struct {
	*run
	part  atomic.Int32
	last  atomic.Uint64 // person who came last
	going context.CancelFunc
	all   sync.WaitGroup

	mu        sync.Mutex
	kept      [Parts][]time.Duration // answers to those who stay; guarded by mu
	fresh     [Parts][]time.Duration // to those who connect anew, from their first try; guarded by mu
	tries     int                    // of the latter that found no room; guarded by mu
	shed      int                    // requests of either that admission refused; guarded by mu
	booked    int                    // bookings acknowledged; guarded by mu
	strangers Strangers              // guarded by mu
	faults    []string               // the first few; guarded by mu
	failed    int                    // of whom a booking may be there that was not acknowledged; guarded by mu
}

// Strangers are what became of those who have no pass.
type Strangers struct {
	Answered int
	Closed   int // or refused
	Hung     int
}

func newPeople(r *run) *people { return &people{run: r} }

// come lets them begin.
func (p *people) come(ctx context.Context) {
	ctx, p.going = context.WithCancel(ctx)
	for range p.Kept {
		p.all.Go(func() { p.stay(ctx) })
	}
	p.all.Go(func() {
		every(ctx, time.Second/time.Duration(p.Fresh), func() bool { p.all.Go(p.bookOnce); return true })
	})
	p.all.Go(func() { every(ctx, strangerEvery, func() bool { p.all.Go(p.look); return true }) })
}

// leave waits until everybody has what they came for.
func (p *people) leave() {
	p.going()
	p.all.Wait()
}

// every does it again and again, until ctx ends or it says no.
func every(ctx context.Context, d time.Duration, do func() bool) {
	tick := time.NewTicker(d)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if !do() {
				return
			}
		}
	}
}

func (p *people) fault(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failed++
	if len(p.faults) < faultsMax {
		p.faults = append(p.faults, fmt.Sprintf(format, args...))
	}
}

func (p *people) account(into *Report) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for part := range Parts {
		into.Kept[part], into.Fresh[part] = timing(p.kept[part]), timing(p.fresh[part])
	}
	into.Tries, into.Booked, into.Strangers, into.Failures, into.Failed, into.Shed = p.tries, p.booked, p.strangers, p.faults, p.failed, p.shed
}

// stay books over one connection and moves the booking about.
func (p *people) stay(ctx context.Context) {
	person := p.last.Add(1)
	c, err := p.dial()
	if err != nil {
		p.fault("person %d, who stays: %v", person, err)
		return
	}
	defer func() { _ = c.Close() }()
	method, path, status, step := http.MethodPost, bookingsPath, http.StatusCreated, uint64(0)
	pause := moveEvery
	if person%2 == 0 { // so long that attackers came later, who have to go first
		pause = min(p.Idle, p.Length) / 2
	}
	move := func() bool {
		began := time.Now()
		wish := func() (int, string, error) { return c.wish(method, path, p.pass(person), p.slot(2*person+step%2)) }
		got, code, err := wish()
		for err == nil && got == http.StatusServiceUnavailable && time.Since(began) < p.AnswerMax {
			p.shedOne()
			got, code, err = wish()
		}
		if err != nil || got != status {
			p.fault("in the %s, person %d, who stays: %s: status %d, %v", Part(p.part.Load()), person, method, got, err)
			return false
		}
		p.mu.Lock()
		p.kept[p.part.Load()] = append(p.kept[p.part.Load()], time.Since(began))
		if step == 0 {
			p.booked++
		}
		p.mu.Unlock()
		method, path, status = http.MethodPatch, bookingsPath+"/"+code, http.StatusOK
		step++
		return true
	}
	if move() {
		every(ctx, pause, move)
	}
}

// bookOnce connects and books, again and again until it is done or takes too
// long.
func (p *people) bookOnce() {
	person := p.last.Add(1)
	part := Part(p.part.Load())
	began := time.Now()
	pass, slot := p.pass(person), p.slot(person)
	for {
		status, err := p.try(pass, slot)
		took := time.Since(began)
		switch {
		case err == nil && (status == http.StatusCreated || status == http.StatusOK):
			p.mu.Lock()
			p.fresh[part] = append(p.fresh[part], took)
			p.booked++
			p.mu.Unlock()
			return
		case err == nil && status != http.StatusServiceUnavailable, took > p.AnswerMax:
			p.fault("in the %s, person %d, who connects anew: status %d after %v, %v", part, person, status, took, err)
			return
		case err == nil:
			p.shedOne()
		default:
			p.mu.Lock()
			p.tries++
			p.mu.Unlock()
			<-time.After(againAfter)
		}
	}
}

// shedOne counts a refusal by admission, and waits until the person asks again:
// much sooner than the answer says.
func (p *people) shedOne() {
	p.mu.Lock()
	p.shed++
	p.mu.Unlock()
	<-time.After(againAfter)
}

func (p *people) try(pass, slot string) (status int, err error) {
	c, err := p.dial()
	if err != nil {
		return 0, err
	}
	defer func() { _ = c.Close() }()
	status, _, err = c.wish(http.MethodPost, bookingsPath, pass, slot)
	return status, err
}

// look connects and asks for the campaigns, without a pass.
func (p *people) look() {
	c, err := p.dial()
	if err == nil {
		defer func() { _ = c.Close() }()
		_, _, err = c.ask(http.MethodGet, "/v1/campaigns", "", "")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case err == nil:
		p.strangers.Answered++
	case isTimeout(err):
		p.strangers.Hung++
	default:
		p.strangers.Closed++
	}
}

func (p *people) pass(person uint64) string { return string(p.stage.AppendPass(nil, person)) }

func (p *people) slot(n uint64) string {
	slot := event.SlotID(n % uint64(p.stage.Rules.SlotCount()))
	return string(p.stage.Rules.AppendSlotID(nil, slot))
}

// caller is a connection to the server.
type caller struct {
	net.Conn
	from      *bufio.Reader
	answerMax time.Duration
}

func (p *people) dial() (*caller, error) {
	conn, err := net.DialTimeout("tcp", p.server.Addr, p.AnswerMax)
	if err != nil {
		return nil, err
	}
	return &caller{conn, bufio.NewReader(conn), p.AnswerMax}, nil
}

// wish asks for a slot, and returns the booking's code where there is one.
func (c *caller) wish(method, path, pass, slot string) (status int, code string, err error) {
	status, body, err := c.ask(method, path, pass, `{"slot":"`+slot+`"}`)
	if err != nil || status >= http.StatusBadRequest {
		return status, "", err
	}
	var booking struct {
		Code string `json:"code"`
	}
	if err := json.Unmarshal(body, &booking); err != nil || booking.Code == "" {
		return status, "", fmt.Errorf("the answer is no booking: %q, %w", body, err)
	}
	return status, booking.Code, nil
}

func (c *caller) ask(method, path, pass, body string) (status int, answer []byte, err error) {
	var text strings.Builder
	fmt.Fprintf(&text, "%s %s HTTP/1.1\r\nHost: a\r\n", method, path)
	if pass != "" {
		fmt.Fprintf(&text, "Authorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n", pass, len(body))
	}
	text.WriteString("\r\n" + body)
	if err := c.SetDeadline(time.Now().Add(c.answerMax)); err != nil {
		return 0, nil, err
	}
	if _, err := io.WriteString(c.Conn, text.String()); err != nil {
		return 0, nil, err
	}
	response, err := http.ReadResponse(c.from, nil)
	if err != nil {
		return 0, nil, err
	}
	answer, err = io.ReadAll(response.Body)
	return response.StatusCode, answer, errors.Join(err, response.Body.Close())
}
