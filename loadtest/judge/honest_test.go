package judge

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"weir/core"
	"weir/core/campaign"
	"weir/core/event"
	"weir/loadtest/answers"
	"weir/loadtest/evidence"
)

// The tests let a real core answer a small crowd, in one thread and with a
// clock of their own, and write down what each person would have seen: sent a
// little before the core decided, answered a little after, some not at all.

const testDefinition = `campaign: judged
name: {ko: 판정, en: Judged}
time_zone: Asia/Seoul
cohorts:
  - {id: older, born: 1900-01-01..1969-12-31}
  - {id: younger, born: 1970-01-01..1999-12-31}
windows:
  - {cohorts: [older], opens: 2021-07-19T20:00, closes: 2021-07-20T18:00}
  - {cohorts: [younger], opens: 2021-07-19T20:00:20, closes: 2021-07-20T18:00}
line: {enabled: %v, opens_before: 5s, order: %s}
products:
  - {id: moderna, name: {ko: 모더나, en: Moderna}}
sites: {file: sites.csv}
slots:
  - {sites: all, dates: 2021-08-17, times: 09:00..11:00, every: 30m, capacity: 2, product: moderna}
bookings: {hold: 10s, cancel_before: 24h, change_before: 24h}
`

func definition(t rapid.TB, line bool) *campaign.Definition { return definitionBy(t, line, "arrival") }

func definitionBy(t rapid.TB, line bool, order string) *campaign.Definition {
	t.Helper()
	open := func(string) ([]byte, error) {
		return []byte("id,name,region,address,lat,lon\ns1,One,KR-11,Street,37.5,127.0\ns2,Two,KR-11,Street,37.6,127.0\n"), nil
	}
	d, err := campaign.Parse("judged.yaml", fmt.Appendf(nil, testDefinition, line, order), open)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

var (
	opening  = event.Time(time.Date(2021, 7, 19, 11, 0, 0, 0, time.UTC).UnixMilli())
	runBegan = opening - 10_000 // the crowd comes a little early
	clockErr = 3 * time.Millisecond
)

// tape is a journal that keeps nothing.
type tape struct{ last event.Seq }

func (t *tape) Reserve(int) error { return nil }
func (t *tape) Release(int)       {}
func (t *tape) Append(*event.Record) event.Seq {
	t.last++
	return t.last
}
func (t *tape) Wait(event.Seq) error { return nil }
func (t *tape) Durable() event.Seq   { return t.last }

// simulation is a crowd and the core that answers it.
type simulation struct {
	random   *rand.Rand
	rules    *campaign.Definition
	engine   *core.Engine
	campaign *core.Campaign
	now      time.Duration // since runBegan
	people   []*visitor
	all      []answers.Answer

	overlap  bool // second devices
	lossy    bool // some requests get no answer
	operated bool // the campaign is paused and goes on
	pauses   []Pause
	idleTime time.Duration
}

// visitor is one person with what they remember.
type visitor struct {
	person   answers.Person
	born     campaign.Date
	answered time.Duration // the newest
	hold     answers.Held
	bookings []event.Seq
	keys     uint32
	lost     int
}

func keyOf(p answers.Person) (key event.PersonKey) {
	binary.BigEndian.PutUint32(key[:], uint32(p)+1)
	key[8] = 1
	return key
}

func bornOf(p answers.Person) campaign.Date {
	year := []string{"1950-05-05", "1980-05-05", "2005-05-05"}[min(int(p)%8, 7)/3]
	born, err := campaign.ParseDate(year)
	if err != nil {
		panic(err)
	}
	return born
}

func simulate(t testing.TB, seed uint64, people, steps int, overlap, lossy bool) *simulation {
	t.Helper()
	return simulateWith(t, seed, people, steps, overlap, lossy, false)
}

func simulateWith(t testing.TB, seed uint64, people, steps int, overlap, lossy, operated bool) *simulation {
	t.Helper()
	s := &simulation{
		random: rand.New(rand.NewPCG(seed, 1)), rules: definition(t, false), engine: core.New(),
		overlap: overlap, lossy: lossy, operated: operated, idleTime: 140 * time.Millisecond,
	}
	s.engine.Start(&tape{})
	c, _, err := s.engine.Define(runBegan-1000, s.rules)
	if err != nil {
		t.Fatal(err)
	}
	s.campaign = c
	for i := range people {
		p := answers.Person(i)
		s.people = append(s.people, &visitor{person: p, born: bornOf(p)})
	}
	for range steps {
		s.step()
	}
	s.now += time.Minute
	s.engine.Sweep(s.serverTime(), 1000)
	for _, p := range s.people { // what is open is settled
		s.ask(p, &answers.Answer{Kind: answers.OwnBookings, AskedSlot: event.NoSlot}, false)
		s.now += time.Second
	}
	return s
}

// serverTime is the server's clock, which the client knows only about.
func (s *simulation) serverTime() event.Time { return runBegan + event.Time(s.now.Milliseconds()) + 2 }

func (s *simulation) step() {
	s.now += time.Duration(s.random.Int64N(int64(s.idleTime)))
	if s.random.IntN(3) == 0 {
		s.engine.Sweep(s.serverTime(), 1)
	}
	if s.operated {
		s.operate()
	}
	p := s.people[s.random.IntN(len(s.people))]
	if s.now <= p.answered && (!s.overlap || s.random.IntN(3) > 0) {
		return
	}
	lost := s.lossy && p.lost < 3 && s.random.IntN(12) == 0
	if lost {
		p.lost++
	}
	s.ask(p, s.wish(p), lost)
}

// operate pauses the campaign now and then, for some seconds, and looks at what
// is shown to be free.
func (s *simulation) operate() {
	dice := s.random.IntN(60)
	late := time.Duration(s.random.Int64N(int64(20 * time.Millisecond)))
	before, behind := max(0, s.now-late), s.now+20*time.Millisecond-late
	var err error
	switch paused := s.campaign.Line().Paused; {
	case dice < 2 && !paused:
		_, err = s.engine.Pause(s.serverTime(), s.campaign, "a reason")
		s.pauses = append(s.pauses, Pause{Asked: before, Paused: behind})
	case dice < 2:
		_, err = s.engine.Resume(s.serverTime(), s.campaign)
		last := &s.pauses[len(s.pauses)-1]
		last.Ending, last.Ended = max(before, last.Paused), max(behind, last.Paused)
	case dice < 8:
		a := answers.Answer{Person: answers.Nobody, Kind: answers.Slots, Outcome: answers.OK, Sent: before, Answered: behind, AskedSlot: event.NoSlot}
		a.Shown.AsOf = s.serverTime() - event.Time(s.random.IntN(900))
		for slot := range event.SlotID(s.rules.SlotCount()) {
			taken, capacity := s.campaign.Slot(slot)
			a.Shown.Left = append(a.Shown.Left, capacity-taken)
		}
		s.all = append(s.all, a)
	}
	if err != nil {
		panic(err)
	}
}

func (s *simulation) wish(p *visitor) *answers.Answer {
	slot := event.SlotID(s.random.IntN(s.rules.SlotCount()))
	a := &answers.Answer{AskedSlot: event.NoSlot, Credential: answers.Pass}
	switch dice := s.random.IntN(20); {
	case dice < 3:
		a.Kind = answers.Join
	case dice == 3:
		a.Kind = answers.OwnPlace
	case dice == 4:
		a.Kind = []answers.Kind{answers.Leave, answers.Eligibility}[s.random.IntN(2)]
	case dice < 9:
		a.Kind, a.AskedSlot = answers.Hold, slot
	case dice == 9:
		a.Kind, a.AskedRef = answers.Release, p.hold.Ref+event.Seq(s.random.IntN(2))
	case dice < 13:
		a.Kind, a.AskedSlot = answers.Book, slot
		if p.hold.Ref != 0 && s.random.IntN(2) == 0 {
			a.AskedSlot, a.AskedRef = event.NoSlot, p.hold.Ref
		}
		if s.random.IntN(2) == 0 {
			p.keys++
			a.Key = uint32(p.person)*1000 + p.keys
		}
	case dice == 13:
		a.Kind = answers.OwnBookings
	case len(p.bookings) > 0:
		a.Kind, a.AskedRef = answers.Cancel, p.bookings[s.random.IntN(len(p.bookings))]
		if s.random.IntN(2) == 0 {
			a.Kind, a.AskedSlot = answers.Change, slot
		}
	default:
		a.Kind, a.AskedSlot = answers.Book, slot
	}
	return a
}

// ask sends a's request. Where it is lost, it may have been carried out.
func (s *simulation) ask(p *visitor, a *answers.Answer, lost bool) {
	a.Person = p.person
	a.Sent = s.now - time.Duration(s.random.Int64N(int64(20*time.Millisecond)))
	if !s.overlap {
		a.Sent = max(a.Sent, p.answered+1)
	}
	a.Sent = max(a.Sent, 0)
	a.Answered = s.now + time.Duration(1+s.random.Int64N(int64(20*time.Millisecond)))
	if lost {
		if s.random.IntN(2) == 0 {
			s.answer(p, &answers.Answer{Kind: a.Kind, AskedSlot: a.AskedSlot, AskedRef: a.AskedRef, Key: a.Key})
		}
		a.Outcome = answers.NoAnswer
	} else {
		s.answer(p, a)
		p.remember(a)
	}
	p.answered = max(p.answered, a.Answered)
	s.all = append(s.all, *a)
}

func (p *visitor) remember(a *answers.Answer) {
	if a.Held.Ref != 0 {
		p.hold = a.Held
	}
	for _, b := range a.Bookings {
		if !slices.Contains(p.bookings, b.Ref) {
			p.bookings = append(p.bookings, b.Ref)
		}
	}
}

// answer has the core answer, as the server would.
func (s *simulation) answer(p *visitor, a *answers.Answer) {
	switch a.Kind {
	case answers.OwnPlace, answers.OwnBookings, answers.Eligibility:
		s.read(p, a)
		return
	}
	c := core.Command{
		Op: map[answers.Kind]core.Op{
			answers.Join: core.Join, answers.Leave: core.Leave, answers.Hold: core.Hold, answers.Release: core.Release,
			answers.Book: core.Book, answers.Change: core.Change, answers.Cancel: core.Cancel,
		}[a.Kind],
		Campaign: s.campaign.ID(), Person: keyOf(p.person), Born: p.born, Slot: a.AskedSlot, Ref: a.AskedRef,
	}
	if a.Key != 0 {
		c.Request = core.Fingerprint(fmt.Append(nil, a.Key), fmt.Append(nil, a.AskedSlot, a.AskedRef))
	}
	out, err := s.engine.Do(s.serverTime(), &c)
	var no core.Rejection
	if errors.As(err, &no) {
		a.Outcome = outcomeNamed(no.Error())
		if no == core.AlreadyBooked {
			a.Bookings = []answers.Booking{toldBooking(&out.Booking)}
		}
		if no == core.NotEligible {
			a.Reason = answers.ParseReason([]byte(out.Decision.Reason.String()))
		}
		return
	}
	s.tell(a, &out)
}

func outcomeNamed(code string) answers.Outcome {
	for o := answers.BadRequest; int(o) < answers.Outcomes; o++ {
		if o.String() == code {
			return o
		}
	}
	return answers.Odd
}

func toldBooking(b *core.Booking) answers.Booking {
	return answers.Booking{Ref: b.Seq, Slot: b.Slot, Sequence: b.Last, Cancelled: b.State == core.Cancelled}
}

func (s *simulation) tell(a *answers.Answer, out *core.Outcome) {
	a.Outcome = answers.OK
	switch a.Kind {
	case answers.Join:
		a.Place = answers.Place{State: answers.Admitted, Number: out.Place.Number}
	case answers.Leave, answers.Release:
		a.Outcome = answers.NoContent
	case answers.Hold:
		a.Outcome, a.Held = answers.Created, answers.Held{Ref: out.Hold.Seq, Slot: out.Hold.Slot, Expires: out.Hold.Expires}
	default:
		a.Bookings = []answers.Booking{toldBooking(&out.Booking)}
	}
	if out.Done && (a.Kind == answers.Join || a.Kind == answers.Book) {
		a.Outcome = answers.Created
	}
}

func (s *simulation) read(p *visitor, a *answers.Answer) {
	has := s.campaign.Person(keyOf(p.person), nil)
	a.Outcome = answers.OK
	switch a.Kind {
	case answers.OwnPlace:
		if has.Place.Number == 0 {
			a.Outcome = answers.NotFound
			return
		}
		a.Place = answers.Place{State: answers.Admitted, Number: has.Place.Number}
	case answers.OwnBookings:
		for i := range has.Bookings {
			a.Bookings = append(a.Bookings, toldBooking(&has.Bookings[i]))
		}
	case answers.Eligibility:
		reason := s.rules.Decide(p.born, s.serverTime()).Reason
		active := slices.ContainsFunc(has.Bookings, func(b core.Booking) bool { return b.State == core.Booked })
		a.Reason = answers.ParseReason([]byte(reason.String()))
		if reason == campaign.Eligible && active {
			a.Reason = answers.AlreadyBooked
		} else if reason == campaign.Eligible && s.campaign.Line().Paused {
			a.Reason = answers.Paused
		}
	}
}

// found is what the core has in the end.
func (s *simulation) found() *Found {
	totals := s.campaign.Totals()
	f := &Found{Totals: evidence.Totals{
		Slots: totals.Slots, Places: totals.Places, Taken: totals.Taken, Booked: totals.Booked,
		Cancelled: totals.Cancelled, Holds: totals.Holds, Issued: totals.Issued,
	}}
	s.campaign.EachBooking(func(key event.PersonKey, b core.Booking) bool {
		f.Bookings = append(f.Bookings, FoundBooking{toldBooking(&b), key})
		return true
	})
	return f
}

// verdict judges the answers of a simulated crowd.
func verdict(t rapid.TB, dir string, rules *campaign.Definition, all []answers.Answer, found *Found, withKeys bool) *Verdict {
	return verdictOf(t, dir, Case{Rules: rules, Found: found}, all, withKeys)
}

// verdictOf writes the answers into a file in dir and judges them.
func verdictOf(t rapid.TB, dir string, k Case, all []answers.Answer, withKeys bool) *Verdict {
	name := filepath.Join(dir, fmt.Sprintf("answers-%d", time.Now().UnixNano()))
	f, err := answers.Create(name, &answers.Header{Campaign: k.Rules.ID, Began: runBegan, ClockError: clockErr, People: 100})
	if err != nil {
		t.Fatal(err)
	}
	r := f.Recorder()
	for i := range all {
		if err := r.Add(&all[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	k.Files, k.Born = []string{name}, bornOf
	if withKeys {
		k.Key = keyOf
	}
	v, err := Judge(context.Background(), k)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestNoFalseAlarm lets the real core answer crowds of every kind: whatever
// they do, the judge must find nothing.
func TestNoFalseAlarm(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(r *rapid.T) {
		seed := rapid.Uint64().Draw(r, "seed")
		overlap, lossy := rapid.Bool().Draw(r, "overlap"), rapid.Bool().Draw(r, "lossy")
		s := simulateWith(t, seed, rapid.IntRange(4, 30).Draw(r, "people"), 500, overlap, lossy, rapid.Bool().Draw(r, "operated"))
		v := verdictOf(r, dir, Case{Rules: s.rules, Found: s.found(), Pauses: s.pauses}, s.all, rapid.Bool().Draw(r, "keys"))
		if !v.Sound() {
			r.Fatalf("%v", v)
		}
		if v.Checked.Answers == 0 || v.Checked.People == 0 {
			r.Fatalf("nothing was looked at: %+v", v.Checked)
		}
	})
}

// sortHistory puts a history into the order in which the judge gets it.
func sortHistory(h *history) {
	slices.SortFunc(h.asked, func(a, b answers.Answer) int {
		return cmp.Or(cmp.Compare(a.Sent, b.Sent), cmp.Compare(a.Answered, b.Answered))
	})
	slices.SortFunc(h.found, func(a, b answers.Booking) int { return cmp.Compare(b.Ref, a.Ref) })
}
