package server

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"weir/core"
	"weir/core/campaign"
	"weir/core/event"
	"weir/core/line"
)

// The keeper looks after all lines. At every tick it
//
//  1. opens the draws of openings that people may join for, so that the
//     commitment is public before anybody enters (the first to join opens a
//     draw that the keeper has not come to yet);
//  2. performs the draws whose opening has come;
//  3. asks the steering for the serving mark, and has the engine raise it;
//  4. waits until that is durable, and publishes the line's public object;
//  5. looks for what operators should know (alarms.go).
//
// A stall of the disk therefore stops the mark and lets the published line
// age, which its as_of shows; it goes on by itself.
const keepInterval = 100 * time.Millisecond

// keeper belongs to one goroutine (or a test in its place).
type keeper struct {
	s      *Server
	began  time.Time // that its readings of the monotonic clock count from
	delays recentDelays
	last   time.Duration // of the tick before
	due    []event.Draw  // scratch
	queue  time.Duration // recent delays of the journal, for steering and alarms
	commit time.Duration
	clock  clockWatch
	slow   slowWatch
}

// keep ticks until ctx ends.
func (s *Server) keep(ctx context.Context) {
	ticker := time.NewTicker(s.keepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if a := s.attached.Load(); a != nil {
			s.keeper.tick(a, time.Since(s.keeper.began))
		}
	}
}

// tick does what is due. at is a reading of the monotonic clock.
func (k *keeper) tick(a *attached, at time.Duration) {
	now := event.Time(k.s.clock.Now().UnixMilli())
	elapsed := max(0, at-k.last)
	k.last = at
	k.queue, k.commit = k.delays.add(k.s.journalDelays())
	k.s.recent.Store(&journalRecent{k.queue, k.commit})
	k.watchServer(now, at, elapsed)
	for _, e := range a.all() {
		k.keepLine(a.booker, e, now, at, elapsed)
		k.watchLine(e, now, at)
	}
}

func (k *keeper) keepLine(b Booker, e *entry, now event.Time, at, elapsed time.Duration) {
	d, _ := e.core.Definition()
	if d.Line.Enabled {
		err := errors.Join(k.openDraws(b, e, d, now), k.performDraws(b, e, now), k.steer(b, e, d, now, at, elapsed))
		k.report(e, err)
	}
	state := e.core.Line()
	if b.Wait(state.Newest) != nil {
		return // what was published stands until it is known
	}
	e.publishLine(d, now, &state, k.s.polling)
}

// report logs what went wrong, once. A full or failing journal is told of by
// others, and what was not done now is due again at the next tick.
func (k *keeper) report(e *entry, err error) {
	trouble := ""
	if err != nil {
		trouble = err.Error()
	}
	if trouble == e.turnstile.trouble {
		return
	}
	e.turnstile.trouble = trouble
	if err != nil {
		k.s.log.Warn("the line could not be kept", slog.String("campaign", e.id), slog.Any("error", err))
	}
}

// openDraws opens the draw of every opening that people may join for. Whether
// there is anything to do is found out without the engine's locks.
func (k *keeper) openDraws(b Booker, e *entry, d *campaign.Definition, now event.Time) error {
	if d.Line.Order != campaign.Draw {
		return nil
	}
	for i := range d.Windows {
		w := &d.Windows[i]
		if now < d.LineOpens(i) || now >= w.Opens {
			continue
		}
		for _, c := range w.Cohorts {
			state := e.core.Line()
			if isDrawOpen(&state, w.Opens) {
				break
			}
			born := d.Cohorts[c].From
			if verdict := d.Decide(born, now); verdict.Reason == campaign.Eligible || verdict.Next != i {
				continue // they join for another window
			}
			if _, err := b.OpenDraw(now, e.core, born, k.s.sealer(e)); err != nil {
				return err
			}
		}
	}
	return nil
}

func isDrawOpen(state *core.LineState, opens event.Time) bool {
	for i := range state.Draws {
		if !state.Draws[i].Drawn && state.Draws[i].Opens == opens {
			return true
		}
	}
	return false
}

// sealer commits to the seeds of a campaign's draws.
func (s *Server) sealer(e *entry) func(event.Draw) line.Commitment {
	return func(draw event.Draw) line.Commitment { return line.Seed(s.seed(e.id, uint16(draw))).Commitment() }
}

func (k *keeper) performDraws(b Booker, e *entry, now event.Time) error {
	state := e.core.Line()
	k.due = state.DueDraws(k.due[:0], now)
	var errs []error
	for _, draw := range k.due {
		_, err := b.Draw(now, e.core, draw, k.s.seed(e.id, uint16(draw)))
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// steer has the serving mark follow what the server can carry.
func (k *keeper) steer(b Booker, e *entry, d *campaign.Definition, now event.Time, at, elapsed time.Duration) error {
	t := e.turnstile
	state := e.core.Line()
	if !state.Paused {
		t.sessions.Advance(elapsed) // in a pause nobody can go on, so nobody goes idle
	}
	if settings := k.s.settings.get(e.id); settings != t.settings {
		t.settings = settings
		t.controller.Set(settings.steering())
	}
	decision := t.controller.Next(line.Signals{
		At: at, Issued: state.Issued, Serving: state.Serving,
		Sessions:   uint32(t.sessions.Presumed(t.unclaimed)),
		Came:       uint64(t.sessions.Came()),
		QueueDelay: k.queue, CommitDelay: k.commit,
		Paused: state.Paused, Closed: d.State(now) != campaign.Open,
	})
	t.decision.Store(&decision)
	if decision.Serving <= state.Serving || state.Paused {
		return nil
	}
	_, err := b.Serve(now, e.core, decision.Serving)
	if errors.Is(err, core.CampaignPaused) {
		return nil // since it was read
	}
	return err
}
