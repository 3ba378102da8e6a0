package post

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// unread is how many bytes have come by a socket that nobody has read; 0 if it is closed.
func unread(raw syscall.RawConn) (n int) {
	_ = raw.Control(func(fd uintptr) {
		n, _ = unix.IoctlGetInt(int(fd), unix.TIOCINQ)
	})
	return n
}

// hungUp reports whether the peer of a socket sends no more.
func hungUp(raw syscall.RawConn) (gone bool) {
	err := raw.Control(func(fd uintptr) {
		polled := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		n, err := unix.Poll(polled, 0)
		gone = err == nil && n > 0
	})
	return gone || err != nil
}

// lain is how long ago the last of what has come by a socket came.
func lain(raw syscall.RawConn) (since time.Duration) {
	_ = raw.Control(func(fd uintptr) { // of one that is closed it is 0
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			since = time.Duration(info.Last_data_recv) * time.Millisecond
		}
	})
	return since
}

// discard reads up to len(scratch) bytes away that have come by a socket, without
// copying them. It does not wait.
func discard(raw syscall.RawConn, scratch []byte) (n int) {
	_ = raw.Control(func(fd uintptr) { // an error comes again
		n, _, _ = unix.Recvfrom(int(fd), scratch, unix.MSG_TRUNC|unix.MSG_DONTWAIT)
	})
	return max(n, 0)
}
