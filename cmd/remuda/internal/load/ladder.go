package load

import (
	"context"
	"fmt"
	"io"
	"time"
)

// Rung is one load of the ladder, with what became of the old design under it.
type Rung struct {
	Group string `json:"group"`
	Old   string `json:"old_verdict"`
	Plan  Plan   `json:"-"`
}

// RungReport is a rung with what became of us.
type RungReport struct {
	Rung
	Report  *Report `json:"report"`
	Verdict string  `json:"verdict"`
}

// The thresholds of the old design: its aggregator was stressed at 1,500 events/s
// and failed past 10,000; a viewer was stressed at 1,000 and failed past 5,000; its
// broadcast failed past 100 viewers; the scenarios ended as their lines say.
func rungs() []Rung {
	rung := func(group, old string, rate, viewers int) Rung {
		return Rung{Group: group, Old: old, Plan: Plan{Name: group, Start: 1, Rate: rate, Viewers: viewers, Series: 60}}
	}
	scenario := func(name, old string) Rung { return Rung{Group: name, Old: old, Plan: Scenarios[name]} }
	return []Rung{
		rung("aggregator", "fine", 500, 1),
		rung("aggregator", "stressed", 1500, 1),
		rung("aggregator", "failing", 10_000, 1),
		rung("aggregator", "failed", 20_000, 1),
		rung("viewer", "fine", 500, 5),
		rung("viewer", "stressed", 1000, 5),
		rung("viewer", "failing", 5000, 5),
		rung("viewer", "failed", 10_000, 5),
		rung("broadcast", "fine", 500, 1),
		rung("broadcast", "fine", 500, 20),
		rung("broadcast", "stressed", 500, 100),
		rung("broadcast", "failed", 500, 200),
		rung("broadcast", "failed", 500, 1000),
		scenario("easy", "fine"),
		scenario("medium", "mailbox never drains, ~500 ms behind"),
		scenario("worst", "out of memory in 5 to 10 minutes"),
	}
}

// What a run has to stay under to be called fine.
const (
	fineAccept = 10 * time.Millisecond // p99
	fineWait   = time.Second           // p99
)

// verdict is ours, in the words of the old one.
func (r *Report) verdict() string {
	switch {
	case !r.OK():
		return "failed"
	case r.Unsent+r.Unanswered+r.RefusedWhole > 0:
		return "failing"
	case r.accept.quantile(0.99) > fineAccept || r.wait.quantile(0.99) > fineWait:
		return "stressed"
	}
	return "fine"
}

// Ladder runs every rung for a time and prints a line of each as it ends. What the
// base plan says besides nodes, rate and viewers holds for all.
func Ladder(ctx context.Context, base Plan, o Options, w io.Writer) ([]RungReport, error) {
	if _, err := fmt.Fprintf(w, "%-11s %6s %9s %8s %11s %11s  %-38s %s\n",
		"", "nodes", "events/s", "viewers", "accept p99", "viewer p99", "the old design", "this one"); err != nil {
		return nil, err
	}
	var reports []RungReport
	for _, rung := range rungs() {
		p := rung.Plan
		p.Duration, p.Seed, p.NodeFlags = base.Duration, base.Seed, base.NodeFlags
		p.ErrorPct, p.FailoverPct = base.ErrorPct, base.FailoverPct
		p.HedgePct, p.ConsensusPct = base.HedgePct, base.ConsensusPct
		report, err := Run(ctx, p, o)
		if err != nil {
			return reports, fmt.Errorf("%s at %d events/s with %d viewers: %w", rung.Group, p.Rate, p.Viewers, err)
		}
		if err := ctx.Err(); err != nil {
			return reports, err
		}
		reports = append(reports, RungReport{rung, report, report.verdict()})
		exact := "exact"
		if !report.OK() {
			exact = "NOT EXACT"
		}
		if _, err := fmt.Fprintf(w, "%-11s %6d %9s %8d %8s ms %8s ms  %-38s %s, %s\n", rung.Group, p.Start, thousands(uint64(p.Rate)), p.Viewers,
			millis(report.accept.quantile(0.99)), millis(report.wait.quantile(0.99)), rung.Old, report.verdict(), exact); err != nil {
			return reports, err
		}
	}
	return reports, nil
}
