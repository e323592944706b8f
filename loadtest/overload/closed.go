//go:build linux

package overload

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"weir/loadtest/loader"
	"weir/loadtest/process"
	"weir/loadtest/stats"
)

const (
	closedCallers = 128 // some more than one loop keeps in hand when it is asked for too much
	closedRounds  = 3
	closedLength  = 2 * time.Second // at most, of a round
	closedPeople  = 150_000

	// oneClient is the word of a proxy for a client who asks without end. It is
	// of the addresses that are for documents (RFC 3849).
	oneClient    = "X-Forwarded-For: 2001:db8::1\r\n"
	refusedLeast = 0.9 // of the answers of a round of refusals
)

// Closed is what closed loops get out of weir as it is, under the quota: of
// bookings, and of refusals that are prepared and given before anything is
// parsed.
type Closed struct {
	Bookings      float64 `json:"bookings"` // a second: the capacity
	BookingMicros float64 `json:"booking_us"`
	RefusalMicros float64 `json:"refusal_us"` // 0: this server refuses nobody
}

// measureClosed measures Closed on a server of its own, and sees to what depends
// on it. The server believes that a proxy asks it: so it refuses who comes too
// often by one address, as its admission refuses anybody.
func (r *runner) measureClosed(ctx context.Context) (err error) {
	args := []string{"--client-header", "x-forwarded-for", "--trusted-proxy", "127.0.0.0/8"}
	s, err := r.start(ctx, args)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	if err := r.stage.mint(closedPeople); err != nil {
		return err
	}
	c := &Closed{}
	r.next = 0
	if c.Bookings, c.BookingMicros, err = r.closed(ctx, s, "", http.StatusCreated); err != nil {
		return fmt.Errorf("book: %w", err)
	}
	if len(r.report.Arms) > 1 {
		if _, c.RefusalMicros, err = r.closed(ctx, s, oneClient, http.StatusTooManyRequests); err != nil {
			return fmt.Errorf("refuse: %w", err)
		}
	}
	r.report.Closed = append(r.report.Closed, c)
	r.capacity = c.Bookings
	r.Log("closed loops, with %.3f of a CPU: %s", r.Share, c)
	return r.stage.mint(r.peopleNeeded())
}

func (c *Closed) String() string {
	text := fmt.Sprintf("capacity %.0f bookings/s; a booking costs the server %.1f µs of CPU", c.Bookings, c.BookingMicros)
	if c.RefusalMicros == 0 {
		return text
	}
	return text + fmt.Sprintf(", a refusal %.1f µs", c.RefusalMicros)
}

// connections is how many there may be at a time.
func (r *runner) connections() int {
	if r.Connections > 0 {
		return r.Connections
	}
	return min(max(int(standing*r.capacity), 1), connectionsMax)
}

// closed has people book, as many at a time as closedCallers, and wants a
// status. It returns the medians of some rounds behind a first one: answers a
// second, and the server's CPU an answer. One client who comes too often is let
// through now and then.
func (r *runner) closed(ctx context.Context, s *process.Server, lines string, status int) (perSecond, micros float64, err error) {
	var rates, prices []float64
	for n := range closedRounds + 1 {
		before, err1 := processCPU(s.PID())
		result, err2 := loader.Run(ctx, loader.Options{
			Addr: s.Addr, Connections: closedCallers, Duration: min(closedLength, r.Step),
			Next: func(_ int, dst []byte) []byte {
				if r.next == closedPeople {
					return nil
				}
				r.next++
				return r.stage.appendBooking(dst, r.next-1, lines)
			},
			Check: func(_, got int, body []byte) error {
				if got != status && got != http.StatusCreated {
					return fmt.Errorf("status %d: %s", got, body[:min(len(body), 200)])
				}
				return nil
			},
		})
		after, err3 := processCPU(s.PID())
		if err := errors.Join(err1, err2, err3); err != nil {
			return 0, 0, err
		}
		switch {
		case result.Errors > 0:
			return 0, 0, fmt.Errorf("%d answers were not as they should: %w", result.Errors, result.FirstErrors[0])
		case r.next == closedPeople:
			return 0, 0, fmt.Errorf("%d people had asked too soon; give the server a smaller share of the CPU than %g", closedPeople, r.Share)
		case n == 0:
			continue
		case float64(result.ByStatus[status]) < refusedLeast*float64(result.Requests):
			return 0, 0, fmt.Errorf("%d of %d answers had status %d", result.ByStatus[status], result.Requests, status)
		}
		rates = append(rates, result.PerSecond())
		prices = append(prices, float64((after-before).Microseconds())/float64(result.Requests))
	}
	return stats.Median(rates), stats.Median(prices), nil
}
