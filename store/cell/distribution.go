package cell

import (
	"math"
	"math/big"
	"math/bits"
)

// Latencies are kept as counts in base-2 exponential buckets at scale 5: every power of
// two of seconds is cut into 32 buckets, each 2.2 % wide. Bucket b holds the latencies in
// (2^((j-1)/32), 2^(j/32)] seconds, where j = b - oneSecond, and bucket 0 also 0. So it is
// bucket j of Prometheus' native histograms at schema 5, and j-1 of OpenTelemetry's
// exponential ones at scale 5, which number buckets by their lower bounds; bucket 0 is
// their zero bucket when its threshold is 2^(-637/32) s.
//
// The upper bound belongs to the bucket. Latencies are whole µs, so a bucket begins with
// the first whole µs beyond its lower bound. Some examples:
//
//	bucket 605  (489,286.03; 500,000] µs   489,287 to 500,000
//	bucket 637  (978,572.06; 1,000,000]    978,573 to 1,000,000, which is 1 s
//	bucket 638  (1,000,000; 1,021,897.15]  1,000,001 to 1,021,897
//	bucket 30   (1.91; 1.95]               none: there is no whole µs in it
const (
	MaxMicros = 24 * 60 * 60 * 1_000_000 // the longest duration

	scaleBits    = 5
	perOctave    = 1 << scaleBits
	oneSecond    = 637  // the bucket that ends at 1 s
	numBuckets   = 1163 // BucketOf(MaxMicros) + 1
	roomInCounts = 16   // counts grow by this many buckets at a time
)

var (
	// bound[k], k < 32, are the bounds between 2^e and 2^(e+1) µs, which are the same for
	// every e but for a shift: that of bucket 32·e+k is bound[k]·2^(e-63) µs. They are
	// rounded down: an integer is beyond a bound iff it is beyond that. The last is beyond all.
	bound [perOctave + 1]uint64
	// guess[t] is the number of bounds below 2^63·(1+t/64). A 64th of 2^63 is narrower
	// than any bucket, so it holds at most one bound and one comparison corrects the guess.
	guess [2 * perOctave]uint8
	// upperBound[b] is 2^((b-oneSecond)/32) s, the upper bound of bucket b, in µs.
	upperBound [numBuckets]float64
)

func init() {
	// Computed with more digits than a float64 has, so that every machine puts every
	// latency into the same bucket.
	const precision = 160
	root := big.NewFloat(2).SetPrec(precision)
	for range scaleBits {
		root = new(big.Float).SetPrec(precision).Sqrt(root)
	}
	const micros, octave = 1_000_000, oneSecond / perOctave // 1 s is in [2^octave, 2^(octave+1)) µs
	power := new(big.Float).SetPrec(precision).SetMantExp(big.NewFloat(micros), 63-octave)
	for k := oneSecond % perOctave; k < perOctave; k++ {
		bound[k], _ = power.Uint64()
		power = new(big.Float).SetPrec(precision).Mul(power, root)
	}
	power.SetMantExp(power, -1)
	for k := range oneSecond % perOctave {
		bound[k], _ = power.Uint64()
		power = new(big.Float).SetPrec(precision).Mul(power, root)
	}
	bound[perOctave] = math.MaxUint64
	k := 0
	for t := range guess {
		edge := uint64(1)<<63 + uint64(t)<<57
		for bound[k] < edge {
			k++
		}
		guess[t] = uint8(k)
	}
	for b := range upperBound {
		upperBound[b] = math.Ldexp(float64(bound[b%perOctave]), b/perOctave-63)
	}
}

// BucketOf returns the bucket of a latency. Anything above MaxMicros goes into the last one.
func BucketOf(micros uint64) int {
	micros = min(max(micros, 1), MaxMicros)
	exponent := bits.Len64(micros) - 1
	mantissa := micros << (63 - exponent)
	k := int(guess[mantissa>>57&63])
	if mantissa > bound[k] {
		k++
	}
	return exponent*perOctave + k
}

// bounds returns the bounds of a bucket in µs.
func bounds(b int) (lower, upper float64) {
	if b == 0 {
		return 0, upperBound[0]
	}
	return upperBound[b-1], upperBound[b]
}

// midpoint is the value that stands for a bucket: the one whose relative
// distance to both bounds is the same, 2·lo·hi/(lo+hi). That of the lowest bucket is 0:
// where it holds nothing but 1 µs, the least latency says so.
func midpoint(b int) float64 {
	lower, upper := bounds(b)
	return 2 * lower * upper / (lower + upper)
}

// distribution counts latencies by bucket. Only the range of buckets in use has
// memory: latencies of one provider seldom span more than a few octaves, so the
// range is short, an addition is an index and an add, and a merge is a loop over
// two slices. The zero value is empty.
type distribution struct {
	first  int32    // bucket of counts[0]; a multiple of roomInCounts
	counts []uint64 // empty, or counts up to a multiple of roomInCounts
}

func (d *distribution) add(b int, weight uint64) {
	i := b - int(d.first)
	if uint(i) >= uint(len(d.counts)) {
		d.cover(b, b)
		i = b - int(d.first)
	}
	d.counts[i] += weight
}

// cover makes counts reach from bucket low to bucket high at least.
func (d *distribution) cover(low, high int) {
	low &^= roomInCounts - 1
	high |= roomInCounts - 1
	if len(d.counts) == 0 {
		d.first = int32(low)
		d.resize(high + 1 - low)
		clear(d.counts)
		return
	}
	first, last := int(d.first), int(d.first)+len(d.counts)-1
	if low >= first && high <= last {
		return
	}
	low, high = min(low, first), max(high, last)
	used := len(d.counts)
	d.resize(high + 1 - low)
	shift := first - low
	copy(d.counts[shift:], d.counts[:used])
	clear(d.counts[:shift])
	clear(d.counts[shift+used:])
	d.first = int32(low)
}

// resize sets the length of counts and keeps what they hold at the front.
func (d *distribution) resize(n int) {
	if n <= cap(d.counts) {
		d.counts = d.counts[:n]
		return
	}
	grown := make([]uint64, n)
	copy(grown, d.counts)
	d.counts = grown
}

func (d *distribution) reset() { d.counts = d.counts[:0] }

func (d *distribution) merge(other *distribution) {
	n := len(other.counts)
	if n == 0 {
		return
	}
	d.cover(int(other.first), int(other.first)+n-1)
	into := d.counts[other.first-d.first:]
	into = into[:n]
	for i, c := range other.counts {
		into[i] += c
	}
}

// subtract takes away what was merged before.
func (d *distribution) subtract(other *distribution) {
	n := len(other.counts)
	if n == 0 {
		return
	}
	d.cover(int(other.first), int(other.first)+n-1)
	into := d.counts[other.first-d.first:]
	into = into[:n]
	for i, c := range other.counts {
		into[i] -= c
	}
}

// percentiles sets out[i] to the percentile of parts[i] thousandths among total
// latencies: the midpoint of the bucket of nearest rank ⌈q·n⌉, clamped to
// [low, high], in whole microseconds. parts must ascend. An empty distribution
// gives None.
func (d *distribution) percentiles(total, low, high uint64, parts []uint64, out []Micros) {
	if total == 0 {
		for i := range out {
			out[i] = None
		}
		return
	}
	var below uint64
	i, b := 0, -1
	for p, part := range parts {
		rank := nearestRank(total, part)
		for below < rank && i < len(d.counts) {
			below += d.counts[i]
			b = int(d.first) + i
			i++
		}
		value := uint64(math.Round(midpoint(b)))
		out[p] = Micros(min(max(value, low), high))
	}
}

// nearestRank is ⌈total·part/1000⌉, at least 1.
func nearestRank(total, part uint64) uint64 {
	high, low := bits.Mul64(total, part)
	quotient, rest := bits.Div64(high, low, 1000)
	if rest > 0 {
		quotient++
	}
	return max(quotient, 1)
}

// above counts the latencies in buckets that begin at or above one of micros.
func (d *distribution) above(micros uint64) (n uint64) {
	for i := max(BucketOf(micros)+1-int(d.first), 0); i < len(d.counts); i++ {
		n += d.counts[i]
	}
	return n
}

// at is the count of a bucket.
func (d *distribution) at(b int) uint64 {
	if i := b - int(d.first); uint(i) < uint(len(d.counts)) {
		return d.counts[i]
	}
	return 0
}

func (d *distribution) total() (n uint64) {
	for _, c := range d.counts {
		n += c
	}
	return n
}

// reach returns the buckets that two distributions have room for, of which one may be empty.
func (d *distribution) reach(other *distribution) (begin, end int) {
	begin, end = int(d.first), int(d.first)+len(d.counts)
	switch {
	case len(other.counts) == 0:
		return begin, end
	case len(d.counts) == 0:
		return int(other.first), int(other.first) + len(other.counts)
	}
	return min(begin, int(other.first)), max(end, int(other.first)+len(other.counts))
}

// buckets lists what is not empty here or among the cut off, ascending.
func (d *distribution) buckets(cutOffs *distribution) []Bucket {
	var list []Bucket
	begin, end := d.reach(cutOffs)
	for b := begin; b < end; b++ {
		if count, cut := d.at(b), cutOffs.at(b); count+cut > 0 {
			lower, upper := bounds(b)
			list = append(list, Bucket{LowerMicros: lower, UpperMicros: upper, Count: count, CutOff: cut})
		}
	}
	return list
}
