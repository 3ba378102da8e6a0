package cell

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestBuckets: every latency is in the bucket whose bounds say so, and buckets
// ascend.
func TestBuckets(t *testing.T) {
	check := func(micros uint64) {
		t.Helper()
		b := BucketOf(micros)
		lower, upper := bounds(b)
		// The bounds are rounded to 53 bits, the buckets are not: allow the rounding.
		if f := float64(micros); b > 0 && f <= lower*(1-1e-15) || f > upper*(1+1e-15) && b > 0 {
			t.Fatalf("%d µs is in bucket %d, (%v, %v]", micros, b, lower, upper)
		}
	}
	for micros := range uint64(100_000) {
		check(micros)
	}
	before := 0
	for f := 1.0; f < MaxMicros; f *= 1.0001 {
		check(uint64(f))
		if b := BucketOf(uint64(f)); b < before {
			t.Fatalf("bucket %d after %d", b, before)
		} else {
			before = b
		}
	}
	for e := range 37 { // a power of two is the upper bound of its bucket
		if b := BucketOf(1 << e); b != e*perOctave || BucketOf(1<<e+1) == b && e > 5 {
			t.Errorf("2^%d is in bucket %d", e, b)
		}
	}
	if b := BucketOf(MaxMicros); b != numBuckets-1 {
		t.Errorf("the longest latency is in bucket %d of %d", b, numBuckets)
	}
}

// TestPercentilesAgainstSorting: within 1.1 % of the exact nearest rank, whatever
// the shape of the data.
func TestPercentilesAgainstSorting(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for name, draw := range map[string]func() float64{
		"log-normal": func() float64 { return 45_000 * math.Exp(0.6*rng.NormFloat64()) },
		"heavy tail": func() float64 { return 1_000 * math.Exp(2.5*rng.NormFloat64()) },
		"bimodal": func() float64 {
			if rng.IntN(10) < 7 {
				return 2_000 + 100*rng.NormFloat64()
			}
			return 10_000_000 + 1000*rng.NormFloat64()
		},
		"constant": func() float64 { return 41_237 },
		"tiny":     func() float64 { return float64(rng.IntN(4)) },
	} {
		for _, n := range []int{1, 2, 10, 1000, 50_000} {
			var c Cell
			l := Open{}
			exact := make([]uint64, n)
			for i := range exact {
				exact[i] = uint64(min(max(draw(), 0), MaxMicros))
				l.Add(&Call{Micros: exact[i], Bucket: uint16(BucketOf(exact[i])), Weight: 1})
			}
			c.Merge(l.Flush())
			slices.Sort(exact)
			var got [4]Micros
			c.successes.percentiles(uint64(n), c.min, c.max, percentileParts, got[:])
			for i, part := range percentileParts {
				want := float64(exact[nearestRank(uint64(n), part)-1])
				if diff := math.Abs(float64(got[i]) - want); diff > want*0.011+1 { // half a microsecond of rounding; 0 and 1 µs share a bucket
					t.Errorf("%s, n=%d, p%d: %d, exactly %v", name, n, part/10, got[i], want)
				}
			}
			if c.max != exact[n-1] || c.min != exact[0] {
				t.Errorf("%s, n=%d: from %d to %d, exactly %d to %d", name, n, c.min, c.max, exact[0], exact[n-1])
			}
		}
	}
}
