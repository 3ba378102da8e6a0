package cluster

import (
	"fmt"
	"math"

	"remuda/cluster/wire"
	"remuda/store"
	"remuda/store/cell"
)

// trace tells of every delta how it was taken, and stops at the first fault.
func (s *simulation) trace(n *simNode, event []byte) {
	h, _ := wire.ReadHead(event)
	s.t.Logf("%v: %s receives %d after %d part %d/%d rows %v: %s", s.now, n.name, h.Sequence, h.After, h.Part, h.Parts, h.Whole, s.describe(n, h.ID))
	origin := s.find(h.ID.Node)
	if origin.own.ID != h.ID {
		return
	}
	x, xl := s.cells(origin, h.ID)
	y, yl := s.cells(n, h.ID)
	bad := n.rules.Counts().Divergence > 0
	for c, v := range y {
		if w := x[c]; w.stamp == v.stamp && w.packed != v.packed && !bad {
			s.t.Logf("%v stamped %d: there %x, here %x", c, v.stamp, w.packed, v.packed)
			bad = true
		}
	}
	if bad {
		for key := range xl {
			if xl[key] != yl[key] {
				s.t.Logf("%q: there %v, here %v", key, xl[key], yl[key])
			}
		}
		for c := range x {
			if x[c] != y[c] {
				s.t.Logf("%v: there %d, here %d", c, x[c].stamp, y[c].stamp)
			}
		}
		s.t.FailNow()
	}
}

// watch checks that no lifetime total of a row goes back, on any node.
func (s *simulation) watch() {
	for _, n := range s.nodes {
		if !n.up {
			continue
		}
		for _, id := range n.store.Origins() {
			n.store.Changed(id, 0, store.AllTiers, func(r *store.RowState) bool {
				row := rowID{id, fmt.Sprint(r.Key, r.Born)}
				if r.Lifetime[0] < n.lifetimes[row] {
					s.t.Errorf("%v: on %s, calls of %v %q went from %d back to %d", s.now, n.name, id, r.Key, n.lifetimes[row], r.Lifetime[0])
				}
				n.lifetimes[row] = r.Lifetime[0]
				return true
			})
		}
	}
}

// agree checks that all nodes hold the same of every origin.
func (s *simulation) agree() {
	s.watch()
	first := s.nodes[0]
	for _, n := range s.nodes {
		for _, m := range n.rules.Members(s.elapsed(n), n.store) {
			if m.DivergenceTotal > 0 {
				s.t.Errorf("%v: %s counts %d divergences of %s", s.now, n.name, m.DivergenceTotal, m.Name)
			}
		}
		counts := n.rules.Counts()
		s.gaps += int(counts.Gaps - n.counts.Gaps)
		s.inline += counts.Inline - n.counts.Inline
		n.counts = counts
		if n == first {
			continue
		}
		ids := make(map[store.OriginID]bool)
		for _, id := range append(first.store.Origins(), n.store.Origins()...) {
			ids[id] = true
		}
		for id := range ids {
			s.same(id, first, n)
		}
	}
	for _, n := range s.nodes {
		for _, m := range s.nodes {
			calls := uint64(0)
			m.store.Changed(n.own.ID, 0, store.AllTiers, func(r *store.RowState) bool {
				calls += r.Lifetime[0]
				return true
			})
			if calls != n.counted {
				s.t.Errorf("%v: %s counted %d calls, and %s has %d of it", s.now, n.name, n.counted, m.name, calls)
			}
		}
		for _, m := range n.rules.Members(s.elapsed(n), n.store) {
			if m.Stale || m.Restarting || !m.Reporting {
				id := store.OriginID{Node: m.Name, Incarnation: m.Incarnation}
				s.t.Errorf("%v: on %s, %s is stale=%v restarting=%v reporting=%v\n%s", s.now, n.name, m.Name, m.Stale, m.Restarting, m.Reporting, s.describe(n, id))
			}
		}
	}
}

type cellID struct {
	key  string
	tier cell.Tier
	step int64
}

type cellValue struct {
	stamp  uint64
	packed string
	aging  bool // it may be gone on one node and not yet on the other
}

// cells are all of an origin.
func (s *simulation) cells(n *simNode, id store.OriginID) (cells map[cellID]cellValue, lifetimes map[string]cell.Lifetime) {
	cells, lifetimes = make(map[cellID]cellValue), make(map[string]cell.Lifetime)
	second := (simBase + (s.now + s.offsets[id]).Milliseconds()) / 1000
	kept := [...]int64{70, 880, 3400}
	n.store.Changed(id, 0, store.AllTiers, func(r *store.RowState) bool {
		for _, c := range r.Cells {
			aging := c.Step*c.Tier.Seconds() < second-kept[c.Tier]
			cells[cellID{r.Key, c.Tier, c.Step}] = cellValue{c.Stamp, string(c.Packed), aging}
			if !aging {
				lifetimes[r.Key] = r.Lifetime
			}
		}
		return true
	})
	return cells, lifetimes
}

type simPair struct {
	mine, theirs map[cellID]cellValue
	has, lacks   *simNode
}

func (p *simPair) hasFiner(c cellID) bool {
	for other := range p.theirs {
		if other.key == c.key && other.tier < c.tier && other.step*other.tier.Seconds()/c.tier.Seconds() == c.step {
			return true
		}
	}
	return false
}

func (s *simulation) same(id store.OriginID, a, b *simNode) {
	x, xl := s.cells(a, id)
	y, yl := s.cells(b, id)
	settled := min(s.mark(a, id), s.mark(b, id)) // what came later may be on its way
	for _, pair := range []simPair{{x, y, a, b}, {y, x, b, a}} {
		for cell, v := range pair.mine {
			if v.aging || v.stamp > settled {
				continue
			}
			w, ok := pair.theirs[cell]
			if !ok && pair.hasFiner(cell) {
				continue // a run that ended: each sums the last steps itself, in its time
			}
			if !ok || w.packed != v.packed {
				s.t.Errorf("%v: of %v, %s has %q %d·%d stamped %d, %s has %v stamped %d\n%s\n%s", s.now, id, pair.has.name, cell.key, cell.tier, cell.step,
					v.stamp, pair.lacks.name, ok, w.stamp, s.describe(a, id), s.describe(b, id))
				return
			}
		}
	}
	for key, l := range xl {
		if m, ok := yl[key]; ok && l != m {
			s.t.Errorf("%v: of %v %q, %s has lifetime %v, %s %v", s.now, id, key, a.name, l, b.name, m)
			return
		}
	}
	if len(x) > 0 && a.store.Digest(id) != b.store.Digest(id) {
		s.t.Errorf("%v: of %v, %s has digest %x, %s %x\n%s\n%s", s.now, id, a.name, a.store.Digest(id), b.name, b.store.Digest(id), s.describe(a, id), s.describe(b, id))
	}
}

func (s *simulation) mark(n *simNode, id store.OriginID) uint64 {
	st, _ := n.status(id)
	if st.ID.Node == "" { // nobody spoke of it
		return math.MaxUint64
	}
	return max(st.Mark, st.Ahead)
}

func (s *simulation) describe(n *simNode, id store.OriginID) string {
	if id == n.own.ID {
		return fmt.Sprintf("%s: %+v", n.name, n.own)
	}
	return fmt.Sprintf("%s: %s; since start %v", n.name, n.rules.Describe(id), s.elapsed(n))
}
