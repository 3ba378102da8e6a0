package load

import "syscall"

// apart keeps an interrupt of the terminal from the nodes: what was sent is accounted
// for first, and then they are told. Should this program be killed, they end with it.
func apart() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
