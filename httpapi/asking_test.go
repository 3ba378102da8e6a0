package httpapi_test

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

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
