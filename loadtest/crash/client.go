//go:build linux

package crash

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"weir/core/campaign"
	"weir/server/identity"
)

const (
	answerTimeout = 10 * time.Second
	answerMax     = 1 << 20
	tokenLife     = time.Hour
)

// errNoAnswer says that a request may have been read, and its answer never
// came. errNotSent says that nobody listened.
var (
	errNoAnswer = errors.New("no answer")
	errNotSent  = errors.New("not sent")
)

// issuer is who says who a person is.
type issuer struct {
	secret []byte
	name   string
	aud    string
	born   campaign.Date
}

func (i *issuer) token(subject string, now time.Time) string {
	return identity.Mint(i.secret, i.name, i.aud, subject, i.born, now, tokenLife)
}

// client speaks to one running server.
type client struct {
	http     *http.Client
	campaign string // URL of the campaign
	issuer   *issuer
}

func newClient(addr, campaignID string, connections int, i *issuer) *client {
	return &client{
		http: &http.Client{
			Timeout:   answerTimeout,
			Transport: &http.Transport{MaxIdleConnsPerHost: connections, DisableCompression: true},
		},
		campaign: "http://" + addr + "/v1/campaigns/" + campaignID,
		issuer:   i,
	}
}

func (c *client) close() { c.http.CloseIdleConnections() }

// answer is what the server said.
type answer struct {
	status int
	body   []byte
}

// problem is the code of an error, "" where there is none.
func (a *answer) problem() string {
	var p struct {
		Code string `json:"code"`
	}
	if a.status < 400 || json.Unmarshal(a.body, &p) != nil {
		return ""
	}
	return p.Code
}

func (a *answer) decode(into any) error {
	if err := json.Unmarshal(a.body, into); err != nil {
		return fmt.Errorf("%w: status %d, %q: %w", ErrAnswer, a.status, a.body, err)
	}
	return nil
}

// send asks for one change. Errors wrap errNoAnswer or errNotSent.
func (c *client) send(ctx context.Context, p *Person, r *Request) (answer, error) {
	switch r.Kind {
	case Join:
		return c.do(ctx, http.MethodPost, "/line", c.identity(p), nil, "")
	case Take:
		return c.do(ctx, http.MethodPost, "/holds", p.Pass, map[string]string{"slot": r.Slot}, "")
	case Release:
		return c.do(ctx, http.MethodDelete, "/holds/"+url.PathEscape(r.Hold), p.Pass, nil, "")
	case Change:
		return c.do(ctx, http.MethodPatch, "/bookings/"+url.PathEscape(r.Code), p.Pass, map[string]string{"slot": r.Slot}, "")
	case Cancel:
		return c.do(ctx, http.MethodDelete, "/bookings/"+url.PathEscape(r.Code), p.Pass, nil, "")
	}
	body := map[string]string{"slot": r.Slot}
	if r.Hold != "" {
		body = map[string]string{"hold": r.Hold}
	}
	return c.do(ctx, http.MethodPost, "/bookings", p.Pass, body, r.Key)
}

// bookings asks what the person has.
func (c *client) bookings(ctx context.Context, p *Person) ([]Booking, error) {
	a, err := c.do(ctx, http.MethodGet, "/bookings/me", c.identity(p), nil, "")
	if err != nil {
		return nil, err
	}
	if a.status != http.StatusOK {
		return nil, fmt.Errorf("%s: own bookings: %w: status %d, %q", p.Subject, ErrAnswer, a.status, a.body)
	}
	var own struct {
		Bookings []Booking `json:"bookings"`
	}
	return own.Bookings, a.decode(&own)
}

func (c *client) identity(p *Person) string { return c.issuer.token(p.Subject, time.Now()) }

func (c *client) do(ctx context.Context, method, path, token string, body map[string]string, key string) (answer, error) {
	encoded, err := json.Marshal(body)
	if err != nil {
		return answer{}, fmt.Errorf("%w: %w", errNotSent, err)
	}
	if body == nil {
		encoded = nil
	}
	request, err := http.NewRequestWithContext(ctx, method, c.campaign+path, bytes.NewReader(encoded))
	if err != nil {
		return answer{}, fmt.Errorf("%w: %w", errNotSent, err)
	}
	// The transport would send a request with an idempotency key again by
	// itself where it can get the body again. The judge must know of each.
	request.GetBody = nil
	request.Header.Set("Authorization", "Bearer "+token)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		request.Header.Set("Idempotency-Key", key)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return answer{}, fmt.Errorf("%s %s: %w: %w", method, path, lostWhen(err), err)
	}
	defer func() { _ = response.Body.Close() }()
	got, err := io.ReadAll(io.LimitReader(response.Body, answerMax))
	if err != nil {
		return answer{}, fmt.Errorf("%s %s: %w: %w", method, path, errNoAnswer, err)
	}
	return answer{response.StatusCode, got}, nil
}

// lostWhen tells a request that was never sent from one that may have been.
func lostWhen(err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return errNotSent
	}
	return errNoAnswer
}
