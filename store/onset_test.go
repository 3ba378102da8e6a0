package store

import (
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"remuda/store/cell"
)

// TestOnset: what is told step by step is what the sums of the steps tell.
func TestOnset(t *testing.T) {
	g := newGrown(t)
	rng := rand.New(rand.NewPCG(7, 8))
	for minute := range 70 {
		for range 12 {
			g.now = g.now.Add(5 * time.Second)
			g.store.Tick()
		}
		for p := range 6 {
			for range rng.IntN(30) {
				e := Event{
					TS: g.now.UnixMilli() - rng.Int64N(50_000), Profile: "default", Chain: "base", ProviderID: "p" + strconv.Itoa(p),
					Method: "m" + strconv.Itoa(rng.IntN(3)), Strategy: "s", SourceNode: "g", SourceRegion: "r" + strconv.Itoa(rng.IntN(3)),
					Weight: 1 + rng.Uint32N(9), DurationMicros: 5000, UpstreamMicros: 5000,
				}
				if minute > 10*p {
					switch rng.IntN(4) {
					case 0:
						e.Result, e.ErrorCategory = cell.Failure, "timeout"
					case 1:
						e.Result, e.ErrorCategory = cell.Failure, "rate_limit"
					case 2:
						e.UpstreamMicros, e.DurationMicros = 3_000_000, 3_000_000
					}
				}
				if r := g.store.Apply([]Event{e}); r.Accepted != 1 {
					t.Fatal(r)
				}
			}
		}
	}
	table := g.store.NewTable(Query{By: []Dim{ChainDim, ProviderDim}, Window: cell.Window1h, Providers: true})
	table.Refresh()
	found := 0
	for _, status := range []Status{StatusRateLimited, StatusFailing, StatusDegraded} {
		for key := range table.groups {
			got, want := table.Onset(key, status, g.store.Clock()), onsetOfSums(table, key, status)
			if got != want {
				t.Errorf("%s is %v since %d, and by the sums since %d", key, status, got, want)
			}
			if got > 0 {
				found++
			}
		}
	}
	if found < 10 {
		t.Errorf("only %d have an onset", found)
	}
}

// onsetOfSums is the slow twin of Onset: it sums all steps of all providers first.
func onsetOfSums(t *Table, wanted string, status Status) (at int64) {
	for _, w := range []cell.Window{cell.Window1m, cell.Window15m, cell.Window1h} {
		q := t.query
		q.Window = w
		var first int64
		t.store.eachSpread(q, time.Second, func(key string, _ [NumDims]string, p *spread) int64 {
			if key != wanted {
				return 0
			}
			first, at = p.first, 0
			var sum, most float64
			for i := len(p.cells) - 1; i >= 0; i-- {
				c := &p.cells[i]
				limited := uint64(0)
				for _, k := range c.ErrorCategories(t.store.categories) {
					if k.Category == "rate_limit" {
						limited = k.Count
					}
				}
				e := evidence{c.Calls, c.Errors, c.ProviderErrors, limited, c.SlowerThan(degradedP95)}
				if sum += e.excess(status); sum > most {
					most, at = sum, p.first+int64(i)*p.step
				}
			}
			return 0
		})
		if at != first {
			return at
		}
	}
	return at
}
