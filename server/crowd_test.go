package server

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"weir/core"
	"weir/core/event"
)

const crowdCampaign = `
campaign: small
name: {ko: 몰림, en: Crowd}
time_zone: Asia/Seoul
cohorts:
  - {id: old, born: 1960-01-01..1965-12-31}
windows:
  - {cohorts: [old], opens: 2021-07-19T20:00, closes: 2021-07-20T18:00}
products:
  - {id: moderna, name: {ko: 모더나, en: Moderna}}
sites:
  - {id: a, name: A, region: KR-11, address: A, lat: 37.5, lon: 127}
slots:
  - {sites: all, dates: 2021-07-22..2021-07-22, times: 09:00..09:30, every: 30m, capacity: 100, product: moderna}
  - {sites: all, dates: 2021-07-22..2021-07-22, times: 09:30..10:30, every: 30m, capacity: 6, product: moderna}
bookings: {hold: 5m, cancel_before: 24h, change_before: 12h}
`

// ask sends one raw request on a connection and returns status and body.
func ask(conn io.Writer, from *bufio.Reader, request string) (int, []byte, error) {
	if _, err := io.WriteString(conn, request); err != nil {
		return 0, nil, err
	}
	res, err := http.ReadResponse(from, nil)
	if err != nil {
		return 0, nil, err
	}
	body, err := io.ReadAll(res.Body)
	return res.StatusCode, body, err
}

// TestCrowd lets ten thousand people ask for one slot of a hundred places over
// forty connections: a hundred get one, everybody else is told that it is full
// and where else there is room.
func TestCrowd(t *testing.T) {
	const people, places, connections = 10_000, 100, 40
	s := newStand(t, nil, crowdCampaign)
	var booked, full atomic.Int64
	var all sync.WaitGroup
	for c := range connections {
		all.Go(func() {
			conn := dial(t, s.public)
			from := bufio.NewReader(conn)
			for p := c; p < people; p += connections {
				status, body, err := ask(conn, from, rawBooking(s.pass(fmt.Sprint("p", p)), slotBody(slotA9)))
				switch {
				case err != nil:
					t.Error(err)
					return
				case status == 201:
					booked.Add(1)
				case status == 409 && bytes.Contains(body, []byte(`"code":"slot_full"`)) &&
					bytes.Contains(body, []byte(`"alternatives":[{"id":"a/2021-07-22/09:30/moderna"`)):
					full.Add(1)
				default:
					t.Errorf("%d %s", status, body)
					return
				}
			}
		})
	}
	all.Wait()
	if booked.Load() != places || full.Load() != people-places {
		t.Fatalf("%d booked, %d were told that it is full", booked.Load(), full.Load())
	}
	if totals := s.engine.Campaign("small").Totals(); totals.Booked != places {
		t.Fatalf("totals: %+v", totals)
	}
}

// TestOnePersonOnManyConnections lets one person ask for different slots from
// fifty devices at once: one booking is made, and everybody is told of it.
func TestOnePersonOnManyConnections(t *testing.T) {
	const connections = 50
	s := newStand(t, nil)
	slots := []string{slotA9, slotA930, slotB9}
	var made atomic.Int64
	codes := make([]string, connections)
	var all sync.WaitGroup
	start := make(chan struct{})
	for c := range connections {
		all.Go(func() {
			conn := dial(t, s.public)
			<-start
			status, body, err := ask(conn, bufio.NewReader(conn), rawBooking(s.pass("kim"), slotBody(slots[c%len(slots)])))
			if err != nil {
				t.Error(err)
				return
			}
			if status == 201 {
				made.Add(1)
			}
			_, rest, _ := strings.Cut(string(body), `"code":"`)
			if status == 409 {
				_, rest, _ = strings.Cut(string(body), `"booking":{"code":"`)
			}
			codes[c] = rest[:min(len(rest), core.CodeLen)]
		})
	}
	close(start)
	all.Wait()
	if made.Load() != 1 {
		t.Fatalf("%d bookings were made", made.Load())
	}
	for _, code := range codes {
		if code != codes[0] || len(code) != core.CodeLen {
			t.Fatalf("codes: %q", codes)
		}
	}
	n := 0
	s.engine.Campaign("small").EachBooking(func(event.PersonKey, core.Booking) bool { n++; return true })
	if n != 1 {
		t.Fatalf("%d bookings", n)
	}
}
