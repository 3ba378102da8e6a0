package httpapi_test

import (
	"fmt"
	"math"
	"net/http"
	"testing"
	"time"
)

// TestRatesInStreams: when what rates divide by moves, streams say so of rows that have
// not changed otherwise; and the parts of a row divide by the same.
func TestRatesInStreams(t *testing.T) { bothWays(t, testRatesInStreams) }

func testRatesInStreams(t *testing.T, start starter) {
	n := start(t, nil)
	n.post(http.StatusAccepted, decision("c", "idle", ""), decision("c", "idle", ""), decision("c", "idle", ""))
	const path = "/api/v1/providers?window=1h&expand=by_region"
	r := n.open(path+"&format=sse&interval=100ms", "")
	defer r.close()
	agree := func(most float64) {
		t.Helper()
		r.until(t, fmt.Sprintf("the rate is at most %v", most), func(event) bool {
			row := r.rows["c/idle"]
			if row == nil || row["calls_per_second"] == nil {
				return false
			}
			streamed := row["calls_per_second"].(float64)
			for _, asked := range n.rows(path) {
				part := asked["by_region"].([]any)[0].(map[string]any)
				if asked["calls_per_second"] != part["calls_per_second"] {
					t.Errorf("the row has %v calls a second, its only region %v", asked["calls_per_second"], part["calls_per_second"])
				}
				if asked["key"] == "c/idle" && math.Abs(streamed-asked["calls_per_second"].(float64)) > 0.11*streamed+0.001 {
					return false
				}
			}
			return streamed <= most
		})
	}
	agree(1e6)
	n.pass(30 * time.Second)
	agree(0.11)
	var lines []string // what was kept for it
	for age := 40 * time.Minute; age > 0; age -= 30 * time.Second {
		lines = append(lines, fmt.Sprintf(`{"ts":%d,"chain":"c","provider_id":"kept","method":"eth_call","duration_ms":5,"result":"success"}`,
			n.store.Now()-age.Milliseconds()))
	}
	n.post(http.StatusAccepted, lines...)
	agree(3/2400. + 0.001)
	if table := n.rows("/api/v1/senders")[0]; table["total_calls"].(float64) > 7 || table["calls_per_second"].(float64) > 0.12 {
		t.Errorf("the sender makes %v calls a second, of %v calls", table["calls_per_second"], table["total_calls"])
	}
}
