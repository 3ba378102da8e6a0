package load

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"remuda/httpapi"
	"remuda/ingest"
	"remuda/ingest/request"
	"remuda/store"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreTopFunction("github.com/golang/glog.(*fileSink).flushDaemon"),
		goleak.IgnoreTopFunction("net/http.(*persistConn).readLoop"), // kept by the client for the next request
		goleak.IgnoreTopFunction("net/http.(*persistConn).writeLoop"),
	)
}

// startTestNode serves a node behind a handler that may get in its way.
func startTestNode(t *testing.T, between func(http.Handler) http.Handler) string {
	t.Helper()
	st, err := store.New(store.Options{Node: "n1"})
	if err != nil {
		t.Fatal(err)
	}
	in, err := ingest.New(ingest.Options{Store: st})
	if err != nil {
		t.Fatal(err)
	}
	api, err := httpapi.New(httpapi.Options{Store: st, Ingester: request.Ingester{Ingester: in}, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	handler := http.Handler(api)
	if between != nil {
		handler = between(handler)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := api.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		server.CloseClientConnections()
		server.Close()
		api.Close()
	})
	return server.URL
}

// small is a plan with all that can happen to a line.
func small(urls ...string) Plan {
	return Plan{
		URLs: urls, Rate: 4000, Viewers: 4, Views: 2, Duration: time.Second, Batch: 50, Interval: 100 * time.Millisecond, Seed: 7,
		ErrorPct: 5, FailoverPct: 10, HedgePct: 10, ConsensusPct: 5, RepeatPct: 3, InvalidPct: 1, OutageEvery: time.Second, OutageFor: 300 * time.Millisecond,
	}
}

// TestExact: what was sent is what was counted and shown.
func TestExact(t *testing.T) {
	r, err := Run(context.Background(), small(startTestNode(t, nil)), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !r.OK() || r.Accepted != 4000 || r.Duplicates != 120 || r.Rejected != 40 || r.Deliveries != 4*4000 || r.Nodes[0].Counted != 4000 {
		t.Errorf("%s", r)
	}
	var out bytes.Buffer
	if err := r.Print(&out); err != nil || !strings.Contains(out.String(), "sent 4,160 = accepted 4,000 + rejected 40 + duplicate 120\nexact") {
		t.Errorf("%s %v", out.String(), err)
	}
}

// TestClosedLoop: without a rate the sums are the same.
func TestClosedLoop(t *testing.T) {
	p := small(startTestNode(t, nil))
	p.Closed, p.Rate, p.Viewers = true, 0, 1
	r, err := Run(context.Background(), p, Options{})
	if err != nil || !r.OK() || r.Accepted == 0 {
		t.Errorf("%s %v", r, err)
	}
}

// TestWideReaders: posts beside wide readers and without them are told apart, and what the
// readers were answered is told.
func TestWideReaders(t *testing.T) {
	p := small(startTestNode(t, nil))
	p.Viewers, p.Rate, p.Duration, p.WideReaders, p.WideEvery = 0, 1000, 6*time.Second, 2, 2*time.Second
	r, err := Run(context.Background(), p, Options{})
	if err != nil || !r.OK() {
		t.Fatalf("%s %v", r, err)
	}
	if w := r.Wide; w.Readers != 2 || w.WithoutP50 <= 0 || w.BesideP99 <= 0 || w.Answers["answers 200"] == 0 || w.Answers["streams 200"] != 1 {
		t.Errorf("%+v", w)
	}
	if !strings.Contains(r.String(), "without the 2 wide readers p50 ") {
		t.Errorf("%s", r)
	}
	p.WideEvery = time.Millisecond
	if _, err := Run(context.Background(), p, Options{}); err == nil {
		t.Error("phases of a millisecond")
	}
}

// TestLies: a node that says it took what it did not is found out.
func TestLies(t *testing.T) {
	before := settleTime
	settleTime = time.Second // it never settles
	defer func() { settleTime = before }()
	var posts atomic.Int64
	url := startTestNode(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost && posts.Add(1) == 10 {
				w.WriteHeader(http.StatusAccepted)
				_, _ = io.WriteString(w, `{"accepted":50,"duplicates":0,"rejected":0}`)
				return
			}
			h.ServeHTTP(w, r)
		})
	})
	p := small(url)
	p.RepeatPct, p.InvalidPct = 0, 0
	r, err := Run(context.Background(), p, Options{})
	if err != nil || r.AccountingOK || r.Surprises != 0 || len(r.Nodes[0].Mismatches) == 0 {
		t.Errorf("%s %v", r, err)
	}
}

// TestDoubles: a node that counts events twice is found out, though it says nothing of it.
func TestDoubles(t *testing.T) {
	before := settleTime
	settleTime = time.Second // it never settles
	defer func() { settleTime = before }()
	var posts atomic.Int64
	url := startTestNode(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost && posts.Add(1) == 10 {
				body, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				again := r.Clone(r.Context())
				again.Body = io.NopCloser(bytes.NewReader(bytes.ReplaceAll(body, []byte(`"request_id":"`), []byte(`"request_id":"again`))))
				again.ContentLength = -1
				h.ServeHTTP(httptest.NewRecorder(), again)
				r.Body = io.NopCloser(bytes.NewReader(body))
			}
			h.ServeHTTP(w, r)
		})
	})
	p := small(url)
	p.RepeatPct, p.InvalidPct = 0, 0
	r, err := Run(context.Background(), p, Options{})
	if err != nil || r.AccountingOK || r.Surprises != 0 || r.Accepted != 4000 || r.Nodes[0].Counted != 4050 || len(r.Nodes[0].Mismatches) == 0 {
		t.Errorf("%s %v", r, err)
	}
}

// TestShownOtherwise: viewers that are shown something else than what is counted are
// found out, provider by provider, even when the totals are right.
func TestShownOtherwise(t *testing.T) {
	before := settleTime
	settleTime = time.Second
	defer func() { settleTime = before }()
	url := startTestNode(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("format") != "sse" {
				h.ServeHTTP(w, r)
				return
			}
			h.ServeHTTP(lyingWriter{w}, r)
		})
	})
	p := small(url)
	p.Viewers, p.Views = 1, 1
	r, err := Run(context.Background(), p, Options{})
	if err != nil || !r.AccountingOK || r.ViewersOK || r.WrongViewers != 1 || r.Faults != 0 || r.Missed != 0 {
		t.Errorf("%s %v", r, err)
	}
}

// lyingWriter shows one provider under another's name.
type lyingWriter struct{ http.ResponseWriter }

func (l lyingWriter) Write(b []byte) (int, error) {
	_, err := l.ResponseWriter.Write(bytes.ReplaceAll(b, []byte(`"key":"base/`), []byte(`"key":"bose/`)))
	return len(b), err
}

func (l lyingWriter) Flush() { l.ResponseWriter.(http.Flusher).Flush() }

// TestInterrupted: what was sent before an interrupt is accounted for.
func TestInterrupted(t *testing.T) {
	p := small(startTestNode(t, nil))
	p.Duration = time.Minute
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r, err := Run(ctx, p, Options{Progress: func(now Progress) {
		if now.Accepted > 0 {
			cancel()
		}
	}})
	if err != nil || !r.OK() || r.Accepted == 0 || r.Accepted > 100_000 {
		t.Errorf("%s %v", r, err)
	}
}

// TestNodeThatDies: the report says so, and is there.
func TestNodeThatDies(t *testing.T) {
	before := settleTime
	settleTime = time.Second
	defer func() { settleTime = before }()
	var dead atomic.Bool
	url := startTestNode(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if dead.Load() {
				panic(http.ErrAbortHandler)
			}
			h.ServeHTTP(w, r)
		})
	})
	r, err := Run(context.Background(), small(startTestNode(t, nil), url), Options{Progress: func(now Progress) {
		if now.Accepted > 0 {
			dead.Store(true)
		}
	}})
	if err != nil || r.AccountingOK || len(r.Nodes[1].Mismatches) == 0 || !strings.Contains(r.String(), "EOF") {
		t.Errorf("%s %v", r, err)
	}
}

// TestWrongFrames: what is not the frame that follows is found out.
func TestWrongFrames(t *testing.T) {
	const (
		snapshot = `{"meta":{"revision":5},"rows":[{"key":"c/p","total_calls":3,"requests":2}]}`
		one      = `{"meta":{"revision":6},"upsert":[{"key":"c/p","total_calls":4,"requests":3},{"key":"c/q","total_calls":1,"requests":1}],"remove":[]}`
		two      = `{"meta":{"revision":7},"upsert":[],"remove":["c/q"]}`
	)
	s := newShown()
	for _, f := range []struct {
		name, cursor, before, data, wrong string
		requests                          uint64
	}{
		{"snapshot", "1", "", snapshot, "", 2},
		{"delta", "2", "1", one, "", 4},
		{"delta", "3", "2", two, "", 3},
		{"delta", "2", "1", one, "", 4}, // to another viewer
		{"delta", "3", "1", two, "to others after", 0},
		{"delta", "2", "1", two, "is not what others were sent", 0},
		{"delta", "4", "2.5", two, "was not sent", 0},
		{"delta", "4", "3", one, "back to 6", 0},
		{"snapshot", "3", "", snapshot, "differ", 0},
		{"delta", "5", "3", "{", "delta 5", 0},
	} {
		state, err := s.take(f.name, f.cursor, f.before, []byte(f.data))
		switch {
		case err != nil && (f.wrong == "" || !strings.Contains(err.Error(), f.wrong)):
			t.Errorf("%+v: %v", f, err)
		case err == nil && (f.wrong != "" || state.requests != f.requests):
			t.Errorf("%+v: %+v", f, state)
		}
	}
}

// TestRefused: a node that is overloaded makes the run worse, not wrong.
func TestRefused(t *testing.T) {
	var posts atomic.Int64
	url := startTestNode(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost && posts.Add(1)%4 == 0 {
				w.Header().Set("Retry-After", "1")
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			h.ServeHTTP(w, r)
		})
	})
	r, err := Run(context.Background(), small(url), Options{})
	if err != nil || !r.OK() || r.RefusedWhole == 0 || r.verdict() != "failing" {
		t.Errorf("%s %v", r, err)
	}
}

// TestBatchesAreReproducible: a batch depends on the plan and its number alone.
func TestBatchesAreReproducible(t *testing.T) {
	p := small("http://n1", "http://n2")
	p.Profile = "p"
	if err := p.complete(); err != nil {
		t.Fatal(err)
	}
	at := time.UnixMilli(1_800_000_000_000)
	a, b := newGenerator(&p), newGenerator(&p)
	b.batch(nil, 3, 1, at, 0, make([]sums, p.Providers))
	one, _, _ := a.batch(nil, 12, 1, at, 0, make([]sums, p.Providers))
	two, _, _ := b.batch(nil, 12, 1, at, 0, make([]sums, p.Providers))
	if !bytes.Equal(one, two) || bytes.Count(one, []byte("\n")) < p.Batch {
		t.Errorf("%s\n%s", one, two)
	}
}

func TestHistogram(t *testing.T) {
	var h histogram
	for i := 1; i <= 10_000; i++ {
		h.add(time.Duration(i)*10*time.Microsecond, 1)
	}
	for q, want := range map[float64]time.Duration{0.5: 50 * time.Millisecond, 0.99: 99 * time.Millisecond, 1: 100 * time.Millisecond} {
		if got := h.quantile(q); got < want || got > want+want/32 {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
	last := 0
	for micros := uint64(0); micros < 1<<22; micros++ {
		b := bucketOf(micros)
		if b < last || time.Duration(micros)*time.Microsecond >= upperOf(b) {
			t.Fatalf("%d µs is in bucket %d, which ends at %v; the one before in %d", micros, b, upperOf(b), last)
		}
		last = b
	}
	if !strings.Contains(h.picture(), "█") {
		t.Error(h.picture())
	}
}

// TestPlansThatCannotBe: they are refused before anything is started.
func TestPlansThatCannotBe(t *testing.T) {
	for what, change := range map[string]func(*Plan){
		"nodes": func(p *Plan) { p.Start = 65 }, "rate": func(p *Plan) { p.Rate = 0 }, "duration": func(p *Plan) { p.Duration = time.Hour },
		"negative": func(p *Plan) { p.Viewers = -1 }, "outage": func(p *Plan) { p.OutageFor = time.Minute },
		"percentages": func(p *Plan) { p.ErrorPct = 101 }, "queries": func(p *Plan) { p.Views = 1001 }, "request": func(p *Plan) { p.Batch = 20_001 },
	} {
		p := small()
		change(&p)
		if _, err := Run(context.Background(), p, Options{}); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
