package httpapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"remuda/httpapi"
)

// moving are the members that change with the clock alone.
var moving = cmpopts.IgnoreMapEntries(func(k string, _ any) bool { return k == "calls_per_second" || strings.HasSuffix(k, "age_ms") })

func byKey(rows []map[string]any) map[string]map[string]any {
	m := make(map[string]map[string]any, len(rows))
	for _, r := range rows {
		m[r["key"].(string)] = r
	}
	return m
}

// TestStreamsEqualREST has writers write in bursts while readers follow streams,
// some of them slow and some of them losing their connection. Whenever the
// writers pause, what each reader has put together equals what REST says at that
// revision; expiry included, for the clock is moved as well.
func TestStreamsEqualREST(t *testing.T) { allWays(t, testStreamsEqualREST) }

func testStreamsEqualREST(t *testing.T, start starter) {
	n := start(t, nil)
	queries := []string{
		"/api/v1/providers?window=10s&expand=by_region,methods",
		"/api/v1/providers?window=5m&sort=-total_calls&limit=5",
		"/api/v1/stats?by=method,transport&window=1m&fields=total_calls,p95_latency_ms",
		"/api/v1/circuits?", "/api/v1/blocks?", "/api/v1/provider_health?",
	}
	readers := make([]*reader, 2*len(queries))
	stream := func(i int, cursor string) *reader {
		return n.open(queries[i%len(queries)]+"&format=sse&interval=100ms", cursor)
	}
	for i := range readers {
		readers[i] = stream(i, "")
	}
	defer func() {
		for _, r := range readers {
			r.close()
		}
	}()
	serial := atomic.Int64{}
	for round := range 6 {
		var writers sync.WaitGroup
		for w := range 4 {
			writers.Go(func() {
				rng := rand.New(rand.NewPCG(uint64(round), uint64(w)))
				for range 10 {
					var lines []string
					for range 20 {
						p := fmt.Sprintf("p%d", rng.IntN(8))
						lines = append(lines, decision(fmt.Sprintf("c%d", rng.IntN(2)), p, fmt.Sprintf(`,"source_region":"r%d","request_id":"q%d","transport":%q`,
							rng.IntN(3), serial.Add(1), []string{"http", "ws"}[rng.IntN(2)])))
						if rng.IntN(10) == 0 {
							lines = append(
								lines,
								fmt.Sprintf(`{"type":"circuit","chain":"c0","provider_id":%q,"to":%q}`, p, []string{"open", "closed", "half_open"}[rng.IntN(3)]),
								fmt.Sprintf(`{"type":"block","chain":"c0","provider_id":%q,"height":%d}`, p, 1000+rng.IntN(30)),
								fmt.Sprintf(`{"type":"health","chain":"c1","provider_id":%q,"status":"degraded","consecutive_failures":%d}`, p, rng.IntN(5)),
							)
						}
					}
					n.post(http.StatusAccepted, lines...)
				}
			})
		}
		for i, r := range readers {
			switch i % 3 {
			case 1: // loses its connection and comes back with its cursor
				if _, err := r.follow(); err != nil {
					t.Fatal(err)
				}
				cursor := r.cursor
				r.close()
				again := stream(i, cursor)
				again.rows, again.cursor = r.rows, r.cursor
				readers[i] = again
			case 2: // reads nothing during the burst
			default:
				if _, err := r.follow(); err != nil {
					t.Fatal(err)
				}
			}
		}
		writers.Wait()
		n.pass(time.Duration(rand.IntN(40)) * time.Second)
		if round == 4 {
			n.pass(400 * time.Second) // reports turn stale
		}
		for i, r := range readers {
			// The clock goes on, so a window may slide between the two answers: try
			// until both are of one revision.
			var want map[string]map[string]any
			r.until(t, "a frame of the present revision", func(e event) bool {
				if r.rows == nil {
					return false
				}
				_, _, body := n.get(queries[i%len(queries)])
				var doc struct {
					Meta map[string]any
					Rows []map[string]any
				}
				if err := json.Unmarshal(body, &doc); err != nil {
					t.Fatal(err)
				}
				want = byKey(doc.Rows)
				return e.name != "hello" && r.meta["revision"] == doc.Meta["revision"]
			})
			if diff := cmp.Diff(want, r.rows, moving); diff != "" {
				t.Fatalf("round %d, %s:\n%s", round, queries[i%len(queries)], diff)
			}
		}
	}
}

// TestCountsAreExact: 8 writers and 50 readers; in the end every view sums to
// what the answers to the writers said.
func TestCountsAreExact(t *testing.T) { bothWays(t, testCountsAreExact) }

func testCountsAreExact(t *testing.T, start starter) {
	n := start(t, nil)
	n.server.Client().Transport.(*http.Transport).MaxIdleConnsPerHost = 64
	stop := make(chan struct{})
	var readers, writers sync.WaitGroup
	for i := range 50 {
		readers.Go(func() {
			if i < 25 {
				r := n.open(fmt.Sprintf("/api/v1/%s?format=sse&interval=100ms", []string{"providers", "chains", "methods", "nodes", "regions"}[i%5]), "")
				defer r.close()
				for {
					if _, err := r.follow(); err != nil {
						t.Error(err)
						return
					}
					select {
					case <-stop:
						return
					default:
					}
				}
			}
			for {
				select {
				case <-stop:
					return
				default:
					n.rows("/api/v1/providers?window=5m")
				}
			}
		})
	}
	var accepted, duplicates atomic.Int64
	for w := range 8 {
		writers.Go(func() {
			rng := rand.New(rand.NewPCG(9, uint64(w)))
			for range 25 {
				var lines []string
				for range 40 {
					// Some request ids meet those of other writers: duplicates.
					lines = append(lines, decision("c", fmt.Sprintf("p%d", rng.IntN(5)), fmt.Sprintf(`,"request_id":"q%d","weight":%d`, rng.IntN(20_000), 1)))
				}
				answer := n.post(http.StatusAccepted, lines...)
				accepted.Add(int64(answer["accepted"].(float64)))
				duplicates.Add(int64(answer["duplicates"].(float64)))
			}
		})
	}
	writers.Wait()
	close(stop)
	readers.Wait()
	if total := accepted.Load() + duplicates.Load(); total != 8*25*40 {
		t.Fatalf("%d events were answered for", total)
	}
	for _, path := range []string{"providers", "chains", "methods", "nodes", "regions", "strategies", "profiles", "stats?by=transport,request_origin&window=5m"} {
		if !strings.Contains(path, "?") {
			path += "?window=5m"
		}
		sum := 0.0
		for _, row := range n.rows("/api/v1/" + path) {
			sum += row["total_calls"].(float64)
		}
		if int64(sum) != accepted.Load() {
			t.Errorf("%s sums to %v, accepted were %d", path, sum, accepted.Load())
		}
	}
}

// TestIdleWindowDecays: what is not written any more leaves its window; a
// conditional GET says so, and a stream does.
func TestIdleWindowDecays(t *testing.T) { bothWays(t, testIdleWindowDecays) }

func testIdleWindowDecays(t *testing.T, start starter) {
	n := start(t, nil)
	n.post(http.StatusAccepted, decision("c", "p", ""))
	_, head, _ := n.get("/api/v1/providers?window=10s")
	etag := head.Get("ETag")
	if status, _, _ := n.get("/api/v1/providers?window=10s", "If-None-Match", etag); status != http.StatusNotModified {
		t.Fatalf("nothing has changed, and the answer is %d", status)
	}
	r := n.open("/api/v1/providers?window=10s&format=sse&interval=100ms", "")
	defer r.close()
	r.until(t, "the snapshot", func(e event) bool { return e.name == "snapshot" })
	if r.rows["c/p"]["total_calls"] != 1.0 {
		t.Fatalf("snapshot has %v", r.rows)
	}

	n.pass(12 * time.Second)
	status, _, body := n.get("/api/v1/providers?window=10s", "If-None-Match", etag)
	if status != http.StatusOK {
		t.Fatalf("the window is over, and the answer is %d", status)
	}
	var doc struct{ Rows []map[string]any }
	if err := json.Unmarshal(body, &doc); err != nil || len(doc.Rows) != 1 {
		t.Fatalf("%s %v", body, err)
	}
	row := doc.Rows[0]
	if row["total_calls"] != 0.0 || row["success_rate_pct"] != nil || row["p95_latency_ms"] != nil || row["last_seen_at"] == nil {
		t.Errorf("after the window: %v", row)
	}
	r.until(t, "zeros in the stream", func(event) bool { return r.rows["c/p"]["total_calls"] == 0.0 })

	n.pass(time.Hour + time.Minute)
	r.until(t, "the end of the row", func(event) bool { return len(r.rows) == 0 })
}

// TestAbsence: no data, zero calls, total outage and a circuit nobody reported
// are four different answers.
func TestAbsence(t *testing.T) {
	n := newTestNode(t, nil)
	if rows := n.rows("/api/v1/providers"); len(rows) != 0 {
		t.Errorf("no data: %v", rows)
	}
	n.post(http.StatusAccepted,
		`{"type":"block","chain":"c","provider_id":"quiet","height":7}`,
		strings.Replace(decision("c", "down", `,"error_category":"timeout"`), "success", "error", 1),
		`{"type":"circuit","chain":"c","provider_id":"down","transport":"http","to":"closed"}`)
	rows := byKey(n.rows("/api/v1/providers"))
	quiet, down := rows["c/quiet"], rows["c/down"]
	if quiet["total_calls"] != 0.0 || quiet["success_rate_pct"] != nil || quiet["last_seen_at"] != nil || quiet["block_height"] != 7.0 {
		t.Errorf("zero calls: %v", quiet)
	}
	if down["total_calls"] != 1.0 || down["success_rate_pct"] != 0.0 || down["availability_pct"] != 0.0 || down["p50_latency_ms"] != nil || down["block_lag_blocks"] != nil {
		t.Errorf("total outage: %v", down)
	}
	if diff := cmp.Diff(map[string]any{"http": "closed", "ws": "unknown"}, down["circuit"]); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]any{"http": "unknown", "ws": "unknown"}, quiet["circuit"]); diff != "" {
		t.Error(diff)
	}
}

// TestReaderThatNeverReads: it is cut within its deadline, the others' frames go
// on coming, and nothing of it is left.
func TestReaderThatNeverReads(t *testing.T) { bothWays(t, testReaderThatNeverReads) }

func testReaderThatNeverReads(t *testing.T, start starter) {
	n := start(t, func(o *httpapi.Options) { o.WriteTimeout = time.Second })
	var lines []string
	for i := range 600 { // a large view fills the buffers of the connection soon
		lines = append(lines, decision("c", fmt.Sprintf("provider_with_a_rather_long_name_%d", i), ""))
	}
	n.post(http.StatusAccepted, lines...)
	good := n.open("/api/v1/providers?format=sse&interval=100ms&window=5m&limit=10", "") // it must keep up on a busy machine
	defer good.close()
	good.until(t, "the first frame", func(e event) bool { return e.name == "snapshot" })
	subscribers := func() int { return len(n.rows("/api/v1/subscribers")) }
	goroutines, files := runtime.NumGoroutine(), descriptors(t)

	for range 10 {
		for _, format := range []string{"sse", "ndjson&watch=1"} {
			conn := n.rawConn("GET /api/v1/providers?window=5m&interval=100ms&format=" + format + " HTTP/1.1\r\nHost: localhost\r\n\r\n")
			defer conn.Close()
		}
	}
	good.until(t, "twenty more subscribers", func(event) bool { // some may have had their time already
		open := subscribers()
		_, _, text := n.get("/metrics")
		return open+int(metric(t, text, "remuda_subscribers_cut_total")) >= 21
	})
	began, frames := time.Now(), 0
	stop := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() { // every row changes all the time
		for {
			select {
			case <-stop:
				return
			default:
				n.post(http.StatusAccepted, lines...)
			}
		}
	})
	good.until(t, "the end of those that do not read", func(event) bool { frames++; return subscribers() == 1 })
	close(stop)
	writer.Wait()
	if gap := time.Since(began) / time.Duration(frames); gap > 2*time.Second {
		t.Errorf("the good reader had a frame every %v", gap)
	}
	n.server.Client().CloseIdleConnections()
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > goroutines+8 || descriptors(t) > files+28; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, before %d; %d descriptors, before %d", runtime.NumGoroutine(), goroutines, descriptors(t), files)
		}
	}
}

// TestManyReadersOfOneView: all get every frame, the same bytes under the same cursor,
// and a frame is computed once however many they are.
func TestManyReadersOfOneView(t *testing.T) { allWays(t, testManyReadersOfOneView) }

func testManyReadersOfOneView(t *testing.T, start starter) {
	n := start(t, nil)
	n.post(http.StatusAccepted, decision("c", "p", ""))
	const count, frames = 150, 5
	var mu sync.Mutex
	sent := make(map[string]string) // data by event and cursor
	var readers sync.WaitGroup
	for range count {
		r := n.open(fmt.Sprintf("/api/v1/providers?format=sse&interval=100ms&max_frames=%d", frames), "")
		readers.Go(func() {
			defer r.close()
			got := 0
			for {
				e, err := r.follow()
				if err != nil {
					t.Errorf("after %d frames: %v", got, err)
					return
				}
				switch e.name {
				case "bye":
					if got != frames || string(e.data) != `{"reason":"done"}` {
						t.Errorf("%d frames, then %s", got, e.data)
					}
					return
				case "snapshot", "delta":
					got++
					mu.Lock()
					if known, ok := sent[e.name+e.id]; ok && known != string(e.data) {
						t.Errorf("%s %s is %s for one and %s for another", e.name, e.id, known, e.data)
					}
					sent[e.name+e.id] = string(e.data)
					mu.Unlock()
				}
			}
		})
	}
	readers.Wait()
	_, _, text := n.get("/metrics")
	computed, written := metric(t, text, "remuda_frames_computed_total"), metric(t, text, "remuda_frames_written_total")
	if written != count*frames || computed > 2*float64(len(sent)) {
		t.Errorf("%v frames were computed and %v written; readers saw %d different ones", computed, written, len(sent))
	}
}

// metric is the value of a metric without labels.
func metric(t *testing.T, text []byte, name string) float64 {
	t.Helper()
	_, rest, found := strings.Cut("\n"+string(text), "\n"+name+" ")
	line, _, _ := strings.Cut(rest, "\n")
	value, err := strconv.ParseFloat(line, 64)
	if !found || err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return value
}

// TestReaderThatPauses: one that takes nothing for a while, and then all, misses
// frames and no news, and no frame reaches it in part. So does one that goes on pausing.
func TestReaderThatPauses(t *testing.T) { bothWays(t, testReaderThatPauses) }

func testReaderThatPauses(t *testing.T, start starter) {
	n := start(t, func(o *httpapi.Options) { o.WriteTimeout = time.Minute })
	var lines []string
	for i := range 300 { // a large view fills the buffers of the connection soon
		lines = append(lines, decision("c", fmt.Sprintf("provider_with_a_rather_long_name_%d", i), ""))
	}
	n.post(http.StatusAccepted, lines...)
	const path = "/api/v1/providers?window=5m"
	r := n.open(path+"&format=sse&interval=100ms", "")
	defer r.close()
	for range 2 {
		waits := func() bool { return n.rows("/api/v1/subscribers")[0]["lag_ms"].(float64) > 50 }
		for deadline := time.Now().Add(time.Minute); !waits(); n.post(http.StatusAccepted, lines...) {
			if time.Now().After(deadline) {
				t.Fatal("the stream does not wait for a reader that does not read")
			}
		}
		want := byKey(n.rows(path))
		calls := func(rows map[string]map[string]any) (sum float64) {
			for _, row := range rows {
				sum += row["total_calls"].(float64)
			}
			return sum
		}
		r.until(t, "what was counted", func(event) bool { return calls(r.rows) == calls(want) })
		if diff := cmp.Diff(want, r.rows, moving); diff != "" {
			t.Fatal(diff)
		}
	}
}

// TestQuietStreamsLast: a deadline is for writing a frame, not for the time between
// two.
func TestQuietStreamsLast(t *testing.T) { allWays(t, testQuietStreamsLast) }

func testQuietStreamsLast(t *testing.T, start starter) {
	n := start(t, func(o *httpapi.Options) { o.WriteTimeout = 200 * time.Millisecond })
	for _, format := range []string{"sse", "ndjson&watch=1"} {
		r := n.open("/api/v1/providers?interval=1s&format="+format, "")
		for range 3 {
			if _, err := r.lines.ReadBytes('}'); err != nil {
				t.Fatal(format, err)
			}
			if _, err := r.lines.ReadBytes('\n'); err != nil {
				t.Fatal(format, err)
			}
		}
		r.close()
	}
}

// TestEndWithoutBye: readers that take nothing are let go when the time for the
// node's end is over, and nothing of them is left.
func TestEndWithoutBye(t *testing.T) { bothWays(t, testEndWithoutBye) }

func testEndWithoutBye(t *testing.T, start starter) {
	n := start(t, func(o *httpapi.Options) { o.WriteTimeout = time.Minute })
	var lines []string
	for i := range 7000 { // a frame for which no connection has the buffers
		lines = append(lines, decision("c", fmt.Sprintf("provider_with_a_rather_long_name_%d", i), ""))
	}
	n.post(http.StatusAccepted, lines...)
	for range 3 {
		conn := n.rawConn("GET /api/v1/providers?window=5m&limit=10000&interval=100ms&format=sse HTTP/1.1\r\nHost: localhost\r\n\r\n")
		defer conn.Close()
	}
	stuck := func() (stuck int) {
		for _, row := range n.rows("/api/v1/subscribers") {
			if row["lag_ms"].(float64) > 300 {
				stuck++
			}
		}
		return stuck
	}
	for deadline := time.Now().Add(time.Minute); stuck() < 3; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("readers that do not read are not stuck")
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if err := n.api.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("shutdown: %v", err)
	}
	n.server.CloseClientConnections() // as a server that ends does with those it knows
}

// TestShutdownSaysBye: streams of both kinds are told, with their last cursor,
// and new ones are turned away.
func TestShutdownSaysBye(t *testing.T) { allWays(t, testShutdownSaysBye) }

func testShutdownSaysBye(t *testing.T, start starter) {
	n := start(t, nil)
	n.post(http.StatusAccepted, decision("c", "p", ""))
	r := n.open("/api/v1/providers?format=sse&interval=100ms", "")
	defer r.close()
	r.until(t, "the snapshot", func(e event) bool { return e.name == "snapshot" })
	go n.shutdown()
	bye := r.until(t, "bye", func(e event) bool { return e.name == "bye" })
	if string(bye.data) != `{"reason":"shutdown"}` || bye.id != r.cursor {
		t.Errorf("bye is %s with id %q, the last cursor was %q", bye.data, bye.id, r.cursor)
	}
	if status, head, _ := n.get("/api/v1/providers?format=sse"); status != http.StatusServiceUnavailable || head.Get("Retry-After") == "" {
		t.Errorf("a new stream is answered with %d", status)
	}
	if status, _, _ := n.get("/readyz"); status != http.StatusServiceUnavailable {
		t.Errorf("readyz says %d", status)
	}
}

// TestReadYourWrites: an answer that was asked for after a post has it in.
func TestReadYourWrites(t *testing.T) {
	n := newTestNode(t, nil)
	var group sync.WaitGroup
	for w := range 6 {
		group.Go(func() {
			for i := range 30 {
				n.post(http.StatusAccepted, decision("c", fmt.Sprintf("p%d", w), ""))
				for _, row := range n.rows("/api/v1/providers?window=5m") {
					if row["provider_id"] == fmt.Sprintf("p%d", w) && row["total_calls"] != float64(i+1) {
						t.Errorf("posted %d calls, read %v", i+1, row["total_calls"])
					}
				}
			}
		})
	}
	group.Wait()
}

// TestCursorsFromElsewhere: whatever a Last-Event-ID is, the answer is a stream.
func TestCursorsFromElsewhere(t *testing.T) { allWays(t, testCursorsFromElsewhere) }

func testCursorsFromElsewhere(t *testing.T, start starter) {
	n := start(t, nil)
	n.post(http.StatusAccepted, decision("c", "p", ""))
	first := n.open("/api/v1/providers?format=sse&interval=100ms", "")
	first.until(t, "the snapshot", func(e event) bool { return e.name == "snapshot" })
	first.close()
	parts := strings.Split(first.cursor, ".")
	for _, cursor := range []string{
		"1", "-1", "garbage/../%00", "\xff\xfe", "99999999999999999999", parts[0] + "." + parts[1] + ".zzzzz", parts[0] + ".0.1", "0." + parts[1] + ".1",
		strings.Repeat("9", 8000),
	} {
		r := n.open("/api/v1/providers?format=sse&interval=100ms", cursor)
		var names []string
		for range 2 {
			e, err := r.next()
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, e.name)
		}
		r.close()
		if !cmp.Equal(names, []string{"hello", "snapshot"}) {
			t.Errorf("cursor %.30q: %v", cursor, names)
		}
	}
	r := n.open("/api/v1/providers?format=sse&interval=100ms", first.cursor)
	defer r.close()
	hello, err := r.next()
	if err != nil || hello.id != first.cursor {
		t.Errorf("hello has id %q, want %q; %v", hello.id, first.cursor, err)
	}
	if e, err := r.next(); err != nil || e.name != "delta" {
		t.Errorf("a cursor that is good goes on with %q, %v", e.name, err)
	}
}

// TestTopics: several views on one connection, one frame for all.
func TestTopics(t *testing.T) { allWays(t, testTopics) }

func testTopics(t *testing.T, start starter) {
	n := start(t, nil)
	n.post(http.StatusAccepted, decision("c", "p", `,"request_id":"q1"`))
	r := n.open("/api/v1/stream?topics=providers,decisions,circuits&interval=100ms", "")
	defer r.close()
	topics := func(e event) map[string]map[string]json.RawMessage {
		var doc struct {
			Topics map[string]map[string]json.RawMessage
		}
		if err := json.Unmarshal(e.data, &doc); err != nil {
			t.Fatal(err)
		}
		return doc.Topics
	}
	if _, err := r.next(); err != nil {
		t.Fatal(err)
	}
	snapshot, err := r.next()
	if err != nil {
		t.Fatal(err)
	}
	for name, topic := range topics(snapshot) {
		if topic["rows"] == nil {
			t.Errorf("the snapshot of %s has no rows", name)
		}
	}
	n.post(http.StatusAccepted, decision("c", "p", `,"request_id":"q2"`))
	for {
		e, err := r.next()
		if err != nil {
			t.Fatal(err)
		}
		got := topics(e)
		if names := len(got); names != 3 {
			t.Fatalf("%d topics in %s", names, e.data)
		}
		if added := string(got["decisions"]["append"]); added != "[]" {
			if !strings.Contains(added, `"q2"`) || strings.Contains(added, `"q1"`) || string(got["decisions"]["seen"]) != "1" {
				t.Errorf("decisions: %s", e.data)
			}
			break
		}
	}
}

// TestPercentilesAreObserved: no percentile is beyond what was observed, of failures
// as of successes, and 0 is 0.
func TestPercentilesAreObserved(t *testing.T) {
	n := newTestNode(t, nil)
	line := func(provider, result string, ms float64) string {
		return fmt.Sprintf(`{"chain":"base","provider_id":%q,"method":"m","duration_ms":%v,"result":%q}`, provider, ms, result)
	}
	n.post(http.StatusAccepted,
		line("t", "error", 10000), line("z", "error", 0), line("one", "error", 0.001), line("both", "error", 0), line("both", "error", 10000),
		line("good", "success", 0), line("good", "success", 0), line("good", "success", 7))
	check := func(when string) {
		t.Helper()
		rows := byKey(n.rows("/api/v1/providers?window=15m"))
		for provider, want := range map[string]float64{"t": 10000, "z": 0, "one": 0.001, "both": 10000} {
			if got := rows["base/"+provider]["failure_p95_latency_ms"]; got != want {
				t.Errorf("%s, %s: %v, not %v", when, provider, got, want)
			}
		}
		good := rows["base/good"]
		if p99 := good["p99_latency_ms"].(float64); p99 < 6.9 || p99 > 7 || good["p50_latency_ms"] != 0.0 || good["failure_p95_latency_ms"] != nil {
			t.Errorf("%s: %v", when, good)
		}
	}
	check("at once")
	n.pass(3 * time.Minute) // they are packed, and summed
	check("later")
	n.post(http.StatusAccepted, line("both", "error", 20))
	n.pass(14 * time.Minute)
	if p := byKey(n.rows("/api/v1/providers?window=15m"))["base/both"]["failure_p95_latency_ms"]; p != 20.0 {
		t.Errorf("of what is left: %v", p)
	}
}
