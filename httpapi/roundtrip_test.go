package httpapi_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestRoundTrip: what a node gives out as NDJSON can be posted to another one, and is
// the same there, field by field.
func TestRoundTrip(t *testing.T) {
	from, to := newTestNode(t, nil), newTestNode(t, nil)
	now := time.Now().UnixMilli()
	at := func(ago time.Duration) string { return fmt.Sprintf(`,"ts":%d`, now-ago.Milliseconds()) }
	sender := `,"source_node":"gw-1","source_region":"eu-west-1","profile":"tenant-a"`
	of := func(kind, members string) string {
		return `{"type":"` + kind + `","chain":"base","provider_id":"p1"` + sender + members + `}`
	}
	posted := []string{
		// Every field of each kind, and as few as there may be.
		of("decision", at(time.Second)+`,"method":"eth_call","duration_ms":42.125,"upstream_ms":40.5,"result":"error","transport":"ws","strategy":"fastest",
			"request_id":"r1 \" é \\","event_id":"e1","failover_count":3,"error_category":"rate_limit","error_code":-32005,"request_origin":"system","weight":20,
			"attempts":[{"provider_id":"p2","duration_ms":7.25,"transport":"http","error_category":"timeout","error_code":"E_1"},{"provider_id":"p3","duration_ms":0}]`),
		of("decision", at(2*time.Second)+`,"method":"m","duration_ms":0,"result":"success"`),
		of("decision", at(3*time.Second)+`,"method":"m","duration_ms":0.001,"upstream_ms":0,"result":"success","error_code":"0"`),
		of("decision", at(4*time.Second)+`,"method":"m","duration_ms":48,"result":"cancelled","reason":"hedge","attempts":[
			{"provider_id":"p2","duration_ms":90,"result":"cancelled","reason":"primary"},{"provider_id":"p3","duration_ms":0,"result":"not_sent","reason":"sweep"},
			{"provider_id":"p4","duration_ms":44,"result":"success","reason":"consensus"}]`),
		of("decision", at(50*time.Minute)+`,"method":"m","duration_ms":86400000,"result":"success","chain_id":424242`),
		of("circuit", at(4*time.Second)+`,"from":"closed","to":"open","reason":"manual_open \u00e9"`),
		of("circuit", at(time.Second)+`,"to":"open","reason":"still \"open\""`), // since three seconds before
		of("circuit", at(26*time.Hour)+`,"to":"half_open","transport":"ws"`),    // breakers tell of transitions alone
		of("block", at(time.Second)+`,"height":9007199254740992,"source":"ws"`),
		of("block", at(40*time.Minute)+`,"height":0,"source_region":"ap-south"`),
		of("health", at(time.Second)+`,"status":"degraded","consecutive_failures":3,"consecutive_successes":4294967295,"latency_ms":1.5,"transport":"ws","reason":"slow"`),
		of("health", at(2*time.Second)+`,"status":"unknown"`),
	}
	posted[4] = strings.Replace(posted[4], `"chain":"base",`, "", 1)
	posted[9] = strings.Replace(posted[9], `"source_region":"eu-west-1",`, "", 1)
	for _, line := range posted {
		from.post(http.StatusAccepted, strings.ReplaceAll(line, "\n", " "))
	}
	for path, want := range map[string]int{
		"/decisions?request_origin=all": 5, "/circuits?": 2, "/circuits/changes?": 2, "/blocks?": 2, "/provider_health?": 2,
	} {
		t.Run(strings.Trim(path, "/?"), func(t *testing.T) {
			path := "/api/v1" + path + "&profile=tenant-a"
			_, _, text := from.get(path + "&format=ndjson")
			to.post(http.StatusAccepted, string(text))
			got, there := to.rows(path), from.rows(path)
			if len(there) != want {
				t.Fatalf("%d rows to begin with, want %d: %v", len(there), want, there)
			}
			if !strings.HasPrefix(path, "/api/v1/circuits/changes") { // which circuits make there, too
				compareRows(t, there, got)
			}
			// In all of its formats but NDJSON a row is what it was.
			for _, row := range there {
				for _, name := range []string{"type", "source_region", "to", "ts"} {
					if _, ok := row[name]; ok && !strings.Contains(path, "decisions") && !strings.Contains(path, "changes") {
						t.Errorf("a row in JSON has %s: %v", name, row)
					}
				}
			}
			// What is posted again is known, or changes nothing.
			to.post(http.StatusAccepted, string(text))
			if strings.Contains(path, "/circuits?") || strings.Contains(path, "blocks") || strings.Contains(path, "health") {
				compareRows(t, there, to.rows(path))
			}
		})
	}
	// Asked for some fields, a line has those.
	_, _, text := from.get("/api/v1/blocks?profile=tenant-a&format=ndjson&fields=height&limit=1")
	if want := `{"key":"base/p1/ap-south/gw-1","height":0}` + "\n"; string(text) != want {
		t.Errorf("some fields: %s, want %s", text, want)
	}
}

// compareRows compares all but what is the node's own: who counted, and the number it
// gave.
func compareRows(t *testing.T, want, got []map[string]any) {
	t.Helper()
	for _, rows := range [][]map[string]any{want, got} {
		for _, row := range rows {
			if _, ok := row["node"]; ok {
				delete(row, "node")
				delete(row, "key")
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
