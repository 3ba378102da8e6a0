// Package cell is the bottom of the store: what calls add up to in a step of time, and
// how that is merged, packed and kept. All of it is plain values: no clock, and no lock but
// the one around the names of categories.
//
// Who counts fills an [Open] cell, call by call. Once its step is over it is packed into
// the [Log] of its [Tier]; who asks for a [Window] merges the cells in it into one [Cell],
// which then says counts, latencies and errors.
package cell

import (
	"slices"
	"unsafe"
)

// A Call is one try at one provider, ready to be counted. It is small because a
// batch has thousands.
type Call struct {
	Micros        uint64
	Weight        uint32
	Failovers     uint32     // unweighted
	Bucket        uint16     // of Micros, see BucketOf
	Category      CategoryID // only of failures
	Result        Result
	Final         bool // the try that ended a request
	ProviderFault bool // only of failures
	Hedge         bool // sent beside another one that was slow to end
}

// A Cell is one time step of a row, or any sum of such. The zero value is empty.
type Cell struct {
	Sums
	min, max   uint64 // of successes; meaningless without one
	successes  distribution
	failures   distribution
	cutOffs    *distribution   // of how long those took whose end was not seen; nil while there was none
	categories []categoryCount // errors by category, by id

	failedMin, failedMax uint64 // of failures; meaningless without one
}

type categoryCount struct {
	id    CategoryID
	count uint64
}

// HasSuccess reports whether a call succeeded: only then do the latencies of successes mean anything.
func (c *Cell) HasSuccess() bool { return c.Successes() > 0 }

// Empty reports whether nothing was counted.
func (c *Cell) Empty() bool { return c.Samples == 0 && c.NotSent == 0 }

// Reset empties the cell and keeps its memory.
func (c *Cell) Reset() {
	c.Sums = Sums{}
	c.min, c.max, c.failedMin, c.failedMax = 0, 0, 0, 0
	c.successes.reset()
	c.failures.reset()
	if c.cutOffs != nil {
		c.cutOffs.reset()
	}
	c.categories = c.categories[:0]
}

// cutOff returns the distribution of the cut off, to be added to.
func (c *Cell) cutOff() *distribution {
	if c.cutOffs == nil {
		c.cutOffs = new(distribution)
	}
	return c.cutOffs
}

// extend widens [min, max]; it must run before the successes are counted.
func (c *Cell) extend(low, high uint64) {
	if !c.HasSuccess() {
		c.min, c.max = low, high
		return
	}
	c.min, c.max = min(c.min, low), max(c.max, high)
}

// extendFailed is extend for failures.
func (c *Cell) extendFailed(low, high uint64) {
	if c.Errors == 0 {
		c.failedMin, c.failedMax = low, high
		return
	}
	c.failedMin, c.failedMax = min(c.failedMin, low), max(c.failedMax, high)
}

// ExtendPacked widens the ranges of latencies by those of a cell that was packed here,
// and counts its calls by how they ended. All else stays as it is.
func (c *Cell) ExtendPacked(packed []byte) {
	var o Cell
	o.readRanges(packed)
	if o.HasSuccess() {
		c.extend(o.min, o.max)
	}
	if o.Errors > 0 {
		c.extendFailed(o.failedMin, o.failedMax)
	}
	c.Calls += o.Calls
	c.Errors += o.Errors
	c.CutOff += o.CutOff
}

// TakeRanges makes the ranges of latencies those of another cell.
func (c *Cell) TakeRanges(o *Cell) {
	c.min, c.max, c.failedMin, c.failedMax = o.min, o.max, o.failedMin, o.failedMax
}

func (c *Cell) addCategory(id CategoryID, n uint64) {
	at, found := slices.BinarySearchFunc(c.categories, id, func(a categoryCount, b CategoryID) int { return int(a.id) - int(b) })
	if found {
		c.categories[at].count += n
		return
	}
	c.categories = slices.Insert(c.categories, at, categoryCount{id, n})
}

// Merge adds what another cell counted.
func (c *Cell) Merge(o *Cell) {
	if o.Empty() {
		return
	}
	if o.HasSuccess() {
		c.extend(o.min, o.max)
	}
	if o.Errors > 0 {
		c.extendFailed(o.failedMin, o.failedMax)
	}
	c.successes.merge(&o.successes)
	c.failures.merge(&o.failures)
	if o.CutOff > 0 {
		c.cutOff().merge(o.cutOffs)
	}
	for _, k := range o.categories {
		c.addCategory(k.id, k.count)
	}
	c.Sums.Merge(&o.Sums)
}

// Subtract takes away what was merged before. The least and the greatest latencies
// cannot follow: it reports whether one of them may have been o's.
func (c *Cell) Subtract(o *Cell) (rescan bool) {
	if o.Empty() {
		return false
	}
	rescan = o.HasSuccess() && (o.min <= c.min || o.max >= c.max) ||
		o.Errors > 0 && (o.failedMin <= c.failedMin || o.failedMax >= c.failedMax)
	c.Sums.Subtract(&o.Sums)
	if c.Empty() {
		c.Reset()
		return false
	}
	c.successes.subtract(&o.successes)
	c.failures.subtract(&o.failures)
	if o.CutOff > 0 {
		c.cutOff().subtract(o.cutOffs)
	}
	for _, k := range o.categories {
		at, found := slices.BinarySearchFunc(c.categories, k.id, func(a categoryCount, b CategoryID) int { return int(a.id) - int(b) })
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

// Size is how many bytes the cell takes.
func (c *Cell) Size() int {
	size := int(unsafe.Sizeof(*c)) + 8*c.Room() + int(unsafe.Sizeof(categoryCount{}))*cap(c.categories)
	if c.cutOffs != nil {
		size += int(unsafe.Sizeof(*c.cutOffs))
	}
	return size
}

// Room is how many buckets the cell has memory for.
func (c *Cell) Room() int {
	room := cap(c.successes.counts) + cap(c.failures.counts)
	if c.cutOffs != nil {
		room += cap(c.cutOffs.counts)
	}
	return room
}
