//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// redisPatience bounds how long a Redis has for anything.
const redisPatience = 2 * time.Minute

// redisDump is a directory with the snapshot of a Redis.
type redisDump struct{ dir string }

// fillRedis has a Redis save that many keys of 16 bytes, with values of 32.
func fillRedis(ctx context.Context, dir string, keys int) (r redisDump, err error) {
	r.dir = dir
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return r, fmt.Errorf("fill redis: %w", err)
	}
	server, conn, _, err := r.start(ctx)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, conn.Close(), r.end(server)) }()
	replies := make(chan error, 1)
	in := bufio.NewReaderSize(conn, 1<<20)
	go func() {
		var err error
		for range keys {
			var line string
			if line, err = in.ReadString('\n'); err == nil && line != "+OK\r\n" {
				err = fmt.Errorf("redis says %q", line)
			}
			if err != nil {
				break
			}
		}
		replies <- err
	}()
	out := bufio.NewWriterSize(conn, 1<<20)
	for n := range uint64(keys) {
		key, value := person(n), person(^n)
		_, _ = out.WriteString("*3\r\n$3\r\nSET\r\n$16\r\n") // errors stick until Flush
		_, _ = out.Write(key[:])
		_, _ = out.WriteString("\r\n$32\r\n")
		_, _ = out.Write(value[:])
		_, _ = out.Write(key[:])
		_, _ = out.WriteString("\r\n")
	}
	if err := errors.Join(out.Flush(), <-replies); err != nil {
		return r, fmt.Errorf("fill redis: %w", err)
	}
	if _, err := io.WriteString(conn, "SAVE\r\n"); err != nil {
		return r, fmt.Errorf("fill redis: %w", err)
	}
	if line, err := in.ReadString('\n'); err != nil || line != "+OK\r\n" {
		return r, fmt.Errorf("save redis: %q: %w", line, err)
	}
	return r, nil
}

// load starts a Redis on the snapshot and returns how long it took until it
// answered, and its resident memory in bytes.
func (r redisDump) load(ctx context.Context) (took time.Duration, memory float64, err error) {
	server, conn, took, err := r.start(ctx)
	if err != nil {
		return 0, 0, err
	}
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(server.Process.Pid), "status"))
	kib, wrong := strconv.ParseFloat(strings.TrimSuffix(procField(text, "VmRSS"), " kB"), 64)
	return took, kib * 1024, errors.Join(err, wrong, conn.Close(), r.end(server))
}

// start starts a Redis and waits until it serves.
func (r redisDump) start(ctx context.Context) (server *exec.Cmd, conn net.Conn, took time.Duration, err error) {
	socket := filepath.Join(r.dir, "socket")
	server = exec.CommandContext(ctx, "redis-server", "--port", "0", "--unixsocket", socket, "--dir", r.dir,
		"--save", "", "--appendonly", "no", "--dbfilename", "dump.rdb", "--daemonize", "no")
	server.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	began := time.Now()
	if err := server.Start(); err != nil {
		return nil, nil, 0, fmt.Errorf("start redis: %w", err)
	}
	for time.Since(began) < redisPatience && ctx.Err() == nil {
		if conn, err = net.Dial("unix", socket); err == nil {
			if err = ping(conn); err == nil {
				return server, conn, time.Since(began), nil
			}
			_ = conn.Close()
		}
		time.Sleep(5 * time.Millisecond)
	}
	return nil, nil, 0, errors.Join(fmt.Errorf("redis does not answer: %w", err), r.end(server))
}

// ping says why a Redis does not serve yet.
func ping(conn net.Conn) error {
	if _, err := io.WriteString(conn, "PING\r\n"); err != nil {
		return err
	}
	reply := make([]byte, 128)
	n, err := conn.Read(reply)
	if err == nil && string(reply[:n]) != "+PONG\r\n" {
		err = fmt.Errorf("redis says %q", reply[:n])
	}
	return err
}

func (r redisDump) end(server *exec.Cmd) error {
	if err := server.Process.Kill(); err != nil {
		return fmt.Errorf("end redis: %w", err)
	}
	_ = server.Wait() // it was killed
	_ = os.Remove(filepath.Join(r.dir, "socket"))
	return nil
}
