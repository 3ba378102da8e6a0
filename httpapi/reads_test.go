package httpapi_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"remuda/httpapi"
)

// series posts so many series, from a number on, each of a method of its own.
func (n *testNode) series(from, count int) {
	n.tb.Helper()
	for batch := range slices.Chunk(make([]struct{}, count), 1000) {
		var lines []string
		for range batch {
			lines = append(lines, fmt.Sprintf(`{"chain":"c","provider_id":"p%d","method":"m%d","duration_ms":5,"result":"success"}`, from%20, from))
			from++
		}
		n.post(http.StatusAccepted, lines...)
	}
}

// readMemory is what reads hold at the moment.
func (n *testNode) readMemory() float64 {
	for _, row := range n.rows("/api/v1/limits") {
		if row["key"] == "read_memory" {
			return row["current"].(float64)
		}
	}
	n.tb.Fatal("read_memory is not among the limits")
	return 0
}

func topics(list ...string) string {
	path := "/api/v1/stream?interval=100ms"
	for _, topic := range list {
		path += "&topic=" + url.QueryEscape(topic)
	}
	return path
}

// TestReadsAreBounded: what would take more memory than reads may hold is refused and told
// when to come again, while all else is answered; and nothing is held in the end.
func TestReadsAreBounded(t *testing.T) {
	n := newTestNode(t, func(o *httpapi.Options) { o.ReadMemory = 8 << 20 })
	n.series(0, 5000)
	for from := 0; from < 5000; from += 1000 {
		var lines []string
		for i := range 1000 {
			lines = append(lines, decision("c", fmt.Sprint("p", from+i), `,"profile":"many"`))
		}
		n.post(http.StatusAccepted, lines...)
	}
	var wide []string
	for i := range 10 {
		wide = append(wide, fmt.Sprint("stats?by=method&window=", []string{"1m", "5m", "15m", "1h", "10s"}[i%5], "&limit=", 9000-i))
	}
	var group sync.WaitGroup
	paths := []string{
		"/api/v1/stats?by=method&limit=9000", "/api/v1/stats?by=method&limit=9000&format=csv", "/api/v1/stats?by=method&limit=9000&format=table",
		"/api/v1/stats?by=method&limit=10&sort=-p95_latency_ms", topics(wide...), "/api/v1/stats?by=method&limit=9000&format=ndjson&watch=1",
		"/api/v1/rank?chain=c", "/api/v1/attention?profile=many", "/api/v1/series?by=method&metric=total_calls", "/api/v1/histogram?by=method",
	}
	for i, path := range paths {
		group.Go(func() {
			for range 2 {
				req, err := http.NewRequest(http.MethodGet, n.server.URL+path, nil)
				if err != nil {
					t.Error(err)
					return
				}
				resp, err := n.server.Client().Do(req)
				if err != nil {
					t.Error(err)
					return
				}
				body, err := io.ReadAll(io.LimitReader(resp.Body, 10_000)) // a stream would not end
				_ = resp.Body.Close()
				if status, head := resp.StatusCode, resp.Header; err != nil || status != http.StatusServiceUnavailable || !slices.Contains([]string{"1", "5"}, head.Get("Retry-After")) || !strings.Contains(string(body), "overloaded") {
					t.Errorf("%.60s… (%d) is answered with %d %v %.200s", path, i, status, head, body)
				}
			}
		})
	}
	for range 20 {
		if rows := n.rows("/api/v1/stats?by=provider_id"); len(rows) != 20 {
			t.Errorf("%d rows", len(rows))
		}
		n.post(http.StatusAccepted, decision("c", "p1", ""))
	}
	group.Wait()
	for _, path := range paths { // alone each is still too much
		if status, _, body := n.get(path); status != http.StatusServiceUnavailable || !strings.Contains(string(body), "/api/v1/limits") {
			t.Errorf("%.60s… is answered with %d %.200s", path, status, body)
		}
	}
	r := n.open("/api/v1/providers?format=sse&max_frames=2", "")
	r.until(t, "the end of a small stream", func(e event) bool { return e.name == "bye" })
	r.close()
	n.eventually("the view is not refused", func() bool { return n.readMemory() < 1<<20 }) // a small view is kept for a while
}

// TestRefusedIsNotTriedAgain: a stream for which there is no memory is not computed again for
// each who asks.
func TestRefusedIsNotTriedAgain(t *testing.T) {
	n := newTestNode(t, func(o *httpapi.Options) { o.ReadMemory = 4 << 20 })
	n.series(0, 5000)
	computed := func() string {
		_, _, text := n.get("/metrics")
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "remuda_frames_computed_total") {
				return line
			}
		}
		t.Fatal("no remuda_frames_computed_total")
		return ""
	}
	path := topics("stats?by=method&limit=9000", "stats?by=method&limit=8000")
	if status, _, _ := n.get(path); status != http.StatusServiceUnavailable {
		t.Fatal(status)
	}
	before := computed()
	for range 20 {
		if status, head, _ := n.get(path); status != http.StatusServiceUnavailable || head.Get("Retry-After") != "5" {
			t.Fatal(status, head)
		}
	}
	if after := computed(); after != before {
		t.Errorf("%sis now %s", before, after)
	}
}

// TestStreamOutgrows: a stream for whose rows there is no memory any more ends, and says so.
func TestStreamOutgrows(t *testing.T) { bothWays(t, testStreamOutgrows) }

func testStreamOutgrows(t *testing.T, start starter) {
	n := start(t, func(o *httpapi.Options) { o.ReadMemory = 4 << 20 })
	n.series(0, 100)
	r := n.open("/api/v1/stats?by=method&limit=9000&format=sse&interval=100ms", "")
	defer r.close()
	r.until(t, "the snapshot", func(e event) bool { return e.name == "snapshot" })
	n.series(100, 5000)
	bye := r.until(t, "the end", func(e event) bool { return e.name == "bye" })
	if string(bye.data) != `{"reason":"overloaded"}` || bye.id != r.cursor {
		t.Errorf("it ends with %s, id %q", bye.data, bye.id)
	}
	n.eventually("it still holds memory", func() bool { return n.readMemory() < 256<<10 })
}

// TestDecisionsTakeMemory: decisions that a stream keeps are accounted for like other rows.
func TestDecisionsTakeMemory(t *testing.T) {
	n := newTestNode(t, nil)
	const rows = 200
	var lines []string
	for i := range rows {
		lines = append(lines, decision("c", "p", fmt.Sprintf(`,"request_id":"r%d"`, i)))
	}
	n.post(http.StatusAccepted, lines...)
	if kept := len(n.rows("/api/v1/decisions?limit=1000")); kept != rows {
		t.Fatal(kept, "decisions are kept")
	}
	before := n.readMemory()
	r := n.open("/api/v1/decisions?limit=1000&format=sse", "")
	defer r.close()
	r.until(t, "the snapshot", func(e event) bool { return e.name == "snapshot" })
	if held := n.readMemory() - before; held < rows*2<<10 {
		t.Errorf("a stream of %d decisions holds %v bytes", rows, held)
	}
}

// TestTopicsShareTables: topics that differ in what they show of the same rows take the
// memory of one, and show the same.
func TestTopicsShareTables(t *testing.T) {
	n := newTestNode(t, func(o *httpapi.Options) { o.ReadMemory = 32 << 20 })
	n.series(0, 5000) // some 7 MB a table
	var list []string
	for i := range 100 {
		list = append(list, fmt.Sprintf("stats?by=method&limit=%d&sort=-total_calls", 1+i%7))
	}
	n.post(http.StatusAccepted, `{"chain":"c","provider_id":"p","method":"m77","duration_ms":5,"result":"success"}`)
	r := n.open(topics(list...), "")
	defer r.close()
	for {
		e, err := r.next()
		if err != nil {
			t.Fatal(err)
		}
		if e.name != "snapshot" && e.name != "delta" {
			continue
		}
		var frame struct {
			Topics map[string]struct{ Rows, Upsert []map[string]any }
		}
		if err := json.Unmarshal(e.data, &frame); err != nil {
			t.Fatal(err)
		}
		changed := 0
		for name, topic := range frame.Topics {
			if rows := append(topic.Rows, topic.Upsert...); len(rows) > 0 {
				if changed++; rows[0]["key"] != "m77" {
					t.Fatalf("%s of %s shows %.300v", e.name, name, rows)
				}
			}
		}
		if changed != 0 && changed != len(frame.Topics) {
			t.Fatalf("%s: %d topics of %d have changed", e.name, changed, len(frame.Topics))
		}
		if e.name == "delta" && changed > 0 {
			return
		}
		n.post(http.StatusAccepted, `{"chain":"c","provider_id":"p","method":"m77","duration_ms":5,"result":"success"}`)
	}
}

// TestWideAnswers: an answer of very many rows is the same in all its forms, whoever asks
// for it at the same time, and holds nothing once it is written.
func TestWideAnswers(t *testing.T) {
	n := newTestNode(t, nil)
	n.series(0, 3000)
	want := make(map[string]bool)
	for i := range 3000 {
		want[fmt.Sprint("m", i)] = true
	}
	check := func(path string, keys []string) {
		t.Helper()
		got := make(map[string]bool)
		for _, key := range keys {
			got[key] = true
		}
		if len(keys) != len(want) || len(got) != len(want) {
			t.Errorf("%s has %d rows, %d different ones", path, len(keys), len(got))
		}
	}
	keysOf := func(rows []map[string]any) (keys []string) {
		for _, row := range rows {
			keys = append(keys, row["key"].(string))
		}
		return keys
	}
	const path = "/api/v1/stats?by=method&limit=9000"
	var group sync.WaitGroup
	for range 10 {
		group.Go(func() { check(path, keysOf(n.rows(path))) })
	}
	group.Wait()
	check(path, keysOf(n.rows(path+"&sort=-method")))
	if keys := keysOf(n.rows(path + "&sort=-method")); !slices.IsSortedFunc(keys, func(a, b string) int { return strings.Compare(b, a) }) {
		t.Error("rows are not sorted as asked")
	}
	_, head, text := n.get(path+"&format=csv", "Accept-Encoding", "identity")
	lines, err := csv.NewReader(strings.NewReader(string(text))).ReadAll()
	if err != nil || head.Get("Etag") == "" {
		t.Fatal(err, head)
	}
	var keys []string
	for _, line := range lines[1:] {
		keys = append(keys, line[0])
	}
	check("csv", keys)
	n.server.Client().Transport.(*http.Transport).DisableCompression = false
	check("gzip", keysOf(n.rows(path)))
	_, _, text = n.get(path + "&format=ndjson")
	if lines := strings.Count(string(text), "\n"); lines != 3000 {
		t.Errorf("%d lines", lines)
	}
	n.eventually("answers that were written hold memory", func() bool { return n.readMemory() < 256<<10 })
}

// TestWideReadersHoldNobodyUp: readers that take nothing of a wide answer do not keep
// others from being computed and written.
func TestWideReadersHoldNobodyUp(t *testing.T) {
	n := newTestNode(t, func(o *httpapi.Options) { o.ReadMemory = 256 << 20 })
	n.series(0, 9000)
	host := strings.TrimPrefix(n.server.URL, "http://")
	for i := range max(runtime.GOMAXPROCS(0)/2, 1) { // as many as work at a time
		conn, err := net.Dial("tcp", host)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.(*net.TCPConn).SetReadBuffer(4096)
		fmt.Fprintf(conn, "GET /api/v1/stats?by=method&limit=%d HTTP/1.1\r\nHost: %s\r\n\r\n", 10_000-i, host)
		n.eventually("the answer is held", func() bool { return n.readMemory() >= float64(i+1)*9000*700 })
	}
	var many []string
	for i := range 60 {
		many = append(many, fmt.Sprint("stats?by=provider_id&limit=", 100+i))
	}
	for _, path := range []string{"/api/v1/stats?by=method&limit=8000", topics(many...)} {
		n.eventually("answered", func() bool { // a busy machine says first that others have their turn
			resp, err := n.server.Client().Get(n.server.URL + path)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body := io.Reader(resp.Body)
			if strings.Contains(path, "/stream") { // it would not end
				body = io.LimitReader(body, 100)
			}
			if _, err := io.Copy(io.Discard, body); err != nil {
				t.Fatal(err)
			}
			return resp.StatusCode == http.StatusOK
		})
	}
}
