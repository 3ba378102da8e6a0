package cell

import (
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestBuckets: every latency is in the bucket (2^((j-1)/32), 2^(j/32)] s, by integers
// alone: m µs is at or below 2^(j/32) s iff m^32 ≤ 10^192·2^j.
func TestBuckets(t *testing.T) {
	second := new(big.Int).Exp(big.NewInt(10), big.NewInt(6*perOctave), nil)
	within := func(micros uint64, j int) bool { // at or below 2^(j/32) s
		left, right := new(big.Int).Exp(new(big.Int).SetUint64(micros), big.NewInt(perOctave), nil), new(big.Int).Set(second)
		if j < 0 {
			left.Lsh(left, uint(-j))
		} else {
			right.Lsh(right, uint(j))
		}
		return left.Cmp(right) <= 0
	}
	check := func(micros uint64) {
		t.Helper()
		b := BucketOf(micros)
		if j := b - oneSecond; !within(micros, j) || b > 0 && within(micros, j-1) {
			lower, upper := bounds(b)
			t.Fatalf("%d µs is in bucket %d, (%v, %v]", micros, b, lower, upper)
		}
	}
	for micros := range uint64(20_000) {
		check(micros)
	}
	for b := range numBuckets - 1 { // where every bucket ends
		_, upper := bounds(b)
		for micros := uint64(upper) - 1; micros <= uint64(upper)+2; micros++ {
			check(max(micros, 1))
		}
	}
	for e := range 37 {
		check(1 << e)
		check(1<<e + 1)
	}
	rng := rand.New(rand.NewPCG(2, 2))
	for range 50_000 {
		check(min(uint64(math.Exp2(rng.Float64()*37)), MaxMicros))
	}
	for halvings := range 7 { // 1 s, and what whole µs are of its halves and doubles
		if got := BucketOf(1_000_000 >> halvings); got != oneSecond-halvings*perOctave {
			t.Errorf("1/%d s is in bucket %d", 1<<halvings, got)
		}
		if got := BucketOf(1_000_000>>halvings + 1); got != oneSecond-halvings*perOctave+1 {
			t.Errorf("1 µs after 1/%d s is in bucket %d", 1<<halvings, got)
		}
		if got := BucketOf(1_000_000 << halvings); got != oneSecond+halvings*perOctave {
			t.Errorf("%d s is in bucket %d", 1<<halvings, got)
		}
	}
	check(MaxMicros)
	if b := BucketOf(MaxMicros); b != numBuckets-1 || BucketOf(MaxMicros+1) != b || BucketOf(math.MaxUint64) != b {
		t.Errorf("the longest latency is in bucket %d of %d", b, numBuckets)
	}
	if BucketOf(0) != 0 || BucketOf(1) != 0 {
		t.Errorf("0 and 1 µs are in buckets %d and %d", BucketOf(0), BucketOf(1))
	}
}

// TestBounds: of all buckets they are 2^(j/32) s to the last bit but one, and those that
// are powers of two are exact.
func TestBounds(t *testing.T) {
	for b := range numBuckets {
		lower, upper := bounds(b)
		if want := 1e6 * math.Exp2(float64(b-oneSecond)/perOctave); math.Abs(upper-want) > want*4e-16 {
			t.Errorf("bucket %d ends at %v µs, want %v", b, upper, want)
		}
		if _, before := bounds(max(b-1, 0)); b > 0 && lower != before || b == 0 && lower != 0 {
			t.Errorf("bucket %d begins at %v µs", b, lower)
		}
		if j := b - oneSecond; j%perOctave == 0 && upper != math.Ldexp(1e6, j/perOctave) {
			t.Errorf("bucket %d ends at %v µs", b, upper)
		}
	}
}

// BenchmarkBucketOf: latencies of all lengths, 20 µs to 80 s.
func BenchmarkBucketOf(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	micros := make([]uint64, 4096)
	for i := range micros {
		micros[i] = uint64(20 * math.Exp2(rng.Float64()*22))
	}
	sum := 0
	for i := 0; b.Loop(); i++ {
		sum += BucketOf(micros[i%len(micros)])
	}
	if sum == 0 {
		b.Fatal("all are in bucket 0")
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
