//go:build linux

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// profileMargin is how much longer a profile is taken than the load lasted in
// the round before.
const profileMargin = 1.5

// runProfile has weir take the bookings of section http and asks it for its
// own CPU profile meanwhile.
func runProfile(ctx context.Context, o *options, s *Section) error {
	return withField(ctx, o, httpCapacity, func(f *field) error {
		weir, err := f.startWeir(ctx, "durable")
		if err != nil {
			return err
		}
		rounds, err := f.profiled(ctx, o, weir)
		if err != nil {
			return err
		}
		all, err := s.addProfiles(ctx, rounds)
		if err != nil {
			return err
		}
		s.note("every answer was 201; %d connections, %d requests a round; shares are of the profile's samples, %v of them in all; CPU is the share of what the server used by /proc",
			o.connections, o.requests, all.total())
		return all.save(o, s)
	})
}

// profiledRound is a round with the profile of what the server did in it.
type profiledRound struct {
	round
	file string
}

// allStages is the case of the section that is no stage.
const allStages = "all"

// addProfiles notes what every stage took in each round, the largest first, and
// returns all rounds together.
func (s *Section) addProfiles(ctx context.Context, rounds []profiledRound) (stacks, error) {
	all, shares := stacks{}, make([]map[stage]float64, len(rounds))
	for i, r := range rounds {
		folded, err := readStacks(ctx, r.file)
		if err != nil {
			return nil, err
		}
		all.merge(folded)
		shares[i] = folded.shares()
		c := s.entry(allStages)
		c.add("share", "", 1)
		c.add("CPU", "µs/booking", r.cpu)
		c.add("sampled", "µs/booking", float64(folded.total().Microseconds())/float64(r.answered))
		c.add("requests", "1/s", r.perSecond)
	}
	of := all.shares()
	for _, st := range slices.SortedFunc(maps.Keys(of), func(a, b stage) int { return cmp.Compare(of[b], of[a]) }) {
		for i, r := range rounds {
			s.entry(string(st)).add("share", "", shares[i][st])
			s.entry(string(st)).add("CPU", "µs/booking", shares[i][st]*r.cpu)
		}
	}
	return all, nil
}

// save writes the folded stacks and their picture beside the report.
func (s stacks) save(o *options, section *Section) error {
	if o.out == "" {
		return nil
	}
	base := strings.TrimSuffix(o.out, filepath.Ext(o.out)) + "-profile"
	if err := os.MkdirAll(filepath.Dir(base), 0o755); err != nil {
		return fmt.Errorf("write profile: %w", err)
	}
	if err := os.WriteFile(base+".folded", s.folded(), 0o644); err != nil {
		return fmt.Errorf("write profile: %w", err)
	}
	if err := os.WriteFile(base+".svg", s.flames(), 0o644); err != nil {
		return fmt.Errorf("write profile: %w", err)
	}
	section.note("%[1]s.folded has the stacks, %[1]s.svg their flame graph", base)
	return nil
}

// profiled takes the rounds. Round 0 warms up, says how long a round lasts, and
// is dropped.
func (f *field) profiled(ctx context.Context, o *options, weir *target) ([]profiledRound, error) {
	var rounds []profiledRound
	seconds := 0
	err := o.inRounds(func(n int) error {
		crowd, err := f.crowd(n*o.requests, o.requests, f.anySlot)
		if err != nil {
			return err
		}
		file := filepath.Join(f.dir, fmt.Sprintf("profile-%d", n))
		taken := make(chan error, 1)
		go func() { taken <- weir.profile(ctx, file, seconds) }()
		r, err := weir.measure(ctx, crowd.load(o))
		if err := errors.Join(err, <-taken); err != nil {
			return err
		}
		if n > 0 {
			rounds = append(rounds, profiledRound{r, file})
		}
		seconds = int(math.Ceil(profileMargin * float64(r.answered) / r.perSecond))
		return nil
	})
	return rounds, err
}

// profile asks the target for its CPU profile of so many seconds, from now on,
// and keeps it in a file. Of 0 seconds there is none.
func (t *target) profile(ctx context.Context, file string, seconds int) error {
	if seconds == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout+time.Duration(seconds)*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", t.admin, seconds), nil)
	if err != nil {
		return fmt.Errorf("take profile: %w", err)
	}
	request.Header.Set("Authorization", "Bearer "+adminToken)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("take profile: %w", err)
	}
	text, err := io.ReadAll(answer.Body)
	if err := errors.Join(err, answer.Body.Close()); err != nil {
		return fmt.Errorf("take profile: %w", err)
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("take profile: status %d: %s", answer.StatusCode, text)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return fmt.Errorf("keep profile: %w", err)
	}
	return nil
}
