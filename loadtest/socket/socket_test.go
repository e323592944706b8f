//go:build linux

package socket

import (
	"testing"

	"golang.org/x/sys/unix"
)

// TestBothWays goes through all that a socket says: nothing there, something,
// no room, the end, and that nobody is left to send to.
func TestBothWays(t *testing.T) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	near, far := pair[0], pair[1]
	defer func() { _ = unix.Close(near) }()
	b := make([]byte, 4096)
	if _, errno := Recv(near, b); errno != unix.EAGAIN {
		t.Errorf("nothing there: %v", errno)
	}
	if n, errno := Send(far, []byte("hello")); n != 5 || errno != 0 {
		t.Errorf("sent %d, %v", n, errno)
	}
	if n, errno := Recv(near, b); errno != 0 || string(b[:n]) != "hello" {
		t.Errorf("received %q, %v", b[:max(n, 0)], errno)
	}
	sent := 0
	for {
		n, errno := Send(far, b)
		if errno == unix.EAGAIN {
			break
		}
		if errno != 0 {
			t.Fatal(errno)
		}
		sent += n
	}
	_ = unix.Close(far)
	for {
		n, errno := Recv(near, b)
		if errno != 0 {
			t.Fatal(errno)
		}
		if n == 0 {
			break
		}
		sent -= n
	}
	if sent != 0 {
		t.Errorf("%d bytes are missing", sent)
	}
	if _, errno := Send(near, b); errno != unix.EPIPE {
		t.Errorf("nobody there: %v", errno)
	}
}
