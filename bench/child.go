//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"
)

const shutdownTimeout = 5 * time.Second

// childCommand is this program again, as one of its children.
func childCommand(ctx context.Context, name string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	command := exec.CommandContext(ctx, self, "-"+childFlag, name)
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return command, nil
}

// childServer is a child that serves HTTP: it reads its task from standard
// input, answers with its address, and stops when its input ends.
type childServer struct {
	name    string
	addr    string
	command *exec.Cmd
	input   io.Closer
}

// startChild starts one. It outlives ctx, so that it ends in good order: with
// stop, or with this process.
func startChild(ctx context.Context, name string, task any) (*childServer, error) {
	encoded, err := json.Marshal(task)
	if err != nil {
		return nil, fmt.Errorf("start %s server: %w", name, err)
	}
	command, err := childCommand(context.WithoutCancel(ctx), name)
	if err != nil {
		return nil, err
	}
	command.Stderr = os.Stderr
	input, err1 := command.StdinPipe()
	output, err2 := command.StdoutPipe()
	if err := errors.Join(err1, err2); err != nil {
		return nil, fmt.Errorf("start %s server: %w", name, err)
	}
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("start %s server: %w", name, err)
	}
	s := &childServer{name: name, command: command, input: input}
	_, err = input.Write(append(encoded, '\n'))
	if err == nil {
		err = json.NewDecoder(output).Decode(&s.addr) // its one line
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start %s server: %w", name, err), s.stop())
	}
	return s, nil
}

func (s *childServer) pid() int { return s.command.Process.Pid }

func (s *childServer) stop() error {
	if err := errors.Join(s.input.Close(), s.command.Wait()); err != nil {
		return fmt.Errorf("stop %s server: %w", s.name, err)
	}
	return nil
}

// serveTask is the child's side of childServer: it reads the task, has open
// make a server of it, and closes what open opened when that has ended.
func serveTask(in io.Reader, out io.Writer, task any, open func() (*fasthttp.Server, func() error, error)) (err error) {
	if err := json.NewDecoder(in).Decode(task); err != nil {
		return fmt.Errorf("read task: %w", err)
	}
	server, closeAll, err := open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeAll()) }()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	if err := json.NewEncoder(out).Encode(listener.Addr().String()); err != nil {
		return fmt.Errorf("tell the address: %w", err)
	}
	if _, err := io.Copy(io.Discard, in); err != nil {
		return fmt.Errorf("await the end: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	return errors.Join(server.ShutdownWithContext(ctx), <-served)
}
