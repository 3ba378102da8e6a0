//go:build unix

package node

import "syscall"

// descriptorLimit is how many files and sockets this process may have open: the
// runtime has raised it as far as it may. 0 is unknown.
func descriptorLimit() uint64 {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return 0
	}
	return uint64(limit.Cur) //nolint:unconvert // it is signed on FreeBSD
}
