package browser

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

func sample(t *testing.T) []string {
	b, err := os.ReadFile("../../docs/sample.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(b)), "\n")
}

// shown is the cells of a table as they are shown, by row and head, with titles.
type shown map[string]map[string][2]string

func (p *page) table(id string) shown {
	p.tb.Helper()
	return eval[shown](p, fmt.Sprintf(`(() => {
		const t = document.querySelector('#table-%s table');
		const heads = [...t.querySelectorAll('thead th')].map((c) => c.innerText.replace(/ [▲▼]$/, '').trim());
		return Object.fromEntries([...t.querySelectorAll('tbody tr')].map((r) => [r.dataset.key,
			Object.fromEntries([...r.cells].map((c, i) => [heads[i], [c.innerText.trim(), c.title]]))]));
	})()`, id))
}

// number reads a figure as it is shown; — is NaN.
func number(text string) float64 {
	f, err := strconv.ParseFloat(strings.NewReplacer(",", "", "−", "-").Replace(strings.Fields(text + " ")[0]), 64)
	if err != nil {
		return math.NaN()
	}
	return f
}

// eventually tries again while the page and the node may be a frame apart.
func eventually(t *testing.T, what string, differs func() string) {
	t.Helper()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(20 * time.Second); ; <-ticker.C {
		d := differs()
		if d == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %s", what, d)
		}
	}
}

// compare looks for columns whose title does not have the digits that REST gives,
// or whose text is not that number, rounded.
func compare(rows map[string]map[string]any, got shown, columns map[string]string) string {
	if len(rows) != len(got) {
		return fmt.Sprintf("%d rows are shown, of %d", len(got), len(rows))
	}
	for key, row := range rows {
		for head, field := range columns {
			cell := got[key][head]
			want := row[field]
			if want == nil {
				if cell[0] != "—" {
					return fmt.Sprintf("%s %s: no data is shown as %q", key, head, cell[0])
				}
				continue
			}
			exact := want.(float64)
			if math.Abs(number(cell[0])-exact) > 0.051 {
				return fmt.Sprintf("%s %s is %v and shown as %q", key, head, exact, cell[0])
			}
			if digits := ": " + strconv.FormatFloat(exact, 'f', -1, 64) + ". "; !strings.Contains(cell[1], digits) {
				return fmt.Sprintf("%s %s is %v, and its title says %q", key, head, exact, cell[1])
			}
		}
	}
	return ""
}

// TestEqualsREST: what the page shows is what REST says, to the digit.
func TestEqualsREST(t *testing.T) {
	n := startNode(t)
	n.post(sample(t)...)
	p := openPage(t, n, "/?view=providers&window=5m")
	p.shows("rows", `document.querySelectorAll('#table-providers tbody tr').length > 3`)
	columns := map[string]string{
		"Calls": "total_calls", "Success %": "success_rate_pct", "p50 ms": "p50_latency_ms", "p95 ms": "p95_latency_ms", "p99 ms": "p99_latency_ms",
		"Lag": "block_lag_blocks", "Traffic %": "traffic_pct",
	}
	eventually(t, "providers", func() string { return compare(n.rows("providers?window=5m"), p.table("providers"), columns) })
	for key, cells := range p.table("providers") {
		if title := cells["Calls"][1]; !strings.Contains(title, "Window 5 min") || !strings.Contains(title, "nodes 1/1") {
			t.Errorf("%s: the title of calls says nothing of window or coverage: %q", key, title)
		}
	}

	p.do("chains", chromedp.Navigate(n.url+"/?view=chains&window=5m"))
	p.shows("heights", `document.querySelectorAll('#table-heights tbody tr').length > 3`)
	eventually(t, "chains", func() string {
		return compare(n.rows("providers?window=5m"), p.table("heights"), map[string]string{"Height": "block_height", "Lag": "block_lag_blocks", "Traffic %": "traffic_pct"})
	})

	p.do("overview", chromedp.Navigate(n.url+"/?window=5m"))
	p.shows("tiles", `document.querySelectorAll('.tile .value').length === 7 && document.querySelectorAll('.matrix td a').length > 3`)
	eventually(t, "tiles", func() string {
		row := n.rows("profiles?profile=default&window=5m")["default"]
		values := eval[[]string](p, `[...document.querySelectorAll('.tile .value')].map((v) => v.innerText)`)
		for i, field := range map[int]string{1: "success_rate_pct", 2: "p50_latency_ms", 3: "p95_latency_ms", 4: "p99_latency_ms"} {
			want, known := row[field].(float64) // percentiles may not be, where calls were cut off
			if known && math.Abs(number(values[i])-want) > 0.051 || !known && values[i] != "—" {
				return fmt.Sprintf("%s is %v and shown as %q", field, row[field], values[i])
			}
		}
		return ""
	})
	eventually(t, "matrix", func() string {
		cells := eval[map[string]string](p, `Object.fromEntries([...document.querySelectorAll('.matrix td[data-key]')].map((c) => [c.dataset.key, c.querySelector('a').title]))`)
		for key, row := range n.rows("providers?window=5m") {
			want := "no data"
			if v, ok := row["p95_latency_ms"].(float64); ok {
				want = strconv.FormatFloat(v, 'f', -1, 64)
			}
			if !strings.Contains(cells[key], "p95 "+want+" ms") {
				return fmt.Sprintf("%s has p95 %s, and its title is %q", key, want, cells[key])
			}
		}
		return ""
	})
}

// TestProviderEqualsREST: so do the tables and the heat map of one provider.
func TestProviderEqualsREST(t *testing.T) {
	n := startNode(t)
	n.post(sample(t)...)
	p := openPage(t, n, "/?view=provider&chain=ethereum&provider=alchemy_primary&window=5m")
	p.shows("tables", `document.querySelectorAll('#table-methods tbody tr').length > 3 && document.querySelector('r-heat')?.model`)
	const one = "chain=ethereum&provider_id=alchemy_primary&window=5m"
	eventually(t, "regions", func() string {
		return compare(n.rows("regions?"+one), p.table("regions"), map[string]string{"Success %": "success_rate_pct", "p50 ms": "p50_latency_ms", "p95 ms": "p95_latency_ms"})
	})
	eventually(t, "methods", func() string {
		return compare(n.rows("methods?sort=-total_calls&limit=10&"+one), p.table("methods"), map[string]string{"Calls": "total_calls", "Success %": "success_rate_pct", "avg ms": "avg_latency_ms", "p95 ms": "p95_latency_ms"})
	})
	eventually(t, "errors and the heat map", func() string {
		row := n.rows("providers?" + one)["ethereum/alchemy_primary"]
		got := p.table("errors")
		categories := row["errors_by_category"].(map[string]any)
		if len(got) != len(categories) {
			return fmt.Sprintf("%d categories are shown, of %d", len(got), len(categories))
		}
		for category, count := range categories {
			if shown := got[category]["Errors"][0]; number(shown) != count.(float64) {
				return fmt.Sprintf("%s: %v is shown as %q", category, count, shown)
			}
		}
		successes := eval[float64](p, `document.querySelector('r-heat').model.cells.reduce((n, step) => n + [...step.values()].reduce((a, b) => a + b, 0), 0)`)
		if want := row["total_calls"].(float64) - row["error_count"].(float64); successes != want {
			return fmt.Sprintf("the heat map has %v of %v successes", successes, want)
		}
		return ""
	})
}

// TestAged: numbers that nothing was added to for half a minute look it.
func TestAged(t *testing.T) {
	n := startNode(t)
	past := func(ago time.Duration) string {
		return fmt.Sprintf(`,"ts":%d`, time.Now().Add(-ago).UnixMilli())
	}
	n.post(decision("base", "fresh", "success", 10, ""), decision("base", "old", "success", 10, past(40*time.Second)))
	p := openPage(t, n, "/?window=5m")
	p.shows("the matrix", `document.querySelector('.matrix td.aged[data-key="base/old"]') && document.querySelector('.matrix td[data-key="base/fresh"]:not(.aged)')`)
	p.navigate(n.url + "/?view=providers&window=5m")
	p.shows("the table", `document.querySelector('tr[data-key="base/old"] td:last-child.warn') && document.querySelector('tr[data-key="base/fresh"] td:last-child:not(.warn)')`)
}

// TestAbsence: — is no data, 0 is zero, and few calls say how few.
func TestAbsence(t *testing.T) {
	n := startNode(t)
	n.post(decision("base", "few", "success", 12.5, ""), `{"type":"block","chain":"base","provider_id":"idle","height":7}`, `{"type":"block","chain":"base","provider_id":"few","height":7}`, decision("base", "failed", "error", 3, ""))
	p := openPage(t, n, "/")
	p.shows("open circuits are not known when nobody reports any", `[...document.querySelectorAll('.tile .value')].at(-1)?.innerText === '—' && document.querySelector('.matrix td')`)
	n.post(`{"type":"circuit","chain":"base","provider_id":"few","to":"closed"}`)
	p.shows("now they are, and none is open", `[...document.querySelectorAll('.tile .value')].at(-1)?.innerText === '0'`)
	p.navigate(n.url + "/?view=providers")
	p.shows("rows", `document.querySelectorAll('#table-providers tbody tr').length === 3`)
	rows := p.table("providers")
	for key, want := range map[string]map[string]string{
		"base/few":    {"p95 ms": "12.5 n=1", "Calls": "1", "Lag": "0"},
		"base/idle":   {"Calls": "0", "Success %": "—", "p95 ms": "—", "Lag": "0", "Traffic %": "0.0"},
		"base/failed": {"Success %": "0.00", "p95 ms": "—", "Lag": "—"},
	} {
		for head, text := range want {
			if got := rows[key][head][0]; got != text {
				t.Errorf("%s %s is shown as %q; want %q", key, head, got, text)
			}
		}
	}
}

// TestSeam: the points of a chart come from the node's memory at first and from
// the stream then, and there is neither a gap nor a double where they meet.
func TestSeam(t *testing.T) {
	n := startNode(t)
	n.post(decision("base", "p", "success", 10, ""))
	p := openPage(t, n, "/?view=provider&chain=base&provider=p")
	p.shows("a chart", `document.querySelector('r-chart')?.model?.at.length > 50`)
	began := time.Now()
	ticker := time.NewTicker(250 * time.Millisecond)
	defer ticker.Stop()
	for i := 0; time.Since(began) < 5*time.Second; i++ {
		n.post(decision("base", "p", "success", float64(10+i), ""))
		<-ticker.C
	}
	eventually(t, "points", func() string {
		at := eval[[]int64](p, `document.querySelector('r-chart').model.at`)
		for i := 1; i < len(at); i++ {
			if at[i]-at[i-1] != 1000 {
				return fmt.Sprintf("from %d to %d", at[i-1], at[i])
			}
		}
		values := eval[[]*float64](p, `document.querySelector('r-chart').model.lines[1].values`)
		got := make(map[int64]*float64)
		for i := range at {
			got[at[i]] = values[i]
		}
		var doc struct {
			Series []struct{ Points [][2]*float64 }
		}
		body := n.get("series?chain=base&provider_id=p&by=chain&metric=p95_latency_ms")
		if err := json.Unmarshal(body, &doc); err != nil {
			return err.Error()
		}
		list := doc.Series[0].Points
		known := 0
		for _, point := range list[2 : len(list)-1] {
			v, there := got[int64(*point[0])]
			if !there || (v == nil) != (point[1] == nil) || v != nil && *v != *point[1] {
				return fmt.Sprintf("at %.0f the page has %v", *point[0], v)
			}
			if v != nil {
				known++
			}
		}
		if known < 5 {
			return fmt.Sprintf("%d points have a value", known)
		}
		return ""
	})
}
