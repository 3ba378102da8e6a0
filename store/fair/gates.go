package fair

import (
	"strings"

	"remuda/store/ids"
)

const (
	// PerSecond is how many things of a kind enter in a second once the burst is used up.
	PerSecond = 200
	// Burst is how many enter at once after a while of rest.
	Burst = 1000
	// Kinds are told apart: neither takes room from the other.
	Kinds = 2

	idle = 120 // seconds for which a region that sends nothing may have a gate of its own
)

// Gates say what may enter, by region. The zero value is ready.
type Gates struct{ byRegion map[string]*Gate }

// A Gate is what may enter of a region before the next second, by kind.
type Gate struct {
	tokens [Kinds]int
	filled int64 // second
}

// Of returns the gate of a region, with what may enter in a second. What there is for all
// is shared by those that have sent in the last five seconds: when one of two, which had
// 1000, is asked in the second after, it has 100 more, and no more than 500.
func (g *Gates) Of(region string, second int64) *Gate {
	gate := g.byRegion[region]
	if gate == nil {
		gate = g.add(region, second)
	}
	passed := second - gate.filled
	if passed == 0 {
		return gate
	}
	gate.filled = second
	active := 0
	for _, other := range g.byRegion {
		if second-other.filled < Burst/PerSecond {
			active++
		}
	}
	burst := max(Burst/active, 1)
	gain := burst
	if passed > 0 && passed < Burst/PerSecond {
		gain = max(int(passed)*PerSecond/active, 1)
	}
	for kind := range gate.tokens {
		gate.tokens[kind] = min(max(gate.tokens[kind], 0)+gain, burst)
	}
	return gate
}

func (g *Gates) add(region string, second int64) *Gate {
	if g.byRegion == nil {
		g.byRegion = make(map[string]*Gate)
	}
	if len(g.byRegion) >= MaxRegions {
		for region, gate := range g.byRegion {
			if second-gate.filled > idle {
				delete(g.byRegion, region)
			}
		}
	}
	if len(g.byRegion) >= MaxRegions {
		region = ids.Other
	}
	gate := g.byRegion[region]
	if gate == nil {
		gate = new(Gate)
		g.byRegion[strings.Clone(region)] = gate
	}
	return gate
}

// Left is how many of each kind may enter.
func (g *Gate) Left() [Kinds]int { return g.tokens }

// Enter reports whether another of a kind may enter, which it then has.
func (g *Gate) Enter(kind int) bool {
	g.tokens[kind]--
	return g.tokens[kind] >= 0
}
