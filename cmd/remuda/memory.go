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

// The bounds that were not given go by the memory limit, if there is one, so that a node
// within them lives. What they bound shrinks in this order: rendered answers go first,
// then sums of windows, the time for which repeats are found, and what is told apart.
const (
	defaultCacheBytes = 32 << 20
	defaultDedupBytes = 64 << 20
	defaultReadMemory = 256 << 20
	defaultTotalBytes = 512 << 20
	defaultMaxSeries  = 100_000

	cacheShare  = 16       // of the limit: a sixteenth
	dedupShare  = 6        // a sixth
	readShare   = 4        // a quarter
	totalShare  = 8        // an eighth
	seriesBytes = 16 << 10 // of the limit for each series
	leastCache  = 1 << 20  // however small the limit
	leastDedup  = 1 << 20  // the same
	leastRead   = 1 << 20  // the same
	leastTotal  = 1 << 20  // the same
	leastSeries = 1000     // the same
)

// fitMemory fills in the bounds that were not given and returns those of the rendered
// answers and of the sums of windows.
func (f *nodeFlags) fitMemory(limit int64) (cacheBytes, totalBytes int64) {
	if f.DedupBytes == 0 {
		f.DedupBytes = size(min(max(limit/dedupShare, leastDedup), defaultDedupBytes))
	}
	if f.ReadMemory == 0 {
		f.ReadMemory = size(min(max(limit/readShare, leastRead), defaultReadMemory))
	}
	if f.MaxSeries == 0 {
		f.MaxSeries = int(min(max(limit/seriesBytes, leastSeries), defaultMaxSeries))
	}
	return min(max(limit/cacheShare, leastCache), defaultCacheBytes), min(max(limit/totalShare, leastTotal), defaultTotalBytes)
}
