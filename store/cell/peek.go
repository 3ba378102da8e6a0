package cell

// With many cells none of what [Cell.Merge] reads is in a cache. Who merges some of them
// asks for one kind of memory of all of them before the next, so that the waits for them
// overlap. What a peek returns depends on what it loads: it is to be kept, lest the loads
// be left out.

// Peek loads what the cell is itself.
func (c *Cell) Peek() uint64 {
	return c.Calls + uint64(len(c.successes.counts)+len(c.categories))
}

// PeekBuckets loads what the buckets of successes begin with: two cache lines at the
// front, from which the processor goes on by itself, and one in the middle.
func (c *Cell) PeekBuckets() uint64 {
	counts := c.successes.counts
	if len(counts) == 0 { // else 16 at least
		return 0
	}
	return counts[0] + counts[8] + counts[len(counts)/2]
}

// Peek loads what the cell is itself.
func (o *Open) Peek() uint64 {
	return o.Calls + uint64(o.noted) + uint64(len(o.successes.counts))
}
