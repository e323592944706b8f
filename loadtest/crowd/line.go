//go:build linux

package crowd

import (
	"bytes"
	"encoding/hex"
	"time"

	"github.com/valyala/fastjson"

	"weir/core/event"
	"weir/core/line"
	"weir/loadtest/answers"
)

// What the line's public state tells, and what a client may work out from it.

// ReadLine reads the line's public state, for who looks at it beside the crowd.
// It is false where something is missing.
func ReadLine(body []byte) (s answers.Serving, draws []answers.Draw, ok bool) {
	v, err := fastjson.ParseBytes(body)
	if err != nil {
		return s, nil, false
	}
	if s, ok = serving(v); !ok {
		return s, nil, false
	}
	draws, ok = drawsOf(nil, v.GetArray("draws"))
	return s, draws, ok
}

func serving(v *fastjson.Value) (answers.Serving, bool) {
	asOf, ok := moment(v.GetStringBytes("as_of"))
	return answers.Serving{
		AsOf: asOf, Issued: event.Number(v.GetUint("issued")), Serving: event.Number(v.GetUint("serving")),
		Paused: string(v.GetStringBytes("state")) == "paused",
	}, ok
}

// drawsMax is how many draws are read; campaigns of scenarios have one.
const drawsMax = 8

func drawsOf(to []answers.Draw, list []*fastjson.Value) ([]answers.Draw, bool) {
	for _, v := range list[:min(len(list), drawsMax)] {
		d := answers.Draw{Ordinal: event.Draw(v.GetUint("ordinal"))}
		var ok bool
		if d.Opens, ok = moment(v.GetStringBytes("opens_at")); !ok || !unhex(d.Commitment[:], v.GetStringBytes("commitment")) {
			return to, false
		}
		if seed := v.GetStringBytes("seed"); seed != nil {
			d.Drawn, d.Size, d.Base = true, uint32(v.GetUint("size")), event.Number(v.GetUint("base"))
			if !unhex(d.Seed[:], seed) {
				return to, false
			}
		}
		to = append(to, d)
	}
	return to, true
}

func unhex(into, text []byte) bool {
	if len(text) != hex.EncodedLen(len(into)) {
		return false
	}
	n, err := hex.Decode(into, text)
	return err == nil && n == len(into)
}

// draws reads the draws into t, unless they are what this loop noted last.
func (d *driver) draws(t *answers.Answer, v *fastjson.Value) bool {
	list := v.Get("draws")
	if list == nil {
		return true
	}
	d.text = list.MarshalTo(d.text[:0])
	if bytes.Equal(d.text, d.noted) {
		return true
	}
	d.noted = append(d.noted[:0], d.text...)
	var ok bool
	t.Draws, ok = drawsOf(t.Draws, list.GetArray())
	return ok
}

// interval is how long somebody waits until they look at the public state
// again, as the state lets them work it out.
func interval(v *fastjson.Value, number, serving event.Number, at answers.Person) time.Duration {
	p := line.Polling{
		BudgetPerSecond: v.GetFloat64("poll", "budget_per_second"),
		Floor:           time.Duration(v.GetInt("poll", "floor_seconds")) * time.Second,
		Ceiling:         time.Duration(v.GetInt("poll", "ceiling_seconds")) * time.Second,
	}
	if p.Check() != nil {
		return pollAfter
	}
	crowd := line.Crowd{
		Waiting: uint32(v.GetUint("waiting")), PerMinute: v.GetFloat64("admitted_per_minute"),
		Paused: string(v.GetStringBytes("state")) == "paused",
	}
	return p.After(line.Ahead(number, serving), crowd, scatter(uint64(at)))
}
