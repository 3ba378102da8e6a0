package load

import (
	"fmt"
	"math/bits"
	"strings"
	"time"
)

// histogram counts latencies in buckets that are 1/64 of their power of two wide.
type histogram struct {
	counts [64 * 64]uint64 // by µs
	n      uint64
	max    time.Duration
}

func (h *histogram) add(d time.Duration, n uint64) {
	d = max(d, 0)
	h.counts[bucketOf(uint64(d.Microseconds()))] += n
	h.n += n
	h.max = max(h.max, d)
}

func bucketOf(micros uint64) int {
	if micros < 64 {
		return int(micros)
	}
	power := bits.Len64(micros) - 7 // 64…127 is 0
	return (power+1)<<6 + int(micros>>power) - 64
}

// upperOf is the first value behind a bucket.
func upperOf(bucket int) time.Duration {
	if bucket < 64 {
		return time.Duration(bucket+1) * time.Microsecond
	}
	power := bucket>>6 - 1
	return time.Duration((bucket&63+64)+1) << power * time.Microsecond
}

func (h *histogram) merge(o *histogram) {
	for i, n := range o.counts {
		h.counts[i] += n
	}
	h.n += o.n
	h.max = max(h.max, o.max)
}

// quantile is the nearest rank's upper bound.
func (h *histogram) quantile(q float64) time.Duration {
	if h.n == 0 {
		return 0
	}
	rank, below := uint64(q*float64(h.n-1))+1, uint64(0)
	for i, n := range h.counts {
		if below += n; below >= rank {
			return min(upperOf(i), h.max)
		}
	}
	return h.max
}

// picture draws the distribution in a few lines, each from one bound to the next.
func (h *histogram) picture() string {
	if h.n == 0 {
		return ""
	}
	bounds := []time.Duration{0}
	low, high := h.quantile(0.001), h.max
	const steps = 12
	width := niceStep((min(high, 2*h.quantile(0.99)) - low) / steps)
	for at := low.Truncate(width); len(bounds) <= steps && at < high; at += width {
		if at > 0 {
			bounds = append(bounds, at)
		}
	}
	counts := make([]uint64, len(bounds))
	for i, n := range h.counts {
		if n == 0 {
			continue
		}
		at := upperOf(i) - 1
		k := len(bounds) - 1
		for bounds[k] > at {
			k--
		}
		counts[k] += n
	}
	most := uint64(1)
	for _, n := range counts {
		most = max(most, n)
	}
	var b strings.Builder
	for i, n := range counts {
		until := h.max
		if i+1 < len(bounds) {
			until = bounds[i+1]
		}
		if n == 0 && (i == 0 || i == len(counts)-1) {
			continue
		}
		const columns = 40
		filled := int((n*columns*8 + most - 1) / most)
		bar := strings.Repeat("█", filled/8)
		if rest := filled % 8; rest > 0 {
			bar += string([]rune(" ▏▎▍▌▋▊▉")[rest])
		}
		fmt.Fprintf(&b, "  %8s – %8s ms  %s %.2f %%\n", millis(bounds[i]), millis(until), bar, 100*float64(n)/float64(h.n))
	}
	return b.String()
}

// niceStep is the next of 1, 2, 5, 10, … from a duration up.
func niceStep(d time.Duration) time.Duration {
	for step := 10 * time.Microsecond; ; step *= 10 {
		for _, nice := range []time.Duration{step, 2 * step, 5 * step} {
			if nice >= d {
				return nice
			}
		}
	}
}

// millis prints milliseconds with as many places as say anything.
func millis(d time.Duration) string {
	ms := float64(d) / float64(time.Millisecond)
	switch {
	case ms == 0:
		return "0"
	case ms < 10:
		return fmt.Sprintf("%.2f", ms)
	case ms < 100:
		return fmt.Sprintf("%.1f", ms)
	}
	return fmt.Sprintf("%.0f", ms)
}
