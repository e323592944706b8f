package server

import (
	"strconv"
	"unicode/utf8"

	"weir/core"
	"weir/core/campaign"
	"weir/core/event"
)

// The encoders append JSON. They know the shapes of the surface and nothing of
// requests.

// encoder appends to out.
type encoder struct{ out []byte }

func appendInt(dst []byte, n int64) []byte { return strconv.AppendInt(dst, n, 10) }

// key appends a field's name, behind a comma where one is needed.
func (e *encoder) key(name string) {
	if n := len(e.out); n > 0 && e.out[n-1] != '{' && e.out[n-1] != '[' {
		e.out = append(e.out, ',')
	}
	e.out = append(append(append(e.out, '"'), name...), '"', ':')
}

func (e *encoder) str(name, value string) {
	e.key(name)
	e.out = appendString(e.out, value)
}

func (e *encoder) int(name string, value int64) {
	e.key(name)
	e.out = appendInt(e.out, value)
}

func (e *encoder) flag(name string, value bool) {
	e.key(name)
	e.out = strconv.AppendBool(e.out, value)
}

func (e *encoder) date(name string, d campaign.Date) {
	e.key(name)
	e.out = append(d.Append(append(e.out, '"')), '"')
}

// list appends an array of n elements, each written by element.
func (e *encoder) list(name string, n int, element func(i int)) {
	e.key(name)
	e.out = append(e.out, '[')
	for i := range n {
		if i > 0 {
			e.out = append(e.out, ',')
		}
		element(i)
	}
	e.out = append(e.out, ']')
}

func (e *encoder) time(name string, d *campaign.Definition, t event.Time) {
	e.key(name)
	e.out = append(d.AppendTime(append(e.out, '"'), t), '"')
}

func (e *encoder) code(name string, seq event.Seq) {
	e.key(name)
	e.out = append(core.AppendCode(append(e.out, '"'), seq), '"')
}

func (x *exchange) slotID(name string, slot event.SlotID) {
	x.key(name)
	x.word = x.rules.AppendSlotID(x.word[:0], slot)
	x.out = appendString(x.out, x.word)
}

// textObject appends a text in all languages.
func (e *encoder) textObject(name string, t campaign.Text) {
	e.key(name)
	e.out = append(e.out, '{')
	e.str("ko", t.KO)
	e.str("en", t.EN)
	e.out = append(e.out, '}')
}

// booking appends the booking object.
func (x *exchange) booking(b *core.Booking) {
	slot := x.rules.Slot(b.Slot)
	x.out = append(x.out, '{')
	x.code("code", b.Seq)
	x.str("campaign", x.rules.ID)
	x.slotID("slot", b.Slot)
	x.str("site", x.rules.Sites[slot.Site].ID)
	x.time("starts_at", x.rules, slot.Starts)
	x.time("ends_at", x.rules, slot.Ends)
	x.str("product", x.rules.Products[slot.Product].ID)
	x.str("state", b.State.String())
	x.time("booked_at", x.rules, b.BookedAt)
	x.int("sequence", int64(b.Last))
	x.out = append(x.out, '}')
}

// slot appends the slot object, with the places that are left now.
func (x *exchange) slot(id event.SlotID) {
	slot := x.rules.Slot(id)
	taken, capacity := x.campaign.core.Slot(id)
	x.out = append(x.out, '{')
	x.slotID("id", id)
	x.str("site", x.rules.Sites[slot.Site].ID)
	x.time("starts_at", x.rules, slot.Starts)
	x.time("ends_at", x.rules, slot.Ends)
	x.str("product", x.rules.Products[slot.Product].ID)
	x.int("capacity", int64(capacity))
	x.int("available", int64(capacity)-int64(min(taken, capacity)))
	x.out = append(x.out, '}')
}

// window appends a window as a field, null for -1.
func (x *exchange) window(name string, index int) {
	x.key(name)
	x.windowObject(index)
}

func (x *exchange) windowObject(index int) {
	if index < 0 {
		x.out = append(x.out, "null"...)
		return
	}
	w := &x.rules.Windows[index]
	x.out = append(x.out, '{')
	x.key("cohorts")
	x.out = append(x.out, '[')
	for i, c := range w.Cohorts {
		if i > 0 {
			x.out = append(x.out, ',')
		}
		x.out = appendString(x.out, x.rules.Cohorts[c].ID)
	}
	x.out = append(x.out, ']')
	x.time("opens_at", x.rules, w.Opens)
	x.time("closes_at", x.rules, w.Closes)
	x.out = append(x.out, '}')
}

// appendExtras appends what a problem says beyond its code. dst is x.out.
func (x *exchange) appendExtras(dst []byte, f fault) []byte {
	x.out = dst
	decision := &x.outcome.Decision
	switch f {
	case faultAlreadyBooked:
		x.key("booking")
		x.booking(&x.outcome.Booking)
	case faultSlotFull:
		x.alternatives()
	case faultNotEligible:
		x.str("reason", decision.Reason.String())
		if decision.Next >= 0 {
			x.window("next_window", decision.Next)
		}
	case faultLineNotOpen, faultWindowNotOpen:
		if decision.Next >= 0 {
			x.time("opens_at", x.rules, x.opensAt(f, decision.Next))
			x.window("next_window", decision.Next)
		}
	case faultPaused:
		state := x.campaign.core.Line()
		x.pause(x.rules, &state)
	case faultWindowClosed:
		if decision.Next >= 0 {
			x.window("next_window", decision.Next)
		}
	}
	return x.out
}

func (x *exchange) opensAt(f fault, window int) event.Time {
	if f == faultLineNotOpen {
		return x.rules.LineOpens(window)
	}
	return x.rules.Windows[window].Opens
}

// alternativesMax bounds the slots that are offered instead of a full one.
const alternativesMax = 5

func (x *exchange) alternatives() {
	x.near = x.near[:0]
	if x.command.Slot != event.NoSlot {
		x.near = x.campaign.published.Alternatives(x.now, x.command.Slot, alternativesMax, x.near)
	}
	x.key("alternatives")
	x.out = append(x.out, '[')
	for i, id := range x.near {
		if i > 0 {
			x.out = append(x.out, ',')
		}
		x.slot(id)
	}
	x.out = append(x.out, ']')
}

const hexDigits = "0123456789abcdef"

// appendString appends s as a JSON string. Bytes that are no UTF-8 become the
// replacement character. "<", ">" and "&" are escaped as well, so that no
// answer can be taken for a page.
func appendString[T string | []byte](dst []byte, s T) []byte {
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&' && c != 0x7f {
				i++
				continue
			}
			dst = append(dst, s[from:i]...)
			dst = appendEscape(dst, c)
			i++
			from = i
			continue
		}
		r, size := utf8.DecodeRuneInString(string(s[i:min(len(s), i+utf8.UTFMax)]))
		if r == utf8.RuneError && size == 1 {
			dst = append(dst, s[from:i]...)
			dst = append(dst, `\ufffd`...)
			from = i + 1
		}
		i += size
	}
	dst = append(dst, s[from:]...)
	return append(dst, '"')
}

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, '\\', 'n')
	case '\t':
		return append(dst, '\\', 't')
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}
