//go:build linux

package flood

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"weir/loadtest/process"
	"weir/loadtest/stage"
)

// Options say how to run a flood. All fields must be given.
type Options struct {
	Binary   string   // of weir
	Dir      string   // empty; keeps data, keys and the campaign's files
	Attacker []string // command line of a process that calls AttackOn with what stands in OrderVariable

	Files     int // that the server may open
	Processes int // of attackers
	Ways      []Kind
	PerSecond int // connections that all attackers open, at most
	Kept      int // people who keep their connection
	Fresh     int // people who connect anew, a second

	Read, Write, Idle time.Duration // the server's deadlines
	Length            time.Duration // of the flood once the server is full; the drought takes a third of it

	AnswerMax time.Duration // from the first try to a booking's answer
	EbbMax    time.Duration // until all is as before

	Log func(format string, args ...any) // progress
}

// OrderVariable is the variable of an attacking process's environment that has
// its order.
const OrderVariable = "WEIR_FLOOD_ORDER"

const (
	campaignID   = "flood"
	bookingsPath = "/v1/campaigns/" + campaignID + "/bookings"
	sitesCount   = 100
)

// definition has 9,600 slots with room for 1.9 million people, so that nobody is
// refused for want of room.
const definition = `campaign: ` + campaignID + `
name: {ko: 연결 시험, en: Flood}
time_zone: Asia/Seoul
cohorts:
  - {id: everyone, born: 1900-01-01..2020-12-31}
windows:
  - {cohorts: [everyone], opens: 2021-07-19T20:00, closes: 2098-07-20T18:00}
line: {enabled: false}
products:
  - {id: moderna, name: {ko: 모더나, en: Moderna}}
sites: {file: sites.csv}
slots:
  - {sites: all, dates: 2099-08-17..2099-08-22, times: 09:00..17:00, every: 30m, capacity: 200, product: moderna}
bookings: {hold: 5m, cancel_before: 24h, change_before: 24h}
`

// Part is a part of a run.
type Part int

// The parts.
const (
	Calm Part = iota
	Flood
	Drought
	Ebb
	Parts // how many there are
)

const (
	fillMax     = time.Minute // until the server is full
	sampleEvery = 250 * time.Millisecond
	thirsty     = 10 // in a drought the server has one in so many descriptors too many
	greedy      = 10 // attackers want one in so many connections more than there are descriptors
	afterwards  = 64 // connections that others may have when all is as before
)

type run struct {
	Options
	stage  *stage.Stage
	server *process.Server
	people *people
	report Report
}

// Run floods a server. The report is valid with an error, too, as far as the
// run came.
func Run(ctx context.Context, o Options) (*Report, error) {
	r := &run{Options: o, report: Report{Options: o}}
	if err := r.all(ctx); err != nil {
		return &r.report, fmt.Errorf("flood: %w", err)
	}
	return &r.report, nil
}

func (r *run) all(ctx context.Context) (err error) {
	if r.stage, err = stage.New(r.Dir, definition, sitesCount); err != nil {
		return err
	}
	if r.server, err = r.start(ctx); err != nil {
		return err
	}
	defer r.server.Kill()
	r.people = newPeople(r)
	r.people.come(ctx)
	watch := watchStalls(ctx)
	err = r.parts(ctx)
	r.report.Stalled = watch()
	r.people.leave()
	r.people.account(&r.report)
	if err == nil {
		r.report.Last, err = r.sample(ctx)
	}
	r.report.Complaints = complaints(r.server.Log())
	if err != nil {
		return fmt.Errorf("%w\n%s", err, r.server.Log())
	}
	return r.server.Stop()
}

// watchStalls adds up for how long this process did not get to what was due,
// because the machine had others to serve or stood still: for as long nobody
// can be held to a deadline. What it returns ends it and tells.
func watchStalls(ctx context.Context) (end func() time.Duration) {
	const every = 20 * time.Millisecond
	ctx, stop := context.WithCancel(ctx)
	told := make(chan time.Duration)
	go func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		var stalled time.Duration
		for last := time.Now(); ; {
			select {
			case <-ctx.Done():
				told <- stalled
				return
			case <-tick.C:
			}
			now := time.Now()
			if gap := now.Sub(last); gap > 5*every {
				stalled += gap
			}
			last = now
		}
	}()
	return func() time.Duration {
		stop()
		return <-told
	}
}

// parts plays the parts.
func (r *run) parts(ctx context.Context) (err error) {
	if err := r.during(ctx, Calm, r.Length/5, nil); err != nil {
		return err
	}
	band, err := r.attack()
	if err != nil {
		return err
	}
	defer band.kill()
	began := time.Now()
	if err := r.during(ctx, Flood, fillMax, func(s Sample) bool { return s.Displaced+s.Refused > 0 }); err != nil {
		return err
	}
	r.report.Filled = time.Since(began)
	r.Log("full after %.1fs", r.report.Filled.Seconds())
	if err := r.during(ctx, Flood, r.Length, nil); err != nil {
		return err
	}
	if err := r.allow(r.report.Peaks[Flood].Files * (thirsty - 1) / thirsty); err != nil {
		return err
	}
	if err := r.during(ctx, Drought, r.Length/3, nil); err != nil {
		return err
	}
	if err := r.allow(r.Files); err != nil {
		return err
	}
	began = time.Now()
	if err := band.leave(&r.report); err != nil {
		return err
	}
	err = r.during(ctx, Ebb, 2*r.EbbMax, func(s Sample) bool { return s.Connections < float64(r.Kept+afterwards) })
	r.report.Ebbed = time.Since(began)
	return err
}

// during samples the server for a while, or until it is as it should be. Its
// time is what this process is there for: it stands where the machine does.
func (r *run) during(ctx context.Context, p Part, length time.Duration, until func(Sample) bool) error {
	r.people.part.Store(int32(p))
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for range length / sampleEvery {
		select {
		case <-r.server.Done():
			return fmt.Errorf("in the %s: %w", p, process.ErrExited)
		case <-ctx.Done():
			return fmt.Errorf("in the %s: %w", p, context.Cause(ctx))
		case <-tick.C:
		}
		s, err := r.sample(ctx)
		if err != nil {
			return fmt.Errorf("in the %s: %w", p, err)
		}
		r.report.see(p, s)
		if until != nil && until(s) {
			return nil
		}
	}
	if until != nil {
		return fmt.Errorf("in the %s: the server did not become as it should in %v; it was %+v", p, length, r.report.Peaks[p])
	}
	return nil
}

// band is the attacking processes.
type band struct {
	members []*member
	left    sync.Once
}

type member struct {
	*exec.Cmd
	input interface{ Close() error }
	out   strings.Builder
}

// attack starts the attackers.
func (r *run) attack() (*band, error) {
	b := &band{}
	for i := range r.Processes {
		order, err := json.Marshal(Order{
			Addr: r.server.Addr, From: fmt.Sprintf("127.0.0.%d", 2+i), Ways: r.Ways,
			Connections: (r.Files + r.Files/greedy) / r.Processes, PerSecond: r.PerSecond / r.Processes,
		})
		if err != nil {
			b.kill()
			return nil, err
		}
		m := &member{Cmd: exec.Command(r.Attacker[0], r.Attacker[1:]...)}
		m.Env = append(process.Environment(), OrderVariable+"="+string(order))
		m.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		m.Stdout, m.Stderr = &m.out, &m.out
		if m.input, err = m.StdinPipe(); err == nil {
			err = m.Start()
		}
		if err != nil {
			b.kill()
			return nil, fmt.Errorf("start an attacker: %w", err)
		}
		b.members = append(b.members, m)
	}
	return b, nil
}

// leave has the attackers go, and takes what they have to tell.
func (b *band) leave(into *Report) (failed error) {
	b.left.Do(func() {
		for _, m := range b.members {
			failed = errors.Join(failed, m.input.Close())
		}
		for _, m := range b.members {
			var told [Kinds]Tally
			err := m.Wait()
			if err == nil {
				err = json.Unmarshal([]byte(m.out.String()), &told)
			}
			if err != nil {
				failed = errors.Join(failed, fmt.Errorf("an attacker failed: %w\n%s", err, m.out.String()))
			}
			for k := range told {
				into.Attack[k].add(told[k])
			}
		}
	})
	return failed
}

// kill ends attackers that have not left.
func (b *band) kill() {
	b.left.Do(func() {
		for _, m := range b.members {
			_ = m.Process.Kill() // it is gone where that fails
			_ = m.Wait()         // killed: that is no news
		}
	})
}
