package server

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"

	"github.com/valyala/fasthttp"
	"github.com/valyala/fastjson"

	"weir/core"
	"weir/core/event"
)

// What an operator changes of a campaign while it runs.

// pauseAnswer says whether a campaign is paused, and why.
type pauseAnswer struct {
	Campaign string `json:"campaign"`
	State    string `json:"state"`
	Reason   string `json:"reason,omitempty"`
	PausedAt string `json:"paused_at,omitempty"`
	Changed  bool   `json:"changed"` // false: it was so already
}

// pause stops booking. Everybody keeps what they have and is told the reason.
func (o *operation) pause() error {
	var reason string
	err := o.object(map[string]func(*fastjson.Value) error{"reason": func(v *fastjson.Value) error {
		text, err := v.StringBytes()
		reason = strings.TrimSpace(string(text))
		if err != nil || reason == "" {
			return refuse(faultBody, "reason is a text: everybody who waits will read it.", "reason에는 이용자에게 보여 줄 사유를 적어 주십시오.")
		}
		return nil
	}})
	if err != nil {
		return err
	}
	if reason == "" {
		return refuse(faultBody, "reason is missing: everybody who waits will read it.", "reason이 없습니다. 이용자에게 보여 줄 사유를 적어 주십시오.")
	}
	seq, err := o.state.booker.Pause(o.now, o.campaign.core, reason)
	if errors.Is(err, core.ErrReason) {
		return refuse(faultBody, fmt.Sprintf("reason has %d bytes in UTF-8; %d are the most.", len(reason), event.MaxReason), fmt.Sprintf("reason은 UTF-8 %d바이트까지입니다.", event.MaxReason))
	}
	return o.paused(seq, err, event.Paused.String(), reason)
}

// resume ends a pause.
func (o *operation) resume() error {
	if err := o.noBody(); err != nil {
		return err
	}
	seq, err := o.state.booker.Resume(o.now, o.campaign.core)
	return o.paused(seq, err, event.Resumed.String(), "")
}

// paused answers a pause or its end, once it is durable.
func (o *operation) paused(seq event.Seq, err error, action, detail string) error {
	state := o.campaign.core.Line()
	if err == nil {
		err = o.settle(max(seq, state.Newest))
	}
	if err != nil {
		return err
	}
	if seq != 0 {
		o.note(seq, action, detail)
	}
	answer := pauseAnswer{Campaign: o.campaign.id, State: stateOf(o.rules, &state, o.now).String(), Changed: seq != 0}
	if state.Paused {
		answer.Reason, answer.PausedAt = state.Reason, o.localTime(state.Since)
	}
	return o.json(answer)
}

// note writes a change into the audit and the log of the process; seq is 0
// where the log has no record of it.
func (o *operation) note(seq event.Seq, action, detail string) {
	source := auditLog
	if seq == 0 {
		source = auditProcess
	}
	o.s.history.audit.add(auditEntry{
		At: auditTime(o.now), Source: source, Sequence: seq, Campaign: o.campaign.id,
		Action: action, Detail: detail, By: o.by,
	})
	o.s.log.Info("operator", slog.String("action", action), slog.String("campaign", o.campaign.id),
		slog.String("detail", detail), slog.String("by", o.by))
}

// automatic stands for a rate that follows what is measured.
const automatic = "auto"

// lineAnswer is a line's settings, and what comes of them.
type lineAnswer struct {
	Campaign       string  `json:"campaign"`
	AdmitPerMinute any     `json:"admit_per_minute"` // a number, or automatic
	Floor          uint32  `json:"floor"`            // 0: the preset
	Ceiling        uint32  `json:"ceiling"`          // 0: none
	Admitted       float64 `json:"admitted_per_minute"`
	Target         uint32  `json:"target_sessions"`
	Sessions       int     `json:"sessions"`
	ShareCame      float64 `json:"share_came"`
	Limit          string  `json:"limit"` // what keeps the mark from rising faster
}

// lineSettings tells how the line is steered.
func (o *operation) lineSettings() error {
	settings := o.s.settings.get(o.campaign.id)
	decision := o.campaign.turnstile.decision.Load()
	answer := lineAnswer{
		Campaign: o.campaign.id, AdmitPerMinute: automatic, Floor: settings.Floor, Ceiling: settings.Ceiling,
		Admitted: tenths(decision.PerMinute), Target: decision.Target,
		Sessions: o.campaign.turnstile.sessions.InProgress(), ShareCame: math.Round(decision.ShareCame*1000) / 1000,
		Limit: decision.Limit.String(),
	}
	if settings.AdmitPerMinute > 0 {
		answer.AdmitPerMinute = settings.AdmitPerMinute
	}
	return o.json(answer)
}

func tenths(f float64) float64 { return math.Round(f*10) / 10 }

const admitPerMinuteMax = 10_000_000

// setLine changes how the line is steered. Fields that are not given stay.
func (o *operation) setLine() error {
	if !o.rules.Line.Enabled {
		return refuse(faultBody, "This campaign has no line to steer: whoever joins is admitted.", "대기줄이 없는 캠페인입니다.")
	}
	settings := o.s.settings.get(o.campaign.id)
	given := 0
	err := o.object(map[string]func(*fastjson.Value) error{
		"admit_per_minute": func(v *fastjson.Value) error {
			given++
			return setRate(&settings.AdmitPerMinute, v)
		},
		"floor": func(v *fastjson.Value) error {
			given++
			return setBound(&settings.Floor, "floor", v)
		},
		"ceiling": func(v *fastjson.Value) error {
			given++
			return setBound(&settings.Ceiling, "ceiling", v)
		},
	})
	switch {
	case err != nil:
		return err
	case given == 0:
		return refuse(faultBody, "Nothing is given: admit_per_minute, floor or ceiling.", "admit_per_minute, floor, ceiling 중 하나는 있어야 합니다.")
	case settings.Ceiling != 0 && settings.Floor > settings.Ceiling:
		return refuse(faultBody, fmt.Sprintf("The floor, %d, is above the ceiling, %d.", settings.Floor, settings.Ceiling), "floor가 ceiling보다 큽니다.")
	}
	if err := settings.steering().Check(); err != nil {
		return refuse(faultBody, "The line cannot be steered so: "+err.Error()+".", "이렇게 설정할 수 없습니다.")
	}
	if err := o.s.settings.set(o.campaign.id, settings); err != nil {
		return err
	}
	o.note(0, "line_set", settings.describe())
	return o.lineSettings()
}

func (s LineSettings) describe() string {
	rate := automatic
	if s.AdmitPerMinute > 0 {
		rate = fmt.Sprint(s.AdmitPerMinute)
	}
	return fmt.Sprintf("admit_per_minute %s, floor %d, ceiling %d", rate, s.Floor, s.Ceiling)
}

func setRate(rate *float64, v *fastjson.Value) error {
	if text, err := v.StringBytes(); err == nil && string(text) == automatic {
		*rate = 0
		return nil
	}
	n, err := v.Float64()
	if err != nil || !(n > 0) || n > admitPerMinuteMax {
		return refuse(faultBody, `admit_per_minute is "auto", or a number above 0 and up to 10000000. To admit nobody, pause the campaign.`, `admit_per_minute에는 "auto"나 0보다 크고 10000000 이하인 수를 적어 주십시오. 아무도 들이지 않으려면 일시 중지하십시오.`)
	}
	*rate = n
	return nil
}

func setBound(bound *uint32, name string, v *fastjson.Value) error {
	n, err := v.Uint64()
	if err != nil || n > admitPerMinuteMax {
		return refuse(faultBody, name+" is a whole number of sessions from 0 to 10000000.", name+"에는 0에서 10000000까지의 정수를 적어 주십시오.")
	}
	*bound = uint32(n)
	return nil
}

// rosterTypes are the media types of the rosters, by format.
var rosterTypes = map[string]string{"ndjson": "application/x-ndjson; charset=utf-8", "csv": "text/csv; charset=utf-8"}

// rosterFormat is what the query asks for: format=csv or format=ndjson.
func rosterFormat(args *fasthttp.Args) (string, error) {
	format := string(args.Peek("format"))
	if format == "" {
		format = "ndjson"
	}
	if args.Len() > 1 || args.Len() == 1 && !args.Has("format") || rosterTypes[format] == "" {
		return "", refuse(faultQuery, "The one parameter is format: csv or ndjson.", "쓸 수 있는 값은 format=csv 또는 format=ndjson입니다.")
	}
	return format, nil
}
