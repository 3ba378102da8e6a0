package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// TestAttention: what is wrong, worst first, with the rule that fired, in every
// face; and nothing when nothing is wrong.
func TestAttention(t *testing.T) {
	n := newTestNode(t, nil)
	for range 30 {
		n.post(http.StatusAccepted, decision("base", "good", ""))
	}
	if rows := n.rows("/api/v1/attention"); len(rows) != 0 {
		t.Fatalf("nothing is wrong, and yet %v", rows)
	}
	opened := n.store.Now() - 5000
	lines := []string{
		decision("base", "open", ""), fmt.Sprintf(`{"type":"circuit","chain":"base","provider_id":"open","to":"open","ts":%d}`, opened),
		`{"type":"circuit","chain":"base","provider_id":"half","to":"half_open"}`,
	}
	for range 30 {
		lines = append(lines, failure("failing", "timeout"), failure("limited", "rate_limit"))
	}
	n.post(http.StatusAccepted, lines...)
	var got []string
	for _, row := range n.rows("/api/v1/attention") {
		got = append(got, row["severity"].(string)+" "+row["key"].(string)+" "+row["rule"].(string))
		if row["since_at"] == nil || row["detail"] == "" {
			t.Errorf("%v", row)
		}
		if row["provider_id"] == "open" && row["since_at"] != float64(opened) {
			t.Errorf("the circuit is open since %d, and the alarm says %v", opened, row["since_at"])
		}
	}
	want := []string{
		"critical provider/base/open circuit_open", "critical provider/base/failing failing",
		"warning provider/base/limited rate_limited", "warning provider/base/half recovering",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	_, _, table := n.get("/api/v1/attention?format=table")
	if !strings.HasPrefix(string(table), "SEVERITY") || !strings.Contains(string(table), "provider/base/open") {
		t.Errorf("the table is\n%s", table)
	}
	if rows := n.rows("/api/v1/attention?chain=other"); len(rows) != 0 {
		t.Errorf("another chain has %v", rows)
	}

	n.pass(61 * time.Second)
	silent := n.rows("/api/v1/attention")
	if last := silent[len(silent)-1]; last["rule"] != "sender_silent" || last["sender"] != "n1" {
		t.Errorf("a silent sender: %v", last)
	}
}

func failure(provider, category string) string {
	return fmt.Sprintf(`{"chain":"base","provider_id":%q,"method":"eth_call","duration_ms":5,"result":"error","error_category":%q}`, provider, category)
}

// TestChainDown: no provider of a chain is left.
func TestChainDown(t *testing.T) {
	n := newTestNode(t, nil)
	n.post(http.StatusAccepted, decision("base", "a", ""), decision("base", "b", ""),
		`{"type":"circuit","chain":"base","provider_id":"a","to":"open"}`)
	if rule := n.rows("/api/v1/attention")[0]["rule"]; rule != "circuit_open" {
		t.Errorf("one of two: %v", rule)
	}
	n.post(http.StatusAccepted, `{"type":"circuit","chain":"base","provider_id":"b","to":"open"}`)
	if row := n.rows("/api/v1/attention")[0]; row["rule"] != "chain_down" || row["chain"] != "base" {
		t.Errorf("two of two: %v", row)
	}
}

// TestOnset: the onset of an outage is found in what was counted, and stays put.
func TestOnset(t *testing.T) {
	n := newTestNode(t, nil)
	n.pass(20 * time.Minute)
	began := int64(0)
	for i := range 40 { // 200 s well, then 200 s with two of three calls failing
		line := decision("base", "p", "")
		for j := range 3 {
			if i >= 20 && j > 0 {
				line = failure("p", "timeout")
			}
			if i == 20 && began == 0 {
				began = n.store.Now()
			}
			n.post(http.StatusAccepted, line, decision("base", "other", ""))
		}
		n.pass(5 * time.Second)
	}
	alarm := n.rows("/api/v1/attention")[0]
	since := int64(alarm["since_at"].(float64))
	if alarm["rule"] != "failing" || since < began-10_000 || since > began+10_000 {
		t.Errorf("%v: since %d ms after it began", alarm["rule"], since-began)
	}
	n.pass(3 * time.Second)
	n.post(http.StatusAccepted, failure("p", "timeout"))
	if again := int64(n.rows("/api/v1/attention")[0]["since_at"].(float64)); again != since {
		t.Errorf("it wanders by %d ms", again-since)
	}
}

// TestCompare: the figures of the time before the window, to the call.
func TestCompare(t *testing.T) {
	n := newTestNode(t, nil)
	previous := func(path string) map[string]any {
		t.Helper()
		before, _ := n.rows(path)[0]["previous"].(map[string]any)
		return before
	}
	const path = "/api/v1/providers?compare=previous&window="
	n.post(http.StatusAccepted, decision("base", "p", ""))
	if before := previous(path + "1m"); before != nil {
		t.Errorf("the node was not there: %v", before)
	}
	n.pass(4 * time.Minute)
	n.pass(time.Duration(1200-n.store.Now()%1000) * time.Millisecond) // no second ends while its call is on the way
	for second := range 150 {                                         // a call a second, two in the minute before the last
		ago := 150 - second
		lines := []string{decision("base", "p", "")}
		if ago > 75 && ago <= 105 {
			lines = append(lines, failure("p", "timeout"))
		}
		n.post(http.StatusAccepted, lines...)
		n.pass(time.Second)
	}
	before := previous(path + "1m")
	if before == nil {
		t.Fatal("the minute before is not known")
	}
	if calls, errors := before["total_calls"].(float64), before["error_count"].(float64); calls-errors != 60 || errors != 30 {
		t.Errorf("%v calls, %v errors in the minute before; want 60 good ones and 30 errors", calls, errors)
	}
	if rate := before["calls_per_second"].(float64); rate != 1.5 {
		t.Errorf("%v calls/s", rate)
	}
	if share := before["traffic_pct"].(float64); share != 100 {
		t.Errorf("traffic %v %%", share)
	}
	if before := previous(path + "1h"); before != nil {
		t.Errorf("there is nothing before an hour: %v", before)
	}
	if _, there := n.rows("/api/v1/providers")[0]["previous"]; there {
		t.Error("previous is there, unasked")
	}
	n.pass(25 * time.Minute)
	if before := previous(path + "5m"); before["total_calls"] != 0.0 || before["success_rate_pct"] != nil {
		t.Errorf("an idle time before: %v", before)
	}
	if before := previous(path + "15m"); before["total_calls"] != 180.0 {
		t.Errorf("all of it was between 15 and 30 minutes ago: %v", before)
	}
	if status, _, body := n.get(path + "1m&compare=next"); status != http.StatusBadRequest {
		t.Errorf("%d %s", status, body)
	}
}

// TestTopicsWithQueries: parts of a stream that have a query of their own are what
// REST answers to it.
func TestTopicsWithQueries(t *testing.T) {
	n := newTestNode(t, nil)
	n.post(http.StatusAccepted, decision("base", "a", ""), decision("eth", "b", ""))
	queries := []string{
		"providers?chain=base&fields=total_calls", "attention", "series?by=chain&metric=total_calls&window=1m", "histogram?by=chain",
		"profiles?window=5m&compare=previous", "runtime",
	}
	values := url.Values{"topic": queries, "interval": {"100ms"}}
	r := n.open("/api/v1/stream?"+values.Encode(), "")
	defer r.close()
	type frame struct {
		Topics map[string]struct {
			Meta       map[string]any
			Rows       []map[string]any
			Series     []struct{ Points [][2]float64 }
			Histograms []any
			Upsert     []map[string]any
		}
	}
	read := func() (f frame) {
		e, err := r.next()
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(e.data, &f); err != nil {
			t.Fatal(err)
		}
		return f
	}
	read() // hello
	first := read()
	if rows := first.Topics[queries[0]].Rows; len(rows) != 1 || rows[0]["total_calls"] != 1.0 || len(rows[0]) != 2 {
		t.Errorf("providers: %v", rows)
	}
	if window := first.Topics[queries[4]].Meta["window_ms"]; window != 300_000.0 {
		t.Errorf("the window of a part is %v ms", window)
	}
	if len(first.Topics[queries[2]].Series) != 2 || len(first.Topics[queries[3]].Histograms) != 2 || first.Topics[queries[5]].Rows == nil {
		t.Errorf("%+v", first)
	}
	n.post(http.StatusAccepted, decision("base", "a", ""))
	r.until(t, "the second call", func(e event) bool { // the row comes, too, when a young node's rates divide by more
		var f frame
		if err := json.Unmarshal(e.data, &f); err != nil {
			t.Fatal(err)
		}
		rows := f.Topics[queries[0]].Upsert
		return len(rows) > 0 && rows[0]["total_calls"] == 2.0
	})
	for _, bad := range []string{"topic=provider", "topic=stream", "topic=attention%3Fwindow%3D2m", "topic=chains%3Fformat%3Dcsv", "topic=chains%3Finterval%3D1s", ""} {
		if status, _, body := n.get("/api/v1/stream?" + bad); status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", bad, status, body)
		}
	}
}

// TestNoDataIsNotHealth: what attention was judged by tells "nothing is wrong" from
// "nothing is known", in every face.
func TestNoDataIsNotHealth(t *testing.T) {
	n := newTestNode(t, nil)
	judged := func(query string) string {
		t.Helper()
		var document struct {
			Meta struct{ Judged json.RawMessage }
			Rows []any
		}
		_, _, body := n.get("/api/v1/attention" + query)
		if err := json.Unmarshal(body, &document); err != nil || len(document.Rows) > 0 {
			t.Fatalf("%v %s", err, body)
		}
		return string(document.Meta.Judged)
	}
	const none = `{"providers":0,"unknown":0}`
	if got := judged(""); got != none {
		t.Errorf("of nothing: %s", got)
	}
	n.post(http.StatusAccepted, decision("base", "good", ""), `{"type":"block","chain":"base","provider_id":"quiet","height":5}`)
	for query, want := range map[string]string{
		"": `{"providers":1,"unknown":1}`, "?region=nowhere": none, "?profile=nobody": none, "?provider_id=quiet": `{"providers":0,"unknown":1}`,
	} {
		if got := judged(query); got != want {
			t.Errorf("%q: %s, not %s", query, got, want)
		}
	}
	for _, query := range []string{"topics=chains,attention", "topic=attention"} {
		r := n.open("/api/v1/stream?"+query, "")
		for {
			e, err := r.next()
			if err != nil {
				t.Fatal(err)
			}
			if e.name != "snapshot" {
				continue
			}
			if !strings.Contains(string(e.data), `"judged":{"providers":1,"unknown":1}`) {
				t.Errorf("%s: %s", query, e.data)
			}
			break
		}
		r.close()
	}
	if _, _, table := n.get("/api/v1/attention?profile=nobody&format=table"); !strings.Contains(string(table), "no data") {
		t.Errorf("%s", table)
	}
}
