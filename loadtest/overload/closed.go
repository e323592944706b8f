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
)

const (
	closedCallers = 256 // about as many as weir keeps in hand when it is asked for too much
	closedRounds  = 3
	closedLength  = 2 * time.Second // at most, of a round

	// oneClient is the word of a proxy for a client who asks without end. It is
	// of the addresses that are for documents (RFC 3849).
	oneClient    = "X-Forwarded-For: 2001:db8::1\r\n"
	refusedLeast = 0.9 // of the answers of a round of refusals
)

// Prices are what an answer takes of the server's CPU, in microseconds, where a
// closed loop asks for nothing else, under the quota.
type Prices struct {
	BookingMicros float64 `json:"booking_us"`
	RefusalMicros float64 `json:"refusal_us"` // of one that is prepared, and given before anything is parsed
}

// capacity is what a closed loop gets out of a server: the median of some
// rounds.
func (r *runner) capacity(ctx context.Context, s *process.Server) (perSecond float64, err error) {
	perSecond, _, err = r.closed(ctx, s, "", http.StatusCreated, new(int64))
	return perSecond, err
}

// measurePrices measures Prices on a server of its own, which believes that it
// is asked by a proxy: it refuses who comes too often by one address, as its
// admission refuses anybody. A server without admission refuses nobody.
func (r *runner) measurePrices(ctx context.Context) (err error) {
	if len(r.report.Arms) < 2 {
		return nil
	}
	s, err := r.start(ctx, []string{"--client-header", "x-forwarded-for", "--trusted-proxy", "127.0.0.0/8"})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	p, person := &Prices{}, int64(0)
	if _, p.BookingMicros, err = r.closed(ctx, s, "", http.StatusCreated, &person); err != nil {
		return fmt.Errorf("price of a booking: %w", err)
	}
	if _, p.RefusalMicros, err = r.closed(ctx, s, oneClient, http.StatusTooManyRequests, &person); err != nil {
		return fmt.Errorf("price of a refusal: %w", err)
	}
	r.report.Prices = p
	return nil
}

// closed has people book, from the given one on, as many at a time as
// closedCallers, and wants a status. It returns the medians of some rounds, of
// which the first is dropped: answers a second, and the server's CPU an answer.
// One client who comes too often is let through now and then.
func (r *runner) closed(ctx context.Context, s *process.Server, lines string, status int, person *int64) (perSecond, micros float64, err error) {
	if err := r.stage.mint(capacityPeople); err != nil {
		return 0, 0, err
	}
	var rates, prices []float64
	for n := range closedRounds + 1 {
		before, err1 := processCPU(s.PID())
		result, err2 := loader.Run(ctx, loader.Options{
			Addr: s.Addr, Connections: closedCallers, Duration: min(closedLength, r.Step),
			Next: func(_ int, dst []byte) []byte {
				if *person == capacityPeople {
					return nil
				}
				*person++
				return r.stage.appendBooking(dst, *person-1, lines)
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
		case *person == capacityPeople:
			return 0, 0, fmt.Errorf("%d people had asked too soon; give the server a smaller share of the CPU than %g", capacityPeople, r.Share)
		case n == 0:
			continue
		case float64(result.ByStatus[status]) < refusedLeast*float64(result.Requests):
			return 0, 0, fmt.Errorf("%d of %d answers had status %d", result.ByStatus[status], result.Requests, status)
		}
		rates = append(rates, result.PerSecond())
		prices = append(prices, float64((after-before).Microseconds())/float64(result.Requests))
	}
	return median(rates), median(prices), nil
}
