//go:build !linux

package load

import "syscall"

// apart is for Linux alone: elsewhere nobody would end the nodes of a program that is
// killed, so they get the interrupts of the terminal too.
func apart() *syscall.SysProcAttr { return nil }
