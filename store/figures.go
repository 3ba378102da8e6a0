package store

import "remuda/store/cell"

// figures fills in what a sum says.
func (s *Store) figures(f *Figures, c *cell.Cell) {
	*f = Figures{Counts: c.Counts, Latencies: c.Latencies(), Categories: c.ErrorCategories(s.categories)}
}

// Meta is the metadata of an answer for some profiles and a window, as of now.
func (s *Store) Meta(profiles []string, w cell.Window) Meta {
	revision := s.Revision()
	return s.meta(profiles, w, revision, s.clock.now())
}

func (s *Store) meta(profiles []string, w cell.Window, revision uint64, now int64) Meta {
	m := Meta{
		Node: s.options.Node, Incarnation: s.options.Incarnation, Revision: revision, At: s.clock.shown(now), Window: w,
	}
	m.NodesReporting, m.NodesKnown, m.OldestNodeAgeMillis = s.coverage()
	m.CoveredMillis = s.covered(profiles, w, now)
	for _, p := range s.allProfiles() {
		if !matches(profiles, p.name) {
			continue
		}
		reporting, known := p.presence.Count(now, s.skews.Load())
		m.SendersReporting += reporting
		m.SendersKnown += known
		_, _, overflow := p.tallies(nil)
		m.OverflowCalls += overflow
	}
	return m
}
