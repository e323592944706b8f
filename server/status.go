package server

import (
	"bufio"
	"log/slog"
	"math"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"weir/core"
	"weir/core/event"
	"weir/server/roster"
)

// What an operator reads.

// statusAnswer is the server at a glance.
type statusAnswer struct {
	Now         string           `json:"now"`
	Since       string           `json:"since"` // when the server started
	Ready       bool             `json:"ready"`
	Stage       string           `json:"stage"`
	Notice      string           `json:"notice,omitempty"`
	InFlight    int64            `json:"in_flight"`
	Connections map[string]int64 `json:"connections"`
	Clock       clockAnswer      `json:"clock"`
	Journal     journalAnswer    `json:"journal"`
	Campaigns   []campaignAnswer `json:"campaigns"`
	Alarms      []alarm          `json:"alarms"`
}

type clockAnswer struct {
	BehindSeconds float64 `json:"behind_seconds"` // of the machine's clock, behind the one in use
}

// journalRecent is what the keeper last saw of the journal.
type journalRecent struct{ queue, commit time.Duration }

// journalAnswer is how long the journal takes: the 0.9 quantiles of the last
// second.
type journalAnswer struct {
	QueueMillis  float64 `json:"queue_millis"`
	CommitMillis float64 `json:"commit_millis"`
	OldestMillis float64 `json:"oldest_millis"` // of what is not durable yet
}

// campaignAnswer is one campaign.
type campaignAnswer struct {
	ID       string        `json:"id"`
	State    string        `json:"state"`
	Reason   string        `json:"reason,omitempty"`
	PausedAt string        `json:"paused_at,omitempty"`
	Version  event.Version `json:"version"`
	Line     lineFigures   `json:"line"`
	Totals   core.Totals   `json:"totals"`
}

// lineFigures is where a line stands.
type lineFigures struct {
	Enabled   bool         `json:"enabled"`
	Issued    event.Number `json:"issued"`  // numbers given
	Serving   event.Number `json:"serving"` // the mark
	Early     uint32       `json:"early"`   // people in draws that are to come
	Waiting   uint32       `json:"waiting"` // people not called yet, those included
	Called    event.Number `json:"called"`
	Present   int          `json:"present"`    // of the called, who came in, since the server started
	InSession int          `json:"in_session"` // of them, who have neither booked nor gone idle
	Admitted  float64      `json:"admitted_per_minute"`
}

func (e *entry) lineFigures(enabled bool) lineFigures {
	state := e.core.Line()
	return lineFigures{
		Enabled: enabled, Issued: state.Issued, Serving: state.Serving, Early: state.Early,
		Waiting: waiting(&state), Called: called(&state),
		Present: e.turnstile.sessions.Came(), InSession: e.turnstile.sessions.InProgress(),
		Admitted: tenths(e.turnstile.decision.Load().PerMinute),
	}
}

func (o *operation) status() error {
	stage := o.s.stage.now.Load()
	answer := statusAnswer{
		Now: utc(o.now), Since: utc(o.s.started), Ready: stage.ready, Stage: stage.name, Notice: o.s.notice,
		InFlight: max(0, o.s.inFlight.Load()), Connections: map[string]int64{},
		Clock:   clockAnswer{o.s.clockBehind().Seconds()},
		Journal: o.s.journalAnswer(), Campaigns: []campaignAnswer{}, Alarms: o.s.alarms.standing(),
	}
	for _, l := range o.s.running() {
		answer.Connections[l.name] = l.open.Load()
	}
	if answer.Alarms == nil {
		answer.Alarms = []alarm{}
	}
	if o.state != nil {
		for _, e := range o.state.all() {
			o.campaign, o.rules = e, nil
			answer.Campaigns = append(answer.Campaigns, o.campaignAnswer())
		}
	}
	return o.json(answer)
}

// campaignAnswer tells of o.campaign. Its figures may be ahead of the disk by
// what is being written.
func (o *operation) campaignAnswer() campaignAnswer {
	e := o.campaign
	d, version := e.core.Definition()
	o.rules = d
	state := e.core.Line()
	answer := campaignAnswer{
		ID: e.id, State: stateOf(d, &state, o.now).String(), Version: version,
		Line: e.lineFigures(d.Line.Enabled), Totals: e.core.Totals(),
	}
	if state.Paused {
		answer.Reason, answer.PausedAt = state.Reason, o.localTime(state.Since)
	}
	return answer
}

// utc is a time of the server, for JSON.
func utc(t event.Time) string {
	return time.UnixMilli(int64(t)).UTC().Format("2006-01-02T15:04:05.000Z")
}

// clockBehind is by how much the machine's clock is behind the one in use.
func (s *Server) clockBehind() time.Duration {
	if c, ok := s.clock.(interface{ Behind() time.Duration }); ok {
		return c.Behind()
	}
	return 0
}

// journalDelays reads the journal's delays; they are zero where nobody measures
// them.
func (s *Server) journalDelays() Delays {
	if s.delays == nil {
		return Delays{}
	}
	return s.delays()
}

func (s *Server) journalAnswer() journalAnswer {
	recent := s.recent.Load()
	millis := func(d time.Duration) float64 { return math.Round(d.Seconds()*1e5) / 100 }
	return journalAnswer{millis(recent.queue), millis(recent.commit), millis(s.journalDelays().Oldest)}
}

// statsAnswer is one campaign in figures. What the log knows (places, bookings)
// is of all time; who came to the door and was refused is since the server
// started.
type statsAnswer struct {
	campaignAnswer
	Since   string        `json:"since"` // that the figures of the door are from
	Door    doorFigures   `json:"door"`
	Cohorts []cohortStats `json:"cohorts"`
	Outside doorFigures   `json:"outside"` // people of no cohort
}

type cohortStats struct {
	core.CohortTotals
	Door doorFigures `json:"door"`
}

func (o *operation) stats() error {
	door := &o.campaign.turnstile.door
	answer := statsAnswer{
		campaignAnswer: o.campaignAnswer(), Since: utc(o.s.started),
		Door: door.all.figures(), Outside: door.outside.figures(), Cohorts: []cohortStats{},
	}
	for _, totals := range o.campaign.core.Cohorts() {
		answer.Cohorts = append(answer.Cohorts, cohortStats{totals, door.of(totals.ID).figures()})
	}
	return o.json(answer)
}

// Entries of the audit in one answer.
const (
	auditPage    = 100
	auditPageMax = auditMax
)

func (o *operation) audit() error {
	limit, campaignID := auditPage, ""
	for key, value := range o.ctx.QueryArgs().All() {
		switch string(key) {
		case "limit":
			n, err := strconv.Atoi(string(value))
			if err != nil || n < 1 || n > auditPageMax {
				return refuse(faultQuery, "limit is a whole number from 1 to 2000.", "limit에는 1에서 2000까지의 정수를 적어 주십시오.")
			}
			limit = n
		case "campaign":
			campaignID = string(value)
		default:
			return refuse(faultQuery, "The parameters are limit and campaign.", "쓸 수 있는 값은 limit과 campaign입니다.")
		}
	}
	return o.json(map[string]any{"entries": o.s.history.audit.newest(limit, campaignID)})
}

// roster streams who booked what.
func (o *operation) roster() error {
	format, err := rosterFormat(o.ctx.QueryArgs())
	if err != nil {
		return err
	}
	o.ctx.SetContentType(rosterTypes[format])
	o.ctx.Response.Header.Set(fasthttp.HeaderCacheControl, "no-store")
	o.ctx.Response.Header.Set(fasthttp.HeaderContentDisposition, `attachment; filename="`+o.campaign.id+"."+format+`"`)
	c, log := o.campaign.core, o.s.log
	o.note(0, "roster_read", format)
	o.ctx.SetBodyStreamWriter(func(w *bufio.Writer) {
		if err := roster.Write(w, roster.Format(format), c); err != nil {
			log.Warn("the roster was not read to its end", slog.Any("error", err))
		}
	})
	return nil
}
