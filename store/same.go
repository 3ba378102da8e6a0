package store

import "slices"

// sameRow reports whether two rows say the same.
func sameRow(a, b *Row) bool {
	if a.Key != b.Key || !sameFigures(&a.Figures, &b.Figures) || (a.Provider == nil) != (b.Provider == nil) ||
		!samePrevious(a.Previous, b.Previous) || len(a.Regions) != len(b.Regions) || len(a.Methods) != len(b.Methods) {
		return false
	}
	if a.Provider != nil && !sameState(a.Provider, b.Provider) {
		return false
	}
	for i := range a.Regions {
		if !sameRow(&a.Regions[i], &b.Regions[i]) {
			return false
		}
	}
	for i := range a.Methods {
		if !sameRow(&a.Methods[i], &b.Methods[i]) {
			return false
		}
	}
	return true
}

func sameFigures(a, b *Figures) bool {
	x, y := *a, *b
	x.Categories, y.Categories = nil, nil
	return slices.Equal(a.Categories, b.Categories) && sameScalars(&x, &y)
}

func sameScalars(a, b *Figures) bool {
	return a.Calls == b.Calls && a.Errors == b.Errors && a.ProviderErrors == b.ProviderErrors && a.Requests == b.Requests &&
		a.RequestErrors == b.RequestErrors && a.Failovers == b.Failovers && a.Samples == b.Samples && a.Avg == b.Avg &&
		a.P50 == b.P50 && a.P90 == b.P90 && a.P95 == b.P95 && a.P99 == b.P99 && a.Max == b.Max &&
		a.FailureP95 == b.FailureP95 && a.ScopeCalls == b.ScopeCalls && a.LastSeenAt == b.LastSeenAt
}

func sameState(a, b *ProviderState) bool {
	x, y := *a, *b
	x.StatusReasons, y.StatusReasons = nil, nil
	return slices.Equal(a.StatusReasons, b.StatusReasons) && x.equal(&y)
}

func (p *ProviderState) equal(o *ProviderState) bool {
	return p.Circuit == o.Circuit && p.CircuitsOpen == o.CircuitsOpen && p.CircuitsKnown == o.CircuitsKnown &&
		p.HasHeight == o.HasHeight && p.Height == o.Height && p.HasLag == o.HasLag && p.LagBlocks == o.LagBlocks &&
		p.BlocksAhead == o.BlocksAhead && p.HasHealth == o.HasHealth &&
		p.Health == o.Health && p.Failures == o.Failures && p.RegionsReporting == o.RegionsReporting && p.Status == o.Status && p.SilentSince == o.SilentSince
}

func samePrevious(a, b *Figures) bool {
	return a == nil && b == nil || a != nil && b != nil && sameFigures(a, b)
}
