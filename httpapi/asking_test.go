package httpapi_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// TestSuggestions: case does not count, durations are compared by their value, and
// where nothing is near nothing is suggested.
func TestSuggestions(t *testing.T) {
	n := newTestNode(t, nil)
	for query, want := range map[string]string{
		"LIMIT=1": "limit", "Chain=x": "chain", "max-frames=1": "max_frames", "providerId=x": "provider_id", "regoin=x": "region", "prov=x": "provider_id",
		"window=60s": "1m", "window=300s": "5m", "window=60m": "1h", "window=900S": "15m", "window=1M": "1m", "window=7m": "5m", "window=2h": "1h", "window=0.25h": "15m", "window=59m59s": "1h", "window=10000ms": "10s", "window=-1m": "1m",
		"format=JSON": "json", "format=tabel": "table", "sort=-P95_latency_ms": "p95_latency_ms", "transport=WS": "ws", "fields=stat": "status",
		"format=xml": "", "pretty=true": "", "from=1": "", "to=2": "", "q=x": "", "window=24h": "", "window=1ms": "", "window=x": "", "transport=grpc": "",
	} {
		status, _, body := n.get("/api/v1/providers?" + query)
		var problem struct{ Detail string }
		if err := json.Unmarshal(body, &problem); err != nil || status != http.StatusBadRequest {
			t.Fatalf("%s: %d %s", query, status, body)
		}
		_, suggested, _ := strings.Cut(problem.Detail, "the nearest is ")
		if suggested != want {
			t.Errorf("%s: %q, want %q suggested", query, problem.Detail, want)
		}
	}
}

// TestQueryNumbers: numbers are those of JSON and finite, within durations too.
func TestQueryNumbers(t *testing.T) {
	n := newTestNode(t, nil)
	for status, queries := range map[int][]string{
		http.StatusOK: {
			"decisions?limit=5", "decisions?limit=2e1", "decisions?limit=20.0", "decisions?min_duration_ms=0", "decisions?min_duration_ms=1.5", "decisions?min_duration_ms=1e3", "decisions?min_duration_ms=-0",
			"decisions?cursor=5.7", "decisions?cursor=-5.7", "series?metric=samples&step=1m30s", "series?metric=samples&step=0.5m", "providers?format=sse&max_frames=1&interval=0.2s",
		},
		http.StatusBadRequest: {
			"decisions?limit=%2B5", "decisions?limit=007", "decisions?limit=0x10", "decisions?limit=1_0", "decisions?limit=%205", "decisions?limit=5%20", "decisions?limit=5%0a", "decisions?limit=1.5", "decisions?limit=null", "decisions?limit=true", "decisions?limit=%225%22", "decisions?limit=[5]", "decisions?limit=1e99", "decisions?limit=.5e1", "decisions?limit=5.", "decisions?limit=٥",
			"decisions?min_duration_ms=NaN", "decisions?min_duration_ms=Inf", "decisions?min_duration_ms=%2Binf", "decisions?min_duration_ms=1e400", "decisions?min_duration_ms=.5", "decisions?min_duration_ms=5.", "decisions?min_duration_ms=0x1p4", "decisions?min_duration_ms=01", "decisions?min_duration_ms=-1",
			"decisions?cursor=%2B5.7", "decisions?cursor=05.7", "decisions?cursor=5", "decisions?cursor=5.%2B7", "decisions?cursor=5.7.8",
			"providers?format=sse&max_frames=%2B1", "providers?format=sse&max_frames=1e99", "providers?format=sse&interval=%2B1s", "providers?format=sse&interval=01s", "providers?format=sse&interval=.5s", "series?metric=samples&step=1.s", "series?metric=samples&step=-1s", "series?metric=samples&step=1e1s",
		},
	} {
		for _, query := range queries {
			if got, _, body := n.get("/api/v1/" + query); got != status {
				t.Errorf("%s: %d %s", query, got, body)
			}
		}
	}
}

// TestEmptyParameters: a filter that a script has left empty does not mean all.
func TestEmptyParameters(t *testing.T) {
	n := newTestNode(t, nil)
	n.post(http.StatusAccepted, decision("c", "p", ""))
	for _, query := range []string{
		"providers?chain=", "providers?profile=", "providers?provider_id=%20", "providers?region=,", "providers?method", "providers?node=", "providers?strategy=", "providers?transport=", "providers?request_origin=",
		"providers?window=", "providers?sort=", "providers?limit=", "providers?fields=", "providers?expand=", "providers?format=", "providers?interval=", "providers?max_frames=", "providers?watch=", "providers?compare=",
		"decisions?result=", "decisions?error_category=", "decisions?cursor=", "decisions?min_duration_ms=", "series?metric=samples&by=", "series?metric=", "rank?chain=", "stream?topics=", "stream?topic=", "stream?topic=providers%3Fchain%3D",
	} {
		if status, _, body := n.get("/api/v1/" + query); status != http.StatusBadRequest || !strings.Contains(string(body), "_parameter") {
			t.Errorf("%s: %d %s", query, status, body)
		}
	}
	if rows := n.rows("/api/v1/providers?chain=c,"); len(rows) != 1 {
		t.Errorf("%v", rows)
	}
}

// TestAccept: the media type that weighs most is given, what is refused is not, and an
// answer is better than none.
func TestAccept(t *testing.T) {
	n := newTestNode(t, nil)
	n.post(http.StatusAccepted, decision("c", "p", ""))
	const json, lines, csv, table, sse = "application/json", "application/x-ndjson", "text/csv; charset=utf-8", "text/plain; charset=utf-8", "text/event-stream; charset=utf-8"
	for _, c := range []struct {
		path        string
		accept      []string
		status      int
		contentType string
	}{
		{"providers", nil, 200, json},
		{"providers", []string{"*/*"}, 200, json},
		{"providers", []string{"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}, 200, json},
		{"providers", []string{"image/png"}, 200, json},
		{"providers", []string{"text/csv;q=0.4, application/json;q=0.3"}, 200, csv},
		{"providers", []string{"text/csv;q=0.2", "application/x-ndjson;q=0.3"}, 200, lines},
		{"providers", []string{"TEXT/CSV;Q=0.9, application/json;q=0.8"}, 200, csv},
		{"providers", []string{"text/csv;q=0, */*"}, 200, json},
		{"providers", []string{"application/json;q=0, */*"}, 200, lines},
		{"providers", []string{"application/*;q=0, text/plain;q=0.1"}, 200, table},
		{"providers", []string{"text/*, application/json;q=0.5"}, 200, csv},
		{"providers", []string{"text/csv;q=0"}, 200, json},
		{"providers", []string{"text/csv;q=x, text/plain;q=0.1"}, 200, table},
		{"providers", []string{"application/json;q=0"}, 406, "application/problem+json"},
		{"providers", []string{"*/*;q=0"}, 406, "application/problem+json"},
		{"providers", []string{"application/json; q=0.0", "*/*;q=0.000"}, 406, "application/problem+json"},
		{"providers?format=json", []string{"*/*;q=0"}, 200, json},
		{"providers?max_frames=1", []string{"text/event-stream"}, 200, sse},
		{"series?metric=samples", []string{"text/csv, application/json;q=0.5"}, 200, json},
		{"series?metric=samples", []string{"text/csv"}, 200, json},
		{"series?metric=samples&format=csv", nil, 406, "application/problem+json"},
		{"stream?topics=chains&max_frames=1", []string{"application/json"}, 200, sse},
		{"stream?topics=chains&max_frames=1&watch=1", []string{"application/x-ndjson"}, 200, lines},
		{"stream?topics=chains&max_frames=1", []string{"text/event-stream;q=0"}, 406, "application/problem+json"},
		{"providers?limit=x", []string{"text/plain"}, 400, table},
		{"providers?limit=x", []string{"text/plain;q=0.1, application/json"}, 400, "application/problem+json"},
	} {
		var headers []string
		for _, field := range c.accept {
			headers = append(headers, "Accept", field)
		}
		status, head, body := n.get("/api/v1/"+c.path, headers...)
		if status != c.status || head.Get("Content-Type") != c.contentType {
			t.Errorf("%+v: %d %s %.200s", c, status, head.Get("Content-Type"), body)
		}
	}
}

// everyCollection is a path for each, with what it requires.
var everyCollection = []string{
	"providers", "chains", "regions", "methods", "strategies", "nodes", "profiles", "stats?by=chain", "rank?chain=c", "series?metric=samples", "histogram", "attention",
	"circuits", "circuits/changes", "blocks", "provider_health", "senders", "decisions", "snapshot", "cluster", "limits", "subscribers", "providers/p", "decisions/q",
}

// TestPreconditions: every document has an entity tag by which it is not sent again,
// in lists over several fields too, and a star is only for what there is.
func TestPreconditions(t *testing.T) {
	n := newTestNode(t, nil)
	n.post(http.StatusAccepted, decision("c", "p", `,"request_id":"q"`))
	n.rows("/api/v1/providers") // whatever is due is done
	for _, path := range everyCollection {
		path = "/api/v1/" + path
		for range 5 { // a second may end in between
			status, head, body := n.get(path)
			etag := head.Get("ETag")
			if status != http.StatusOK || !strings.HasPrefix(etag, `W/"`) || head.Get("Cache-Control") != "no-cache" {
				t.Fatalf("%s: %d %v %s", path, status, head, body)
			}
			status, head, body = n.get(path, "If-None-Match", `"x"`, "If-None-Match", `W/"y", `+etag)
			if status == http.StatusNotModified && len(body) == 0 && head.Get("ETag") == etag && head.Get("Content-Type") == "" {
				break
			}
			if etag == head.Get("ETag") {
				t.Errorf("%s: %d %v", path, status, head)
			}
		}
		if status, _, _ := n.get(path, "If-None-Match", "*"); status != http.StatusNotModified {
			t.Errorf("%s as it is, whatever that is: %d", path, status)
		}
		if status, _, _ := n.get(path, "If-None-Match", `"x"`); status != http.StatusOK {
			t.Errorf("%s that is not x: %d", path, status)
		}
	}
	for _, path := range []string{"/api/v1/providers/nobody", "/api/v1/decisions/none", "/api/v1/nowhere", "/nothing.js"} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			req, err := http.NewRequest(method, n.server.URL+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("If-None-Match", "*")
			resp, err := n.server.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusNotFound || resp.Header.Get("ETag") != "" {
				t.Errorf("%s %s: %d", method, path, resp.StatusCode)
			}
		}
	}
	_, head, _ := n.get("/openapi.json")
	if status, _, _ := n.get("/openapi.json", "If-None-Match", head.Get("ETag")); status != http.StatusNotModified {
		t.Errorf("the description of the API: %d, tag %q", status, head.Get("ETag"))
	}
	before := n.etag("/api/v1/limits")
	n.post(http.StatusAccepted, decision("c", "another", ""))
	if n.etag("/api/v1/limits") == before {
		t.Error("limits with a series more have the same tag")
	}
}

func (n *testNode) etag(path string) string {
	n.tb.Helper()
	_, head, _ := n.get(path)
	return head.Get("ETag")
}

// TestHead: HEAD says what GET says.
func TestHead(t *testing.T) {
	n := newTestNode(t, nil)
	n.post(http.StatusAccepted, decision("c", "p", `,"request_id":"q"`))
	for _, path := range append(slices.Clone(everyCollection), "providers?format=sse&max_frames=1", "providers?format=ndjson&watch=1&max_frames=1", "stream?topics=providers&max_frames=1",
		"providers?format=csv", "providers?format=table", "providers?limit=x", "providers/nobody", "nowhere", "stream") {
		told := func(method string) string {
			req, err := http.NewRequest(method, n.server.URL+"/api/v1/"+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := n.server.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			for _, name := range []string{"Date", "Content-Length", "Connection", "Etag", "Transfer-Encoding"} { // of the moment and of the way
				resp.Header.Del(name)
			}
			var list []string
			for _, name := range slices.Sorted(maps.Keys(resp.Header)) {
				list = append(list, name+": "+strings.Join(resp.Header[name], ", "))
			}
			return fmt.Sprint(resp.StatusCode, list)
		}
		if get, head := told(http.MethodGet), told(http.MethodHead); get != head {
			t.Errorf("%s:\n GET %s\nHEAD %s", path, get, head)
		}
	}
}

// TestCSVLines: CSV is as RFC 4180 has it.
func TestCSVLines(t *testing.T) {
	n := newTestNode(t, nil)
	n.post(http.StatusAccepted, decision("c", "p", ""))
	_, _, body := n.get("/api/v1/providers?format=csv&fields=chain")
	if want := "key,chain\r\nc/p,c\r\n"; !bytes.Equal(body, []byte(want)) {
		t.Errorf("%q, want %q", body, want)
	}
}
