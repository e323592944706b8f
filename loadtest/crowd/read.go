//go:build linux

package crowd

import (
	"math"
	"time"

	"github.com/valyala/fastjson"

	"weir/core"
	"weir/core/event"
	"weir/loadtest/answers"
	"weir/loadtest/openloop"
)

// outcomeOfFailure is what a request without an answer comes to.
func outcomeOfFailure(a *openloop.Answer) answers.Outcome {
	switch {
	case a.Failure == openloop.Odd:
		return answers.Odd
	case a.Sent == 0:
		return answers.NotSent
	}
	return answers.NoAnswer
}

// read fills d.told with what came of a request. An answer that does not have
// what it must is odd.
func (d *driver) read(r openloop.Request, a *openloop.Answer) *answers.Answer {
	t, s := &d.told, stepOf(r.Tag)
	*t = answers.Answer{
		Person: d.who(r.Client), Kind: kinds[s], Sent: a.Sent, Answered: a.At, AskedSlot: event.NoSlot,
		Credential: credentialOf(s), Bookings: t.Bookings[:0], Draws: t.Draws[:0], Shown: answers.Shown{Left: t.Shown.Left[:0]},
	}
	d.asked(r, s, t)
	d.picks = d.picks[:0]
	if a.Failure != openloop.None {
		if t.Outcome = outcomeOfFailure(a); t.Outcome == answers.NotSent {
			t.Sent = a.At
		}
		return t
	}
	t.Outcome = answers.OutcomeOf(a.Status, nil)
	if t.Outcome == answers.NoContent || t.Outcome == answers.NotModified {
		return t
	}
	body, err := d.parser.ParseBytes(a.Body)
	if err != nil {
		t.Outcome = answers.Odd
		return t
	}
	if t.Outcome == answers.Odd {
		t.Outcome = answers.OutcomeOf(a.Status, body.GetStringBytes("code"))
	}
	d.document = body
	if !d.body(t, body) {
		t.Outcome = answers.Odd
	}
	return t
}

func credentialOf(s step) answers.Credential {
	switch s {
	case join, cancel, review, findOut, inquire:
		return answers.Identity
	case askPlace, leave:
		return answers.Ticket
	case hold, release, bookHold, bookSlot, change:
		return answers.Pass
	case forge:
		return answers.Bad
	}
	return answers.NoCredential
}

// asked fills in what the request named.
func (d *driver) asked(r openloop.Request, s step, t *answers.Answer) {
	p := &d.people[r.Client]
	switch s {
	case browse:
		t.Shown.First = event.SlotID(subject(r.Tag))
	case hold, bookSlot, change, forge:
		t.AskedSlot = event.SlotID(subject(r.Tag))
	case bookHold, release, cancel:
		t.AskedRef = event.Seq(subject(r.Tag))
	}
	switch s {
	case change:
		t.AskedRef = p.ref
	case bookHold, bookSlot:
		t.Key = keyOf(r.Tag)
	}
	c := d.wallet.get(p.pass)
	if t.Credential == answers.Ticket && (c.lost() || c.pass) {
		t.Credential = answers.Identity
	}
	if t.Credential == answers.Pass || t.Credential == answers.Ticket {
		sent := c.termOf(r.Step)
		t.ValidUntil, t.ValidSince = sent.expires, sent.told
	}
}

// body reads what an answer tells. It is false where something is missing.
func (d *driver) body(t *answers.Answer, v *fastjson.Value) bool {
	switch {
	case t.Outcome == answers.NotEligible:
		if reason := v.GetStringBytes("reason"); reason != nil {
			t.Reason = answers.ParseReason(reason)
		}
		return true
	case t.Outcome == answers.BookedAlready:
		return d.booking(t, v.Get("booking"))
	case !t.Outcome.Success():
		return true
	}
	switch t.Kind {
	case answers.Join, answers.OwnPlace:
		return readPlace(t, v)
	case answers.Hold:
		var ok bool
		t.Held, ok = d.held(v)
		return ok
	case answers.Book, answers.Change, answers.Cancel:
		return d.booking(t, v)
	case answers.OwnBookings:
		list := v.Get("bookings")
		if list == nil || list.Type() != fastjson.TypeArray {
			return false
		}
		for _, b := range list.GetArray() {
			if !d.booking(t, b) {
				return false
			}
		}
	case answers.Eligibility:
		t.Reason = answers.ParseReason(v.GetStringBytes("reason"))
		return t.Reason != answers.NoReason
	case answers.Line:
		var ok bool
		t.Serving, ok = serving(v)
		return ok && d.draws(t, v)
	case answers.Slots:
		return d.slots(t, v)
	case answers.Sites:
		var ok bool
		t.Shown.First = event.NoSlot
		t.Shown.AsOf, ok = moment(v.GetStringBytes("as_of"))
		return ok && v.Get("sites") != nil
	}
	return true
}

func readPlace(t *answers.Answer, v *fastjson.Value) bool {
	switch string(v.GetStringBytes("state")) {
	case "early":
		t.Place.State = answers.Early
	case "waiting":
		t.Place.State = answers.Waiting
	case "admitted":
		t.Place.State = answers.Admitted
	default:
		return false
	}
	lot := v.Get("draw")
	t.Place.Draw, t.Place.Index = event.Draw(lot.GetUint("ordinal")), event.Index(lot.GetUint("index"))
	t.Place.Number, t.Place.Ahead = event.Number(v.GetUint("number")), event.Number(v.GetUint("ahead"))
	return len(v.GetStringBytes("ticket")) > 0 && (t.Place.State == answers.Admitted) == (len(v.GetStringBytes("pass")) > 0)
}

func (d *driver) held(v *fastjson.Value) (h answers.Held, ok bool) {
	ref, ok1 := d.code(v.GetStringBytes("hold"))
	slot, ok2 := d.crowd.plan.Rules.FindSlot(v.GetStringBytes("slot"))
	expires, ok3 := moment(v.GetStringBytes("expires_at"))
	return answers.Held{Ref: ref, Slot: slot, Expires: expires}, ok1 && ok2 && ok3
}

// booking appends a booking to what was told.
func (d *driver) booking(t *answers.Answer, v *fastjson.Value) bool {
	if v == nil {
		return false
	}
	ref, ok1 := d.code(v.GetStringBytes("code"))
	slot, ok2 := d.crowd.plan.Rules.FindSlot(v.GetStringBytes("slot"))
	state, sequence := v.GetStringBytes("state"), v.GetUint64("sequence")
	t.Bookings = append(t.Bookings, answers.Booking{
		Ref: ref, Slot: slot, Sequence: event.Seq(sequence), Cancelled: string(state) == "cancelled",
	})
	return ok1 && ok2 && sequence > 0 && (string(state) == "booked" || string(state) == "cancelled")
}

// code reads a booking's or hold's code, which must be written as the server
// writes them.
func (d *driver) code(text []byte) (event.Seq, bool) {
	ref, ok := core.ParseCode(text)
	if !ok {
		return 0, false
	}
	d.word = core.AppendCode(d.word[:0], ref)
	return ref, string(d.word) == string(text)
}

// slots notes which slots of the day that was asked for have something left.
func (d *driver) slots(t *answers.Answer, body *fastjson.Value) bool {
	list := body.Get("slots")
	asOf, ok := moment(body.GetStringBytes("as_of"))
	if !ok || list == nil || list.Type() != fastjson.TypeArray {
		return false
	}
	first, n := d.dayOf(t.Shown.First)
	t.Shown.AsOf, t.Shown.First = asOf, first
	t.Shown.Left = append(t.Shown.Left[:0], make([]uint16, n)...)
	for _, s := range list.GetArray() {
		slot, ok := d.crowd.plan.Rules.FindSlot(s.GetStringBytes("id"))
		if !ok {
			return false
		}
		left := s.GetUint("available")
		if left > 0 {
			d.picks = append(d.picks, slot)
		}
		if slot >= first && slot < first+event.SlotID(n) {
			t.Shown.Left[slot-first] = uint16(min(left, math.MaxUint16))
		}
	}
	return true
}

// dayMax is how many slots of a day are noted.
const dayMax = 64

// dayOf are the slots beside a slot that are of its site and day.
func (d *driver) dayOf(slot event.SlotID) (first event.SlotID, n int) {
	rules := d.crowd.plan.Rules
	day := rules.Slot(slot)
	from, end := rules.SiteSlots(day.Site)
	for first = slot; first > from && slot-first < dayMax/2 && rules.Slot(first-1).Date == day.Date; {
		first--
	}
	for n = int(slot - first + 1); first+event.SlotID(n) < end && n < dayMax && rules.Slot(first+event.SlotID(n)).Date == day.Date; {
		n++
	}
	return first, n
}

// moment reads a time as the server writes it.
func moment(text []byte) (event.Time, bool) {
	t, err := time.Parse(time.RFC3339Nano, string(text))
	if err != nil {
		return 0, false
	}
	return event.Time(t.UnixMilli()), true
}
