package server

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestPolledWithoutDescriptors turns a socket over to the runtime's poller when
// there is no descriptor to be had: it is closed then, and closing it again
// does not close whatever has its number by now.
func TestPolledWithoutDescriptors(t *testing.T) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	defer func() { _ = unix.Close(pair[1]) }()
	c := &rawConn{fd: pair[0]}
	var limit unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
	must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 0, Max: limit.Max}))
	_, err = c.polled()
	must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &limit))
	if !errors.Is(err, syscall.EMFILE) {
		t.Fatalf("polled: %v", err)
	}
	if n, err := unix.Read(pair[1], make([]byte, 1)); n != 0 || err != nil {
		t.Fatalf("the other side read %d bytes, %v: it is not closed", n, err)
	}
	other, err := unix.Dup(pair[1]) // has the number
	must(t, err)
	if err := c.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed again: %v", err)
	}
	if err := unix.Close(other); err != nil {
		t.Errorf("descriptor %d was closed by another: %v", other, err)
	}
}

// The callers are a process of their own, since a process may open 20,000
// files: it holds connections to the address, as many as it is told, each of
// which has been answered once.
const callersVariable = "WEIR_TEST_CALLERS"

func holdConnections(order string) int {
	var addr string
	var n int
	if _, err := fmt.Sscan(order, &addr, &n); err != nil {
		report("error", err)
		return 1
	}
	held := make([]net.Conn, 0, n) // the collector closes what nobody holds
	for range n {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			_, err = io.WriteString(conn, "GET /v1/campaigns HTTP/1.1\r\nHost: a\r\n\r\n")
		}
		if err == nil {
			_, err = conn.Read(make([]byte, 4096))
		}
		if err != nil {
			report("error", err)
			return 1
		}
		held = append(held, conn)
	}
	report("held")
	_, _ = io.Copy(io.Discard, os.Stdin) // ends with its parent
	for _, conn := range held {
		_ = conn.Close()
	}
	return 0
}

// BenchmarkIdleConnections prints what a connection between two requests takes
// of the server's resident memory, the garbage of its beginning included. The
// kernel's share is not in it. It is the same work whatever b.N.
func BenchmarkIdleConnections(b *testing.B) {
	const connections = 15_000
	for range b.N {
		s := newStand(b, nil)
		s.do("GET", "/v1/campaigns", "", "").want(200, "")
		debug.FreeOSMemory() // or the new connections take what is there already
		before := residentBytes(b)
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d", callersVariable, s.public, connections))
		in, err := child.StdinPipe()
		must(b, err)
		out, err := child.StdoutPipe()
		must(b, err)
		must(b, child.Start())
		line, err := bufio.NewReader(out).ReadString('\n')
		must(b, err)
		if open := s.srv.running()[0].open.Load(); line != "held\n" || open < connections {
			b.Fatalf("%q, %d connections are open", line, open)
		}
		b.ReportMetric(float64(residentBytes(b)-before)/connections, "B/connection")
		must(b, in.Close())
		must(b, child.Wait())
		s.stop()
	}
	b.ReportMetric(0, "ns/op") // says nothing
}

func residentBytes(t testing.TB) (n int) {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	must(t, err)
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	_, err = fmt.Sscan(rest, &n)
	must(t, err)
	return n << 10 // told in kB
}
