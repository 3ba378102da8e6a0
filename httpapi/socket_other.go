//go:build !linux

package httpapi

import (
	"errors"
	"syscall"
	"time"
)

// socketBuffer bounds what is under way to a reader where it cannot be asked for, bytes.
const socketBuffer = 64 << 10

// boundSocket bounds what a socket takes. It cannot be asked how much of it was
// acknowledged.
func boundSocket(s tcpSocket, _ syscall.RawConn, _ time.Duration) bool {
	_ = s.SetWriteBuffer(socketBuffer) // it may be closed already
	return false
}

func unacknowledged(syscall.RawConn) uint64 { return 0 }

func acknowledged(syscall.RawConn) uint64 { return 0 }

// hangups would tell of sockets whose peers closed them: here the next writes do.
type hangups struct{}

func newHangups(func(id uint64)) (*hangups, error) { return nil, errors.ErrUnsupported }

func (*hangups) add(syscall.RawConn, uint64) {}

func (*hangups) close() {}

// unread would tell that a body has come whole: here it is waited for before its turn.
func unread(syscall.RawConn) int { return 0 }

// hungUp would tell that a sender has given up: here it is thought to wait.
func hungUp(syscall.RawConn) bool { return false }

func lain(syscall.RawConn) time.Duration { return 0 }

// discard leaves everything to reads that wait.
func discard(syscall.RawConn, []byte) int { return 0 }
