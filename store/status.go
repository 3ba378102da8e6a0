package store

import "fmt"

// The thresholds of a provider's status. They are those of the gateways'
// dashboards where these have one; minCalls keeps small numbers from alarming.
const (
	rateLimitCalls   = 5
	rateLimitShare   = 10 // percent of calls
	minCalls         = 20
	failingBelow     = 50 // percent availability
	degradedBelow    = 95
	degradedP95      = 1_000_000 // µs
	degradedFailures = 3
	laggingBelow     = -10 // blocks
)

// statusOf sums a provider up: the first rule that matches, most alarming first.
// Every matching rule up to lagging is a reason.
func statusOf(f *Figures, p *ProviderState) (Status, []string) {
	status := StatusUnknown
	var reasons []string
	match := func(s Status, format string, args ...any) {
		status = min(status, s)
		reasons = append(reasons, fmt.Sprintf(format, args...))
	}
	if p.CircuitsOpen > 0 {
		match(StatusCircuitOpen, "%d of %d circuits open", p.CircuitsOpen, p.CircuitsKnown)
	}
	ended := f.Ended() // what was cut off says nothing
	limited := uint64(0)
	for _, c := range f.Categories {
		if c.Category == "rate_limit" {
			limited = c.Count
		}
	}
	if ended >= rateLimitCalls && share(limited, ended) >= rateLimitShare {
		match(StatusRateLimited, "%.1f %% of calls rate limited", share(limited, ended))
	}
	for transport, state := range p.Circuit {
		if state == CircuitHalfOpen {
			match(StatusRecovering, "%s circuit half open", Transport(transport))
		}
	}
	availability := 100 - share(f.ProviderErrors, ended)
	switch {
	case ended >= minCalls && availability < failingBelow:
		match(StatusFailing, "availability %.2f %%", availability)
	case ended >= minCalls && availability < degradedBelow:
		match(StatusDegraded, "availability %.2f %%", availability)
	}
	if p.HasHealth && p.Health >= Degraded {
		match(StatusDegraded, "reported %s", p.Health)
	}
	if p.HasHealth && p.Failures >= degradedFailures {
		match(StatusDegraded, "%d consecutive failures", p.Failures)
	}
	if ended >= minCalls && f.P95 > degradedP95 {
		match(StatusDegraded, "p95 %d ms", (f.P95+500)/1000)
	}
	if p.BlocksAhead > 0 {
		match(wrongHeight(p.BlocksAhead, true))
	}
	if p.Lags() {
		match(wrongHeight(p.LagBlocks, false))
	}
	if status == StatusUnknown && (ended > 0 || p.HasHealth && p.Health == Healthy) {
		status = StatusHealthy
	}
	return status, reasons
}

// Lags reports whether a provider is further behind than one that is to be used.
func (p *ProviderState) Lags() bool { return p.HasLag && p.LagBlocks < laggingBelow }

// share is a percentage; 0 of 0 is 0.
func share(part, whole uint64) float64 {
	if whole == 0 {
		return 0
	}
	return 100 * float64(part) / float64(whole)
}
