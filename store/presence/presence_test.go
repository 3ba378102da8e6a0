package presence

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// gateway is a sender that reports here.
type gateway struct {
	seen  int64
	quiet bool
}

func (g *gateway) LastSeen() int64       { return g.seen }
func (g *gateway) WakeAfter(since int64) { g.quiet = g.seen < since }

// run is an origin whose clock is ahead by some ms.
type run struct{ ahead int64 }

func (r *run) Local(at int64) int64 { return at - r.ahead }

func ExampleRoll() {
	const second = 1000
	r, iad := New(), &gateway{seen: 100 * second}
	r.Join("iad", iad, 100*second)
	r.Told("bom", &run{ahead: 5 * second}, 120*second, 120*second)
	for _, now := range []int64{160 * second, 161 * second, 176 * second} {
		fmt.Println(r.Count(now, 0))
	}
	// Output:
	// 2 2
	// 1 2
	// 0 2
}

// TestAgainstWalk: whatever senders do, and clocks, the counts are those of a walk, and no
// sender is kept of which nothing is known.
func TestAgainstWalk(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 1))
		r, now, skews := New(), int64(1_800_000_000_000), uint64(0)
		here := make(map[string]*gateway)
		runs := []*run{{}, {1000}, {-70_000}}
		type told struct {
			name string
			by   *run
		}
		away := make(map[told]int64)
		for range 5000 {
			name, by := fmt.Sprint("g", rng.IntN(30)), runs[rng.IntN(3)]
			switch n := rng.IntN(100); {
			case n < 30:
				if g := here[name]; g == nil {
					here[name] = &gateway{seen: now}
					r.Join(name, here[name], now)
				} else if g.seen = now; g.quiet {
					r.Wake(name, g, now)
				}
			case n < 33:
				delete(here, name)
				r.Leave(name, now)
			case n < 55:
				at := now + by.ahead - rng.Int64N(120_000)
				if rng.IntN(8) == 0 {
					at = 0
					delete(away, told{name, by})
				} else {
					away[told{name, by}] = at
				}
				r.Told(name, by, at, now)
			case n < 58:
				delete(away, told{name, by})
				r.Untold(name, by, now)
			case n < 60:
				by.ahead = rng.Int64N(200_000) - 100_000
				skews++
			case n < 61:
				now += rng.Int64N(4_000_000)
			default:
				now += rng.Int64N(3000)
			}
			seen := make(map[string]int64)
			for name, g := range here {
				seen[name] = g.seen
			}
			for key, at := range away {
				seen[key.name] = max(seen[key.name], key.by.Local(at))
			}
			want := 0
			for name, at := range seen {
				if now-at <= Reporting {
					want++
				}
				if got := r.LastSeen(name); got != at {
					t.Fatalf("%s was last heard of at %d, not %d", name, got, at)
				}
				if got := r.Trusts(name, now); got != (now-at <= Trusted) {
					t.Fatalf("%s, last heard of %d ms ago: trusted %v", name, now-at, got)
				}
			}
			if reporting, known := r.Count(now, skews); reporting != want || known != len(seen) || len(r.byName) != len(seen) {
				t.Fatalf("%d of %d report and %d are kept, want %d of %d", reporting, known, len(r.byName), want, len(seen))
			}
		}
	}
}
