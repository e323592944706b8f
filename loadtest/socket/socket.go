//go:build linux

// Package socket sends and receives on sockets that do not block, at the least
// cost that there is for one at a time: the runtime is not told of the call,
// which returns at once, and the kernel does not go through what it does for
// files.
package socket

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Send sends what the socket takes of b, which is not empty, and returns how
// much that was. The error number is 0, EAGAIN where it takes nothing now,
// EINTR, or why nothing can be sent any more.
func Send(fd int, b []byte) (int, syscall.Errno) {
	return call(unix.SYS_SENDTO, fd, b, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
}

// Recv receives into b, which is not empty, and returns how much that was: 0
// with error number 0 where the other side has ended. The error number is as
// that of Send.
func Recv(fd int, b []byte) (int, syscall.Errno) {
	return call(unix.SYS_RECVFROM, fd, b, unix.MSG_DONTWAIT)
}

func call(number uintptr, fd int, b []byte, flags uintptr) (int, syscall.Errno) {
	n, _, errno := unix.RawSyscall6(number, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), flags, 0, 0)
	return int(n), errno
}
