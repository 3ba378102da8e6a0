package node

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
func (o *Options) fitMemory(limit int64) (cacheBytes, totalBytes int64) {
	if o.DedupBytes == 0 {
		o.DedupBytes = min(max(limit/dedupShare, leastDedup), defaultDedupBytes)
	}
	if o.ReadMemory == 0 {
		o.ReadMemory = min(max(limit/readShare, leastRead), defaultReadMemory)
	}
	if o.MaxSeries == 0 {
		o.MaxSeries = int(min(max(limit/seriesBytes, leastSeries), defaultMaxSeries))
	}
	return min(max(limit/cacheShare, leastCache), defaultCacheBytes), min(max(limit/totalShare, leastTotal), defaultTotalBytes)
}
