//go:build !linux

package post

import (
	"syscall"
	"time"
)

// unread would tell that a body has come whole: here it is waited for before its turn.
func unread(syscall.RawConn) int { return 0 }

// hungUp would tell that a sender has given up: here it is thought to wait.
func hungUp(syscall.RawConn) bool { return false }

func lain(syscall.RawConn) time.Duration { return 0 }

// discard leaves everything to reads that wait.
func discard(syscall.RawConn, []byte) int { return 0 }
