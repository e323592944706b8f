//go:build linux

package overload

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"weir/core/event"
	stages "weir/loadtest/stage"
)

const (
	campaignID   = "overload"
	bookingsPath = "/v1/campaigns/" + campaignID + "/bookings"
	pagePath     = "/v1/campaigns/" + campaignID
	sitesCount   = 100
	slotCapacity = 200
)

// The line is off: what is overloaded here is booking. Everybody may book, for
// a slot of 19,200 with room for 3.8 million people.
const definition = `campaign: ` + campaignID + `
name: {ko: 과부하 시험, en: Overload}
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
  - {sites: all, dates: 2099-08-17..2099-08-28, times: 09:00..17:00, every: 30m, capacity: %d, product: moderna}
bookings: {hold: 5m, cancel_before: 24h, change_before: 24h}
`

// stage is where servers are started, with the people who book at them.
type stage struct {
	*stages.Stage
	passes   []byte // of all people, one behind the other
	passSize int    // all have one length
	wishSize int    // of a request's body; all slot ids have one length, too
}

func newStage(dir string) (*stage, error) {
	set, err := stages.New(dir, fmt.Sprintf(definition, slotCapacity), sitesCount)
	if err != nil {
		return nil, err
	}
	s := &stage{Stage: set}
	s.wishSize = len(s.appendWish(nil, 0))
	return s, nil
}

// people is how many have a pass.
func (s *stage) people() int { return len(s.passes) / max(s.passSize, 1) }

// mint makes passes until so many people have one, under the keys that the
// servers will find.
func (s *stage) mint(people int) error {
	s.passes = slices.Grow(s.passes, max(people-s.people(), 0)*s.passSize)
	for n := s.people(); n < people; n++ {
		s.passes = s.AppendPass(s.passes, uint64(n))
		if n == 0 {
			s.passSize = len(s.passes)
		}
		if len(s.passes) != s.passSize*(n+1) {
			return errors.New("set the stage: passes differ in length")
		}
	}
	return nil
}

// appendBooking appends the request of the nth person, with more lines in its
// head.
func (s *stage) appendBooking(dst []byte, n int64, lines string) []byte {
	dst = append(dst, "POST "+bookingsPath+" HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: "...)
	dst = strconv.AppendInt(dst, int64(s.wishSize), 10)
	dst = append(dst, "\r\nAuthorization: Bearer "...)
	at := int(n) * s.passSize
	dst = append(dst, s.passes[at:at+s.passSize]...)
	dst = append(dst, "\r\n"...)
	dst = append(append(dst, lines...), "\r\n"...)
	return s.appendWish(dst, event.SlotID(stages.Scatter(uint64(n))%uint64(s.Rules.SlotCount())))
}

func (s *stage) appendWish(dst []byte, slot event.SlotID) []byte {
	dst = append(dst, `{"slot":"`...)
	return append(s.Rules.AppendSlotID(dst, slot), `"}`...)
}

// appendPage appends the request for the campaign, which anybody may make.
func appendPage(dst []byte) []byte {
	return append(dst, "GET "+pagePath+" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"...)
}
