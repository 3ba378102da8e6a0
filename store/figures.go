package store

import (
	"slices"
	"strings"
)

var (
	percentileParts = []uint64{500, 900, 950, 990}
	failurePart     = []uint64{950}
)

// figures fills in what a sum says. out is scratch for four percentiles.
func (s *Store) figures(f *Figures, c *cell, out []Micros) {
	*f = Figures{
		Counts:    c.Counts,
		Latencies: Latencies{Avg: None, P50: None, P90: None, P95: None, P99: None, Max: None, FailureP95: None},
	}
	if c.hasSuccess() {
		n := c.Calls - c.Errors
		c.successes.percentiles(n, c.min, c.max, percentileParts, out)
		f.P50, f.P90, f.P95, f.P99 = out[0], out[1], out[2], out[3]
		f.Avg, f.Max = Micros(c.sum.over(n)), Micros(c.max)
	}
	if c.Errors > 0 {
		c.failures.percentiles(c.Errors, c.failedMin, c.failedMax, failurePart, out)
		f.FailureP95 = out[0]
		f.Categories = make([]CategoryCount, 0, len(c.categories))
		for _, k := range c.categories {
			f.Categories = append(f.Categories, CategoryCount{s.categories.get(k.id).name, k.count})
		}
		slices.SortFunc(f.Categories, func(a, b CategoryCount) int { return strings.Compare(a.Category, b.Category) })
	}
}

// Meta is the metadata of an answer for some profiles and a window, as of now.
func (s *Store) Meta(profiles []string, w Window) Meta {
	revision := s.Revision()
	return s.meta(profiles, w, revision, s.clock.now())
}

func (s *Store) meta(profiles []string, w Window, revision uint64, now int64) Meta {
	m := Meta{
		Node: s.options.Node, Incarnation: s.options.Incarnation, Revision: revision, At: s.clock.shown(now), Window: w,
	}
	m.NodesReporting, m.NodesKnown, m.OldestNodeAgeMillis = s.coverage()
	m.CoveredMillis = s.covered(profiles, w, now)
	for _, p := range s.allProfiles() {
		if !matches(profiles, p.name) {
			continue
		}
		reporting, known := p.presence.coverage(now)
		m.SendersReporting += reporting
		m.SendersKnown += known
		_, _, overflow := p.tallies(nil)
		m.OverflowCalls += overflow
	}
	return m
}
