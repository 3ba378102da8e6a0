package httpapi_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
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
	)
}

// testNode is a node as users have it, but for its clock, which can be moved.
type testNode struct {
	tb     testing.TB
	store  *store.Store
	api    *httpapi.API
	server *httptest.Server
	ahead  atomic.Int64 // ns added to the clock
}

// bothWays runs a test of streams on connections that are taken over and on those
// that are not: HTTP/2 by TLS, and HTTP/1.1 by TLS for what the test sends itself.
func bothWays(t *testing.T, test func(t *testing.T, start starter)) {
	t.Run("taken", func(t *testing.T) { test(t, newTestNode) })
	t.Run("h2", func(t *testing.T) {
		test(t, func(tb testing.TB, change func(*httpapi.Options)) *testNode {
			return startTestNode(tb, change, func(s *httptest.Server) {
				s.EnableHTTP2 = true
				s.StartTLS()
			})
		})
	})
}

// allWays is the same for clients that take gzip, too.
func allWays(t *testing.T, test func(t *testing.T, start starter)) {
	bothWays(t, test)
	t.Run("gzip", func(t *testing.T) {
		bothWays(t, func(t *testing.T, start starter) {
			test(t, func(tb testing.TB, change func(*httpapi.Options)) *testNode {
				n := start(tb, change)
				n.server.Client().Transport.(*http.Transport).DisableCompression = false
				return n
			})
		})
	})
}

type starter = func(testing.TB, func(*httpapi.Options)) *testNode

func newTestNode(tb testing.TB, change func(*httpapi.Options)) *testNode {
	tb.Helper()
	return startTestNode(tb, change, (*httptest.Server).Start)
}

func startTestNode(tb testing.TB, change func(*httpapi.Options), serve func(*httptest.Server)) *testNode {
	tb.Helper()
	n := &testNode{tb: tb}
	var err error
	n.store, err = store.New(store.Options{
		Node: "n1", Region: "us-east-1",
		Now: func() time.Time { return time.Now().Add(time.Duration(n.ahead.Load())) },
	})
	if err != nil {
		tb.Fatal(err)
	}
	in, err := ingest.New(ingest.Options{Store: n.store})
	if err != nil {
		tb.Fatal(err)
	}
	o := httpapi.Options{Store: n.store, Ingester: request.Ingester{Ingester: in}, Version: "test", Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
	if change != nil {
		change(&o)
	}
	if n.api, err = httpapi.New(o); err != nil {
		tb.Fatal(err)
	}
	n.server = httptest.NewUnstartedServer(n.api)
	n.server.Config.ConnContext = httpapi.ConnContext
	n.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	if serve == nil { // connections stay with the server
		n.server.Start()
	} else {
		n.server.Listener = n.api.Listener(n.server.Listener)
		serve(n.server)
	}
	n.server.Client().Transport.(*http.Transport).DisableCompression = true
	ctx, cancel := context.WithCancel(context.Background())
	ticking := make(chan struct{})
	go func() {
		defer close(ticking)
		for ticker := time.NewTicker(50 * time.Millisecond); ; {
			select {
			case <-ticker.C:
				n.store.Tick()
			case <-ctx.Done():
				ticker.Stop()
				return
			}
		}
	}()
	tb.Cleanup(func() {
		cancel()
		<-ticking
		n.shutdown()
		n.server.Client().CloseIdleConnections()
		_ = n.server.Config.Shutdown(ctx) // closes the listeners; ctx has ended
		n.server.Close()
		n.api.Close()
	})
	return n
}

func (n *testNode) shutdown() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := n.api.Shutdown(ctx); err != nil {
		n.tb.Error("shutdown:", err)
	}
	if !n.api.FinishPosts(ctx) {
		n.tb.Error("posts did not end")
	}
}

// pass moves the node's clock.
func (n *testNode) pass(d time.Duration) { n.ahead.Add(int64(d)) }

// get answers a GET with status, headers and body.
func (n *testNode) get(path string, headers ...string) (int, http.Header, []byte) {
	n.tb.Helper()
	req, err := http.NewRequest(http.MethodGet, n.server.URL+path, nil)
	if err != nil {
		n.tb.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	resp, err := n.server.Client().Do(req)
	if err != nil {
		n.tb.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		n.tb.Fatal(err)
	}
	return resp.StatusCode, resp.Header, body
}

// rows answers a GET with its rows.
func (n *testNode) rows(path string) []map[string]any {
	n.tb.Helper()
	status, _, body := n.get(path)
	var doc struct{ Rows []map[string]any }
	if err := json.Unmarshal(body, &doc); err != nil || status != http.StatusOK {
		n.tb.Fatalf("GET %s: %d %s %v", path, status, body, err)
	}
	return doc.Rows
}

// post sends NDJSON and wants a status.
func (n *testNode) post(want int, lines ...string) map[string]any {
	n.tb.Helper()
	resp, err := n.server.Client().Post(n.server.URL+"/api/v1/events", "application/x-ndjson", strings.NewReader(strings.Join(lines, "\n")))
	if err != nil {
		n.tb.Fatal(err)
	}
	defer resp.Body.Close()
	var answer map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || resp.StatusCode != want {
		n.tb.Fatalf("POST: %s %v %v", resp.Status, answer, err)
	}
	return answer
}

func decision(chain, provider string, more string) string {
	return fmt.Sprintf(`{"chain":%q,"provider_id":%q,"method":"eth_call","duration_ms":5,"result":"success"%s}`, chain, provider, more)
}

// event is one server-sent event.
type event struct {
	name, id string
	data     []byte
}

// reader is a client of a stream that knows nothing but what it is sent.
type reader struct {
	resp   *http.Response
	lines  *bufio.Reader
	rows   map[string]map[string]any
	meta   map[string]any
	cursor string
}

// open opens a stream. The caller closes it.
func (n *testNode) open(path, cursor string) *reader {
	n.tb.Helper()
	req, err := http.NewRequest(http.MethodGet, n.server.URL+path, nil)
	if err != nil {
		n.tb.Fatal(err)
	}
	if cursor != "" {
		req.Header.Set("Last-Event-ID", cursor)
	}
	resp, err := n.server.Client().Do(req)
	if err != nil {
		n.tb.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(resp.Body)
		n.tb.Fatalf("GET %s: %s %s", path, resp.Status, body)
	}
	return &reader{resp: resp, lines: bufio.NewReader(resp.Body)}
}

func (r *reader) close() { _ = r.resp.Body.Close() }

// next reads one event, as the standard wants it.
func (r *reader) next() (event, error) {
	var e event
	for {
		line, err := r.lines.ReadBytes('\n')
		if err != nil {
			return e, err
		}
		field, value, _ := bytes.Cut(bytes.TrimRight(line, "\r\n"), []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "event":
			e.name = string(value)
		case "id":
			e.id = string(value)
		case "data":
			e.data = append(e.data, value...)
		case "":
			if len(line) <= 2 && e.name != "" {
				return e, nil
			}
		}
	}
}

// follow reads one event and applies it.
func (r *reader) follow() (event, error) {
	e, err := r.next()
	if err != nil {
		return e, err
	}
	return e, r.apply(e)
}

func (r *reader) apply(e event) error {
	var frame struct {
		Meta   map[string]any
		Rows   []map[string]any
		Upsert []map[string]any
		Remove []string
	}
	if e.name != "snapshot" && e.name != "delta" {
		return nil
	}
	if err := json.Unmarshal(e.data, &frame); err != nil {
		return err
	}
	r.meta, r.cursor = frame.Meta, e.id
	if e.name == "snapshot" {
		r.rows = make(map[string]map[string]any)
	}
	for _, row := range append(frame.Rows, frame.Upsert...) {
		r.rows[row["key"].(string)] = row
	}
	for _, key := range frame.Remove {
		delete(r.rows, key)
	}
	return nil
}

// until reads events until one satisfies a condition.
func (r *reader) until(tb testing.TB, what string, ok func(e event) bool) event {
	tb.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		e, err := r.follow()
		if err != nil {
			tb.Fatalf("waiting for %s: %v", what, err)
		}
		if ok(e) {
			return e
		}
	}
	tb.Fatalf("%s did not come", what)
	return event{}
}

// descriptors counts the open files of the process.
func descriptors(tb testing.TB) int {
	tb.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		tb.Skip("there is no /proc here") // the check is for Linux; CI is Linux
	}
	return len(list)
}

// rawConn opens a connection and sends text.
func (n *testNode) rawConn(text string) net.Conn {
	n.tb.Helper()
	conn, err := net.Dial("tcp", n.server.Listener.Addr().String())
	if err != nil {
		n.tb.Fatal(err)
	}
	if n.server.TLS != nil {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true}) // the server's own certificate
	}
	if _, err := conn.Write([]byte(text)); err != nil {
		n.tb.Fatal(err)
	}
	return conn
}

// eventually waits for a condition.
func (n *testNode) eventually(what string, ok func() bool) {
	n.tb.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); runtime.Gosched() {
		if time.Now().After(deadline) {
			n.tb.Fatal(what)
		}
	}
}

// readUntil reads until some text has come.
func readUntil(tb testing.TB, conn net.Conn, text string) {
	tb.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	var got []byte
	buffer := make([]byte, 4<<10)
	for !bytes.Contains(got, []byte(text)) {
		n, err := conn.Read(buffer)
		if err != nil {
			tb.Fatalf("waiting for %s: %v after %q", text, err, got)
		}
		got = append(got, buffer[:n]...)
	}
}

// unhijackableNode is a node whose streams go through the library.
func unhijackableNode(tb testing.TB, change func(*httpapi.Options)) *testNode {
	return startTestNode(tb, change, serveUnhijackable)
}
