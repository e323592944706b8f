package server

import (
	"context"
	"errors"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// onlyConn is a listener with one connection.
type onlyConn struct{ net.Conn }

func (l *onlyConn) Accept() (net.Conn, error) { return l.Conn, nil }
func (l *onlyConn) Addr() net.Addr            { return l.LocalAddr() }

// TestPaces lets a connection dawdle in each of the ways there are, in a clock
// of its own, and sees how long the server puts up with it.
func TestPaces(t *testing.T) {
	p := paces{read: 5 * time.Second, write: 10 * time.Second, idle: 30 * time.Second}
	for name, c := range map[string]struct {
		dawdle func(server, client net.Conn) error
		want   time.Duration
	}{
		"sends nothing": {func(server, _ net.Conn) error {
			return readAll(server)
		}, p.read},
		"sends a byte a second": {func(server, client net.Conn) error {
			second := time.AfterFunc(0, func() { _, _ = client.Write([]byte{'x'}) })
			defer second.Stop()
			for {
				if _, err := server.Read(make([]byte, 10)); err != nil {
					return err
				}
				second.Reset(time.Second)
			}
		}, p.read},
		"does not read": {func(server, _ net.Conn) error {
			_, err := server.Write(make([]byte, 100))
			return err
		}, p.write},
		"is silent after an answer": {func(server, client net.Conn) error {
			go func() { _, _ = client.Read(make([]byte, 10)) }()
			if _, err := server.Write([]byte("answer")); err != nil {
				return err
			}
			return readAll(server)
		}, p.idle},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				inner, client := net.Pipe()
				l := newBoundListener(&onlyConn{inner}, 1, p)
				defer l.dropSpare()
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan struct{})
				go func() { defer close(ended); l.enforce(ctx) }()
				server, err := l.Accept()
				if err != nil {
					t.Fatal(err)
				}
				begun := time.Now()
				if err := c.dawdle(server, client); !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("it ended with %v", err)
				}
				if took := time.Since(begun); took < c.want || took > c.want+2*p.tick() {
					t.Errorf("it took %v, want %v", took, c.want)
				}
				_ = server.Close()
				_ = client.Close()
				cancel()
				<-ended
			})
		})
	}
}

func readAll(c net.Conn) error {
	for {
		if _, err := c.Read(make([]byte, 10)); err != nil {
			return err
		}
	}
}
