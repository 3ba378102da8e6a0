package node

import (
	"math"
	"testing"
)

// TestFitMemory: bounds that are not given go by the memory limit.
func TestFitMemory(t *testing.T) {
	for _, c := range []struct {
		limit, dedup, cache, totals int64
		series                      int
	}{
		{math.MaxInt64, 64 << 20, 32 << 20, 512 << 20, 100_000},
		{1 << 30, 64 << 20, 32 << 20, 128 << 20, 65_536},
		{2 << 30, 64 << 20, 32 << 20, 256 << 20, 100_000},
		{240 << 20, 40 << 20, 15 << 20, 30 << 20, 15_360},
		{96 << 20, 16 << 20, 6 << 20, 12 << 20, 6144},
		{1 << 20, 1 << 20, 1 << 20, 1 << 20, 1000},
	} {
		var o Options
		cache, totals := o.fitMemory(c.limit)
		if o.DedupBytes != c.dedup || o.MaxSeries != c.series || cache != c.cache || totals != c.totals {
			t.Errorf("%d: %+v %d %d, want %+v", c.limit, o, cache, totals, c)
		}
	}
	given := Options{DedupBytes: 128 << 20, MaxSeries: 200_000}
	given.fitMemory(64 << 20)
	if given.DedupBytes != 128<<20 || given.MaxSeries != 200_000 {
		t.Errorf("what was given is %+v", given)
	}
}
