package store

import (
	"slices"
	"strings"
	"time"

	"remuda/store/cell"
)

// steps are those that a window is cut into: aligned to the epoch, the last is the
// running one.
type steps struct {
	base        cell.Tier // tier of the finest that make them up
	first, step int64     // when the first begins, and their length, ms
	count       int
}

// stepsOf cuts a window, as of now (ms), into steps of a wanted length, rounded up to what
// is kept for the window: a multiple of the steps it slides by.
func stepsOf(w cell.Window, wanted time.Duration, now int64) steps {
	base := w.Tier()
	unit := base.Seconds() * 1000
	step := max((wanted.Milliseconds()+unit-1)/unit, 1) * unit
	first := w.Start(now/1000) * unit / step * step
	return steps{base: base, first: first, step: step, count: int((now/step*step-first)/step + 1)}
}

// at is the number of the step of an instant, below 0 for one before the first.
func (p *steps) at(instant int64) int {
	if instant < p.first {
		return -1
	}
	// Calls with a ts a little ahead of the clock count in the running step: a
	// window has no upper edge.
	return int(min((instant-p.first)/p.step, int64(p.count-1)))
}

// spread is the cells of a group by step.
type spread struct {
	steps
	now   int64 // where the last step ends, for now
	cells []cell.Cell
}

// shown is when a step began as readers have it. A wall clock that is behind the store's
// moves steps by whole ones, so that they stay where steps begin, and none is to come.
func (p *spread) shown(s *Store, i int) int64 {
	behind := s.clock.behind.Load()
	return p.first + int64(i)*p.step - (behind+p.step-1)/p.step*p.step
}

// eachSpread sums the members of every group of a query by step and calls do with the
// result, in the order of the groups' keys, which says how many bytes it keeps. It ends
// early when the query's Grow refuses.
func (s *Store) eachSpread(q Query, step time.Duration, do func(key string, dims [NumDims]string, p *spread) int64) time.Duration {
	q.Providers, q.ExpandRegions, q.ExpandMethods = false, false, false
	t := s.NewTable(q)
	s.Revision()
	now := s.clock.now()
	kept := int64(0)
	grown := func() bool { return q.Grow == nil || q.Grow(t.Size()+kept) }
	for i := range s.shards {
		t.pause()
		if t.collect(i, 0); !grown() {
			return 0
		}
	}
	groups := make([]*group, 0, len(t.groups))
	for _, g := range t.groups {
		if g.counted {
			groups = append(groups, g)
		}
	}
	slices.SortFunc(groups, func(a, b *group) int { return strings.Compare(a.key, b.key) })

	p := spread{steps: stepsOf(q.Window, step, now), now: now}
	p.cells = make([]cell.Cell, p.count)
	for _, g := range groups {
		t.eachStep(g, &p.steps, func(i int, c *cell.Cell) { p.cells[i].Merge(c) })
		if kept += do(g.key, g.dims, &p); !grown() {
			return 0
		}
		for i := range p.cells {
			p.cells[i].Reset()
		}
	}
	return time.Duration(p.step) * time.Millisecond
}

// What points take, bytes.
const (
	pointSize  = 300 // with its categories
	placeSize  = 64
	bucketSize = 24
)

// eachStep calls f with the cells that make up the members of a group and the number of
// the step that they fall into, under the mutex of their shard. A cell is valid during
// the call.
func (t *Table) eachStep(g *group, p *steps, f func(i int, c *cell.Cell)) {
	node := g.dims[NodeDim]
	for _, m := range g.members {
		t.pause()
		sh := &t.store.shards[shardOf(m.hash)]
		sh.mu.Lock()
		for _, r := range m.rows {
			if matches(t.query.Filter[NodeDim], r.origin.name) && (node == "" || node == r.origin.name) {
				r.eachStep(p, f)
			}
		}
		sh.mu.Unlock()
	}
}

func (r *row) eachStep(p *steps, f func(i int, c *cell.Cell)) {
	scratch := r.origin.scratch()
	// Steps are those of the origin's clock. One that is far off is moved by whole
	// steps, so that cells are not torn apart.
	unit := p.base.Seconds()
	skew := r.origin.skew.Load() / unit * unit
	r.eachCell(p.base, p.first/1000/unit+skew/unit, func(tier cell.Tier, e cell.Entry) {
		if i := p.at((int64(e.Step)*tier.Seconds() - skew) * 1000); i >= 0 {
			r.unpackInto(scratch, e.Packed)
			f(i, scratch)
		}
	}, func(l *liveCell) {
		if i := p.at((l.step*l.tier.Seconds() - skew) * 1000); i >= 0 {
			f(i, l.Flush())
		}
	})
	r.origin.release(scratch)
}

// Series returns the figures of every step of the window, by group. The step is
// wanted rounded up to what is kept; it is returned.
func (s *Store) Series(q Query, wanted time.Duration) ([]SeriesGroup, time.Duration) {
	var list []SeriesGroup
	var covered []int64 // by step, the same for all groups
	kept := int64(0)
	step := s.eachSpread(q, wanted, func(key string, dims [NumDims]string, p *spread) int64 {
		if covered == nil {
			covered = s.coveredSteps(q.Filter[ProfileDim], p)
		}
		g := SeriesGroup{Key: key, Dims: dims, Points: make([]Point, len(p.cells))}
		for i := range p.cells {
			point := &g.Points[i]
			point.At = p.shown(s, i)
			point.CoveredMillis = covered[i]
			point.Known = covered[i] > 0 || i == len(covered)-1
			if !point.Known && !p.cells[i].Empty() { // moved here from the step beside it, see eachStep
				point.Known, point.CoveredMillis = true, p.step
			}
			s.figures(&point.Figures, &p.cells[i])
		}
		list = append(list, g)
		size := int64(len(g.Points)) * pointSize
		kept += size
		return size
	})
	if grow := q.Grow; grow != nil {
		q.Grow = func(bytes int64) bool { return grow(kept + bytes) }
	}
	s.scopePoints(q, list)
	return list, step
}

// coveredSteps is how much of each step is known, in ms: what rates divide by.
func (s *Store) coveredSteps(profiles []string, p *spread) []int64 {
	known := s.knownTime(profiles, p.first, p.now)
	covered := make([]int64, len(p.cells))
	for i := range covered {
		from := p.first + int64(i)*p.step
		covered[i] = known.within(from, min(from+p.step, p.now))
	}
	return covered
}

// scopePoints sets what the points' traffic shares are shares of: the calls of
// the same chain in the same step, or of everything.
func (s *Store) scopePoints(q Query, list []SeriesGroup) {
	type place struct {
		scope string
		at    int64
	}
	all := list
	if len(q.Filter[ProviderDim]) > 0 { // shares are of what other providers had too
		q.Filter[ProviderDim] = nil
		all = nil
	}
	calls := make(map[place]uint64)
	if all == nil && len(list) > 0 {
		p := list[0].Points
		wanted := time.Second
		if len(p) > 1 {
			wanted = time.Duration(p[1].At-p[0].At) * time.Millisecond
		}
		s.eachSpread(q, wanted, func(_ string, dims [NumDims]string, p *spread) int64 {
			before := len(calls)
			for i := range p.cells {
				calls[place{dims[ChainDim], p.shown(s, i)}] += p.cells[i].Calls
			}
			return int64(len(calls)-before) * placeSize
		})
	}
	for _, g := range all {
		for _, p := range g.Points {
			calls[place{g.Dims[ChainDim], p.At}] += p.Calls
		}
	}
	for i := range list {
		for j := range list[i].Points {
			p := &list[i].Points[j]
			p.ScopeCalls = calls[place{list[i].Dims[ChainDim], p.At}]
		}
	}
}

// Histogram returns the latencies of successes and of the cut off of every step of the window, by
// group. The step is rounded as in [Store.Series].
func (s *Store) Histogram(q Query, wanted time.Duration) ([]HistogramGroup, time.Duration) {
	var list []HistogramGroup
	step := s.eachSpread(q, wanted, func(key string, dims [NumDims]string, p *spread) int64 {
		g, size := HistogramGroup{Key: key, Dims: dims}, int64(pointSize)
		for i := range p.cells {
			if p.cells[i].HasSuccess() || p.cells[i].CutOff > 0 {
				g.Points = append(g.Points, HistogramPoint{At: p.shown(s, i), Buckets: p.cells[i].Buckets()})
				size += pointSize + int64(len(g.Points[len(g.Points)-1].Buckets))*bucketSize
			}
		}
		list = append(list, g)
		return size
	})
	return list, step
}
