package httpapi_test

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"remuda/httpapi"
	"remuda/store/cell"
)

// scrape reads the exposition.
func (n *testNode) scrape() map[string]*dto.MetricFamily {
	n.tb.Helper()
	_, _, body := n.get("/metrics")
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(body))
	if err != nil {
		n.tb.Fatal(err)
	}
	return families
}

// renamed is a cluster whose figures have names that nobody else has heard of.
type renamed struct{}

func (renamed) Reasons() []string { return nil }

func (renamed) Find(context.Context, string) {}

func (renamed) Figures(yield func(name, help string, value float64)) {
	yield("remuda_cluster_whispers_total", "Whispers heard.", 3)
	yield("remuda_cluster_ears", "Ears.", 2)
}

// TestClusterNamesItsFigures: the cluster alone says what its figures are called.
func TestClusterNamesItsFigures(t *testing.T) {
	n := newTestNode(t, func(o *httpapi.Options) { o.Cluster = renamed{} })
	status, _, text := n.get("/metrics")
	if status != http.StatusOK {
		t.Fatalf("%d %s", status, text)
	}
	families := n.scrape()
	whispers, ears := families["remuda_cluster_whispers_total"], families["remuda_cluster_ears"]
	if whispers.GetHelp() != "Whispers heard." || len(whispers.GetMetric()) != 1 || whispers.GetMetric()[0].GetCounter().GetValue() != 3 {
		t.Errorf("%v", whispers)
	}
	if ears.GetHelp() != "Ears." || len(ears.GetMetric()) != 1 || ears.GetMetric()[0].GetGauge().GetValue() != 2 {
		t.Errorf("%v", ears)
	}
	if families["remuda_events_accepted_total"] == nil || families["go_goroutines"] == nil {
		t.Error("what is not of the cluster is missing")
	}
}

// sets are the values of a counter by the values of its labels.
func sets(f *dto.MetricFamily) map[string]float64 {
	values := make(map[string]float64)
	for _, m := range f.GetMetric() {
		var labels []string
		for _, l := range m.GetLabel() { // by name: chain, profile, provider_id, transport
			labels = append(labels, l.GetValue())
		}
		values[strings.Join(labels, " ")] = m.GetCounter().GetValue()
	}
	return values
}

const otherSet = "__other__ __other__ __other__ __other__"

// TestExposedSets: a bounded exposition shows the living, adds up to what was accepted,
// keeps what it showed as long as that lives, and has no counter that goes back.
func TestExposedSets(t *testing.T) {
	const limit = 4
	n := newTestNode(t, func(o *httpapi.Options) { o.MaxExposed = limit })
	rng := rand.New(rand.NewPCG(12, 5))
	before := make(map[string]float64)
	seen := make(map[string]time.Duration) // when a provider last had a call
	clock, accepted := time.Duration(0), 0.0
	for step := range 150 {
		for range rng.IntN(4) {
			provider := fmt.Sprintf("p%d", rng.IntN(8))
			n.post(http.StatusAccepted, decision("c", provider, fmt.Sprintf(`,"weight":%d`, 1+rng.IntN(9)))) // of a sum that is not the number of lines
			seen["c default "+provider+" http"] = clock
		}
		pass := time.Duration(rng.IntN(30)) * time.Minute
		if rng.IntN(20) == 0 {
			pass += 2 * time.Hour // all age out
		}
		n.pass(pass)
		clock += pass
		n.rows("/api/v1/providers")

		families := n.scrape()
		calls := sets(families["remuda_calls_total"])
		sum, samples := 0.0, 0.0
		for _, v := range calls {
			sum += v
		}
		for _, v := range sets(families["remuda_samples_total"]) {
			samples += v
		}
		_, hasOthers := calls[otherSet]
		if len(calls) > limit+1 || len(calls) == limit+1 && !hasOthers {
			t.Fatalf("step %d: %d sets: %v", step, len(calls), calls)
		}
		if want := sets(families["remuda_events_accepted_total"])[""]; samples != want {
			t.Fatalf("step %d: %v lines exposed, %v accepted", step, samples, want)
		}
		if sum < accepted {
			t.Fatalf("step %d: the sum went from %v to %v", step, accepted, sum)
		}
		accepted = sum
		living := 0
		for set, at := range seen {
			if clock-at < 50*time.Minute { // what is older may be on its way out
				living++
				was, exposed := before[set]
				if now, still := calls[set]; exposed && (now < was || !still) {
					t.Fatalf("step %d: %s lives and went from %v to %v", step, set, was, now)
				}
			}
		}
		for set := range calls {
			if clock-seen[set] > 65*time.Minute && set != otherSet && living >= limit {
				t.Fatalf("step %d: %s is dead and exposed although %d live", step, set, living)
			}
		}
		if calls[otherSet] < before[otherSet] {
			t.Fatalf("step %d: the others went from %v to %v", step, before[otherSet], calls[otherSet])
		}
		before = calls
	}
	if before[otherSet] == 0 {
		t.Error("nothing was ever beyond the bound")
	}
	for _, row := range n.rows("/api/v1/limits") {
		if row["key"] == "exposed_label_sets" && row["limit"] != float64(limit) {
			t.Errorf("%v", row)
		}
	}
}

// TestBusiestExposed: of sets that were not exposed before, those with most calls come
// first, not those with the first names.
func TestBusiestExposed(t *testing.T) {
	n := newTestNode(t, func(o *httpapi.Options) { o.MaxExposed = 2 })
	for i := range 6 {
		n.post(http.StatusAccepted, decision("c", fmt.Sprintf("p%d", i), fmt.Sprintf(`,"weight":%d`, 10+i)))
	}
	families := n.scrape()
	calls := sets(families["remuda_calls_total"])
	if len(calls) != 3 || calls["c default p5 http"] != 15 || calls["c default p4 http"] != 14 || calls[otherSet] != 10+11+12+13 {
		t.Errorf("%v", calls)
	}
	if families["remuda_exposition_truncated"].GetMetric()[0].GetGauge().GetValue() != 1 {
		t.Error("it does not say that there is more")
	}
}

// TestEveryFigureIsExposed: every figure that calls add to is exposed under its own name,
// and goes on where it was when what was counted ages out.
func TestEveryFigureIsExposed(t *testing.T) {
	n := newTestNode(t, func(o *httpapi.Options) { o.MaxExposed = 1 })
	failed := func(weight int, category string) string {
		return strings.Replace(decision("c", "p", fmt.Sprintf(`,"weight":%d,"error_category":%q`, weight, category)), "success", "error", 1)
	}
	for times := range 2 {
		n.post(http.StatusAccepted, decision("c", "p", `,"weight":1000,"failover_count":3`), failed(20, "timeout"), failed(7, "invalid_params"),
			decision("c", "q", `,"weight":100,"failover_count":1,"attempts":[{"provider_id":"p","error_category":"timeout","duration_ms":5}]`),
			decision("c", "p", `,"weight":50,"reason":"hedge"`),
			decision("c", "q", `,"weight":300,"attempts":[{"provider_id":"p","result":"cancelled","reason":"hedge","duration_ms":5}]`),
			decision("c", "q", `,"weight":200,"attempts":[{"provider_id":"p","result":"not_sent","duration_ms":0}]`))
		families := n.scrape()
		want := map[string]float64{
			"calls": 1477, "call_errors": 127, "provider_errors": 120, "requests": 1077, "request_errors": 27, "failovers": 3000, "samples": 6,
			"cut_off_calls": 300, "not_sent": 200, "hedged_calls": 350, "hedge_wins": 50,
		}
		if len(want) != len(cell.Measures) {
			t.Errorf("%d figures are known here, and there are %d", len(want), len(cell.Measures))
		}
		for name, figure := range want {
			if got := sets(families["remuda_"+name+"_total"])["c default p http"]; got != figure*float64(times+1) {
				t.Errorf("round %d: %s is %v, want %v", times, name, got, figure*float64(times+1))
			}
		}
		for i, m := range families["remuda_call_latency_seconds"].GetMetric() { // of the others, then of p
			s, count := m.GetSummary(), [...]uint64{600, 1050}[i]*uint64(times+1)
			if s.GetSampleCount() != count || math.Abs(s.GetSampleSum()-0.005*float64(count)) > 1e-9 {
				t.Errorf("round %d: %v, want %d latencies of 5 ms", times, m, count)
			}
		}
		n.pass(2 * time.Hour)
		n.rows("/api/v1/providers")
	}

	// What q had counted before it took the place of p stays with the others.
	n.post(http.StatusAccepted, decision("c", "q", `,"weight":9`))
	n.scrape()
	n.post(http.StatusAccepted, decision("c", "q", `,"weight":7`))
	for _, m := range n.scrape()["remuda_call_latency_seconds"].GetMetric() {
		if s := m.GetSummary(); m.GetLabel()[2].GetValue() == "q" && (s.GetSampleCount() != 7 || math.Abs(s.GetSampleSum()-0.035) > 1e-9) {
			t.Errorf("%v, want 7 latencies of 5 ms", m)
		}
	}
}
