package store

import (
	"math/bits"
	"slices"
)

// counts is everything counted but the latencies' shape. All of it adds, so
// totals are the same in whatever order they were summed.
type counts struct {
	calls, errors, providerErrors      uint64
	requests, requestErrors, failovers uint64
	samples                            uint64 // events, unweighted
	sum                                uint128
}

func (c *counts) merge(o *counts) {
	c.calls += o.calls
	c.errors += o.errors
	c.providerErrors += o.providerErrors
	c.requests += o.requests
	c.requestErrors += o.requestErrors
	c.failovers += o.failovers
	c.samples += o.samples
	c.sum.add(o.sum)
}

func (c *counts) subtract(o *counts) {
	c.calls -= o.calls
	c.errors -= o.errors
	c.providerErrors -= o.providerErrors
	c.requests -= o.requests
	c.requestErrors -= o.requestErrors
	c.failovers -= o.failovers
	c.samples -= o.samples
	c.sum.subtract(o.sum)
}

// uint128 holds sums of weighted microseconds: a day's latency at the greatest
// weight overflows 64 bits after some 200 events.
type uint128 struct{ high, low uint64 }

func (u *uint128) add(o uint128) {
	var carry uint64
	u.low, carry = bits.Add64(u.low, o.low, 0)
	u.high, _ = bits.Add64(u.high, o.high, carry)
}

func (u *uint128) subtract(o uint128) {
	var borrow uint64
	u.low, borrow = bits.Sub64(u.low, o.low, 0)
	u.high, _ = bits.Sub64(u.high, o.high, borrow)
}

func (u uint128) float() float64 { return float64(u.high)*(1<<64) + float64(u.low) }

// over divides and rounds half up. n must be above the high half, which holds
// for every mean of values that fit 64 bits.
func (u uint128) over(n uint64) uint64 {
	quotient, rest := bits.Div64(u.high, u.low, n)
	if rest >= n-rest {
		quotient++
	}
	return quotient
}

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

func (c *cell) hasSuccess() bool { return c.calls > c.errors }

func (c *cell) empty() bool { return c.samples == 0 }

// reset empties the cell and keeps its memory.
func (c *cell) reset() {
	c.counts = counts{}
	c.min, c.max, c.failedMin, c.failedMax = 0, 0, 0, 0
	c.successes.reset()
	c.failures.reset()
	c.categories = c.categories[:0]
}

func (c *counts) add(k *call) {
	weight := uint64(k.weight)
	c.calls += weight
	c.samples++
	if k.final {
		c.requests += weight
		c.failovers += uint64(k.failovers) * weight
	}
	if k.failed {
		c.errors += weight
		if k.providerFault {
			c.providerErrors += weight
		}
		if k.final {
			c.requestErrors += weight
		}
		return
	}
	high, low := bits.Mul64(k.micros, weight)
	c.sum.add(uint128{high, low})
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
	if c.errors == 0 {
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
	if o.errors > 0 {
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
		o.errors > 0 && (o.failedMin <= c.failedMin || o.failedMax >= c.failedMax)
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
