//go:build linux

package overload

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir/core/campaign"
	"weir/core/event"
	"weir/server/keys"
	"weir/server/token"
)

const (
	campaignID   = "overload"
	issuer       = "overload"
	audience     = "weir"
	bookingsPath = "/v1/campaigns/" + campaignID + "/bookings"
	pagePath     = "/v1/campaigns/" + campaignID
	sitesCount   = 100
	slotCapacity = 200
	passLife     = 12 * time.Hour
	bornOn       = "1968-03-01"
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

// stage is a directory with all that servers need but their data, and what
// people need to book at them.
type stage struct {
	dir      string
	rules    *campaign.Definition
	ring     *token.Ring
	born     campaign.Date
	passes   []byte // of all people, one behind the other
	passSize int    // all have one length
	wishSize int    // of a request's body; all slot ids have one length, too
}

func newStage(dir string) (*stage, error) {
	s := &stage{dir: dir}
	if err := s.writeFiles(); err != nil {
		return nil, fmt.Errorf("set the stage: %w", err)
	}
	s.wishSize = len(s.appendWish(nil, 0))
	opened, err := keys.Open(s.path("keys"))
	if err != nil {
		return nil, fmt.Errorf("set the stage: %w", err)
	}
	s.ring = opened.Ring
	if s.born, err = campaign.ParseDate(bornOn); err != nil {
		return nil, fmt.Errorf("set the stage: %w", err)
	}
	return s, nil
}

func (s *stage) path(name string) string { return filepath.Join(s.dir, name) }

func (s *stage) writeFiles() (err error) {
	var sites strings.Builder
	sites.WriteString("id,name,region,address,lat,lon\n")
	for i := range sitesCount {
		fmt.Fprintf(&sites, "s%03d,Site %d,KR-11,Street %d,37.5,127.0\n", i, i, i)
	}
	yaml := fmt.Appendf(nil, definition, slotCapacity)
	for name, content := range map[string][]byte{
		"campaign.yaml": yaml, "sites.csv": []byte(sites.String()), "secret": bytes.Repeat([]byte("not a secret "), 4),
	} {
		if err := os.WriteFile(s.path(name), content, 0o600); err != nil {
			return err
		}
	}
	open := func(string) ([]byte, error) { return []byte(sites.String()), nil }
	s.rules, err = campaign.Parse("campaign.yaml", yaml, open)
	return err
}

// people is how many have a pass.
func (s *stage) people() int { return len(s.passes) / max(s.passSize, 1) }

// mint makes passes until so many people have one, under the keys that the
// servers will find.
func (s *stage) mint(people int) error {
	claims := token.Claims{
		Kind: token.Pass, Campaign: token.CampaignHash(campaignID), Born: s.born,
		Expires: event.Time(time.Now().Add(passLife).UnixMilli()),
	}
	s.passes = slices.Grow(s.passes, max(people-s.people(), 0)*s.passSize)
	for n := s.people(); n < people; n++ {
		claims.Person = personKey(uint64(n))
		s.passes = s.ring.Append(s.passes, &claims)
		if n == 0 {
			s.passSize = len(s.passes)
		}
		if len(s.passes) != s.passSize*(n+1) {
			return errors.New("set the stage: passes differ in length")
		}
	}
	return nil
}

// serveArgs are the arguments of `weir serve`, without the addresses.
func (s *stage) serveArgs(data string) []string {
	return []string{
		"--data", s.path(data), "--keys-dir", s.path("keys"), "--campaign", s.path("campaign.yaml"),
		"--identity-hs256-file", s.path("secret"), "--identity-issuer", issuer, "--identity-audience", audience,
	}
}

// appendBooking appends the request of the nth person.
func (s *stage) appendBooking(dst []byte, n int64) []byte {
	dst = append(dst, "POST "+bookingsPath+" HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: "...)
	dst = strconv.AppendInt(dst, int64(s.wishSize), 10)
	dst = append(dst, "\r\nAuthorization: Bearer "...)
	at := int(n) * s.passSize
	dst = append(dst, s.passes[at:at+s.passSize]...)
	dst = append(dst, "\r\n\r\n"...)
	return s.appendWish(dst, event.SlotID(scatter(uint64(n))%uint64(s.rules.SlotCount())))
}

func (s *stage) appendWish(dst []byte, slot event.SlotID) []byte {
	dst = append(dst, `{"slot":"`...)
	return append(s.rules.AppendSlotID(dst, slot), `"}`...)
}

// appendPage appends the request for the campaign, which anybody may make.
func appendPage(dst []byte) []byte {
	return append(dst, "GET "+pagePath+" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"...)
}

// personKey is another key for every n, spread as hashes are.
func personKey(n uint64) (key event.PersonKey) {
	for i, half := range [2]uint64{scatter(n), scatter(^n)} {
		for b := range 8 {
			key[8*i+b] = byte(half >> (8 * b))
		}
	}
	return key
}

// scatter is a permutation of the 64-bit numbers that leaves no order in them
// (the finalizer of SplitMix64, public domain, Sebastiano Vigna).
func scatter(n uint64) uint64 {
	n += 0x9e3779b97f4a7c15
	n = (n ^ n>>30) * 0xbf58476d1ce4e5b9
	n = (n ^ n>>27) * 0x94d049bb133111eb
	return n ^ n>>31
}
