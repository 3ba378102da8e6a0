package store

import (
	"time"

	"remuda/store/cell"
)

// Onset estimates when the share of a row's calls went beyond the threshold of a status,
// as of now; both are ms of [Store.Clock]: of all moments, the one since which the excess over the threshold is greatest
// (the change point of a cumulative sum). The finest steps that reach back to it are used.
// It is 0 where calls do not tell.
func (t *Table) Onset(key string, status Status, now int64) (at int64) {
	g := t.groups[key]
	if g == nil {
		return 0
	}
	for _, w := range []cell.Window{cell.Window1m, cell.Window15m, cell.Window1h} {
		p := stepsOf(w, time.Second, now)
		told := make([]evidence, p.count)
		t.eachStep(g, &p, func(i int, c *cell.Cell) { told[i].add(c) })
		var excess, most float64
		at = 0
		for i := len(told) - 1; i >= 0; i-- {
			excess += told[i].excess(status)
			if excess > most {
				most, at = excess, p.first+int64(i)*p.step
			}
		}
		if at != p.first { // else it may be longer ago than the window
			break
		}
	}
	return at
}

// evidence is what calls of a step say for the statuses that are of calls. It adds up to
// the same as that of the sum of their cells, at a fraction of the cost.
// Calls are those whose end was seen.
type evidence struct{ calls, errors, providerErrors, limited, slow uint64 }

func (t *evidence) add(c *cell.Cell) {
	t.calls += c.Ended()
	t.errors += c.Errors
	t.providerErrors += c.ProviderErrors
	t.limited += c.RateLimited()
	t.slow += c.SlowerThan(degradedP95)
}

// excess is by how many calls a step is beyond what a status allows.
func (t *evidence) excess(status Status) float64 {
	calls, errors := float64(t.calls), float64(t.providerErrors)
	switch status {
	case StatusRateLimited:
		return float64(t.limited) - calls*rateLimitShare/100
	case StatusFailing:
		return errors - calls*failingBelow/100
	default:
		slow := float64(t.slow) - float64(t.calls-t.errors)*0.05
		return max(errors-calls*(100-degradedBelow)/100, slow)
	}
}

// Series is how many series the table is made of.
func (t *Table) Series() int { return t.enrolled }

// SeriesOf is how many series a row is made of. [Table.Onset] looks through all of them,
// which takes some times as long as to sum them.
func (t *Table) SeriesOf(key string) int {
	if g := t.groups[key]; g != nil {
		return len(g.members)
	}
	return 0
}
