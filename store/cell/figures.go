package cell

import (
	"math"
	"math/bits"
	"slices"
	"strings"
)

// Micros is a latency in whole microseconds, or None.
type Micros int64

// None is the value of a Micros that has no data.
const None Micros = -1

// Latencies are those of successes, and the 95th percentile of the failures'. Where calls
// were cut off, percentiles and Mean are estimates of what would have been without that;
// elsewhere Mean is Avg.
type Latencies struct {
	Avg, P50, P90, P95, P99, Max Micros
	Mean                         Micros
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
	Count, CutOff            uint64 // of successes, and of those whose end was not seen
}

var (
	percentileParts = []uint64{500, 900, 950, 990}
	failurePart     = []uint64{950}
)

// Latencies are what the cell's distributions say.
func (c *Cell) Latencies() Latencies {
	l := Latencies{Avg: None, P50: None, P90: None, P95: None, P99: None, Max: None, Mean: None, FailureP95: None}
	var out [4]Micros
	if c.HasSuccess() {
		n := c.Successes()
		l.Avg, l.Max = Micros(c.sum.over(n)), Micros(c.max)
		if c.CutOff == 0 {
			c.successes.percentiles(n, c.min, c.max, percentileParts, out[:])
			l.Mean = l.Avg
		} else {
			l.Mean = estimate(&c.successes, c.cutOffs, c.min, c.max, c.weightOf(fewAtRisk), percentileParts, out[:])
		}
		l.P50, l.P90, l.P95, l.P99 = out[0], out[1], out[2], out[3]
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

// Buckets lists the buckets of successes and of the cut off that are not empty, ascending.
func (c *Cell) Buckets() []Bucket {
	if c.CutOff == 0 {
		return c.successes.buckets(new(distribution))
	}
	return c.successes.buckets(c.cutOffs)
}

// weightOf is what a number of calls as they were sent weigh on average, rounded up.
func (c *Cell) weightOf(samples uint64) uint64 {
	high, low := bits.Mul64(samples, c.Calls)
	if high >= c.Samples {
		return math.MaxUint64 // as other nodes may say that they counted
	}
	weight, rest := bits.Div64(high, low, c.Samples)
	if rest > 0 {
		weight++
	}
	return weight
}
