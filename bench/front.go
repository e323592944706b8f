//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/valyala/fasthttp"

	"weir/core/campaign"
	"weir/core/event"
	"weir/server/keys"
	"weir/server/token"
)

// frontTask tells the front of a peer what to serve: the handler is that of
// the bare server, and books at a store.
type frontTask struct {
	Answer   bareTask     `json:"answer"` // to a booking that was made
	Keys     string       `json:"keys"`   // directory
	Slots    int          `json:"slots"`  // of the plan
	Capacity int          `json:"capacity"`
	Store    storeAddress `json:"store"`
	Batch    int          `json:"batch"` // bookings sent together; 1: each by itself
}

// front is what stands before a store, and does what weir's own does: it opens
// the pass and finds the slot.
type front struct {
	rules    *campaign.Definition
	ring     *token.Ring
	campaign uint64
	store    store
	group    *group // nil: each booking by itself
}

func frontChild(ctx context.Context, in io.Reader, out io.Writer) error {
	var task frontTask
	return serveTask(in, out, &task, func() (*fasthttp.Server, func() error, error) {
		f, err := task.open(ctx)
		if err != nil {
			return nil, nil, err
		}
		return task.Answer.server(f.book), f.close, nil
	})
}

func (t *frontTask) open(ctx context.Context) (f *front, err error) {
	f = &front{campaign: token.CampaignHash(campaignID)}
	if f.rules, err = (plan{slots: t.Slots, capacity: t.Capacity}).definition(); err != nil {
		return nil, err
	}
	opened, err := keys.Open(t.Keys)
	if err != nil {
		return nil, err
	}
	f.ring = opened.Ring
	if f.store, err = t.Store.open(ctx); err != nil {
		return nil, err
	}
	if t.Batch > 1 {
		f.group = newGroup(f.store, t.Store.Connections, t.Batch)
	}
	return f, nil
}

func (f *front) close() error {
	if f.group != nil {
		f.group.close()
	}
	return f.store.close()
}

var (
	errPass = errors.New("no pass of this campaign")
	errSlot = errors.New("no slot of this campaign")
)

// book is the handler's bookFunc.
func (f *front) book(pass, slot []byte) (refusal string, err error) {
	claims, err := f.ring.Open(pass, event.Time(time.Now().UnixMilli()))
	if err != nil {
		return "", fmt.Errorf("open pass: %w", err)
	}
	if claims.Kind != token.Pass || claims.Campaign != f.campaign {
		return "", errPass
	}
	wanted, ok := f.rules.FindSlot(slot)
	if !ok {
		return "", fmt.Errorf("%w: %q", errSlot, slot)
	}
	b := booking{person: claims.Person, slot: wanted}
	if f.group != nil {
		b.outcome, err = f.group.book(b)
	} else {
		ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
		defer cancel()
		err = f.store.book(ctx, []*booking{&b})
	}
	if err != nil {
		return "", err
	}
	return b.outcome.refusal()
}
