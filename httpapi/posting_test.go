package httpapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"remuda/httpapi"
)

// TestPostsOverOneConnection: whatever comes behind a post on its connection is
// answered the same whether the connection is taken over or stays with the server.
func TestPostsOverOneConnection(t *testing.T) {
	line := func(id string) string { return decision("c", "p", `,"request_id":"`+id+`"`) + "\n" }
	post := func(body, head string) string {
		return fmt.Sprintf("POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\n%sContent-Length: %d\r\n\r\n%s", head, len(body), body)
	}
	cut := func(request string, by int) string { return request[:len(request)-by] + theEnd }
	bare := func(request string) string { return strings.ReplaceAll(request, "\r\n", "\n") }
	const ndjson = "Content-Type: application/x-ndjson\r\n"
	first := post(line("0"), ndjson)
	for name, requests := range map[string][]string{
		"the same head":        {first, post(line("1"), ndjson), post(line("2"), ndjson), post(line("2"), ndjson)},
		"longer and shorter":   {first, post(line("1")+line("2"), ndjson), post(strings.Repeat(line("x"), 1000), ndjson), post(line("3"), ndjson)},
		"another head":         {first, post(line("1"), ndjson), post("["+line("2")+"]", "Content-Type: application/json\r\n"), post(line("3"), ndjson)},
		"names in any letters": {first, post(line("1"), "content-TYPE: application/x-ndjson\r\n"), strings.Replace(post(line("2"), ""), "Content-Length", "content-length", 1)},
		"pipelined":            {first + post(line("1"), ndjson) + post(line("2"), ndjson), post(line("3"), ndjson)},
		"something refused":    {first, post(line("1")+"x\n", ndjson), post("x", ndjson), post("x", ndjson), post(line("2"), ndjson)},
		"a query":              {first, strings.Replace(post(line("1"), ndjson), "events", "events?strict=1", 1), post(line("2"), ndjson)},
		"a bad query":          {first, strings.Replace(post(line("1"), ndjson), "events", "events?stirct=1", 1)},
		"a read":               {first, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", post(line("1"), ndjson), "GET /nope HTTP/1.1\r\nHost: localhost\r\n\r\n", post(line("2"), ndjson)},
		"another path":         {first, strings.Replace(post("", ndjson), "events", "event", 1), post(line("1"), ndjson)},
		"empty":                {first, post("", ndjson), post("", ""), post(line("1"), ndjson)},
		"no media type":        {first, post(line("1"), ""), post("?", ""), post(line("2"), "")},
		"an unknown type":      {first, post(line("1"), "Content-Type: text/html\r\n")},
		"an unknown encoding":  {first, post(line("1"), ndjson+"Content-Encoding: foo\r\n")},
		"damaged gzip":         {first, post(line("1"), ndjson+"Content-Encoding: gzip\r\n"), post(line("2"), ndjson)},
		"chunked":              {first, "POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n", post(line("1"), ndjson)},
		"both lengths":         {first, "POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n"},
		"two lengths":          {first, "POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n[]x"},
		"a length in a name":   {first, post(line("1"), ndjson+"User-Agent: Content-Length: 7\r\n"), post(line("2"), ndjson+"User-Agent: Content-Length: 9\r\n")},
		"no length":            {first, "POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n", post(line("1"), ndjson)},
		"too long":             {first, "POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\n" + ndjson + "Content-Length: 99999999999\r\n\r\n"},
		"an absurd length":     {first, "POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\n" + ndjson + "Content-Length: 99999999999999999999999\r\n\r\n"},
		"a negative length":    {first, "POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\n" + ndjson + "Content-Length: -1\r\n\r\n"},
		"another host":         {first, strings.Replace(post(line("1"), ndjson), "localhost", "evil.example", 1)},
		"no host":              {first, strings.Replace(post(line("1"), ndjson), "Host: localhost\r\n", "", 1)},
		"two hosts":            {first, post(line("1"), ndjson+"Host: localhost\r\n")},
		"another origin":       {first, post(line("1"), ndjson+"Origin: http://evil.example\r\nSec-Fetch-Site: cross-site\r\n"), post(line("2"), ndjson)},
		"line feeds alone":     {bare(first), bare(post(line("1"), ndjson)), bare(post(line("2"), ndjson+"User-Agent: x\r\n")), post(line("3"), ndjson), bare(post(line("4"), ndjson))},
		"bare line feeds":      {first, strings.Replace(post(line("1"), ndjson), "\r\n", "\n", 2), post(line("2"), ndjson)},
		"a folded line":        {first, post(line("1"), ndjson+"User-Agent: a\r\n b\r\n")},
		"a control character":  {first, post(line("1"), ndjson+"User-Agent: a\x01b\r\n")},
		"the old version":      {first, strings.Replace(post(line("1"), ndjson), "HTTP/1.1", "HTTP/1.0", 1)},
		"an end":               {first, post(line("1"), ndjson+"Connection: close\r\n")},
		"kept alive":           {first, post(line("1"), ndjson+"Connection: keep-alive\r\n"), post(line("2"), ndjson+"Connection: keep-alive\r\n")},
		"no method":            {first, "FOO /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n", post(line("1"), ndjson)},
		"a line end too much":  {first, "\r\n" + post(line("1"), ndjson), "\r\n\r\n" + post(line("2"), ndjson), "\n" + post(line("3"), ndjson), "\r\n\r\n\r\n" + post(line("4"), ndjson)},
		"a damaged host":       {first, strings.Replace(post(line("1"), ndjson), "localhost", "localhost:a/b", 1)},
		"a host with a port":   {first, strings.Replace(post(line("1"), ndjson), "localhost", "[::1]:7400", 1), post(line("2"), ndjson)},
		"cut off":              {first, cut(post(line("1")+line("2"), ndjson), 40)},
		"cut off in the head":  {first, cut(post(line("1"), ndjson), 150)},
		"cut off and refused":  {first, cut(post(line("1"), "Content-Type: text/html\r\n"), 40)},
		"nonsense":             {first, "\x00\x01\x02\r\n\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			taken, kept := newTestNode(t, nil), startTestNode(t, nil, nil)
			got, want := taken.talk(requests), kept.talk(requests)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(kept.calls(), taken.calls()); diff != "" {
				t.Error("counted:", diff)
			}
		})
	}
}

// theEnd, behind a request, stands for the end of what the client sends.
const theEnd = "<the end>"

// talk sends requests over one connection, each when the one before is answered,
// and returns what was said to each, until the connection ends.
func (n *testNode) talk(requests []string) (said []string) {
	conn := n.rawConn("")
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		n.tb.Fatal(err)
	}
	in := bufio.NewReader(conn)
	for _, r := range requests {
		r, ends := strings.CutSuffix(r, theEnd)
		if _, err := io.WriteString(conn, r); err != nil {
			return append(said, "cannot write")
		}
		if ends {
			if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
				n.tb.Fatal(err)
			}
		}
		for range strings.Count(r, "/api/v1/") + strings.Count(r, "/healthz") + strings.Count(r, "/nope") + strings.Count(r, "\x00") {
			resp, err := http.ReadResponse(in, nil)
			if err != nil {
				return append(said, "the end")
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				return append(said, "half an answer")
			}
			head := resp.Header.Clone()
			head.Del("Date")
			head.Del("Connection") // a server may say more of it
			said = append(said, fmt.Sprint(resp.Status, resp.Close && !ends, head, string(body)))
		}
	}
	return said
}

func (n *testNode) calls() (calls []any) {
	for _, row := range n.rows("/api/v1/providers?window=5m") {
		calls = append(calls, row["total_calls"])
	}
	return calls
}

// TestHeadsOfOthers: a connection that was the server's reads heads like the last of
// others, and its own post is none of them.
func TestHeadsOfOthers(t *testing.T) {
	post := func(head string) string {
		body := decision("c", "p", "") + "\n"
		return fmt.Sprintf("POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\n%sContent-Length: %d\r\n\r\n%s", head, len(body), body)
	}
	const others = "Accept: text/plain\r\nContent-Encoding: gzip\r\n"
	n := newTestNode(t, nil)
	want := n.talk([]string{post(others)}) // refused: it is not compressed
	got := n.talk([]string{"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", post(""), post(others), post("")})
	if len(got) != 4 || !strings.Contains(got[1], "202 Accepted") || got[3] != got[1] {
		t.Fatal(got)
	}
	if diff := cmp.Diff(want[0], got[2]); diff != "" {
		t.Error(diff)
	}
}

// TestConnectionsGoBack: a client that posts and reads by turns does so over one
// connection.
func TestConnectionsGoBack(t *testing.T) {
	n := newTestNode(t, nil)
	fresh := 0
	ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{GotConn: func(c httptrace.GotConnInfo) {
		if !c.Reused {
			fresh++
		}
	}})
	for i := range 30 {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, n.server.URL+"/api/v1/events", strings.NewReader(decision("c", "p", "")))
		if i%3 == 2 {
			req, err = http.NewRequestWithContext(ctx, http.MethodGet, n.server.URL+"/api/v1/providers", nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		resp, err := n.server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.StatusCode/100 != 2 {
			t.Fatal(i, resp.Status)
		}
	}
	if fresh != 1 {
		t.Errorf("%d connections", fresh)
	}
	if calls := n.calls(); fmt.Sprint(calls) != "[20]" {
		t.Error(calls)
	}
}

// TestSlowPosts: a body, and a head, that does not come ends the connection.
func TestSlowPosts(t *testing.T) {
	n := newTestNode(t, func(o *httpapi.Options) { o.BodyTimeout = 50 * time.Millisecond })
	body := decision("c", "p", "")
	head := fmt.Sprintf("POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n", len(body))
	conn := n.rawConn(head + body + head + body[:10])
	defer conn.Close()
	in := bufio.NewReader(conn)
	for _, want := range []int{http.StatusAccepted, http.StatusRequestTimeout} {
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != want {
			t.Fatalf("%s %s, want %d", resp.Status, text, want)
		}
	}
	if _, err := in.ReadByte(); err != io.EOF {
		t.Error("it goes on:", err)
	}
	// What was announced and did not come is not counted, what came unannounced is.
	chunked, err := http.Post(n.server.URL+"/api/v1/events", "application/x-ndjson", io.MultiReader(strings.NewReader(body)))
	if err != nil {
		t.Fatal(err)
	}
	chunked.Body.Close()
	_, _, text := n.get("/metrics")
	if came := metric(t, text, "remuda_ingest_bytes_total"); came < float64(2*len(body)) || came > float64(2*len(body)+10) {
		t.Errorf("%v bytes came, want twice %d and 10 at most", came, len(body))
	}
}

// TestCloseEndsPosts: connections that were taken over end with the API, also when
// nothing was drained.
func TestCloseEndsPosts(t *testing.T) {
	n := newTestNode(t, nil)
	body := decision("c", "p", "")
	conn := n.rawConn(fmt.Sprintf("POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
	defer conn.Close()
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	n.api.Close()
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := in.ReadByte(); err != io.EOF {
		t.Error("it goes on:", err)
	}
}

// TestPostsEnd: a node that ends closes connections that wait, and answers posts
// whose bodies are still coming.
func TestPostsEnd(t *testing.T) {
	n := newTestNode(t, nil)
	body := decision("c", "p", "")
	request := fmt.Sprintf("POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	var conns []net.Conn
	var answers []*bufio.Reader
	for range 2 {
		conn := n.rawConn(request + request)
		defer conn.Close()
		in := bufio.NewReader(conn)
		for range 2 {
			resp, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
		}
		conns, answers = append(conns, conn), append(answers, in)
	}
	if _, err := io.WriteString(conns[1], request[:len(request)-5]); err != nil {
		t.Fatal(err)
	}
	running := func() bool {
		_, _, text := n.get("/metrics")
		return strings.Contains(string(text), "remuda_ingest_bytes_in_flight ") && !strings.Contains(string(text), "remuda_ingest_bytes_in_flight 0\n")
	}
	for deadline := time.Now().Add(10 * time.Second); !running(); {
		if time.Now().After(deadline) {
			t.Fatal("the body is not being read")
		}
	}
	ended := make(chan bool)
	go func() { ended <- n.api.FinishPosts(context.Background()) }()
	if _, err := answers[0].ReadByte(); err != io.EOF {
		t.Error("the connection that waits:", err)
	}
	if _, err := io.WriteString(conns[1], request[len(request)-5:]); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(answers[1], nil)
	if err != nil {
		t.Fatal(err)
	}
	var receipt struct{ Accepted int }
	if err := json.NewDecoder(resp.Body).Decode(&receipt); err != nil || resp.StatusCode != http.StatusAccepted || receipt.Accepted != 1 {
		t.Error(resp.Status, receipt, err)
	}
	if !<-ended {
		t.Error("a post was cut off")
	}
	if _, err := answers[1].ReadByte(); err != io.EOF && !os.IsTimeout(err) {
		t.Error("the connection that posted:", err)
	}
}
