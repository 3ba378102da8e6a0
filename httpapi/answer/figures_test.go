package answer

import (
	"slices"
	"testing"

	"remuda/store"
	"remuda/store/cell"
)

// TestColumnsOfFigures: each figure is in the column of its name, of rows and of series,
// and no two are the same.
func TestColumnsOfFigures(t *testing.T) {
	p := store.Point{At: 1000, Known: true, CoveredMillis: 2000, Figures: store.Figures{
		Counts: cell.Counts{
			Calls: 1500, Errors: 250, ProviderErrors: 200, Requests: 3, RequestErrors: 4, Failovers: 5, Samples: 6,
			CutOff: 500, NotSent: 15, Hedges: 16, HedgeWins: 17,
		},
		Latencies:  cell.Latencies{Avg: 7000, P50: 8000, P90: 9000, P95: 10_000, P99: 11_000, Max: 12_000, FailureP95: 13_000},
		Categories: []cell.CategoryCount{{Category: "timeout", Count: 250}}, ScopeCalls: 3000, LastSeenAt: 14,
	}}
	columns := map[string]string{
		"total_calls": "1500", "error_count": "250", "provider_error_count": "200", "requests": "3", "request_errors": "4",
		"failover_count": "5", "samples": "6", "success_rate_pct": "75", "availability_pct": "80", "traffic_pct": "50",
		"calls_per_second": "750", "cut_off_calls": "500", "cut_off_pct": "33.33", "not_sent": "15", "hedged_calls": "16", "hedge_wins": "17", "avg_latency_ms": "7", "p50_latency_ms": "8", "p90_latency_ms": "9", "p95_latency_ms": "10",
		"p99_latency_ms": "11", "max_latency_ms": "12", "failure_p95_latency_ms": "13",
		"errors_by_category": `{"timeout":250}`, "last_seen_at": "14",
	}
	var r Record
	r.reset("key")
	r.figures(&p.Figures, p.CoveredMillis)
	var names []string
	seen := make(map[string]string)
	for _, m := range r.members[1:] {
		names = append(names, m.name)
		got := string(r.find(m.name))
		if want := columns[m.name]; got != want {
			t.Errorf("in rows %s is %s, want %s", m.name, got, want)
		}
		if same := seen[got]; same != "" {
			t.Errorf("%s and %s are the same", m.name, same)
		}
		seen[got] = m.name
		if clock := m.name == "calls_per_second"; m.volatile != clock {
			t.Errorf("%s moves with the clock alone: %v", m.name, m.volatile)
		}
	}
	if !slices.Equal(names, figureColumns) || len(names) != len(columns) {
		t.Errorf("rows have %v, the columns are %v, and %d are known here", names, figureColumns, len(columns))
	}
	for _, metric := range metricNames {
		if got, want := string(appendPoint(nil, figureOf(metric), &p)), "[1000,"+columns[metric]+"]"; got != want {
			t.Errorf("a point of %s is %s, want %s", metric, got, want)
		}
	}
	p.Known = false
	if got := string(appendPoint(nil, figureOf("total_calls"), &p)); got != "[1000,null]" {
		t.Errorf("what is not known is %s", got)
	}
}
