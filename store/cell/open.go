package cell

// roomPending is how many latencies an open cell collects before it spreads them over its
// distribution.
const roomPending = 28

// An Open cell is one that is being written. Calls of weight 1 first note their bucket in
// pending: with many series the distribution of each is seldom in the cache, and 28
// additions in one go wait for it once. The zero value is empty.
type Open struct {
	Cell
	pending [roomPending]uint16
	noted   int32
	told    Sums // what the lifetime of the row already has of the cell
}

// Add counts a call.
func (o *Open) Add(k *Call) {
	if k.Result != Success {
		o.addOther(k)
		return
	}
	o.extend(k.Micros, k.Micros)
	o.count(k)
	if k.Weight != 1 {
		o.successes.add(int(k.Bucket), uint64(k.Weight))
		return
	}
	if o.noted == roomPending {
		o.Flush()
	}
	o.pending[o.noted] = k.Bucket
	o.noted++
}

// addOther counts what is no success.
func (o *Open) addOther(k *Call) {
	switch k.Result {
	case Failure:
		o.extendFailed(k.Micros, k.Micros)
		o.failures.add(int(k.Bucket), uint64(k.Weight))
		o.addCategory(k.Category, uint64(k.Weight))
	case Cancelled:
		o.cutOff().add(int(k.Bucket), uint64(k.Weight))
	}
	o.count(k)
}

// AddTold counts a call that the lifetime of the row has already.
func (o *Open) AddTold(k *Call) {
	o.Add(k)
	o.told.count(k)
}

// Flush brings the distribution up to date. Whoever reads the cell calls it first.
func (o *Open) Flush() *Cell {
	if o.noted == 0 {
		return &o.Cell
	}
	pending := o.pending[:o.noted]
	low, high := pending[0], pending[0]
	for _, b := range pending {
		low, high = min(low, b), max(high, b)
	}
	o.successes.cover(int(low), int(high))
	counts, first := o.successes.counts, uint16(o.successes.first)
	for _, b := range pending {
		counts[b-first]++
	}
	o.noted = 0
	return &o.Cell
}

// Clear empties the cell and keeps its memory.
func (o *Open) Clear() {
	o.Reset()
	o.noted, o.told = 0, Sums{}
}

// Adopt says that what the cell holds is no news to the lifetime of its row.
func (o *Open) Adopt() { o.told = o.Sums }

// News adds to a lifetime what it does not have of the cell yet.
func (o *Open) News(lifetime *Sums) {
	lifetime.Merge(&o.Sums)
	lifetime.Subtract(&o.told)
}
