package store

import "remuda/store/cell"

// previousSpan is the time before a window that it is compared with: whole steps
// of a tier that is kept for long enough, of the window's length, the newest of
// them over when the window begins. For 1m and 15m the steps are coarser than
// those the window slides by, so the span ends up to 10 s or 60 s before it. There
// is none before 1h.
func previousSpan(w cell.Window, second int64) (tier cell.Tier, from, to int64, ok bool) {
	start := w.Start(second) * w.Tier().Seconds()
	switch w {
	case cell.Window10s:
		tier = cell.Tier1s
	case cell.Window1m, cell.Window5m:
		tier = cell.Tier10s
	case cell.Window15m:
		tier = cell.Tier60s
	default:
		return 0, 0, 0, false
	}
	to = start / tier.Seconds()
	return tier, to - int64(w.Length().Seconds())/tier.Seconds(), to, true
}

// addPreviousTo adds what the row counted in the time before a window to a sum.
func (r *row) addPreviousTo(sum *cell.Cell, w cell.Window) {
	base, from, to, ok := previousSpan(w, r.origin.now)
	if !ok {
		return
	}
	end := to * base.Seconds()
	r.eachCell(base, from, func(tier cell.Tier, e cell.Entry) {
		if int64(e.Step)*tier.Seconds() < end {
			scratch := r.origin.scratch()
			r.unpackInto(scratch, e.Packed)
			sum.Merge(scratch)
			r.origin.release(scratch)
		}
	}, func(l *liveCell) {
		if l.step*l.tier.Seconds() < end {
			sum.Merge(l.Flush())
		}
	})
}

// previousMoves brings the span that rows are compared with up to a second, and
// reports whether it has moved: then every group is to be summed again. The span
// is known only when the whole of it is.
func (t *Table) previousMoves(second int64) bool {
	if !t.query.Compare {
		return false
	}
	tier, from, to, ok := previousSpan(t.query.Window, second)
	known := false
	if ok {
		begin, end := from*tier.Seconds()*1000, to*tier.Seconds()*1000
		known = t.store.knownTime(t.query.Filter[ProfileDim], begin, end).within(begin, end) == end-begin
	}
	if to == t.previousEnd && known == t.previousKnown {
		return false
	}
	t.previousEnd, t.previousKnown = to, known
	for _, g := range t.groups {
		g.dirty = true
	}
	return true
}

// totalPrevious sums what the members of a group counted before the window.
func (t *Table) totalPrevious(g *group) {
	if !t.previousKnown {
		return
	}
	node := g.dims[NodeDim]
	for _, m := range g.members {
		sh := &t.store.shards[shardOf(m.hash)]
		sh.mu.Lock()
		for _, r := range m.rows {
			if (node == "" || node == r.origin.name) && matches(t.query.Filter[NodeDim], r.origin.name) {
				r.addPreviousTo(&t.part, t.query.Window)
			}
		}
		sh.mu.Unlock()
	}
	t.store.figures(&g.previous, &t.part)
	t.part.Reset()
}

// previousOf is the figures of a group's row before the window, nil when they
// were not asked for or are not known.
func (t *Table) previousOf(g *group) *Figures {
	if !t.query.Compare || !t.previousKnown {
		return nil
	}
	f := g.previous
	f.ScopeCalls = t.previousScopes[g.scope]
	return &f
}

// previousMoved reports whether the scope of a row's previous figures has changed.
func (t *Table) previousMoved(g *group) bool {
	if p := g.row.Previous; p != nil {
		return p.ScopeCalls != t.previousScopes[g.scope]
	}
	return false
}
