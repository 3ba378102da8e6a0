package store

// Three tiers of cells. Each is independent of the others: once a step has
// closed, the node that counted sums its finer cells into one coarser cell.
const (
	tier1s = iota
	tier10s
	tier60s
	numTiers
)

var (
	// tierSeconds is the length of a step.
	tierSeconds = [numTiers]int64{1, 10, 60}
	// tierKept is how many steps are kept, the running one included.
	tierKept = [numTiers]int64{80, 97, 61}
	// tierRatio is how many steps of the tier below make one step.
	tierRatio = [numTiers]int64{0, tierSeconds[tier10s] / tierSeconds[tier1s], tierSeconds[tier60s] / tierSeconds[tier10s]}
	// windowTier is the tier whose steps a window slides by.
	windowTier = [NumWindows]int{tier1s, tier1s, tier10s, tier10s, tier60s}
	// windowSteps is how many whole steps a window has besides the running one.
	windowSteps = [NumWindows]int64{10, 60, 30, 90, 60}
)

// NumTiers is how many tiers there are.
const NumTiers = numTiers

// TierSeconds is the length of a step of a tier.
func TierSeconds(tier int) int64 { return tierSeconds[tier] }

// stepAt is the step of a tier that a second falls into.
func stepAt(tier int, second int64) int64 { return second / tierSeconds[tier] }

// windowStart is the first step of a window at a second. A window has no upper edge.
func windowStart(w Window, second int64) int64 {
	return stepAt(windowTier[w], second) - windowSteps[w]
}

// keptStart is the first step that a tier keeps at a second.
func keptStart(tier int, second int64) int64 {
	return stepAt(tier, second) - tierKept[tier] + 1
}
