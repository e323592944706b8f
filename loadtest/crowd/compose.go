//go:build linux

package crowd

import (
	"strconv"

	"weir/core"
	"weir/core/event"
	"weir/loadtest/answers"
	"weir/loadtest/openloop"
	"weir/server/token"
)

// Compose writes the request that the tag describes.
func (d *driver) Compose(dst []byte, r openloop.Request) []byte {
	p, at := &d.people[r.Client], d.who(r.Client)
	b := builder{d: d, out: dst, person: at, credential: d.wallet.get(p.pass)}
	switch s := stepOf(r.Tag); s {
	case join:
		b.begin("POST", "/line").identity().end()
	case look:
		home := &d.crowd.plan.Rules.Sites[d.crowd.home(at)]
		b.begin("GET", "/sites?limit=5&near=")
		b.out = strconv.AppendFloat(b.out, home.Lat, 'f', 5, 64)
		b.out = strconv.AppendFloat(append(b.out, ','), home.Lon, 'f', 5, 64)
		b.version().end()
	case poll:
		b.begin("GET", "/line").version().end()
	case askPlace:
		b.begin("GET", "/line/me").ticket().end()
	case leave:
		b.begin("DELETE", "/line/me").ticket().end()
	case browse:
		b.browse(event.SlotID(subject(r.Tag)))
	case hold:
		b.begin("POST", "/holds").pass().slot(event.SlotID(subject(r.Tag)))
	case bookSlot:
		b.begin("POST", "/bookings").pass().key(r.Tag).slot(event.SlotID(subject(r.Tag)))
	case forge:
		b.begin("POST", "/bookings").forged().slot(event.SlotID(subject(r.Tag)))
	case bookHold:
		b.begin("POST", "/bookings").pass().key(r.Tag).hold(event.Seq(subject(r.Tag)))
	case release:
		b.begin("DELETE", "/holds/").code(event.Seq(subject(r.Tag))).pass().end()
	case change:
		b.begin("PATCH", "/bookings/").code(p.ref).pass().slot(event.SlotID(subject(r.Tag)))
	case cancel:
		b.begin("DELETE", "/bookings/").code(event.Seq(subject(r.Tag))).identity().end()
	case review, findOut:
		b.begin("GET", "/bookings/me").identity().end()
	case inquire:
		b.begin("GET", "/eligibility").identity().end()
	}
	if b.withdrawn {
		return dst[:0]
	}
	return b.out
}

// builder writes one request.
type builder struct {
	d          *driver
	out        []byte
	person     answers.Person
	credential *credential
	versioned  bool // the request line is written
	withdrawn  bool // there is no credential any more
}

// begin writes the method and the target up to where it differs.
func (b *builder) begin(method, path string) *builder {
	b.out = append(append(b.out, method...), " /v1/campaigns/"...)
	b.out = append(append(b.out, b.d.crowd.plan.Rules.ID...), path...)
	return b
}

// version ends the request line. Further calls do nothing.
func (b *builder) version() *builder {
	if !b.versioned {
		b.out = append(append(b.out, " HTTP/1.1\r\nHost: "...), b.d.crowd.plan.Host...)
		b.out = append(b.out, "\r\n"...)
		b.versioned = true
	}
	return b
}

func (b *builder) identity() *builder {
	b.version()
	b.out = append(b.out, "Authorization: Bearer "...)
	b.out = b.d.minter.append(b.out, b.person, b.d.crowd.Born(b.person))
	b.out = append(b.out, "\r\n"...)
	return b
}

// ticket sends the ticket; who has lost it, or has a pass by now, signs in.
func (b *builder) ticket() *builder {
	if b.credential.lost() || b.credential.pass {
		return b.identity()
	}
	return b.bearer(b.credential.text[:b.credential.size])
}

func (b *builder) pass() *builder {
	if b.credential.lost() || !b.credential.pass {
		b.withdrawn = true
		return b
	}
	return b.bearer(b.credential.text[:b.credential.size])
}

// forged sends a pass of the right length that nobody gave out.
func (b *builder) forged() *builder {
	b.version()
	b.out = append(b.out, "Authorization: Bearer wp1."...)
	noise := scatter(uint64(b.person))
	for range token.Size - 4 {
		const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
		b.out = append(b.out, alphabet[noise&63])
		noise = noise>>6 | noise<<58
	}
	b.out = append(b.out, "\r\n"...)
	return b
}

func (b *builder) bearer(text []byte) *builder {
	b.version()
	b.out = append(append(b.out, "Authorization: Bearer "...), text...)
	b.out = append(b.out, "\r\n"...)
	return b
}

func (b *builder) key(tag uint64) *builder {
	b.out = append(b.out, "Idempotency-Key: p"...)
	b.out = strconv.AppendUint(b.out, uint64(b.person), 10)
	b.out = strconv.AppendUint(append(b.out, '-'), uint64(keyOf(tag)), 10)
	b.out = append(b.out, "\r\n"...)
	return b
}

func (b *builder) code(ref event.Seq) *builder {
	b.out = core.AppendCode(b.out, ref)
	return b
}

func (b *builder) slot(slot event.SlotID) {
	b.d.word = b.d.crowd.plan.Rules.AppendSlotID(b.d.word[:0], slot)
	b.body("slot", b.d.word)
}

func (b *builder) hold(ref event.Seq) {
	b.d.word = core.AppendCode(b.d.word[:0], ref)
	b.body("hold", b.d.word)
}

// body writes a JSON object with one text that needs no escaping.
func (b *builder) body(name string, value []byte) {
	b.out = append(b.out, "Content-Type: application/json\r\nContent-Length: "...)
	b.out = strconv.AppendInt(b.out, int64(len(name)+len(value)+len(`{"":""}`)), 10)
	b.out = append(append(b.out, "\r\n\r\n{\""...), name...)
	b.out = append(append(b.out, "\":\""...), value...)
	b.out = append(b.out, "\"}"...)
}

func (b *builder) end() {
	b.version()
	b.out = append(b.out, "\r\n"...)
}

// browse asks for the free slots of the day and site of a slot.
func (b *builder) browse(slot event.SlotID) {
	rules := b.d.crowd.plan.Rules
	at := rules.Slot(slot)
	b.begin("GET", "/slots?available=true&site=")
	b.out = append(append(b.out, rules.Sites[at.Site].ID...), "&date="...)
	b.out = at.Date.Append(b.out)
	b.version().end()
}
