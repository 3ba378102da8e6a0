//go:build !linux

package stream

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
