package store

import (
	"slices"
	"strings"

	"remuda/store/cell"
)

// What a row says beyond the sum of its group (see total.go): its parts, its share of the
// calls around it, and what was before.

// totalParts sums what else is asked of a group.
func (t *Table) totalParts(g *group) {
	t.totalPrevious(g)
	t.totalBefore(g)
	if t.query.ExpandRegions {
		g.regions = t.split(g, RegionDim)
	}
	if t.query.ExpandMethods && g.counted {
		g.methods = t.split(g, MethodDim)
		slices.SortStableFunc(g.methods, func(a, b Row) int {
			switch {
			case a.Calls > b.Calls:
				return -1
			case a.Calls < b.Calls:
				return 1
			}
			return 0
		})
		g.methods = slices.DeleteFunc(g.methods, func(r Row) bool { return r.Calls == 0 })
		g.methods = g.methods[:min(len(g.methods), maxMethods)]
	}
}

// totalBefore sums the last minutes in which a provider had calls, when it has none in
// the window.
func (t *Table) totalBefore(g *group) {
	g.before = nil
	if !t.query.Providers || g.figures.Calls > 0 || g.figures.LastSeenAt == 0 {
		return
	}
	node := g.dims[NodeDim]
	for _, m := range g.members {
		sh := &t.store.shards[shardOf(m.hash)]
		sh.mu.Lock()
		for _, r := range m.rows {
			if node != "" && node != r.origin.name || !matches(t.query.Filter[NodeDim], r.origin.name) {
				continue
			}
			seen := g.figures.LastSeenAt/1000 + r.origin.skew.Load()
			r.eachCell(cell.Tier60s, cell.Tier60s.StepAt(seen)-1, func(_ cell.Tier, e cell.Entry) {
				scratch := r.origin.scratch()
				r.unpackInto(scratch, e.Packed)
				t.part.Merge(scratch)
				r.origin.release(scratch)
			}, func(l *liveCell) { t.part.Merge(l.Flush()) })
		}
		sh.mu.Unlock()
	}
	g.before = new(Figures)
	t.store.figures(g.before, &t.part)
	g.before.LastSeenAt = t.store.clock.shown(g.figures.LastSeenAt)
	t.part.Reset()
}

// maxMethods is how many methods of a provider are listed.
const maxMethods = 10

// addMembers adds what series of a group counted in the window to a sum.
func (t *Table) addMembers(sum *cell.Cell, g *group, members []*series) (lastSeen int64) {
	node := g.dims[NodeDim]
	for _, m := range members {
		sh := &t.store.shards[shardOf(m.hash)]
		sh.mu.Lock()
		for _, r := range m.rows {
			if node != "" && node != r.origin.name || !matches(t.query.Filter[NodeDim], r.origin.name) {
				continue
			}
			r.addTo(sum, t.query.Window)
			lastSeen = max(lastSeen, r.origin.Local(r.lastSeen))
		}
		sh.mu.Unlock()
	}
	return lastSeen
}

// split sums the members of a group by one more dimension.
func (t *Table) split(g *group, d Dim) []Row {
	by := make(map[string][]*series)
	for _, m := range g.members {
		by[m.dim(d)] = append(by[m.dim(d)], m.series)
	}
	rows := make([]Row, 0, len(by))
	for value, members := range by {
		row := Row{Key: value}
		row.Dims[d] = value
		lastSeen := t.addMembers(&t.part, g, members)
		t.store.figures(&row.Figures, &t.part)
		row.LastSeenAt = t.store.clock.shown(lastSeen)
		t.part.Reset()
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b Row) int { return strings.Compare(a.Key, b.Key) })
	return rows
}

// sumScopes adds up the calls that traffic shares are shares of: by chain, or
// all of them, and the same again by region for the parts of rows.
func (t *Table) sumScopes() {
	clear(t.scopes)
	clear(t.previousScopes)
	for _, g := range t.groups {
		t.scopes[g.scope] += g.figures.Calls
		t.previousScopes[g.scope] += g.previous.Calls
		for i := range g.regions {
			t.scopes[g.scope+"/"+g.regions[i].Key] += g.regions[i].Calls
		}
	}
}

// moved reports whether the scope of a row has changed since it was made.
func (t *Table) moved(g *group) bool {
	if g.row == nil || g.row.ScopeCalls != t.scopes[g.scope] || t.previousMoved(g) {
		return true
	}
	for i := range g.row.Regions {
		if r := &g.row.Regions[i]; r.ScopeCalls != t.scopes[g.scope+"/"+r.Key] {
			return true
		}
	}
	return false
}

// makeRow makes the row of a group from its sums, the scopes and the reports.
func (t *Table) makeRow(g *group) *Row {
	row := &Row{Key: g.key, Dims: g.dims, Figures: g.figures}
	row.LastSeenAt = t.store.clock.shown(g.figures.LastSeenAt)
	row.ScopeCalls = t.scopes[g.scope]
	row.Previous = t.previousOf(g)
	if t.query.ExpandRegions {
		row.Regions = slices.Clone(g.regions)
		for i := range row.Regions {
			row.Regions[i].ScopeCalls = t.scopes[g.scope+"/"+row.Regions[i].Key]
		}
	}
	if t.query.ExpandMethods {
		row.Methods = slices.Clone(g.methods)
		for i := range row.Methods {
			row.Methods[i].ScopeCalls = g.figures.Calls
		}
	}
	if t.query.Providers {
		row.Provider = providerState(t.reports[providerKey{g.dims[ChainDim], g.dims[ProviderDim]}], g.active, &row.Figures, g.before)
	}
	return row
}
