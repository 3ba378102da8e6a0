package cell

import "time"

// A Tier is one of the lengths of step that cells have. Each tier is independent of the
// others: once a step has closed, the node that counted sums its finer cells into one
// coarser cell.
type Tier int8

// The tiers, the finest first.
const (
	Tier1s Tier = iota
	Tier10s
	Tier60s
	NumTiers
)

var (
	tierSeconds = [NumTiers]int64{1, 10, 60}
	tierKept    = [NumTiers]int64{80, 97, 61}
	tierRatio   = [NumTiers]int64{0, tierSeconds[Tier10s] / tierSeconds[Tier1s], tierSeconds[Tier60s] / tierSeconds[Tier10s]}
)

// Seconds is the length of a step.
func (t Tier) Seconds() int64 { return tierSeconds[t] }

// Kept is how many steps are kept, the running one included.
func (t Tier) Kept() int64 { return tierKept[t] }

// Ratio is how many steps of the tier below make one step.
func (t Tier) Ratio() int64 { return tierRatio[t] }

// StepAt is the step that a second falls into.
func (t Tier) StepAt(second int64) int64 { return second / tierSeconds[t] }

// KeptFrom is the first step that is kept at a second.
func (t Tier) KeptFrom(second int64) int64 { return t.StepAt(second) - tierKept[t] + 1 }

// A Window is one of the lengths of time that totals are kept for: the running step and
// the whole steps before it that make up its length.
type Window uint8

// The windows. They slide by 1 s steps (10s and 1m), 10 s steps (5m and 15m) and 60 s
// steps (1h).
const (
	Window10s Window = iota
	Window1m
	Window5m
	Window15m
	Window1h
	NumWindows
)

var (
	windowNames = [NumWindows]string{"10s", "1m", "5m", "15m", "1h"}
	windowTier  = [NumWindows]Tier{Tier1s, Tier1s, Tier10s, Tier10s, Tier60s}
	windowSteps = [NumWindows]int64{10, 60, 30, 90, 60}
)

func (w Window) String() string { return windowNames[w] }

// Tier is the tier whose steps the window slides by.
func (w Window) Tier() Tier { return windowTier[w] }

// Steps is how many whole steps the window has besides the running one.
func (w Window) Steps() int64 { return windowSteps[w] }

// Start is the first step of the window at a second. A window has no upper edge.
func (w Window) Start(second int64) int64 { return windowTier[w].StepAt(second) - windowSteps[w] }

// Length is the nominal length of the window.
func (w Window) Length() time.Duration {
	return time.Duration(windowSteps[w]*tierSeconds[windowTier[w]]) * time.Second
}
