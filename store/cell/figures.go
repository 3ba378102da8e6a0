package cell

import (
	"slices"
	"strings"
)

// Micros is a latency in whole microseconds, or None.
type Micros int64

// None is the value of a Micros that has no data.
const None Micros = -1

// Latencies are those of successes, and the 95th percentile of the failures'.
type Latencies struct {
	Avg, P50, P90, P95, P99, Max Micros
	FailureP95                   Micros
}

// CategoryCount is how often a category of error occurred, by weight.
type CategoryCount struct {
	Category string
	Count    uint64
}

// Bucket is one bucket of a latency distribution.
type Bucket struct {
	LowerMicros, UpperMicros float64
	Count                    uint64
}

var (
	percentileParts = []uint64{500, 900, 950, 990}
	failurePart     = []uint64{950}
)

// Latencies are what the cell's distributions say. Those of successes are of what was seen
// to its end: where calls were cut off, the slow ones among them are missing. What is
// to be estimated of them is estimated here, from successes and cutOffs.
func (c *Cell) Latencies() Latencies {
	l := Latencies{Avg: None, P50: None, P90: None, P95: None, P99: None, Max: None, FailureP95: None}
	var out [4]Micros
	if c.HasSuccess() {
		n := c.Successes()
		c.successes.percentiles(n, c.min, c.max, percentileParts, out[:])
		l.P50, l.P90, l.P95, l.P99 = out[0], out[1], out[2], out[3]
		l.Avg, l.Max = Micros(c.sum.over(n)), Micros(c.max)
	}
	if c.Errors > 0 {
		c.failures.percentiles(c.Errors, c.failedMin, c.failedMax, failurePart, out[:1])
		l.FailureP95 = out[0]
	}
	return l
}

// ErrorCategories are the errors by category, in the order of the names; nil without errors.
func (c *Cell) ErrorCategories(names *Categories) []CategoryCount {
	if c.Errors == 0 {
		return nil
	}
	list := make([]CategoryCount, 0, len(c.categories))
	for _, k := range c.categories {
		list = append(list, CategoryCount{names.Name(k.id), k.count})
	}
	slices.SortFunc(list, func(a, b CategoryCount) int { return strings.Compare(a.Category, b.Category) })
	return list
}

// RateLimited is how many errors were for running into a limit.
func (c *Cell) RateLimited() uint64 {
	for _, k := range c.categories {
		if k.id == rateLimitCategory {
			return k.count
		}
	}
	return 0
}

// SlowerThan counts the successes in buckets that begin at or above one of micros.
func (c *Cell) SlowerThan(micros uint64) uint64 { return c.successes.above(micros) }

// Buckets lists the buckets of successes that are not empty, ascending.
func (c *Cell) Buckets() []Bucket { return c.successes.buckets() }
