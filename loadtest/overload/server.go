//go:build linux

package overload

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"time"

	"weir/loadtest/loader"
	"weir/loadtest/process"
)

const (
	withAdmission    = "with admission"
	withoutAdmission = "without admission"
	admissionFlag    = "--admission"

	capacityConnections = 64
	capacityRounds      = 3
	capacityLength      = 2 * time.Second // at most, of a round
	quietTimeout        = time.Minute
	quietEvery          = 250 * time.Millisecond
	quietShare          = 0.2 // of its quota: what a server does that nobody asks for anything
)

// arms are the servers to compare: the control first. A server that has no
// admission to switch off is measured by itself, as a control.
func (r *runner) arms(ctx context.Context) ([]*Arm, error) {
	help, err := exec.CommandContext(ctx, r.Binary, "serve", "--help").CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("ask weir serve for its flags: %w\n%s", err, help)
	}
	if !bytes.Contains(help, []byte(admissionFlag+" ")) {
		r.Log("this server has no %s: only a server without admission is measured, and thresholds fail", admissionFlag)
		return []*Arm{{Name: withoutAdmission}}, nil
	}
	return []*Arm{{Name: withoutAdmission, Args: []string{admissionFlag + "=off"}}, {Name: withAdmission}}, nil
}

// start starts a server with a data directory of its own. Not before it is
// ready does the quota hold: a start is not what is measured.
func (r *runner) start(ctx context.Context, arm *Arm) (*process.Server, error) {
	data := fmt.Sprintf("data-%d", len(r.report.Arms))
	s, err := process.Start(r.Binary, nil, append(r.stage.ServeArgs(data), arm.Args...)...)
	if err != nil {
		return nil, err
	}
	ready, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	err = s.Ready(ready)
	if err == nil {
		err = r.group.add(s.PID())
	}
	if err != nil {
		s.Kill()
		return nil, err
	}
	return s, nil
}

// capacity is what a closed loop gets out of a server: the median of some
// rounds, of which the first is dropped.
func (r *runner) capacity(ctx context.Context, s *process.Server) (perSecond float64, err error) {
	if err := r.stage.mint(capacityPeople); err != nil {
		return 0, err
	}
	var rates []float64
	person := int64(0)
	for range capacityRounds + 1 {
		result, err := loader.Run(ctx, loader.Options{
			Addr: s.Addr, Connections: capacityConnections, Duration: min(capacityLength, r.Step),
			Next: func(_ int, dst []byte) []byte {
				if person == capacityPeople {
					return nil
				}
				person++
				return r.stage.appendBooking(dst, person-1)
			},
			Check: func(_, status int, body []byte) error {
				if status != http.StatusCreated {
					return fmt.Errorf("status %d: %s", status, body[:min(len(body), 200)])
				}
				return nil
			},
		})
		switch {
		case err != nil:
			return 0, err
		case result.Errors > 0:
			return 0, fmt.Errorf("%d bookings failed: %w", result.Errors, result.FirstErrors[0])
		case person == capacityPeople:
			return 0, fmt.Errorf("%d people were booked too soon; give the server a smaller share of the CPU than %g", person, r.Share)
		}
		rates = append(rates, result.PerSecond())
	}
	return median(rates[1:]), nil
}

// quiet waits until the server has done what the last load left it.
func quiet(ctx context.Context, s *process.Server, share float64) error {
	ctx, cancel := context.WithTimeout(ctx, quietTimeout)
	defer cancel()
	tick := time.NewTicker(quietEvery)
	defer tick.Stop()
	last, err := processCPU(s.PID())
	if err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("the server is busy %v after the load: %w", quietTimeout, context.Cause(ctx))
		case <-s.Done():
			return fmt.Errorf("%w\n%s", process.ErrExited, s.Log())
		case <-tick.C:
		}
		used, err := processCPU(s.PID())
		if err != nil {
			return err
		}
		if (used - last).Seconds() < quietShare*share*quietEvery.Seconds() {
			return nil
		}
		last = used
	}
}
