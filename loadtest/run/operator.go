//go:build linux

package run

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"weir/loadtest/judge"
)

// The operator does to the server what the scenario and the options say: kills
// it, pauses the campaign and lets it go on, each at its time and one after the
// other. What was done when is kept for the judge.

// deed is something that the operator does.
type deed struct {
	at time.Duration // since the first people come
	do func(context.Context) error
}

// deeds are all that is to be done, in order. Kills by the clock end where
// nobody comes any more.
func (s *session) deeds() []deed {
	var all []deed
	if s.server == nil {
		return nil
	}
	if s.KillEvery > 0 {
		for at := s.KillEvery; at < s.Scenario.Duration.Of() && (s.Kills == 0 || len(all) < s.Kills); at += s.KillEvery {
			all = append(all, deed{at, s.kill})
		}
	}
	for _, at := range s.Scenario.Operator.Kills {
		all = append(all, deed{at.Of(), s.kill})
	}
	for _, p := range s.Scenario.Operator.Pauses {
		all = append(all, deed{p.At.Of(), s.pause}, deed{(p.At + p.For).Of(), s.resume})
	}
	slices.SortStableFunc(all, func(a, b deed) int { return cmp.Compare(a.at, b.at) })
	return all
}

func (s *session) kill(ctx context.Context) error {
	if err := s.server.restart(ctx); err != nil {
		return fmt.Errorf("restart the server: %w", err)
	}
	d := s.server.downs[len(s.server.downs)-1]
	s.say("killed the server; it was back after %v", d.to.Sub(d.from).Round(time.Millisecond))
	return nil
}

func (s *session) pause(ctx context.Context) error {
	s.pauses = append(s.pauses, judge.Pause{Asked: time.Since(s.began)})
	if err := s.operate(ctx, http.MethodPost, "pause", map[string]any{"reason": "The load test looks at a pause."}); err != nil {
		return err
	}
	s.pauses[len(s.pauses)-1].Paused = time.Since(s.began)
	s.say("paused the campaign")
	return nil
}

func (s *session) resume(ctx context.Context) error {
	p := &s.pauses[len(s.pauses)-1]
	p.Ending = time.Since(s.began)
	if err := s.operate(ctx, http.MethodPost, "resume", nil); err != nil {
		return err
	}
	p.Ended = time.Since(s.began)
	s.say("the campaign goes on after %v", (p.Ended - p.Asked).Round(time.Millisecond))
	return nil
}

// admit sets the rate at which numbers are called, where the scenario has one.
func (s *session) admit(ctx context.Context) error {
	rate := s.Scenario.Operator.AdmitPerMinute
	if rate == 0 {
		return nil
	}
	return s.operate(ctx, http.MethodPut, "line", map[string]any{"admit_per_minute": rate})
}

const (
	operatorTimeout = 30 * time.Second // for one deed
	operatorTry     = 5 * time.Second  // for one request of it
	operatorAgain   = 50 * time.Millisecond
)

// operate asks the admin listener until it says that it is done. Each request
// may be asked twice: what is so already stays so.
func (s *session) operate(ctx context.Context, method, what string, body map[string]any) error {
	ctx, cancel := context.WithTimeout(ctx, operatorTimeout)
	defer cancel()
	client := http.Client{Timeout: operatorTry}
	defer client.CloseIdleConnections()
	for {
		err := s.operateOnce(ctx, &client, method, what, body)
		if err == nil {
			return nil
		}
		if waited := wait(ctx, operatorAgain); waited != nil {
			return fmt.Errorf("operator: %s: %w", what, errors.Join(waited, err))
		}
	}
}

func (s *session) operateOnce(ctx context.Context, client *http.Client, method, what string, body map[string]any) error {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return err
		}
	}
	url := "http://" + s.admin + "/admin/v1/campaigns/" + s.rules.ID + "/" + what
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(text))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+s.server.operator)
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	answer, err := io.ReadAll(io.LimitReader(response.Body, metricsMax))
	_ = response.Body.Close()
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, answer)
	}
	return err
}
