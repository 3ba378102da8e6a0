package store

// pendingBuckets is how many latencies an open cell collects before it spreads
// them over its distribution.
const pendingBuckets = 28

// liveCell is an open step. Calls of weight 1 first note their bucket in pending:
// with many series the distribution of each is seldom in the cache, and 28
// additions in one go wait for it once.
type liveCell struct {
	cell
	pending  [pendingBuckets]uint16
	noted    int32
	tier     int8
	dirty    bool // differs from what the log holds
	summed   bool // nothing but the sum of the finer cells of its step
	step     int64
	lifetime counts // what the row's lifetime already has of this cell
}

// add counts a call.
func (l *liveCell) add(k *call) {
	l.dirty, l.summed = true, false
	if k.failed {
		l.extendFailed(k.micros, k.micros)
		l.failures.add(int(k.bucket), uint64(k.weight))
		l.addCategory(k.category, uint64(k.weight))
		l.counts.add(k)
		return
	}
	l.extend(k.micros, k.micros)
	l.counts.add(k)
	if k.weight != 1 {
		l.successes.add(int(k.bucket), uint64(k.weight))
		return
	}
	if l.noted == pendingBuckets {
		l.flush()
	}
	l.pending[l.noted] = k.bucket
	l.noted++
}

// flush brings the distribution up to date. Whoever reads the cell calls it first.
func (l *liveCell) flush() *cell {
	if l.noted == 0 {
		return &l.cell
	}
	pending := l.pending[:l.noted]
	low, high := pending[0], pending[0]
	for _, b := range pending {
		low, high = min(low, b), max(high, b)
	}
	l.successes.cover(int(low), int(high))
	counts, first := l.successes.counts, uint16(l.successes.first)
	for _, b := range pending {
		counts[b-first]++
	}
	l.noted = 0
	return &l.cell
}

// adopt says that what the cell holds is no news to the lifetime of its row.
func (l *liveCell) adopt() { l.lifetime = l.counts }

// news adds to a lifetime what it does not have of the cell yet.
func (l *liveCell) news(lifetime *counts) {
	lifetime.merge(&l.counts)
	lifetime.subtract(&l.lifetime)
}
