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
	return a.Counts == b.Counts && a.Latencies == b.Latencies && a.ScopeCalls == b.ScopeCalls && a.LastSeenAt == b.LastSeenAt &&
		slices.Equal(a.Categories, b.Categories)
}

func sameState(a, b *ProviderState) bool {
	return a.Circuit == b.Circuit && a.CircuitsOpen == b.CircuitsOpen && a.CircuitsKnown == b.CircuitsKnown &&
		a.HasHeight == b.HasHeight && a.Height == b.Height && a.HasLag == b.HasLag && a.LagBlocks == b.LagBlocks &&
		a.BlocksAhead == b.BlocksAhead && a.HasHealth == b.HasHealth && a.Health == b.Health && a.Failures == b.Failures &&
		a.RegionsReporting == b.RegionsReporting && a.Status == b.Status && a.SilentSince == b.SilentSince &&
		slices.Equal(a.StatusReasons, b.StatusReasons)
}

func samePrevious(a, b *Figures) bool {
	return a == nil && b == nil || a != nil && b != nil && sameFigures(a, b)
}
