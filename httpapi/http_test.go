package httpapi_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestParameters: what is not known is refused, and the nearest that is known is
// named.
func TestParameters(t *testing.T) {
	n := newTestNode(t, nil)
	for path, want := range map[string]string{
		"providers?regoin=x":                "region",
		"providers?Window=1m":               "window",
		"providers?window=7m":               "nearest is 5m",
		"providers?format=jsno":             "json",
		"providers?sort=p59_latency_ms":     "p50_latency_ms",
		"providers?fields=statsu":           "status",
		"providers?expand=by_regions":       "by_region",
		"providers?transport=htp":           "http",
		"providers?request_origin=cliet":    "client",
		"providers?limit=0":                 "1 to 10000",
		"providers?limit=10001":             "1 to 10000",
		"providers?interval=1ms":            "100ms",
		"providers?max_frames=-1":           "above 0",
		"providers?window=1m&window=5m":     "more than once",
		"providers?chain=%zz":               "well-formed",
		"decisions?limit=1001":              "1 to 1000",
		"decisions?cursor=x":                "next_cursor",
		"decisions?result=maybe":            "error",
		"rank":                              "chain",
		"stats":                             "by",
		"stats?by=chian":                    "chain",
		"series?metric=p95":                 "p95_latency_ms",
		"series?metric=total_calls&step=0s": "step",
		"stream":                            "topics",
		"stream?topics=provider":            "providers",
		"rank?chain=c&formula=laso":         "lasso",
		"providers/p?provider_id=q":         "provider_id",
	} {
		status, head, body := n.get("/api/v1/" + path)
		if status != http.StatusBadRequest || head.Get("Content-Type") != "application/problem+json" || !strings.Contains(string(body), want) {
			t.Errorf("%s: %d %s, want %q in it", path, status, body, want)
		}
	}
}

// TestFaces: one URL, several forms.
func TestFaces(t *testing.T) {
	n := newTestNode(t, nil)
	n.post(http.StatusAccepted, decision("c", "p1", `,"request_id":"=1+1"`), decision("c", "p2", ""), decision("d", "p1", ""))
	for _, c := range []struct{ path, accept, contentType string }{
		{"providers", "", "application/json"},
		{"providers", "*/*", "application/json"},
		{"providers", "text/html,application/xhtml+xml", "application/json"},
		{"providers", "text/csv", "text/csv; charset=utf-8"},
		{"providers", "text/plain;q=0.5, application/x-ndjson", "application/x-ndjson"},
		{"providers?format=table", "text/csv", "text/plain; charset=utf-8"},
	} {
		if _, head, _ := n.get("/api/v1/"+c.path, "Accept", c.accept); head.Get("Content-Type") != c.contentType {
			t.Errorf("%+v: %s", c, head.Get("Content-Type"))
		}
	}
	_, _, body := n.get("/api/v1/providers?format=csv&fields=chain,total_calls,circuit")
	lines, err := csv.NewReader(bytes.NewReader(body)).ReadAll()
	if err != nil || fmt.Sprint(lines) != "[[key chain total_calls circuit_http circuit_ws] [c/p1 c 1 unknown unknown] [c/p2 c 1 unknown unknown] [d/p1 d 1 unknown unknown]]" {
		t.Errorf("%s %v", body, err)
	}
	if _, _, body = n.get("/api/v1/decisions?format=csv&fields=request_id"); !strings.Contains(string(body), "'=1+1") {
		t.Errorf("a formula gets into a spreadsheet: %s", body)
	}
	if _, _, body = n.get("/api/v1/providers?format=table"); !strings.Contains(string(body), "—") || strings.Contains(string(body), "null") {
		t.Errorf("%s", body)
	}
	if _, _, body = n.get("/api/v1/providers?limit=1&format=ndjson"); bytes.Count(body, []byte("\n")) != 1 {
		t.Errorf("%s", body)
	}
	for _, path := range []string{"chains", "senders", "limits", "runtime", "subscribers", "cluster", "blocks", "decisions", "circuits/changes", "stats?by=chain,method", "rank?chain=c"} { // in every face
		for _, format := range []string{"table", "csv", "ndjson"} {
			sep := "?"
			if strings.Contains(path, "?") {
				sep = "&"
			}
			if status, _, body := n.get("/api/v1/" + path + sep + "format=" + format); status != http.StatusOK {
				t.Errorf("%s as %s: %d %s", path, format, status, body)
			}
		}
	}
	status, head, body := n.get("/api/v1/providers?regoin=x&format=table")
	if status != http.StatusBadRequest || !strings.HasPrefix(head.Get("Content-Type"), "text/plain") || bytes.Count(body, []byte("\n")) != 1 {
		t.Errorf("a problem for eyes: %d %s", status, body)
	}
}

// TestSingleResources: one provider is the collection for one id; what nobody has
// seen is not found.
func TestSingleResources(t *testing.T) {
	n := newTestNode(t, nil)
	n.post(http.StatusAccepted, decision("c", "p", `,"request_id":"q1"`), decision("d", "p", ""), decision("e", "q", `,"request_id":"a/b 50%?"`))
	if rows := n.rows("/api/v1/providers/p"); len(rows) != 2 {
		t.Errorf("%v", rows)
	}
	if rows := n.rows("/api/v1/providers/p?chain=nowhere"); len(rows) != 0 {
		t.Errorf("%v", rows)
	}
	if rows := n.rows("/api/v1/decisions/q1"); len(rows) != 1 || rows[0]["chain"] != "c" {
		t.Errorf("%v", rows)
	}
	if rows := n.rows("/api/v1/decisions/a%2Fb%2050%25%3F"); len(rows) != 1 || rows[0]["chain"] != "e" {
		t.Errorf("%v", rows)
	}
	for _, path := range []string{"providers/nobody", "decisions/none", "nowhere", "providers/p/more"} {
		if status, head, _ := n.get("/api/v1/" + path); status != http.StatusNotFound || head.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d", path, status)
		}
	}
}

// TestPages goes through the feed by its cursors.
func TestPages(t *testing.T) {
	n := newTestNode(t, nil)
	now := n.store.Now()
	var lines []string
	for i := range 25 {
		lines = append(lines, decision("c", "p", fmt.Sprintf(`,"request_id":"q%d","ts":%d`, i, now-int64(i%5)*1000)))
	}
	n.post(http.StatusAccepted, lines...)
	seen := make(map[string]bool)
	last, pages := float64(now+1), 0
	for cursor := ""; ; pages++ {
		_, _, body := n.get("/api/v1/decisions?limit=10" + cursor)
		var doc struct {
			Meta struct {
				NextCursor  *string `json:"next_cursor"`
				Seen, Shown int
				Truncated   bool
			}
			Rows []map[string]any
		}
		if err := json.Unmarshal(body, &doc); err != nil || doc.Meta.Seen != 25 || doc.Meta.Shown != 25 {
			t.Fatalf("%s %v", body, err)
		}
		for _, row := range doc.Rows {
			if ts := row["ts"].(float64); ts > last {
				t.Errorf("%v comes after %v", ts, last)
			} else {
				last = ts
			}
			if id := row["request_id"].(string); seen[id] {
				t.Errorf("%s twice", id)
			} else {
				seen[id] = true
			}
		}
		if doc.Meta.NextCursor == nil {
			break
		}
		cursor = "&cursor=" + *doc.Meta.NextCursor
	}
	if len(seen) != 25 || pages != 2 {
		t.Errorf("%d decisions on %d pages", len(seen), pages+1)
	}
}

// TestIngestAnswers: the statuses of bodies.
func TestIngestAnswers(t *testing.T) {
	n := newTestNode(t, nil)
	for _, c := range []struct {
		query, contentType, body string
		status                   int
		code                     string
	}{
		{"", "application/x-ndjson", "", 202, ""},
		{"", "application/json", "[]", 202, ""},
		{"", "application/x-ndjson", "x\n" + decision("c", "p", ""), 202, ""},
		{"", "application/x-ndjson", "x", 422, "no_acceptable_event"},
		{"?strict=1", "application/x-ndjson", "x\n" + decision("c", "p", ""), 422, "strict_batch_refused"},
		{"", "application/json", "{", 400, "malformed_body"},
		{"", "text/html", "x", 415, "unsupported_media_type"},
		{"", "application/x-ndjson", strings.Repeat("\n", 9<<20), 413, "body_too_large"},
		{"?strikt=1", "application/json", "[]", 400, "unknown_parameter"},
	} {
		resp, err := n.server.Client().Post(n.server.URL+"/api/v1/events"+c.query, c.contentType, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		var answer struct {
			Code                string
			Accepted, Rejected  *int
			Errors              []map[string]any
			Status              int
			Type, Title, Detail string
		}
		if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != c.status || answer.Code != c.code {
			t.Errorf("%.40q: %d %s, want %d %s", c.body, resp.StatusCode, answer.Code, c.status, c.code)
		}
		if c.status == 422 && (answer.Accepted == nil || *answer.Accepted != 0 || len(answer.Errors) != 1) {
			t.Errorf("%.40q: %+v", c.body, answer)
		}
	}
}

// TestRawHTTP sends what no client library would. Whatever comes back is a 4xx,
// and the node goes on.
func TestRawHTTP(t *testing.T) {
	n := newTestNode(t, nil)
	for name, c := range map[string]struct{ text, want string }{
		"no host":                {"GET /api/v1/providers HTTP/1.1\r\n\r\n", " 400 "},
		"two hosts":              {"GET /api/v1/providers HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", " 400 "},
		"an evil host":           {"GET /api/v1/providers HTTP/1.1\r\nHost: evil.example\r\n\r\n", " 421 "},
		"health of 1.0":          {"GET /healthz HTTP/1.0\r\n\r\n", " 200 "},
		"readiness of 1.0":       {"HEAD /readyz HTTP/1.0\r\n\r\n", " 200 "},
		"metrics by any name":    {"GET /metrics HTTP/1.1\r\nHost: prometheus-target.example:9000\r\n\r\n", " 200 "},
		"reads of 1.0":           {"GET /api/v1/providers HTTP/1.0\r\n\r\n", " 421 "},
		"health is no way in":    {"GET /healthz/../api/v1/providers HTTP/1.1\r\nHost: evil.example\r\n\r\n", " 421 "},
		"posts by any name":      {"POST /api/v1/events HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 2\r\n\r\n[]", " 421 "},
		"trace":                  {"TRACE /api/v1/providers HTTP/1.1\r\nHost: localhost\r\n\r\n", " 405 "},
		"an unknown method":      {"FOO /api/v1/providers HTTP/1.1\r\nHost: localhost\r\n\r\n", " 405 "},
		"length and chunks":      {"POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n", " 202 "},
		"a lying length":         {"POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\nx", " 413 "},
		"a damaged chunk":        {"POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", " 400 "},
		"a zero byte":            {"GET /api/v1/providers/%00 HTTP/1.1\r\nHost: localhost\r\n\r\n", " 404 "},
		"up and out":             {"GET /..%2f..%2fetc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n", " 404 "},
		"a page of another":      {"POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\nSec-Fetch-Site: cross-site\r\nContent-Length: 2\r\n\r\n[]", " 403 "},
		"a range of a stream":    {"GET /api/v1/providers?format=sse HTTP/1.1\r\nHost: localhost\r\nRange: bytes=5-9\r\n\r\n", " 200 "},
		"a long query":           {"GET /api/v1/providers?chain=" + strings.Repeat("a", 64<<10) + " HTTP/1.1\r\nHost: localhost\r\n\r\n", " 200 "},
		"a header of a mebibyte": {"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat("a", 1<<21) + "\r\n\r\n", " 431 "},
	} {
		conn := n.rawConn("")
		go func() { _, _ = io.WriteString(conn, c.text) }() // the answer may come before all is sent
		_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		line, err := bufio.NewReader(conn).ReadString('\n')
		if err != nil || !strings.Contains(line, c.want) {
			t.Errorf("%s: %q %v, want%s", name, line, err, c.want)
		}
		conn.Close()
	}
	if status, _, _ := n.get("/healthz"); status != http.StatusOK {
		t.Errorf("after all that: %d", status)
	}
}

// TestMethods: unknown methods are told the known ones.
func TestMethods(t *testing.T) {
	n := newTestNode(t, nil)
	for path, allow := range map[string]string{"/api/v1/events": "POST", "/api/v1/providers": "GET, HEAD", "/healthz": "GET, HEAD"} {
		req, err := http.NewRequest(http.MethodDelete, n.server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := n.server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("Allow") != allow {
			t.Errorf("%s: %d, Allow %q", path, resp.StatusCode, resp.Header.Get("Allow"))
		}
	}
}

// TestCompressionOfAnswers: larger ones are compressed for those who take it.
func TestCompressionOfAnswers(t *testing.T) {
	n := newTestNode(t, nil)
	var lines []string
	for i := range 30 {
		lines = append(lines, decision("c", fmt.Sprintf("p%d", i), ""))
	}
	n.post(http.StatusAccepted, lines...)
	_, _, plain := n.get("/api/v1/providers?window=5m")
	_, head, packed := n.get("/api/v1/providers?window=5m", "Accept-Encoding", "gzip")
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	if unpacked, err := io.ReadAll(z); err != nil || head.Get("Content-Encoding") != "gzip" || len(unpacked) < len(plain)*9/10 || len(packed) > len(plain)/3 {
		t.Errorf("%d bytes plain, %d packed, %d unpacked, %v", len(plain), len(packed), len(unpacked), err)
	}
}

// TestRank: the order and its reasons.
func TestRank(t *testing.T) {
	n := newTestNode(t, nil)
	var lines []string
	for i := range 100 {
		lines = append(lines, decision("c", "fast", ""), strings.Replace(decision("c", "slow", ""), `"duration_ms":5`, `"duration_ms":500`, 1), decision("c", "cut", ""))
		result := "success"
		if i%2 == 0 {
			result = "error"
		}
		lines = append(lines, strings.Replace(decision("c", "failing", `,"error_category":"timeout"`), "success", result, 1))
	}
	lines = append(lines, decision("c", "new", ""), `{"type":"circuit","chain":"c","provider_id":"cut","to":"open"}`)
	n.post(http.StatusAccepted, lines...)
	var order []string
	for _, row := range n.rows("/api/v1/rank?chain=c&window=5m") {
		order = append(order, fmt.Sprintf("%s %v %v", row["provider_id"], row["eligible"], row["cold_start"]))
	}
	if got, want := strings.Join(order, ", "), "fast true false, slow true false, failing true false, cut false false, new true true"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	// 100 of 100 calls, 5 ms: Wilson's lower bound 0.96300, times 1000/1005.
	for _, row := range n.rows("/api/v1/rank?chain=c&window=5m&method=eth_call") {
		if row["provider_id"] == "fast" && (row["score"].(float64) < 0.9582 || row["score"].(float64) > 0.9583) {
			t.Errorf("score %v", row["score"])
		}
	}
}

// TestExposition: what this node counted, and its own health.
func TestExposition(t *testing.T) {
	n := newTestNode(t, nil)
	n.post(http.StatusAccepted, "x", decision("c", "p", `,"weight":7`), decision("c", "p", ""))
	n.pass(2 * time.Hour) // the row ages out; the counters stay
	n.rows("/api/v1/providers")
	n.post(http.StatusAccepted, decision("c", "p", ""))
	_, _, body := n.get("/metrics")
	for _, line := range []string{
		`remuda_calls_total{chain="c",profile="default",provider_id="p",transport="http"} 9`,
		`remuda_samples_total{chain="c",profile="default",provider_id="p",transport="http"} 3`,
		`remuda_events_accepted_total 3`, `remuda_events_rejected_total{code="malformed"} 1`, `remuda_store_series 1`,
	} {
		if !strings.Contains(string(body), line+"\n") {
			t.Errorf("no %s in\n%s", line, body)
		}
	}
}

// TestCluster: a node alone lists itself, as members in a document and as rows
// in a stream.
func TestCluster(t *testing.T) {
	n := newTestNode(t, nil)
	_, _, body := n.get("/api/v1/cluster")
	var doc struct{ Members []map[string]any }
	if err := json.Unmarshal(body, &doc); err != nil || len(doc.Members) != 1 || doc.Members[0]["name"] != "n1" || doc.Members[0]["state"] != "alive" || doc.Members[0]["divergence_total"] != 0.0 {
		t.Errorf("%s %v", body, err)
	}
	r := n.open("/api/v1/cluster?format=sse&interval=100ms&max_frames=1", "")
	defer r.close()
	r.until(t, "the snapshot", func(e event) bool { return e.name == "snapshot" })
	if r.rows["n1"]["region"] != "us-east-1" {
		t.Errorf("%v", r.rows)
	}
	r.until(t, "bye", func(e event) bool { return e.name == "bye" && string(e.data) == `{"reason":"done"}` })
}
