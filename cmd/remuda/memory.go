package main

import (
	"errors"
	"log/slog"
	"os"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/dustin/go-humanize"
)

// heapShare is what the runtime may use of the memory of the control group. The rest is
// for what it does not count: buffers of sockets, the program itself, garbage that comes
// faster than it goes.
const heapShare = 0.8

// limitMemory has the collector keep to the memory that there is: GOMEMLIMIT if that is
// given, else a share of what the control group allows. It says which.
func limitMemory(log *slog.Logger) {
	if given := os.Getenv("GOMEMLIMIT"); given != "" { // empty it is none to the runtime either
		log.Info("memory limit", "limit", given, "from", "GOMEMLIMIT")
		return
	}
	group, err := memlimit.FromCgroup()
	switch {
	case errors.Is(err, memlimit.ErrNoLimit), errors.Is(err, memlimit.ErrNoCgroup), errors.Is(err, memlimit.ErrCgroupsNotSupported):
		return
	case err != nil:
		log.Warn("the memory limit of the control group cannot be read; set GOMEMLIMIT", "error", err)
		return
	}
	limit := int64(heapShare * float64(group))
	debug.SetMemoryLimit(limit)
	log.Info("memory limit", "limit", humanize.IBytes(uint64(limit)), "from", "control group", "of", humanize.IBytes(group))
}
