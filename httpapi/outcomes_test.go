package httpapi_test

import (
	"net/http"
	"strings"
	"testing"
)

// TestOutcomes: what a gateway that hedges and compares says of a request,
// alchemy=primary:success:50ms:won; quicknode=hedge:cancelled:48ms; drpc=consensus_slot:success:44ms,
// is an error of nobody, wherever it is read.
func TestOutcomes(t *testing.T) {
	n := newTestNode(t, nil)
	n.post(http.StatusAccepted, `{"chain":"base","provider_id":"alchemy","method":"eth_call","duration_ms":50,"result":"success","reason":"primary","attempts":[`+
		`{"provider_id":"quicknode","duration_ms":48,"result":"cancelled","reason":"hedge"},`+
		`{"provider_id":"drpc","duration_ms":44,"result":"success","reason":"consensus"},`+
		`{"provider_id":"ankr","duration_ms":0,"result":"not_sent"}]}`)
	want := map[string]map[string]any{
		"alchemy":   {"total_calls": 1.0, "success_rate_pct": 100.0, "availability_pct": 100.0, "requests": 1.0, "failover_count": 0.0, "p50_latency_ms": 50.0, "cut_off_pct": 0.0, "status": "healthy"},
		"quicknode": {"total_calls": 1.0, "cut_off_calls": 1.0, "cut_off_pct": 100.0, "hedged_calls": 1.0, "hedge_wins": 0.0, "success_rate_pct": nil, "availability_pct": nil, "p50_latency_ms": nil, "status": "unknown"},
		"drpc":      {"total_calls": 1.0, "success_rate_pct": 100.0, "availability_pct": 100.0, "requests": 0.0, "p50_latency_ms": 44.0, "status": "healthy"},
		"ankr":      {"total_calls": 0.0, "not_sent": 1.0, "samples": 0.0, "success_rate_pct": nil, "cut_off_pct": nil, "status": "unknown"},
	}
	rows := n.rows("/api/v1/providers?window=5m")
	if len(rows) != len(want) {
		t.Errorf("%d rows: %v", len(rows), rows)
	}
	for _, row := range rows {
		if row["error_count"] != 0.0 || row["provider_error_count"] != 0.0 || row["failover_count"] != 0.0 {
			t.Errorf("an error of somebody: %v", row)
		}
		for name, value := range want[row["provider_id"].(string)] {
			if row[name] != value {
				t.Errorf("%s: %s is %v, want %v", row["key"], name, row[name], value)
			}
		}
	}

	// A hedge that wins, and a client that goes away.
	n.post(http.StatusAccepted,
		`{"chain":"base","provider_id":"quicknode","method":"eth_call","duration_ms":190,"upstream_ms":40,"result":"success","reason":"hedge","attempts":[{"provider_id":"alchemy","duration_ms":190,"result":"cancelled","reason":"primary"}]}`,
		`{"chain":"base","provider_id":"alchemy","method":"eth_call","duration_ms":9,"result":"cancelled"}`)
	for path, want := range map[string]string{
		"/providers?window=5m&fields=chain,cut_off_calls,cut_off_pct,not_sent,hedged_calls,hedge_wins,requests,request_errors&format=csv&sort=key": "key,chain,cut_off_calls,cut_off_pct,not_sent,hedged_calls,hedge_wins,requests,request_errors\r\n" +
			"base/alchemy,base,2,66.67,0,0,0,2,0\r\nbase/ankr,base,0,,1,0,0,0,0\r\nbase/drpc,base,0,0,0,0,0,0,0\r\nbase/quicknode,base,1,50,0,2,1,1,0\r\n",
		"/decisions?result=cancelled&format=csv&fields=provider_id,result,reason": "alchemy,cancelled,",
		"/series?by=chain&metric=cut_off_calls,hedge_wins&window=5m&step=5m":      `"metric":"hedge_wins"`,
		"/providers?window=5m&format=table":                                       "CUT%",
	} {
		if _, _, text := n.get("/api/v1" + path); !strings.Contains(string(text), want) {
			t.Errorf("%s:\n%s\nhas no\n%s", path, text, want)
		}
	}
	if calls := sets(n.scrape()["remuda_cut_off_calls_total"]); calls["base default alchemy http"] != 2 || calls["base default quicknode http"] != 1 {
		t.Errorf("exposed are %v", calls)
	}
	other := newTestNode(t, nil)
	other.post(http.StatusAccepted, `{"chain":"base","provider_id":"p","method":"m","duration_ms":5,"result":"success"}`)
	if _, _, text := other.get("/api/v1/providers?format=table"); strings.Contains(string(text), "CUT%") {
		t.Errorf("nothing was cut off:\n%s", text)
	}
}
