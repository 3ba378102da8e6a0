package stream

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"remuda/httpapi/memory"
)

// counting is a source whose content is how often it was refreshed.
type counting struct{ times int64 }

func (c *counting) Refresh() { c.times++ }

func (c *counting) AppendMeta(dst []byte) []byte {
	return append(strconv.AppendInt(append(dst, `"meta":{"revision":`...), c.times, 10), '}')
}

func (c *counting) AppendSnapshot(dst []byte) []byte {
	return append(strconv.AppendInt(append(dst, `"rows":[`...), c.times, 10), ']')
}

func (c *counting) AppendDelta(dst []byte) []byte {
	return append(strconv.AppendInt(append(dst, `"upsert":[`...), c.times, 10), `],"remove":[]`...)
}

// newTestStreams serves a view of a counting source, over connections that may be taken
// over or not.
func newTestStreams(t *testing.T, taken bool, s *Streams, q Query) *httptest.Server {
	t.Helper()
	q.Key, q.Content = "k", func(func(), *memory.Lease) Source { return new(counting) }
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !taken {
			w = keptWriter{w, w.(http.Flusher)}
		}
		if err := s.Serve(w, r, q); err != nil {
			t.Error(err)
		}
	}))
	server.Config.ConnContext = ConnContext
	server.Start()
	server.Client().Transport.(*http.Transport).DisableKeepAlives = true
	t.Cleanup(server.Close)
	return server
}

// keptWriter is a writer whose connection cannot be taken over.
type keptWriter struct {
	http.ResponseWriter
	http.Flusher
}

func testOptions() Options {
	return Options{
		Node: "n1", Incarnation: 7, Now: func() int64 { return time.Now().UnixMilli() }, Memory: memory.New(64<<20, 1),
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), WriteTimeout: 10 * time.Second, Heartbeat: 15 * time.Second,
		MaxSubscribers: 100, MaxViews: 10,
	}
}

var (
	frameID = regexp.MustCompile(`\nid: (\S+)\n`)
	varies  = regexp.MustCompile(`retry: \d+|"server_at":\d+|id: \S+`)
)

// TestOneFormat: whatever way a stream takes, compressed or not, its reader gets the same
// bytes of the same events.
func TestOneFormat(t *testing.T) {
	s, err := New(testOptions())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	q := Query{Format: "sse", Interval: 100 * time.Millisecond, MaxFrames: 8}
	servers := []*httptest.Server{newTestStreams(t, true, s, q), newTestStreams(t, false, s, q)}
	read := func(server *httptest.Server, gzip bool) []string {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
		if err != nil {
			t.Error(err)
			return nil
		}
		client := *server.Client()
		transport := client.Transport.(*http.Transport).Clone()
		transport.DisableCompression = !gzip
		client.Transport = transport
		resp, err := client.Do(r)
		if err != nil {
			t.Error(err)
			return nil
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil || resp.Uncompressed != gzip {
			t.Errorf("%v, compressed: %v", err, resp.Uncompressed)
		}
		return strings.SplitAfter(string(text), "\n\n")
	}
	for both := 0; both < 2; { // frames that all had
		if t.Context().Err() != nil || t.Failed() {
			t.FailNow()
		}
		streams := make([][]string, 4)
		var group sync.WaitGroup
		for i := range streams {
			group.Go(func() { streams[i] = read(servers[i%2], i >= 2) })
		}
		group.Wait()
		had := make(map[string]int)
		of := make(map[string]string)
		for i, events := range streams {
			if len(events) != 11 || events[10] != "" { // hello, frames, bye
				t.Fatalf("%q", events)
			}
			for j, event := range events[:10] {
				switch j {
				case 0, 9:
					want := varies.ReplaceAllString(streams[0][j], "")
					if got := varies.ReplaceAllString(event, ""); got != want {
						t.Errorf("stream %d: %q, want %q", i, got, want)
					}
				default:
					name, _, _ := strings.Cut(event, "\n")
					id := name + " " + frameID.FindStringSubmatch(event)[1]
					if of[id] == "" {
						of[id] = event
					}
					if event != of[id] {
						t.Errorf("stream %d: %q, and another had %q", i, event, of[id])
					}
					if had[id]++; had[id] == len(streams) {
						both++
					}
				}
			}
		}
	}
}

// Example follows a view: its reader gets it whole, and then what changes.
func Example() {
	s, err := New(Options{
		Node: "iad", Incarnation: 7, Now: func() int64 { return 1000 }, Memory: memory.New(1<<20, 1), Logger: slog.Default(),
		WriteTimeout: 10 * time.Second, Heartbeat: 15 * time.Second, MaxSubscribers: 1, MaxViews: 1,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = s.Serve(w, r, Query{
			Key: "k", Format: "ndjson", Interval: 100 * time.Millisecond, MaxFrames: 2,
			Content: func(func(), *memory.Lease) Source { return new(counting) },
		})
	}))
	defer server.Close()
	resp, err := server.Client().Get(server.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	fmt.Print(string(text))
	_ = s.Shutdown(context.Background())
	// Output:
	// {"event":"snapshot","meta":{"revision":1},"rows":[1]}
	// {"event":"delta","meta":{"revision":2},"upsert":[2],"remove":[]}
	// {"event":"bye","reason":"done"}
}
