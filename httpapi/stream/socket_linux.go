package stream

import (
	"errors"
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// boundSocket has the system end a connection whose peer acknowledges nothing for so
// long, whether anybody writes or not. It reports whether the socket can be asked.
func boundSocket(_ tcpSocket, raw syscall.RawConn, timeout time.Duration) bool {
	failed := error(nil)
	err := raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(timeout.Milliseconds()))
	})
	return err == nil && failed == nil
}

// question asks a socket how much it holds. It is reused, and does not tell the scheduler
// that it calls the system, which answers from memory: one is asked for every frame of
// every reader.
type question struct {
	queued int32
	ask    func(fd uintptr)
}

var questions = sync.Pool{New: func() any {
	q := new(question)
	q.ask = func(fd uintptr) { // one that is closed has no answer
		_, _, _ = unix.RawSyscall(unix.SYS_IOCTL, fd, unix.SIOCOUTQ, uintptr(unsafe.Pointer(&q.queued)))
	}
	return q
}}

// unacknowledged is how many bytes a socket was given that its peer has not
// acknowledged; 0 if it is closed, as the next write will tell.
func unacknowledged(raw syscall.RawConn) uint64 {
	q := questions.Get().(*question)
	defer questions.Put(q)
	q.queued = 0
	_ = raw.Control(q.ask)
	return uint64(max(q.queued, 0))
}

// acknowledged is how many bytes the peer has acknowledged since the connection began.
func acknowledged(raw syscall.RawConn) (n uint64) {
	_ = raw.Control(func(fd uintptr) { // of one that is closed it is 0
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			n = info.Bytes_acked
		}
	})
	return n
}

// hangups tells of sockets whose peers closed them, or which broke, as soon as that is
// known: one goroutine for all, which sleeps until there is one.
type hangups struct {
	queue *os.File // of epoll
	raw   syscall.RawConn
	ended chan struct{}
}

// newHangups calls tell for each, with the number that the socket was added with.
func newHangups(tell func(id uint64)) (*hangups, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // the runtime waits for it as for a socket
		return nil, errors.Join(err, unix.Close(fd))
	}
	h := &hangups{queue: os.NewFile(uintptr(fd), "hangups"), ended: make(chan struct{})}
	if h.raw, err = h.queue.SyscallConn(); err != nil {
		return nil, errors.Join(err, h.queue.Close())
	}
	go h.run(tell)
	return h, nil
}

func (h *hangups) run(tell func(id uint64)) {
	defer close(h.ended)
	events := make([]unix.EpollEvent, 64)
	for {
		n := 0
		err := h.raw.Read(func(fd uintptr) bool {
			var err error
			for n, err = unix.EpollWait(int(fd), events, 0); errors.Is(err, unix.EINTR); {
				n, err = unix.EpollWait(int(fd), events, 0)
			}
			return n > 0
		})
		if err != nil {
			return // it was closed
		}
		for _, e := range events[:n] {
			tell(uint64(uint32(e.Pad))<<32 | uint64(uint32(e.Fd)))
		}
	}
}

// add watches a socket until it is closed.
func (h *hangups) add(raw syscall.RawConn, id uint64) {
	_ = raw.Control(func(fd uintptr) { // what cannot be watched is noticed by a write
		event := unix.EpollEvent{Events: unix.EPOLLRDHUP | unix.EPOLLET, Fd: int32(uint32(id)), Pad: int32(uint32(id >> 32))}
		_ = h.raw.Control(func(queue uintptr) {
			_ = unix.EpollCtl(int(queue), unix.EPOLL_CTL_ADD, int(fd), &event)
		})
	})
}

// close ends the goroutine and waits for it.
func (h *hangups) close() {
	_ = h.queue.Close() // nothing is written to it
	<-h.ended
}
