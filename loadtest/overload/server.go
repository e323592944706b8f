//go:build linux

package overload

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"time"

	"weir/loadtest/process"
)

const (
	withAdmission    = "with admission"
	withoutAdmission = "without admission"
	admissionFlag    = "--admission"

	quietTimeout = time.Minute
	quietEvery   = 250 * time.Millisecond
	quietShare   = 0.2 // of its quota: what a server does that nobody asks for anything
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

// start starts a server on one CPU, with a data directory of its own. Not before
// it is ready does the quota hold: a start is not what is measured.
func (r *runner) start(ctx context.Context, args []string) (s *process.Server, err error) {
	data := fmt.Sprintf("data-%d", r.started)
	r.started++
	err = onOneProcessor(func() (err error) {
		s, err = process.Start(r.Binary, nil, append(r.stage.ServeArgs(data), args...)...)
		return err
	})
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
