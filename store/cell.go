package store

import "slices"

// call is one try at one provider, ready to be counted. It is small because a
// batch has thousands.
type call struct {
	micros        uint64
	weight        uint32
	failovers     uint32 // unweighted
	bucket        uint16
	category      categoryID // only when failed
	failed        bool
	final         bool // the try that ended a request
	providerFault bool
}

// cell is one time step of a row, or any sum of such. The zero value is empty.
type cell struct {
	counts
	min, max   uint64 // of successes; meaningless without one
	successes  distribution
	failures   distribution
	categories []categoryCount // errors by category, by id

	failedMin, failedMax uint64 // of failures; meaningless without one
}

type categoryCount struct {
	id    categoryID
	count uint64
}

func (c *cell) hasSuccess() bool { return c.Calls > c.Errors }

func (c *cell) empty() bool { return c.Samples == 0 }

// reset empties the cell and keeps its memory.
func (c *cell) reset() {
	c.counts = counts{}
	c.min, c.max, c.failedMin, c.failedMax = 0, 0, 0, 0
	c.successes.reset()
	c.failures.reset()
	c.categories = c.categories[:0]
}

// extend widens [min, max]; it must run before the successes are counted.
func (c *cell) extend(low, high uint64) {
	if !c.hasSuccess() {
		c.min, c.max = low, high
		return
	}
	c.min, c.max = min(c.min, low), max(c.max, high)
}

// extendFailed is extend for failures.
func (c *cell) extendFailed(low, high uint64) {
	if c.Errors == 0 {
		c.failedMin, c.failedMax = low, high
		return
	}
	c.failedMin, c.failedMax = min(c.failedMin, low), max(c.failedMax, high)
}

func (c *cell) addCategory(id categoryID, n uint64) {
	at, found := slices.BinarySearchFunc(c.categories, id, func(a categoryCount, b categoryID) int { return int(a.id) - int(b) })
	if found {
		c.categories[at].count += n
		return
	}
	c.categories = slices.Insert(c.categories, at, categoryCount{id, n})
}

func (c *cell) merge(o *cell) {
	if o.empty() {
		return
	}
	if o.hasSuccess() {
		c.extend(o.min, o.max)
	}
	if o.Errors > 0 {
		c.extendFailed(o.failedMin, o.failedMax)
	}
	c.successes.merge(&o.successes)
	c.failures.merge(&o.failures)
	for _, k := range o.categories {
		c.addCategory(k.id, k.count)
	}
	c.counts.merge(&o.counts)
}

// subtract takes away what was merged before. The least and the greatest latencies
// cannot follow: it reports whether one of them may have been o's.
func (c *cell) subtract(o *cell) (rescan bool) {
	if o.empty() {
		return false
	}
	rescan = o.hasSuccess() && (o.min <= c.min || o.max >= c.max) ||
		o.Errors > 0 && (o.failedMin <= c.failedMin || o.failedMax >= c.failedMax)
	c.counts.subtract(&o.counts)
	if c.empty() {
		c.reset()
		return false
	}
	c.successes.subtract(&o.successes)
	c.failures.subtract(&o.failures)
	for _, k := range o.categories {
		at, found := slices.BinarySearchFunc(c.categories, k.id, func(a categoryCount, b categoryID) int { return int(a.id) - int(b) })
		if !found {
			continue
		}
		c.categories[at].count -= k.count
		if c.categories[at].count == 0 {
			c.categories = slices.Delete(c.categories, at, at+1)
		}
	}
	return rescan
}
