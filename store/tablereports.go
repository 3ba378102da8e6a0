package store

import "slices"

// What latest values add to a table: rows of providers that have nothing else, and their
// state.

// noteReports brings latest values up to date and makes rows for keys that have
// nothing else. It reports whether any report changed.
func (t *Table) noteReports() bool {
	if !t.wantsReports() {
		return false
	}
	f := t.query.Filter
	revision := t.store.reportsRevision(&f)
	if t.reports != nil && revision == t.noted {
		return false
	}
	t.noted = revision
	before := t.reports
	t.reports = t.store.reportsBy(&f)
	t.chains = make(map[string]struct{})
	for k := range t.reports {
		t.chains[k.chain] = struct{}{}
		t.reportGroup(k, true)
	}
	for k := range before {
		if t.reports[k] == nil {
			if g := t.reportGroup(k, false); g != nil {
				g.dirty = true // perhaps nothing is left of it
			}
		}
	}
	return true
}

// wantsReports holds for tables whose rows a latest value keeps alive: those
// grouped by chain, with or without provider.
func (t *Table) wantsReports() bool {
	q := &t.query
	for _, d := range q.By {
		if d != ChainDim && d != ProviderDim {
			return false
		}
	}
	return len(q.By) > 0 && q.By[0] == ChainDim && len(q.Filter[MethodDim]) == 0 && len(q.Filter[StrategyDim]) == 0 || q.Providers
}

// reportGroup returns the group that the reports of a provider belong to.
func (t *Table) reportGroup(k providerKey, create bool) *group {
	var dims [NumDims]string
	key := k.chain
	dims[ChainDim] = k.chain
	if slices.Contains(t.query.By, ProviderDim) {
		dims[ProviderDim] = k.provider
		key += "/" + k.provider
	}
	if !create || len(t.query.Filter[MethodDim])+len(t.query.Filter[StrategyDim]) > 0 {
		return t.groups[key]
	}
	return t.rowGroup(dims, k.chain)
}

// reported reports whether a latest value keeps a group alive.
func (t *Table) reported(g *group) bool {
	if t.reports == nil || len(t.query.Filter[MethodDim])+len(t.query.Filter[StrategyDim]) > 0 {
		return false
	}
	if slices.Contains(t.query.By, ProviderDim) {
		return t.reports[providerKey{g.dims[ChainDim], g.dims[ProviderDim]}] != nil
	}
	_, reported := t.chains[g.dims[ChainDim]]
	return reported
}

// providerState joins what was reported about a provider with what was counted.
func providerState(r *providerReports, active []string, f, before *Figures) *ProviderState {
	state := new(ProviderState)
	if r == nil {
		r = new(providerReports)
	}
	state.Circuit = r.circuit
	state.CircuitsOpen, state.CircuitsKnown = r.circuitsOpen, r.circuitsKnown
	state.HasHeight, state.Height = r.hasHeight, r.height
	state.HasLag, state.LagBlocks, state.BlocksAhead = r.hasLag, r.lag, r.ahead
	state.HasHealth, state.Health, state.Failures = r.hasHealth, r.health, r.failures
	state.RegionsReporting = len(r.regions)
	for _, region := range active {
		if _, found := slices.BinarySearch(r.regions, region); !found {
			state.RegionsReporting++
		}
	}
	if state.Status, state.StatusReasons = statusOf(f, state); state.Status >= StatusHealthy {
		state.silent(r.silences, f, before)
	}
	return state
}
