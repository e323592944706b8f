package server

import (
	"fmt"
	"time"
)

// Limits bound what a stranger can make the server hold or wait for. Zero
// fields take the values of DefaultLimits.
type Limits struct {
	Connections     int           // open connections of the public listener; near it the idlest make room (room.go)
	InFlight        int           // requests being answered at a time; more get 503
	HeaderBytes     int           // request line and headers together
	TargetBytes     int           // the request target: path and query
	BodyBytes       int           // a request's body
	RequestsPerConn int           // after which a connection is closed, so that a balancer can spread anew
	ReadTimeout     time.Duration // from a request's first byte to its answer's first
	WriteTimeout    time.Duration // for one answer
	IdleTimeout     time.Duration // between the requests of one connection
}

// DefaultLimits suit a machine that may open 20,000 files.
func DefaultLimits() Limits {
	return Limits{
		Connections:     16000,
		InFlight:        8192,
		HeaderBytes:     8 << 10,
		TargetBytes:     2 << 10,
		BodyBytes:       8 << 10,
		RequestsPerConn: 100_000,
		ReadTimeout:     5 * time.Second,
		WriteTimeout:    10 * time.Second,
		IdleTimeout:     30 * time.Second,
	}
}

// The admin listener serves few and trusted callers. A profile takes as long
// as it is asked to, so its answers have a longer deadline.
const (
	adminConnections = 64
	adminTimeout     = 2 * time.Minute
)

// complete fills what was left zero and refuses what makes no sense.
func (l Limits) complete() (Limits, error) {
	d := DefaultLimits()
	for _, f := range []struct {
		name   string
		field  *int
		preset int
	}{
		{"connections", &l.Connections, d.Connections},
		{"requests in flight", &l.InFlight, d.InFlight},
		{"header bytes", &l.HeaderBytes, d.HeaderBytes},
		{"target bytes", &l.TargetBytes, d.TargetBytes},
		{"body bytes", &l.BodyBytes, d.BodyBytes},
		{"requests per connection", &l.RequestsPerConn, d.RequestsPerConn},
	} {
		if *f.field == 0 {
			*f.field = f.preset
		}
		if *f.field < 0 {
			return l, fmt.Errorf("limit of %s is negative: %d", f.name, *f.field)
		}
	}
	for _, f := range []struct {
		name   string
		field  *time.Duration
		preset time.Duration
	}{
		{"read timeout", &l.ReadTimeout, d.ReadTimeout},
		{"write timeout", &l.WriteTimeout, d.WriteTimeout},
		{"idle timeout", &l.IdleTimeout, d.IdleTimeout},
	} {
		if *f.field == 0 {
			*f.field = f.preset
		}
		if *f.field < 0 {
			return l, fmt.Errorf("%s is negative: %v", f.name, *f.field)
		}
	}
	return l, nil
}
