//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"

	"weir/core/event"
)

// outcome is what a peer made of a booking. The numbers are those that Redis's
// script and PostgreSQL's function return.
type outcome int

const (
	booked outcome = iota
	alreadyBooked
	slotFull
)

// refusal is the problem's code; "": there is none.
func (o outcome) refusal() (string, error) {
	switch o {
	case booked:
		return "", nil
	case alreadyBooked:
		return "already_booked", nil
	case slotFull:
		return "slot_full", nil
	}
	return "", fmt.Errorf("outcome %d of a booking", o)
}

// booking is what somebody asks a store for, and what came of it.
type booking struct {
	person  event.PersonKey
	slot    event.SlotID
	outcome outcome
}

// store is the front's side of a peer: it books there. Safe for concurrent
// use.
type store interface {
	// book has the store decide each booking by itself, and fills in the
	// outcomes once all of them are as durable as the store makes them. With an
	// error none of them is known.
	book(ctx context.Context, bookings []*booking) error
	close() error
}

// storeAddress says where a store is and how to use it.
type storeAddress struct {
	Kind        string `json:"kind"`
	Socket      string `json:"socket"` // Unix socket, or the directory that it is in
	TCP         string `json:"tcp"`    // the same server's address and port on loopback
	Connections int    `json:"connections"`
}

// asItComes says that the client is set to nothing but the server's address on
// TCP, and has as many connections as it takes by itself.
const asItComes = 0

func (a *storeAddress) open(ctx context.Context) (store, error) {
	switch a.Kind {
	case "redis":
		return openRedis(ctx, a)
	case "postgres":
		return openPostgres(ctx, a)
	}
	return nil, fmt.Errorf("no store %q", a.Kind)
}

// storeServer is the bench's side of a peer: its server, started and filled
// with slots.
type storeServer interface {
	address() storeAddress
	pid() int
	// books is how many bookings it holds, and how many places they have taken.
	books(ctx context.Context) (bookings, taken int64, err error)
	stop() error
}

// audit compares a store's books with what was acknowledged.
func audit(ctx context.Context, s storeServer, acknowledged int64) error {
	bookings, taken, err := s.books(ctx)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	if bookings != acknowledged || taken != acknowledged {
		return fmt.Errorf("audit: %w: %d acknowledged, %d bookings kept, %d places taken",
			errBooks, acknowledged, bookings, taken)
	}
	return nil
}

var errBooks = errors.New("the books are wrong")
