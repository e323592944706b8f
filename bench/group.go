//go:build linux

package main

import (
	"context"
	"sync"
)

const groupQueueMax = 4096 // bookings that wait for a sender

// group sends the bookings of many callers to a store together. Each of its
// senders takes what has come, up to a number, sends it, and answers when the
// store has. Nobody waits for more to come: while all senders are at the
// store, the next batch gathers by itself.
type group struct {
	store    store
	batchMax int
	queue    chan *grouped
	senders  sync.WaitGroup
	waiting  sync.Pool // of *grouped
}

// grouped is one caller's booking. It is the sender's until done says how it
// went.
type grouped struct {
	booking
	done chan error // of one
}

func newGroup(s store, senders, batchMax int) *group {
	g := &group{store: s, batchMax: batchMax, queue: make(chan *grouped, groupQueueMax)}
	g.waiting.New = func() any { return &grouped{done: make(chan error, 1)} }
	for range senders {
		g.senders.Go(g.send)
	}
	return g
}

// book returns when the store has answered, at the latest after the store's own
// deadline.
func (g *group) book(b booking) (outcome, error) {
	waiting := g.waiting.Get().(*grouped)
	defer g.waiting.Put(waiting)
	waiting.booking = b
	g.queue <- waiting
	err := <-waiting.done
	return waiting.outcome, err
}

// close ends the senders. Nobody may book any more.
func (g *group) close() {
	close(g.queue)
	g.senders.Wait()
}

func (g *group) send() {
	batch := make([]*grouped, 0, g.batchMax)
	bookings := make([]*booking, 0, g.batchMax)
	for first := range g.queue {
		batch = g.gather(append(batch[:0], first))
		bookings = bookings[:0]
		for _, waiting := range batch {
			bookings = append(bookings, &waiting.booking)
		}
		ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
		err := g.store.book(ctx, bookings)
		cancel()
		for _, waiting := range batch {
			waiting.done <- err
		}
	}
}

// gather adds what has come to the batch.
func (g *group) gather(batch []*grouped) []*grouped {
	for len(batch) < g.batchMax {
		select {
		case next, open := <-g.queue:
			if !open {
				return batch
			}
			batch = append(batch, next)
		default:
			return batch
		}
	}
	return batch
}
