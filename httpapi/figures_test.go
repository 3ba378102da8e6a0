package httpapi

import (
	"testing"

	"remuda/store"
	"remuda/store/cell"
)

// TestColumnsOfFigures: each figure is in the column of its name, of rows and of series.
func TestColumnsOfFigures(t *testing.T) {
	p := store.Point{At: 1000, Known: true, CoveredMillis: 2000, Figures: store.Figures{
		Counts:     cell.Counts{Calls: 1000, Errors: 250, ProviderErrors: 200, Requests: 3, RequestErrors: 4, Failovers: 5, Samples: 6},
		Latencies:  cell.Latencies{Avg: 7000, P50: 8000, P90: 9000, P95: 10_000, P99: 11_000, Max: 12_000, FailureP95: 13_000},
		Categories: []cell.CategoryCount{{Category: "timeout", Count: 250}}, ScopeCalls: 2000, LastSeenAt: 14,
	}}
	var r record
	r.reset("key")
	r.figures(&p.Figures, p.CoveredMillis)
	columns := map[string]string{
		"total_calls": "1000", "error_count": "250", "provider_error_count": "200", "requests": "3", "request_errors": "4",
		"failover_count": "5", "samples": "6", "success_rate_pct": "75", "availability_pct": "80", "traffic_pct": "50",
		"calls_per_second": "500", "avg_latency_ms": "7", "p50_latency_ms": "8", "p90_latency_ms": "9", "p95_latency_ms": "10",
		"p99_latency_ms": "11", "max_latency_ms": "12", "failure_p95_latency_ms": "13",
		"errors_by_category": `{"timeout":250}`, "last_seen_at": "14",
	}
	for name, want := range columns {
		if got := string(r.find(name)); got != want {
			t.Errorf("in rows %s is %s, want %s", name, got, want)
		}
	}
	if len(columns) != len(figureColumns) {
		t.Errorf("%d columns, %d known here", len(figureColumns), len(columns))
	}
	for _, metric := range seriesMetrics {
		if got := string(appendMetric(nil, metric, &p)); got != columns[metric] {
			t.Errorf("in series %s is %s, want %s", metric, got, columns[metric])
		}
	}
	p.Known = false
	if got := string(appendMetric(nil, "total_calls", &p)); got != "null" {
		t.Errorf("what is not known is %s", got)
	}
}
