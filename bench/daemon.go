//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

const (
	daemonTimeout = time.Minute // to start, and to stop
	daemonPoll    = 20 * time.Millisecond
	daemonLogMax  = 4 << 10 // bytes of its log in an error

	// A socket's address has 108 bytes, of which PostgreSQL's file name takes
	// some.
	socketDirMax = 90
)

var errDaemonEnded = errors.New("process ended")

// daemon is a peer's own server: a process and the children that it starts.
// It keeps its data, its socket and its log in a directory of its own, and
// ends when this process does.
type daemon struct {
	name    string
	command *exec.Cmd
	ending  syscall.Signal // asks it to end in good order
	log     string
	done    chan struct{} // closed when the process has ended
	waited  error         // of command.Wait; after done
}

// daemonDir makes the directory of a daemon below parent.
func daemonDir(parent, name string) (string, error) {
	dir := filepath.Join(parent, name)
	if len(dir) > socketDirMax {
		return "", fmt.Errorf("%s is too long a path for a socket: choose another -dir", dir)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", fmt.Errorf("make directory: %w", err)
	}
	return dir, nil
}

// freePort is a port of loopback that nobody listens at. Another process may
// take it before a daemon does, which then says so and ends.
func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	if err := listener.Close(); err != nil {
		return 0, fmt.Errorf("let a port go: %w", err)
	}
	return port, nil
}

// startDaemon starts the command in a process group of its own, so that Ctrl-C
// at a terminal reaches the bench alone, which then stops what it started.
func startDaemon(name, dir string, command *exec.Cmd, ending syscall.Signal) (*daemon, error) {
	d := &daemon{name: name, command: command, ending: ending, log: filepath.Join(dir, "log"), done: make(chan struct{})}
	log, err := os.OpenFile(d.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	command.Dir, command.Stdout, command.Stderr = dir, log, log
	if command.SysProcAttr == nil {
		command.SysProcAttr = &syscall.SysProcAttr{}
	}
	command.SysProcAttr.Setpgid = true
	command.SysProcAttr.Pdeathsig = ending
	if err := errors.Join(command.Start(), log.Close()); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		d.waited = command.Wait()
		close(d.done)
	}()
	return d, nil
}

func (d *daemon) pid() int { return d.command.Process.Pid }

// await calls ready until it returns nil, and fails where the daemon ends or
// doesn't get there in time.
func (d *daemon) await(ctx context.Context, ready func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, daemonTimeout)
	defer cancel()
	tick := time.NewTicker(daemonPoll)
	defer tick.Stop()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-d.done:
			return fmt.Errorf("await %s: %w: %w\n%s", d.name, errDaemonEnded, d.waited, d.lastWords())
		case <-ctx.Done():
			return fmt.Errorf("await %s: %w: %w\n%s", d.name, context.Cause(ctx), err, d.lastWords())
		case <-tick.C:
		}
	}
}

// stop asks the daemon to end and waits; what doesn't end in time is killed.
func (d *daemon) stop() error {
	select {
	case <-d.done: // its number may be another's by now
		return fmt.Errorf("stop %s: %w before it was asked to: %w\n%s", d.name, errDaemonEnded, d.waited, d.lastWords())
	default:
	}
	_ = syscall.Kill(d.pid(), d.ending) // fails only where it is gone already
	select {
	case <-d.done:
	case <-time.After(daemonTimeout):
		_ = syscall.Kill(-d.pid(), syscall.SIGKILL)
		<-d.done
		return fmt.Errorf("stop %s: still there after %v, killed\n%s", d.name, daemonTimeout, d.lastWords())
	}
	if d.waited != nil {
		return fmt.Errorf("stop %s: %w\n%s", d.name, d.waited, d.lastWords())
	}
	return nil
}

// lastWords is the end of the log.
func (d *daemon) lastWords() []byte {
	text, err := os.ReadFile(d.log)
	if err != nil {
		return []byte(err.Error())
	}
	return bytes.TrimSpace(text[max(0, len(text)-daemonLogMax):])
}
