//go:build linux

// Package process builds the weir binary and runs it as a process of its own,
// for tests and benchmarks that must see the real one: started on free ports
// of loopback, awaited, stopped or killed.
//
// A free port is found by listening on it and letting it go, so another
// process may take it in between: the server then fails to start and says so.
// A child dies with the thread that started it, so that a test that is killed
// leaves none behind; it doesn't protect against a child that starts children
// of its own.
package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	buildTimeout = 5 * time.Minute
	stopTimeout  = 20 * time.Second
	pollEvery    = 2 * time.Millisecond
	tailMax      = 64 << 10
)

// ErrExited says that the process ended before it was ready.
var ErrExited = errors.New("process ended")

// Build compiles the weir command of this module into dir and returns the
// binary's name. The working directory must be inside the module.
func Build(ctx context.Context, dir string) (binary string, err error) {
	ctx, cancel := context.WithTimeout(ctx, buildTimeout)
	defer cancel()
	binary = filepath.Join(dir, "weir")
	output, err := exec.CommandContext(ctx, "go", "build", "-o", binary, "weir/cmd/weir").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build weir: %w\n%s", err, output)
	}
	return binary, nil
}

// Server is one running `weir serve`.
type Server struct {
	Addr  string // of the public listener
	Admin string // of the admin listener

	command *exec.Cmd
	log     *tail
	done    chan struct{} // closed when the process has ended
	waited  error         // of command.Wait; after done
}

// Start runs `BINARY serve ARGS --listen … --admin …` and returns at once. With
// prefix the command line is handed to another program: {"strace", "-f"}.
func Start(binary string, prefix []string, args ...string) (*Server, error) {
	listen, admin, err := freeAddrs()
	if err != nil {
		return nil, fmt.Errorf("start server: %w", err)
	}
	return StartAt(listen, admin, binary, prefix, args...)
}

// StartAt is Start with the addresses given: those of a server that was killed,
// for one that takes its place.
func StartAt(listen, admin, binary string, prefix []string, args ...string) (*Server, error) {
	line := append(append([]string{}, prefix...), binary, "serve")
	line = append(append(line, args...), "--listen", listen, "--admin", admin)
	s := &Server{Addr: listen, Admin: admin, log: &tail{}, done: make(chan struct{})}
	s.command = exec.Command(line[0], line[1:]...)
	s.command.Stdout, s.command.Stderr = s.log, s.log
	s.command.Env = Environment()
	s.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := s.command.Start(); err != nil {
		return nil, fmt.Errorf("start server: %w", err)
	}
	go func() {
		s.waited = s.command.Wait()
		close(s.done)
	}()
	return s, nil
}

// Environment is this process's without the variables that would set up a
// server.
func Environment() []string {
	var kept []string
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "WEIR_") {
			kept = append(kept, variable)
		}
	}
	return kept
}

// Ready waits until the server says that it is, and fails where the process
// ends (ErrExited) or the context does first.
func (s *Server) Ready(ctx context.Context) error {
	client := http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		if s.answers(ctx, &client) {
			return nil
		}
		select {
		case <-s.done:
			return fmt.Errorf("await server: %w: %w\n%s", ErrExited, s.waited, s.log)
		case <-ctx.Done():
			return fmt.Errorf("await server: %w\n%s", context.Cause(ctx), s.log)
		case <-tick.C:
		}
	}
}

func (s *Server) answers(ctx context.Context, client *http.Client) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.Admin+"/readyz", nil)
	if err != nil {
		return false
	}
	response, err := client.Do(request)
	if err != nil {
		return false
	}
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// PID is the process's number: with a prefix, that program's.
func (s *Server) PID() int { return s.command.Process.Pid }

// Log is the end of what the process wrote.
func (s *Server) Log() string { return s.log.String() }

// Done is closed when the process has ended.
func (s *Server) Done() <-chan struct{} { return s.done }

// Kill ends the process, and what runs it, with SIGKILL and waits until it is
// gone.
func (s *Server) Kill() {
	s.signal(syscall.SIGKILL)
	<-s.done
}

// signal reaches the whole group, unless the process has ended: its number may
// be another's by then.
func (s *Server) signal(sig syscall.Signal) {
	select {
	case <-s.done:
	default:
		_ = syscall.Kill(-s.PID(), sig) // fails only where it is gone already
	}
}

// Stop asks the process to end, waits, and fails where it does not end in good
// order and in time; then it is killed.
func (s *Server) Stop() error {
	s.signal(syscall.SIGTERM)
	select {
	case <-s.done:
	case <-time.After(stopTimeout):
		s.Kill()
		return fmt.Errorf("stop server: still there after %v, killed\n%s", stopTimeout, s.log)
	}
	if s.waited != nil {
		return fmt.Errorf("stop server: %w\n%s", s.waited, s.log)
	}
	return nil
}

// Wait returns the exit code once the process has ended: -1 where a signal
// ended it. It fails where the context ends first.
func (s *Server) Wait(ctx context.Context) (code int, err error) {
	select {
	case <-s.done:
		return s.command.ProcessState.ExitCode(), nil
	case <-ctx.Done():
		return 0, fmt.Errorf("await the server's end: %w\n%s", context.Cause(ctx), s.log)
	}
}

func freeAddrs() (listen, admin string, err error) {
	// Both at once, so that they differ.
	first, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", fmt.Errorf("find a free port: %w", err)
	}
	second, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", errors.Join(fmt.Errorf("find a free port: %w", err), first.Close())
	}
	listen, admin = first.Addr().String(), second.Addr().String()
	if err := errors.Join(first.Close(), second.Close()); err != nil {
		return "", "", fmt.Errorf("let a port go: %w", err)
	}
	return listen, admin, nil
}

// tail keeps the end of what is written to it. It is safe for concurrent use.
type tail struct {
	mu    sync.Mutex
	bytes []byte // under mu
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.bytes = append(t.bytes, p...)
	if over := len(t.bytes) - tailMax; over > 0 {
		t.bytes = append(t.bytes[:0], t.bytes[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.bytes))
}
