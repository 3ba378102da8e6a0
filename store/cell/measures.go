package cell

import "math/bits"

// Counts are the counted figures: what calls add up to, by weight but for Samples, which
// counts the calls themselves. Another figure is a field here, what a call adds to it in
// Sums.count, its line in Measures, and its place in the packed form.
type Counts struct {
	Calls          uint64
	Errors         uint64
	ProviderErrors uint64 // errors that the provider is to blame for
	Requests       uint64
	RequestErrors  uint64
	Failovers      uint64
	Samples        uint64
	CutOff         uint64 // calls whose end was not seen
	NotSent        uint64 // tries that are no calls, since they were not made
	Hedges         uint64 // calls that were sent as a hedge
	HedgeWins      uint64 // of those, the ones that ended their request well
}

// Successes is how many calls succeeded.
func (c *Counts) Successes() uint64 { return c.Calls - c.Errors - c.CutOff }

// Ended is how many calls ended, as far as was seen: what shares of successes and
// failures are of.
func (c *Counts) Ended() uint64 { return c.Calls - c.CutOff }

// A Measure is one of the counted figures.
type Measure struct {
	Name string // as Prometheus has it: remuda_NAME_total
	Help string
	of   func(*Counts) *uint64
}

// Of is the measure's figure.
func (m *Measure) Of(c *Counts) uint64 { return *m.of(c) }

// Measures are all of them, in the order of lifetimes on the wire and of digests.
var Measures = [...]Measure{
	{"calls", "Calls counted by this node, by weight.", func(c *Counts) *uint64 { return &c.Calls }},
	{"call_errors", "Calls that failed, by weight.", func(c *Counts) *uint64 { return &c.Errors }},
	{"provider_errors", "Calls that failed by fault of the provider, by weight.", func(c *Counts) *uint64 { return &c.ProviderErrors }},
	{"requests", "Requests that ended at the provider, by weight.", func(c *Counts) *uint64 { return &c.Requests }},
	{"request_errors", "Requests that ended in an error, by weight.", func(c *Counts) *uint64 { return &c.RequestErrors }},
	{"failovers", "Failovers before requests ended, by weight.", func(c *Counts) *uint64 { return &c.Failovers }},
	{"samples", "Calls as they were sent, without weight.", func(c *Counts) *uint64 { return &c.Samples }},
	{"cut_off_calls", "Calls whose end was not seen, by weight.", func(c *Counts) *uint64 { return &c.CutOff }},
	{"not_sent", "Tries that were not made, by weight.", func(c *Counts) *uint64 { return &c.NotSent }},
	{"hedged_calls", "Calls that were sent as a hedge, by weight.", func(c *Counts) *uint64 { return &c.Hedges }},
	{"hedge_wins", "Hedges that ended their request well, by weight.", func(c *Counts) *uint64 { return &c.HedgeWins }},
}

// Merge adds what others counted. Merge and Subtract are among the hottest code there is,
// so they spell out what Measures lists; TestMeasures holds them against each other.
func (c *Counts) Merge(o *Counts) {
	c.Calls += o.Calls
	c.Errors += o.Errors
	c.ProviderErrors += o.ProviderErrors
	c.Requests += o.Requests
	c.RequestErrors += o.RequestErrors
	c.Failovers += o.Failovers
	c.Samples += o.Samples
	c.CutOff += o.CutOff
	c.NotSent += o.NotSent
	c.Hedges += o.Hedges
	c.HedgeWins += o.HedgeWins
}

// Subtract takes away what was merged before.
func (c *Counts) Subtract(o *Counts) {
	c.Calls -= o.Calls
	c.Errors -= o.Errors
	c.ProviderErrors -= o.ProviderErrors
	c.Requests -= o.Requests
	c.RequestErrors -= o.RequestErrors
	c.Failovers -= o.Failovers
	c.Samples -= o.Samples
	c.CutOff -= o.CutOff
	c.NotSent -= o.NotSent
	c.Hedges -= o.Hedges
	c.HedgeWins -= o.HedgeWins
}

// Sums are everything counted but the shape of the latencies. All of it adds, so
// they are the same in whatever order they were made. The zero value is empty.
type Sums struct {
	Counts
	sum uint128 // of the latencies of successes, µs
}

// count counts a call.
func (c *Sums) count(k *Call) {
	weight := uint64(k.Weight)
	if k.Result == NotSent {
		c.NotSent += weight
		return
	}
	c.Calls += weight
	c.Samples++
	if k.Hedge {
		c.Hedges += weight
		if k.Final && k.Result == Success {
			c.HedgeWins += weight
		}
	}
	if k.Final {
		c.Requests += weight
		c.Failovers += uint64(k.Failovers) * weight
	}
	switch k.Result {
	case Cancelled:
		c.CutOff += weight
		return
	case Failure:
		c.Errors += weight
		if k.ProviderFault {
			c.ProviderErrors += weight
		}
		if k.Final {
			c.RequestErrors += weight
		}
		return
	}
	high, low := bits.Mul64(k.Micros, weight)
	c.sum.add(uint128{high, low})
}

// Merge adds what others counted.
func (c *Sums) Merge(o *Sums) {
	c.Counts.Merge(&o.Counts)
	c.sum.add(o.sum)
}

// Subtract takes away what was merged before.
func (c *Sums) Subtract(o *Sums) {
	c.Counts.Subtract(&o.Counts)
	c.sum.subtract(o.sum)
}

// LatencySum is the sum of the latencies of successes, µs.
func (c *Sums) LatencySum() float64 { return c.sum.float() }

// Lifetime is everything ever counted in a row, as nodes tell it each other: Measures,
// then the low and the high half of the sum of latencies in µs.
type Lifetime [len(Measures) + 2]uint64

// Lifetime is the sums as other nodes are told them.
func (c *Sums) Lifetime() (l Lifetime) {
	for i := range Measures {
		l[i] = Measures[i].Of(&c.Counts)
	}
	l[len(Measures)], l[len(Measures)+1] = c.sum.low, c.sum.high
	return l
}

// SetLifetime is the reverse of Lifetime.
func (c *Sums) SetLifetime(l Lifetime) {
	for i := range Measures {
		*Measures[i].of(&c.Counts) = l[i]
	}
	c.sum = uint128{low: l[len(Measures)], high: l[len(Measures)+1]}
}

// uint128 holds sums of weighted microseconds: a day's latency at the greatest
// weight overflows 64 bits after some 200 events.
type uint128 struct{ high, low uint64 }

func (u *uint128) add(o uint128) {
	var carry uint64
	u.low, carry = bits.Add64(u.low, o.low, 0)
	u.high, _ = bits.Add64(u.high, o.high, carry)
}

func (u *uint128) subtract(o uint128) {
	var borrow uint64
	u.low, borrow = bits.Sub64(u.low, o.low, 0)
	u.high, _ = bits.Sub64(u.high, o.high, borrow)
}

func (u uint128) float() float64 { return float64(u.high)*(1<<64) + float64(u.low) }

// over divides and rounds half up. n must be above the high half, which holds
// for every mean of values that fit 64 bits.
func (u uint128) over(n uint64) uint64 {
	quotient, rest := bits.Div64(u.high, u.low, n)
	if rest >= n-rest {
		quotient++
	}
	return quotient
}
