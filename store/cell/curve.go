package cell

import (
	"math"
	"math/bits"
)

// A call that was cut off after 150 ms did not take 150 ms: it would have taken longer. To
// leave it out makes a provider look as fast as its fast calls; to count it as 150 ms, not
// much better. The product-limit estimate (E. L. Kaplan and P. Meier, *Nonparametric
// estimation from incomplete observations*, JASA 53, 1958) asks of each bucket only what
// can be known: of the calls that were still running when it began, what share ended in it?
// The shares that did not, multiplied, are the curve: the share of calls that take longer.
//
//	bucket   running  ended  cut off  did not end   take longer
//	10 ms        100     50        0    50/100         0.5
//	20 ms         50     10       20    30/40          0.375
//	40 ms         20      5        0    15/20          0.28125
//	80 ms         15     10        5     2.5/12.5      0.05625
//
// The cut off ran for half of their bucket, as far as anybody knows: of 20 ms, 10 of 40 ended.
// Of 65 successes the 90th percentile, nearest rank, is 80 ms; so it is by the curve, which
// reaches 0.1 there. The 95th is 80 ms by the one and unknown by the other: the curve ends
// at 0.05625, with calls that may have taken any time.
//
// All of it is integers, so that all nodes find the same.

// wholeShare is a share of 1.
const wholeShare = 1 << 63

// fewAtRisk is how many calls must have been running when a percentile's bucket began, for
// it to be told where calls were cut off: with fewer, one call more or less would move it far.
const fewAtRisk = 30

// estimate sets out[i] to the percentile of parts[i] thousandths, and returns the mean, as
// the curve has them, with latencies clamped to [low, high], those of successes. The mean
// is the restricted one: what is still running at the end takes no longer than was seen. A
// percentile is None where the curve does not come down to it, or where fewer than atRisk
// calls were running when its bucket began. parts must ascend.
func estimate(successes, cutOffs *distribution, low, high, atRisk uint64, parts []uint64, out []Micros) (mean Micros) {
	running := successes.total() + cutOffs.total()
	left, seen := uint64(wholeShare), high
	var sum uint128 // of latencies by share
	p := 0
	begin, end := successes.reach(cutOffs)
	for b := begin; b < end && running > 0; b++ {
		ended, cut := successes.at(b), cutOffs.at(b)
		if ended > 0 {
			before, among := left, 2*running-cut
			if 2*ended > among || among > 2*running { // what other nodes say may overflow
				break
			}
			left = scale(before, among-2*ended, among)
			value := min(max(uint64(math.Round(midpoint(b))), low), high)
			sum.add(product(before-left, value))
			for ; p < len(parts) && left <= scale(wholeShare, 1000-parts[p], 1000); p++ {
				out[p] = Micros(value)
				if running < atRisk {
					out[p] = None
				}
			}
		}
		if cut > 0 {
			lower, _ := bounds(b)
			seen = max(seen, uint64(lower)+1)
		}
		running -= ended + cut
	}
	for ; p < len(parts); p++ {
		out[p] = None
	}
	sum.add(product(left, seen))
	sum.add(uint128{low: wholeShare / 2}) // to round
	return Micros(sum.high<<1 | sum.low>>63)
}

// scale is ⌊v·part/whole⌋ where part is not above whole, which is not 0.
func scale(v, part, whole uint64) uint64 {
	high, low := bits.Mul64(v, part)
	quotient, _ := bits.Div64(high, low, whole)
	return quotient
}

func product(a, b uint64) uint128 {
	high, low := bits.Mul64(a, b)
	return uint128{high, low}
}
